//! The first frame on a link: who speaks, and which version of these protocols.

use serde::{Deserialize, Serialize};

/// The version of all protocols in this crate. Processes of one instance come from one build, so there is no
/// negotiation: another version is refused with a message that says which package is old.
pub const VERSION: u16 = 1;

/// A process of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// `merlon-dialer`.
    Dialer,
    /// `merlond` as engine.
    Engine,
    /// `merlon-keeper`.
    Keeper,
    /// `merlon-hub` as server.
    Hub,
}

impl Role {
    /// The program's name, as users know it.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Dialer => "merlon-dialer",
            Self::Engine => "merlond",
            Self::Keeper => "merlon-keeper",
            Self::Hub => "merlon-hub",
        }
    }
}

/// Sent once by keeper and dialer when a link is made, before anything else. It routes the link; it is no proof of
/// identity (that is the socket's mode, or the parent's own pair).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Who speaks.
    pub role: Role,
    /// [`VERSION`] of the speaker.
    pub version: u16,
    /// The speaker's process id, for messages and `merlon doctor`.
    pub pid: u32,
    /// What is enforced on the speaker.
    pub sandbox: crate::SandboxReport,
}
