//! One connection: a frame in, an answer out, both in secret memory, until the peer hangs up or breaks the protocol.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use merlon_sandbox::journal::{self, events};
use merlon_sandbox::secret::{SecretBuf, SecretError};
use merlon_sandbox::seqpacket;
use merlon_wire::MAX_FRAME;
use zeroize::Zeroize as _;

use crate::keeper::Keeper;
use crate::log;
use crate::requests::{Session, Violation};

/// Why a peer is dropped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Dropped {
    /// The socket; or a frame too long, which the socket tells.
    #[error("{0}")]
    Socket(#[from] io::Error),
    /// The protocol.
    #[error("{0}")]
    Violation(#[from] Violation),
    /// No memory for its frames.
    #[error("{0}")]
    Memory(#[from] SecretError),
}

impl Dropped {
    /// Tells the operator; what no process of this build does, as an event.
    pub(super) fn tell(&self, who: &str) {
        match self {
            Self::Violation(why) => journal::event(&events::PEER_DROPPED, format_args!("{who} is dropped: {why}")),
            other => log::warn(format_args!("{who} is dropped: {other}")),
        }
    }
}

/// Serves the peer until it hangs up.
pub(super) fn serve(keeper: &Keeper, socket: &OwnedFd, mut session: Session) -> Result<(), Dropped> {
    let mut question = SecretBuf::with_capacity(MAX_FRAME)?;
    let mut answer = SecretBuf::with_capacity(MAX_FRAME)?;
    loop {
        let received = match seqpacket::recv(socket, question.as_full_mut_slice()) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            other => other?,
        };
        if received.fd.is_some() {
            return Err(Violation::Descriptor.into());
        }
        if received.len == 0 {
            return Ok(());
        }
        question.set_len(received.len);
        let answered = session.answer(keeper, question.as_slice(), &mut answer);
        question.as_mut_slice().zeroize();
        let fd = answered?;
        let sent = seqpacket::send(socket, answer.as_slice(), fd.as_ref().map(OwnedFd::as_fd));
        answer.as_mut_slice().zeroize();
        sent?;
    }
}
