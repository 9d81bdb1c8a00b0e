//! What can go wrong with a link, as opposed to with what was asked over it.

use std::io;

use merlon_sandbox::secret::SecretError;

use crate::{FrameError, Role, VERSION};

/// Why a link gave no answer. The text is fit for an error page.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The peer is gone. Whoever supervises the instance starts it again; a new link follows.
    #[error("{} is not connected; it is started again by itself, its log says why it stopped", .0.program())]
    HungUp(Role),
    /// The peer is there and silent.
    #[error("{} gave no answer within {seconds} s; its log may say why", .role.program())]
    TimedOut {
        /// Who was asked.
        role: Role,
        /// The limit.
        seconds: u64,
    },
    /// The peer broke the protocol. The link is of no further use.
    #[error("{} broke the protocol and is dropped: {what}", .role.program())]
    Protocol {
        /// Who did it.
        role: Role,
        /// What it sent.
        what: &'static str,
    },
    /// A frame that cannot be read, or a request that fits in none.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A peer of another build.
    #[error(
        "{} speaks version {theirs} of the protocol, this program version {VERSION}; install both from one release",
        .role.program()
    )]
    Version {
        /// Who it is.
        role: Role,
        /// Its version.
        theirs: u16,
    },
    /// Secret memory for frames could not be had.
    #[error("no secret memory for a link: {0}")]
    Memory(#[from] SecretError),
    /// The system's word on the socket.
    #[error("the link failed: {0}")]
    Io(#[from] io::Error),
}

impl LinkError {
    /// Did the peer do what no process of this build does?
    #[must_use]
    pub fn is_violation(&self) -> bool {
        matches!(self, Self::Protocol { .. } | Self::Frame(_) | Self::Version { .. })
    }
}
