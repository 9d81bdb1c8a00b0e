//! The way to `merlon-seal`, which alone reaches a TPM or a PKCS#11 token.
//!
//! The keeper starts no program. It asks the parent for a connection to a fresh `merlon-seal`, or connects to that
//! program's own socket. Owned here: one request, one answer, both in secret memory, one at a time, and an end to the
//! waiting. What is asked is the business of the slots.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use merlon_sandbox::journal::{self, events};
use merlon_sandbox::secret::{SecretBuf, SecretError};
use merlon_sandbox::seqpacket;
use merlon_wire::parent::{SealAnswer, SealAsk};
use merlon_wire::seal::{Failure, Request, Response};
use merlon_wire::{FrameError, MAX_FRAME, decode, encode};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use nix::sys::time::TimeVal;

use crate::keeper::unpoisoned;

/// How much longer than `merlon-seal` itself the keeper waits: by then its alarm, and after that its parent, has ended it.
const MARGIN: Duration = Duration::from_secs(10);
/// The longest message of the parent.
const MAX_PARENT: usize = 4096;

/// Why there is no answer, or not the one wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorError {
    /// Started without one.
    #[error("this keeper was started without a way to merlon-seal (--fd seal=N or --seal PATH)")]
    None,
    /// The parent could not start it.
    #[error("{0}")]
    NotStarted(String),
    /// Nobody listens, or the socket failed.
    #[error("the connection to merlon-seal failed: {0}")]
    Io(#[from] io::Error),
    /// It ended first.
    #[error("it ended without an answer; its own message is in the log")]
    HungUp,
    /// It took too long.
    #[error("it did not answer within {} s and is given up; `keeper.seal_seconds` is how long it may take", .0.as_secs())]
    TimedOut(Duration),
    /// Not of this protocol.
    #[error("it broke the protocol ({0}); are all packages of one release?")]
    Frame(#[from] FrameError),
    /// An answer to something else.
    #[error("it answered another question; are all packages of one release?")]
    OtherAnswer,
    /// It said why not.
    #[error(transparent)]
    Failed(Failure),
    /// No memory for the frames.
    #[error(transparent)]
    Memory(#[from] SecretError),
}

enum Way {
    None,
    /// The parent answers with a connection.
    Parent(OwnedFd),
    /// It listens here.
    Path(PathBuf),
}

/// The way to `merlon-seal`.
pub(crate) struct Door {
    way: Mutex<Way>,
    exists: bool,
    limit: Duration,
}

impl Door {
    /// From what the keeper was started with; `seal_seconds` is how long one operation may take.
    pub(crate) fn new(parent: Option<OwnedFd>, path: Option<PathBuf>, seal_seconds: u32) -> Self {
        let way = match (parent, path) {
            (Some(parent), _) => Way::Parent(parent),
            (None, Some(path)) => Way::Path(path),
            (None, None) => Way::None,
        };
        let exists = !matches!(way, Way::None);
        Self { way: Mutex::new(way), exists, limit: Duration::from_secs(seal_seconds.into()) + MARGIN }
    }

    /// Is there one at all?
    pub(crate) fn exists(&self) -> bool {
        self.exists
    }

    /// Asks once; `read` takes what it needs out of the answer, which is wiped afterwards. A failure that
    /// `merlon-seal` tells is [`DoorError::Failed`], and `read` does not see it. May take as long as a TPM takes: no
    /// lock that others need may be held.
    pub(crate) fn ask<T>(&self, request: &Request<'_>, read: impl FnOnce(Response<'_>) -> T) -> Result<T, DoorError> {
        self.try_to_ask(request, read).inspect_err(|error| {
            // Not to have one is no failure of it.
            if !matches!(error, DoorError::None) {
                journal::event(&events::DEVICE_FAILED, format_args!("merlon-seal: {error}"));
            }
        })
    }

    fn try_to_ask<T>(&self, request: &Request<'_>, read: impl FnOnce(Response<'_>) -> T) -> Result<T, DoorError> {
        let way = unpoisoned(self.way.lock());
        let mut frame = SecretBuf::with_capacity(MAX_FRAME)?;
        let used = encode(request, frame.as_full_mut_slice())?;
        frame.set_len(used);
        let socket = match &*way {
            Way::None => return Err(DoorError::None),
            Way::Parent(parent) => self.open(parent)?,
            Way::Path(path) => seqpacket::connect(path)?,
        };
        self.limit(&socket)?;
        seqpacket::send(&socket, frame.as_slice(), None).map_err(|error| self.told(error))?;
        frame.clear();
        let received = seqpacket::recv(&socket, frame.as_full_mut_slice()).map_err(|error| self.told(error))?;
        if received.len == 0 {
            return Err(DoorError::HungUp);
        }
        frame.set_len(received.len);
        // Nothing more is said; a process that lingers must not take this for an open connection.
        let _ = shutdown(socket.as_raw_fd(), Shutdown::Both);
        match decode(frame.as_slice())? {
            Response::Failed(failure) => Err(DoorError::Failed(failure)),
            response => Ok(read(response)),
        }
    }

    /// As [`Self::ask`], for an answer of one kind: `read` gives none for any other.
    pub(crate) fn expect<T>(
        &self,
        request: &Request<'_>,
        read: impl FnOnce(Response<'_>) -> Option<T>,
    ) -> Result<T, DoorError> {
        self.ask(request, read)?.ok_or(DoorError::OtherAnswer)
    }

    /// A connection from the parent.
    fn open(&self, parent: &OwnedFd) -> Result<OwnedFd, DoorError> {
        self.limit(parent)?;
        let mut frame = [0; MAX_PARENT];
        // An answer that an earlier ask (of an earlier keeper, perhaps) did not wait for.
        while is_readable(parent)? {
            if seqpacket::recv(parent, &mut frame)?.len == 0 {
                return Err(DoorError::HungUp);
            }
        }
        let used = encode(&SealAsk::Open, &mut frame)?;
        seqpacket::send(parent, &frame[..used], None).map_err(|error| self.told(error))?;
        let received = seqpacket::recv(parent, &mut frame).map_err(|error| self.told(error))?;
        if received.len == 0 {
            return Err(DoorError::HungUp);
        }
        match (decode(&frame[..received.len])?, received.fd) {
            (SealAnswer::Opened, Some(socket)) => Ok(socket),
            (SealAnswer::Opened, None) => Err(DoorError::OtherAnswer),
            (SealAnswer::Failed(why), _) => Err(DoorError::NotStarted(why)),
        }
    }

    fn limit(&self, socket: &OwnedFd) -> io::Result<()> {
        let limit = TimeVal::new(self.limit.as_secs().cast_signed(), 0);
        setsockopt(socket, sockopt::SendTimeout, &limit)?;
        setsockopt(socket, sockopt::ReceiveTimeout, &limit)?;
        seqpacket::set_nonblocking(socket, false)
    }

    /// What an error of the socket means.
    fn told(&self, error: io::Error) -> DoorError {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => DoorError::TimedOut(self.limit),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => DoorError::HungUp,
            _ => DoorError::Io(error),
        }
    }
}

fn is_readable(socket: &OwnedFd) -> io::Result<bool> {
    let mut waiting = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut waiting, PollTimeout::ZERO) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return Ok(other? > 0),
        }
    }
}
