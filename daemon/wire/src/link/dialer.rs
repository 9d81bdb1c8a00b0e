//! Asking the dialer: one function per request.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::call::{Buffer, Caller};
use super::{AsyncLink, Driver, Limits, LinkError};
use crate::dialer::{DialError, Request, Response};
use crate::{Frame, Role};

/// A connection that the dialer made.
#[derive(Debug)]
pub struct Connected {
    /// A connected TCP socket, non-blocking, close-on-exec, `TCP_NODELAY` set.
    pub fd: OwnedFd,
    /// The address that was judged and connected.
    pub address: SocketAddr,
    /// Time to resolve the name.
    pub resolve: Duration,
    /// Time to connect.
    pub connect: Duration,
}

/// Why there is no connection: the dialer's word, or none from it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The dialer tried and failed, or would not try.
    #[error(transparent)]
    Dial(DialError),
    /// The dialer could not be asked.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// The asking side of the dialer's link. Clones share it.
#[derive(Clone)]
pub struct DialerClient(Caller);

impl DialerClient {
    /// A client over a link whose greeting has been received. Its [`Driver`] must be run.
    ///
    /// `limits.answer` should be longer than the dialer's own limits (5 s to resolve, then
    /// `egress.connect_timeout_seconds`), so that its reasons arrive.
    pub fn new(link: AsyncLink, limits: Limits) -> (Self, Driver) {
        let (caller, driver) = Caller::new(link, Role::Dialer, limits, Buffer::plain(), Buffer::plain());
        (Self(caller), driver)
    }

    /// A TCP connection to `host` (a name, or an address without brackets) and `port`.
    ///
    /// # Errors
    /// [`ConnectError::Dial`] with the dialer's reason, [`ConnectError::Link`] if it gave no answer.
    pub async fn connect(&self, host: &str, port: u16) -> Result<Connected, ConnectError> {
        let answer = self.0.call(Request::Connect { host, port }, |frame, descriptor| {
            let Frame { body, .. } = crate::decode::<Frame<Response>>(frame)?;
            match (body, descriptor) {
                (Response::Connected { address, resolve_us, connect_us }, Some(fd)) => Ok(Ok(Connected {
                    fd,
                    address,
                    resolve: Duration::from_micros(resolve_us.into()),
                    connect: Duration::from_micros(connect_us.into()),
                })),
                (Response::Failed(error), None) => Ok(Err(error)),
                (Response::Connected { .. }, None) => Err(broken("a connection without its descriptor")),
                (Response::Failed(_), Some(_)) => Err(broken("a descriptor with a failure")),
            }
        });
        answer.await?.map_err(ConnectError::Dial)
    }

    /// Completes once the link is of no further use.
    pub async fn closed(&self) {
        self.0.closed().await;
    }

    /// The link is of no further use.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Ends the link: the driver ends, calls under way fail.
    pub fn hang_up(&self) {
        self.0.hang_up();
    }
}

fn broken(what: &'static str) -> LinkError {
    LinkError::Protocol { role: Role::Dialer, what }
}
