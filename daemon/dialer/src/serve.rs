//! One link: requests in, answers out, many at once.
//!
//! The engine is assumed hostile. Whatever is no request of the protocol ends its link, and only that; what may be under
//! way at once is bounded, and an engine that does not read its answers is not read from either.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use merlon_wire::dialer::{DialError, Request, Response};
use merlon_wire::link::{AsyncLink, LinkError};
use merlon_wire::{Frame, Hello, Role};
use nix::errno::Errno;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::dial::{Connection, Dialer};

/// The most requests under way on one link; more are answered [`DialError::Busy`]. Counted for each link alone, so that an
/// engine that is stuck takes nothing from the one that replaces it.
pub(crate) const MOST_AT_ONCE: usize = 1024;
/// The longest request: a name, a port and an id.
const LONGEST_REQUEST: usize = 512;
/// The longest answer: a refusal with its reason.
const LONGEST_ANSWER: usize = 2048;

/// What serves links.
pub(crate) struct Server {
    dialer: Arc<Dialer>,
    hello: Hello,
}

impl Server {
    pub(crate) fn new(dialer: Arc<Dialer>, hello: Hello) -> Self {
        Self { dialer, hello }
    }

    /// Greets, then serves until the engine hangs up; what is under way then is given up.
    pub(crate) async fn serve(&self, socket: OwnedFd) -> Result<(), LinkError> {
        let link = Arc::new(AsyncLink::new(socket)?);
        link.greet(&self.hello).await?;
        let mut buffer = [0; LONGEST_REQUEST];
        let turns = Arc::new(Semaphore::new(MOST_AT_ONCE));
        let mut under_way = JoinSet::new();
        loop {
            let received = link.recv(&mut buffer).await?;
            if received.len == 0 {
                return Ok(());
            }
            if received.fd.is_some() {
                return Err(LinkError::Protocol { role: Role::Engine, what: "a descriptor with a request" });
            }
            let Frame { id, body } = merlon_wire::decode::<Frame<Request<'_>>>(&buffer[..received.len])?;
            let Request::Connect { host, port } = body;
            while under_way.try_join_next().is_some() {}
            let Ok(turn) = turns.clone().try_acquire_owned() else {
                answer(&link, id, Err(DialError::Busy)).await?;
                continue;
            };
            let (dialer, link, host) = (self.dialer.clone(), link.clone(), host.to_owned());
            under_way.spawn(async move {
                let outcome = dialer.dial(&host, port).await;
                // An answer that cannot be sent must not leave its request waiting.
                if answer(&link, id, outcome).await.is_err() {
                    link.hang_up();
                }
                drop(turn);
            });
        }
    }
}

/// Sends one answer. Our copy of the descriptor is closed at the end, whatever happens.
async fn answer(link: &AsyncLink, id: u64, outcome: Result<Connection, DialError>) -> Result<(), LinkError> {
    let micros = |time: std::time::Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    let (body, fd) = match outcome {
        Ok(Connection { fd, address, resolve, connect }) => {
            (Response::Connected { address, resolve_us: micros(resolve), connect_us: micros(connect) }, Some(fd))
        }
        Err(error) => (Response::Failed(error), None),
    };
    match send(link, &Frame { id, body }, fd.as_ref()).await {
        // Too many descriptors are on their way to an engine that does not take them (unix(7), ETOOMANYREFS).
        Err(LinkError::Io(error)) if error.raw_os_error() == Some(Errno::ETOOMANYREFS as i32) => {
            send(link, &Frame { id, body: Response::Failed(DialError::Busy) }, None).await
        }
        sent => sent,
    }
}

async fn send(link: &AsyncLink, frame: &Frame<Response>, fd: Option<&OwnedFd>) -> Result<(), LinkError> {
    let mut buffer = [0; LONGEST_ANSWER];
    let used = merlon_wire::encode(frame, &mut buffer)?;
    Ok(link.send(&buffer[..used], fd.map(AsFd::as_fd)).await?)
}
