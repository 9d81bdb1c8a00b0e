//! Threads and sockets: who is connected, for how long, and how the keeper stops.
//!
//! The main thread waits for signals, for new links from the parent, and for connections to the admin socket. Each link
//! and each admin connection has a thread of its own. Nothing here looks into a frame.

mod connect;
mod peer;

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use merlon_sandbox::seqpacket;
use merlon_wire::parent::{FromChild, Ready, ToChild};
use merlon_wire::{Hello, MAX_FRAME, Role, VERSION, decode, encode};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use nix::sys::time::TimeVal;

use crate::keeper::{Keeper, unpoisoned};
use crate::log;
use crate::requests::{Session, Socket};

/// Admin connections at once; more are closed at once.
const MAX_ADMIN: usize = 8;
/// An admin connection that says nothing for so long is closed.
const ADMIN_IDLE: Duration = Duration::from_secs(60);
/// A peer that does not take its answer for so long is dropped.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// What the keeper was started with.
pub(crate) struct Endpoints {
    /// The admin socket, listening.
    pub(crate) admin: OwnedFd,
    /// Where links come from.
    pub(crate) links: Links,
    /// SIGTERM and SIGINT, as a descriptor.
    pub(crate) signals: Signals,
}

/// Where links come from.
pub(crate) enum Links {
    /// The parent hands them over.
    Parent(OwnedFd),
    /// The engine listens at this path.
    Connect(PathBuf),
}

/// SIGTERM and SIGINT, blocked and turned into a descriptor. To be made before any thread.
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Under a parent an interrupt from the terminal is the parent's business, which then hangs up.
    pub(crate) fn block(has_parent: bool) -> io::Result<Self> {
        let mut taken = SigSet::empty();
        taken.add(Signal::SIGTERM);
        taken.add(Signal::SIGINT);
        taken.thread_block()?;
        let mut heard = SigSet::empty();
        heard.add(Signal::SIGTERM);
        if !has_parent {
            heard.add(Signal::SIGINT);
        }
        Ok(Self(SignalFd::with_flags(&heard, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }
}

/// Serves until asked to stop.
pub(crate) fn run(keeper: &Arc<Keeper>, endpoints: Endpoints, ready: impl FnOnce()) -> io::Result<()> {
    let Endpoints { admin, links, signals } = endpoints;
    seqpacket::set_nonblocking(&admin, true)?;
    let current = Arc::new(CurrentLink::default());
    let parent = match links {
        Links::Parent(parent) => {
            announce(keeper, &parent)?;
            Some(parent)
        }
        Links::Connect(path) => {
            connect::keep_connected(keeper, path, Arc::clone(&current))?;
            None
        }
    };
    ready();
    let administrators = Arc::new(AtomicUsize::new(0));
    loop {
        let mut waiting =
            vec![PollFd::new(signals.0.as_fd(), PollFlags::POLLIN), PollFd::new(admin.as_fd(), PollFlags::POLLIN)];
        waiting.extend(parent.as_ref().map(|parent| PollFd::new(parent.as_fd(), PollFlags::POLLIN)));
        match poll(&mut waiting, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            other => other?,
        };
        let ready: Vec<bool> = waiting.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        if ready[0] {
            log::info(format_args!("stopping as asked"));
            return Ok(());
        }
        if ready[1] {
            accept_administrator(keeper, &admin, &administrators);
        }
        if let Some(parent) = parent.as_ref().filter(|_| ready[2])
            && !take_link(keeper, parent, &current)?
        {
            log::info(format_args!("the parent hung up; stopping"));
            return Ok(());
        }
    }
}

fn announce(keeper: &Keeper, parent: &OwnedFd) -> io::Result<()> {
    let ready = FromChild::Ready(Ready::Keeper { locked: keeper.open().is_none() });
    let mut frame = [0; 64];
    let used = encode(&ready, &mut frame).map_err(io::Error::other)?;
    seqpacket::send(parent, &frame[..used], None)
}

/// A link from the parent. False if the parent hung up; an error if it is not our parent at all.
fn take_link(keeper: &Arc<Keeper>, parent: &OwnedFd, current: &CurrentLink) -> io::Result<bool> {
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
        (ToChild::Link { peer: Role::Engine }, Some(link)) => {
            let link = Arc::new(link);
            current.replace(&link);
            spawn("link", {
                let keeper = Arc::clone(keeper);
                move || serve_link(&keeper, &link)
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
struct CurrentLink(Mutex<Option<Arc<OwnedFd>>>);

impl CurrentLink {
    fn replace(&self, link: &Arc<OwnedFd>) {
        let earlier = unpoisoned(self.0.lock()).replace(Arc::clone(link));
        if let Some(earlier) = earlier {
            // Its thread finds a hang-up. It may be closed by the engine already.
            let _ = shutdown(earlier.as_raw_fd(), Shutdown::Both);
        }
    }
}

/// Serves one link until it hangs up or is dropped.
fn serve_link(keeper: &Keeper, link: &OwnedFd) {
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
        Err(error) => log::warn(format_args!("the engine is dropped: {error}")),
    }
    // Whoever else holds the socket must not keep it open.
    let _ = shutdown(link.as_raw_fd(), Shutdown::Both);
}

fn accept_administrator(keeper: &Arc<Keeper>, admin: &OwnedFd, count: &Arc<AtomicUsize>) {
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
            Err(error) => log::warn(format_args!("a connection to the admin socket is dropped: {error}")),
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

/// Limits how long sending (and with `idle`, receiving) may take.
fn limit(socket: &OwnedFd, idle: Option<Duration>) -> io::Result<()> {
    let limit = |duration: Duration| TimeVal::new(duration.as_secs().cast_signed(), 0);
    setsockopt(socket, sockopt::SendTimeout, &limit(SEND_LIMIT))?;
    if let Some(idle) = idle {
        setsockopt(socket, sockopt::ReceiveTimeout, &limit(idle))?;
    }
    seqpacket::set_nonblocking(socket, false)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(1 << 20).spawn(work).map(drop)
}
