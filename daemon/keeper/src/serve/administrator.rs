//! Connections to the admin socket: a few at once, each with a thread, none for ever.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use merlon_sandbox::seqpacket;

use super::{limit, peer, spawn};
use crate::keeper::Keeper;
use crate::log;
use crate::requests::{Session, Socket};

/// Admin connections at once; more are closed at once.
const MAX_ADMIN: usize = 8;
/// An admin connection that says nothing for so long is closed.
const ADMIN_IDLE: Duration = Duration::from_secs(60);

pub(super) fn accept(keeper: &Arc<Keeper>, admin: &OwnedFd, count: &Arc<AtomicUsize>) {
    let connection = match seqpacket::accept(admin) {
        Ok(connection) => connection,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
        Err(error) => return log::warn(format_args!("a connection to the admin socket was not accepted: {error}")),
    };
    let place = Place(Arc::clone(count));
    if count.fetch_add(1, Ordering::SeqCst) >= MAX_ADMIN {
        return log::warn(format_args!("more than {MAX_ADMIN} connections to the admin socket; one was closed"));
    }
    let keeper = Arc::clone(keeper);
    let spawned = spawn("admin", move || {
        let _place = place;
        let served = limit(&connection, Some(ADMIN_IDLE)).map_err(Into::into);
        match served.and_then(|()| peer::serve(&keeper, &connection, Session::new(Socket::Admin))) {
            Ok(()) => {}
            Err(error) => error.tell("a connection to the admin socket"),
        }
    });
    if let Err(error) = spawned {
        log::error(format_args!("no thread for an admin connection: {error}"));
    }
}

/// One of the places on the admin socket, given back however its thread ends.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
