//! Links on tokio: sending and receiving frames, and the asking side of the keeper's and the dialer's protocols.
//!
//! This module owns how a frame crosses a `SOCK_SEQPACKET` socket without blocking, and how an answer finds the call
//! that waits for it. It makes no connections (descriptors are handed in), starts no tasks (a [`Driver`] is run by its
//! owner) and never reconnects: a link that hung up stays so, and its owner makes clients over a new one.
//!
//! | type | is |
//! |---|---|
//! | [`AsyncLink`] | one socket, for either side |
//! | [`KeeperClient`] | one function per request of [`crate::keeper`] |
//! | [`DialerClient`] | one function per request of [`crate::dialer`] |
//! | [`Driver`] | hands answers out; run it as a task; ends at hang-up |

mod call;
mod dialer;
mod error;
mod keeper;
mod socket;

pub use call::{Driver, Limits};
pub use dialer::{ConnectError, Connected, DialerClient};
pub use error::LinkError;
pub use keeper::{KeeperClient, KeeperError, Rekeying};
pub use socket::AsyncLink;

#[cfg(test)]
mod tests;
