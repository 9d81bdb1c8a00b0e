//! One end of a link: frames in and out without blocking, and the greeting that comes first.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use merlon_sandbox::seqpacket::{self, Received};
use nix::sys::socket::{Shutdown, shutdown};
use serde::Serialize;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::LinkError;
use crate::{Hello, Role, VERSION};

/// The longest greeting, in bytes.
const MAX_HELLO: usize = 4096;
/// The longest message of [`crate::parent`], in bytes.
const MAX_MESSAGE: usize = 4096;
/// A `SOCK_SEQPACKET` socket on tokio. Many tasks may send at once: a frame is never mixed with another.
#[derive(Debug)]
pub struct AsyncLink {
    socket: AsyncFd<OwnedFd>,
}

impl AsyncLink {
    /// Takes a connected socket and makes it non-blocking. Needs a tokio runtime with IO.
    ///
    /// # Errors
    /// The system's, if the descriptor cannot be watched.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        seqpacket::set_nonblocking(&socket, true)?;
        #[expect(deprecated, reason = "its successor is unsafe, and an OwnedFd keeps the promise that one asks for")]
        let socket = AsyncFd::new(socket)?;
        Ok(Self { socket })
    }

    /// Sends one frame, with a descriptor if there is one. Dropping the future sends nothing or all.
    ///
    /// # Errors
    /// The system's; `EPIPE` or `ECONNRESET` once the peer is gone.
    pub async fn send(&self, frame: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.socket.async_io(Interest::WRITABLE, |socket| seqpacket::send(socket, frame, descriptor)).await
    }

    /// Receives one frame into `buffer`; a length of 0 is the peer's hang-up. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The system's, and a frame (or a list of descriptors) that is too long, which is lost: drop the peer.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let received = self.socket.async_io(Interest::READABLE, |socket| seqpacket::recv(socket, buffer)).await;
        match received {
            // A peer that went away with frames unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Received { len: 0, fd: None }),
            other => other,
        }
    }

    /// Sends one message that holds no secret.
    ///
    /// # Errors
    /// [`LinkError::Frame`] if it is too long, [`LinkError::Io`].
    pub async fn send_message<T: Serialize + Sync>(
        &self,
        message: &T,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), LinkError> {
        let mut buffer = [0; MAX_MESSAGE];
        let used = crate::encode(message, &mut buffer)?;
        Ok(self.send(&buffer[..used], descriptor).await?)
    }

    /// The first frame of a link, on the side of keeper and dialer.
    ///
    /// # Errors
    /// As [`Self::send_message`].
    pub async fn greet(&self, hello: &Hello) -> Result<(), LinkError> {
        self.send_message(hello, None).await
    }

    /// The first frame of a link, on the engine's side. `expected` only names the peer in errors; the greeting itself
    /// says who it is. `limit` is for a peer that has connected: one to which a link is given before it serves may be
    /// waiting for a slow TPM, and greets when it is ready.
    ///
    /// # Errors
    /// [`LinkError::HungUp`], [`LinkError::TimedOut`], [`LinkError::Frame`], [`LinkError::Version`], [`LinkError::Io`].
    pub async fn receive_hello(&self, expected: Role, limit: Option<Duration>) -> Result<Hello, LinkError> {
        let mut buffer = [0; MAX_HELLO];
        let received = match limit {
            None => self.recv(&mut buffer).await?,
            Some(limit) => tokio::time::timeout(limit, self.recv(&mut buffer))
                .await
                .map_err(|_| LinkError::TimedOut { role: expected, seconds: limit.as_secs() })??,
        };
        if received.len == 0 {
            return Err(LinkError::HungUp(expected));
        }
        let hello: Hello = crate::decode(&buffer[..received.len])?;
        if hello.version != VERSION {
            return Err(LinkError::Version { role: hello.role, theirs: hello.version });
        }
        Ok(hello)
    }

    /// Hangs up in both directions; whoever receives, here or there, sees the end.
    pub fn hang_up(&self) {
        // The one failure is a socket that is not connected any more, which is what was wanted.
        let _ = shutdown(self.socket.get_ref().as_raw_fd(), Shutdown::Both);
    }
}
