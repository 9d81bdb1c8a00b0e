//! The link to the engine: taken from the parent or connected, greeted, served; a new one replaces it.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex};

use merlon_sandbox::seqpacket;
use merlon_wire::parent::ToChild;
use merlon_wire::{Hello, MAX_FRAME, Role, VERSION, decode, encode};
use nix::sys::socket::{Shutdown, shutdown};

use super::peer;
use super::{limit, spawn};
use crate::keeper::{Keeper, unpoisoned};
use crate::log;
use crate::requests::{Session, Socket};

/// A link from the parent. False if the parent hung up; an error if it is not our parent at all.
pub(super) fn take(keeper: &Arc<Keeper>, parent: &OwnedFd, current: &CurrentLink) -> io::Result<bool> {
    let mut frame = [0; MAX_FRAME];
    let received = match seqpacket::recv(parent, &mut frame) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
        other => other?,
    };
    if received.len == 0 {
        return Ok(false);
    }
    let message =
        decode::<ToChild>(&frame[..received.len]).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    match (message, received.fd) {
        (ToChild::Link { peer: Role::Engine | Role::Hub }, Some(link)) => {
            let link = Arc::new(link);
            current.replace(&link);
            spawn("link", {
                let keeper = Arc::clone(keeper);
                move || serve(&keeper, &link)
            })?;
        }
        (ToChild::Link { peer }, _) => {
            log::warn(format_args!("the parent sent a link to {}, which is not used", peer.program()))
        }
    }
    Ok(true)
}

/// The link in use: a new one replaces it.
#[derive(Default)]
pub(super) struct CurrentLink(Mutex<Option<Arc<OwnedFd>>>);

impl CurrentLink {
    pub(super) fn replace(&self, link: &Arc<OwnedFd>) {
        let earlier = unpoisoned(self.0.lock()).replace(Arc::clone(link));
        if let Some(earlier) = earlier {
            // Its thread finds a hang-up. It may be closed by the engine already.
            let _ = shutdown(earlier.as_raw_fd(), Shutdown::Both);
        }
    }
}

/// Serves one link until it hangs up or is dropped.
pub(super) fn serve(keeper: &Keeper, link: &OwnedFd) {
    let hello =
        Hello { role: Role::Keeper, version: VERSION, pid: std::process::id(), sandbox: keeper.sandbox().clone() };
    let greeted = limit(link, None).and_then(|()| {
        let mut frame = vec![0; MAX_FRAME];
        let used = encode(&hello, &mut frame).map_err(io::Error::other)?;
        seqpacket::send(link, &frame[..used], None)
    });
    if let Err(error) = greeted {
        log::warn(format_args!("the engine did not take the greeting: {error}"));
        return;
    }
    match peer::serve(keeper, link, Session::new(Socket::Link)) {
        Ok(()) => log::info(format_args!("the engine hung up")),
        Err(error) => error.tell("the engine"),
    }
    // Whoever else holds the socket must not keep it open.
    let _ = shutdown(link.as_raw_fd(), Shutdown::Both);
}
