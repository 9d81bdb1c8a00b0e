//! Threads and sockets: who is connected, for how long, and how the keeper stops.
//!
//! The main thread waits for signals, for new links from the parent, and for connections to the admin socket, and feeds
//! the service manager's watchdog. Each link and each admin connection has a thread of its own, and so has the first try
//! to open the instance. Nothing here looks into a frame.

mod administrator;
mod connect;
mod link;
mod peer;
mod signals;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::{Duration, Instant};

use merlon_sandbox::{seqpacket, systemd};
use merlon_wire::encode;
use merlon_wire::parent::{FromChild, Ready};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

use crate::exit::Fatal;
use crate::first_try::FirstTry;
use crate::keeper::Keeper;
use crate::log;
use link::CurrentLink;
use signals::Asked;

pub(crate) use signals::Signals;

/// A peer that does not take its answer for so long is dropped.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// Under a service manager the first try keeps the keeper from being ready for so long at most: other units wait, and
/// what opens later opens all the same.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the keeper was started with.
pub(crate) struct Endpoints {
    /// The admin socket, listening.
    pub(crate) admin: OwnedFd,
    /// Where links come from.
    pub(crate) links: Links,
    /// Signals, as a descriptor.
    pub(crate) signals: Signals,
}

/// Where links come from.
pub(crate) enum Links {
    /// The parent hands them over.
    Parent(OwnedFd),
    /// The engine listens at this path.
    Connect(PathBuf),
}

/// Opens the instance and serves until asked to stop. Administrators are served from the beginning; the engine, which
/// would only find that nothing is open yet, after the first try or [`PATIENCE`].
///
/// # Errors
/// The first try found what no later one would mend; or the keeper's own sockets failed.
pub(crate) fn run(keeper: &Arc<Keeper>, endpoints: Endpoints) -> Result<(), Fatal> {
    let Endpoints { admin, links, signals } = endpoints;
    seqpacket::set_nonblocking(&admin, true).map_err(Fatal::Io)?;
    let mut server = Server {
        keeper,
        admin,
        links,
        signals,
        first_try: Some(FirstTry::begin(keeper).map_err(Fatal::Io)?),
        ready: false,
        current: Arc::default(),
        administrators: Arc::default(),
    };
    let mut watchdog = Watchdog { interval: systemd::watchdog_interval(), fed: Instant::now() };
    let patience = Instant::now() + PATIENCE;
    loop {
        if !server.ready && (server.first_try.is_none() || server.has_waited(patience)) {
            server.announce().map_err(Fatal::Io)?;
        }
        let patience = (!server.ready).then_some(patience);
        let wake = patience.into_iter().chain(watchdog.next()).min();
        if server.turn(wake)? == Turn::Stop {
            told(keeper.notify.stopping());
            return Ok(());
        }
        watchdog.feed(keeper);
    }
}

/// What the main thread works with.
struct Server<'a> {
    keeper: &'a Arc<Keeper>,
    admin: OwnedFd,
    links: Links,
    signals: Signals,
    /// Until it is over.
    first_try: Option<FirstTry>,
    /// Announced.
    ready: bool,
    current: Arc<CurrentLink>,
    administrators: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    GoOn,
    Stop,
}

