//! What `merlond run` or `merlon-hub run` and its children tell each other over the inherited `parent` socket.

use serde::{Deserialize, Serialize};

use crate::Role;

/// To a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToChild {
    /// A new link to `peer`; the descriptor comes with the frame and replaces an earlier link to the same peer.
    Link {
        /// The process at the other end.
        peer: Role,
    },
}

/// From a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromChild {
    /// The child serves. The sandbox is in force.
    Ready(Ready),
}

/// What a child has to say once it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ready {
    /// The dialer takes requests.
    Dialer,
    /// The engine accepts connections.
    Engine {
        /// The CA certificate was written here.
        ca_file: String,
        /// SHA-256 of the CA certificate in DER, in hex with colons.
        ca_fingerprint: String,
    },
    /// The hub accepts connections.
    Hub {
        /// What clients know it by.
        issuer: String,
    },
    /// The keeper answers; whether it is locked.
    Keeper {
        /// No slot opened by itself.
        locked: bool,
    },
}

/// What the keeper asks on the inherited `seal` socket. One at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealAsk {
    /// Start `merlon-seal` for one operation.
    Open,
}

/// The parent's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealAnswer {
    /// It runs. The descriptor that comes with the frame is a connection to it, for one [`crate::seal::Request`].
    Opened,
    /// It does not; why.
    Failed(String),
}