impl Server<'_> {
    /// A parent waits for the first try; a service manager for so long only.
    fn has_waited(&self, patience: Instant) -> bool {
        matches!(self.links, Links::Connect(_)) && Instant::now() >= patience
    }

    /// The keeper serves: says so, and takes links.
    fn announce(&mut self) -> io::Result<()> {
        self.ready = true;
        match &self.links {
            Links::Parent(parent) => announce(self.keeper, parent)?,
            Links::Connect(path) => connect::keep_connected(self.keeper, path.clone(), Arc::clone(&self.current))?,
        }
        if self.first_try.is_some() {
            self.keeper.tell_state();
        }
        told(self.keeper.notify.ready());
        Ok(())
    }

    /// Waits until `wake` for something to happen, and sees to it.
    fn turn(&mut self, wake: Option<Instant>) -> Result<Turn, Fatal> {
        let happened = self.wait(wake).map_err(Fatal::Io)?;
        if happened.signal && self.asked().map_err(Fatal::Io)? == Turn::Stop {
            log::info(format_args!("stopping as asked"));
            return Ok(Turn::Stop);
        }
        if happened.tried
            && let Some(tried) = self.first_try.take()
        {
            tried.outcome()?;
        }
        if happened.administrator {
            administrator::accept(self.keeper, &self.admin, &self.administrators);
        }
        if let Links::Parent(parent) = &self.links
            && happened.parent
            // Before it was told of the first try it has nothing to say: it hung up.
            && !(self.ready && link::take(self.keeper, parent, &self.current).map_err(Fatal::Io)?)
        {
            log::info(format_args!("the parent hung up; stopping"));
            return Ok(Turn::Stop);
        }
        Ok(Turn::GoOn)
    }

    fn wait(&self, wake: Option<Instant>) -> io::Result<Happened> {
        let from_parent = if self.ready { PollFlags::POLLIN } else { PollFlags::empty() };
        let parent = match &self.links {
            Links::Parent(parent) => Some(PollFd::new(parent.as_fd(), from_parent)),
            Links::Connect(_) => None,
        };
        let first_try = self.first_try.as_ref().map(|tried| PollFd::new(tried.as_fd(), PollFlags::POLLIN));
        let mut waiting = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.admin.as_fd(), PollFlags::POLLIN),
        ];
        let (has_try, has_parent) = (first_try.is_some(), parent.is_some());
        waiting.extend(first_try.into_iter().chain(parent));
        match poll(&mut waiting, until(wake)) {
            Err(nix::errno::Errno::EINTR) => return Ok(Happened::default()),
            other => other?,
        };
        let mut ready = waiting.iter().map(|fd| fd.any().unwrap_or(true));
        let mut next = |there: bool| there && ready.next().unwrap_or(false);
        Ok(Happened { signal: next(true), administrator: next(true), tried: next(has_try), parent: next(has_parent) })
    }

    fn asked(&self) -> io::Result<Turn> {
        while let Some(asked) = self.signals.next()? {
            match asked {
                Asked::Stop => return Ok(Turn::Stop),
                Asked::Reload => {
                    // Before it is ready nobody asks it to reload.
                    if self.ready {
                        told(self.keeper.notify.reloading());
                        told(self.keeper.notify.ready());
                    }
                    log::info(format_args!(
                        "nothing is read again: changes of [keeper], [tpm] and [pkcs11] count from the keeper's next start"
                    ));
                }
            }
        }
        Ok(Turn::GoOn)
    }
}

/// What the main thread was woken by.
#[derive(Default)]
struct Happened {
    signal: bool,
    administrator: bool,
    tried: bool,
    parent: bool,
}

/// The service manager's watchdog, if it watches.
struct Watchdog {
    interval: Option<Duration>,
    fed: Instant,
}

impl Watchdog {
    fn next(&self) -> Option<Instant> {
        self.interval.map(|interval| self.fed + interval)
    }

    /// If it is time: a keeper whose locks nobody gets any more does not live, and says nothing.
    fn feed(&mut self, keeper: &Keeper) {
        if self.next().is_some_and(|next| Instant::now() >= next) {
            keeper.wait_for_locks();
            told(keeper.notify.watchdog());
            self.fed = Instant::now();
        }
    }
}

/// How long to wait, in milliseconds; rounded up, so that it is over then.
fn until(wake: Option<Instant>) -> PollTimeout {
    let Some(wake) = wake else { return PollTimeout::NONE };
    let millis = wake.saturating_duration_since(Instant::now()).as_millis() + 1;
    u16::try_from(millis).unwrap_or(u16::MAX).into()
}

/// A service manager that cannot be told finds out by itself.
fn told(sent: io::Result<()>) {
    if let Err(error) = sent {
        log::warn(format_args!("systemd could not be told how the keeper is: {error}"));
    }
}

fn announce(keeper: &Keeper, parent: &OwnedFd) -> io::Result<()> {
    let ready = FromChild::Ready(Ready::Keeper { locked: keeper.open().is_none() });
    let mut frame = [0; 64];
    let used = encode(&ready, &mut frame).map_err(io::Error::other)?;
    seqpacket::send(parent, &frame[..used], None)
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
