//! Links on tokio: sending and receiving frames, and the asking side of the keeper's and the dialer's protocols.
//!
//! This module owns how a frame crosses a `SOCK_SEQPACKET` socket without blocking, and how an answer finds the call
//! that waits for it. It makes no connections (descriptors are handed in); only [`LinkKeeping`] starts tasks (a [`Driver`] is run by its
//! owner) and never reconnects: a link that hung up stays so, and clients are made over the next one that is handed in.
//!
//! | type | is |
//! |---|---|
//! | [`AsyncLink`] | one socket, for either side |
//! | [`KeeperClient`] | one function per request of [`crate::keeper`] |
//! | [`DialerClient`] | one function per request of [`crate::dialer`] |
//! | [`Links`] | the newest link of each peer, kept by [`LinkKeeping`] |
//! | [`Driver`] | hands answers out; run it as a task; ends at hang-up |

mod call;
mod dialer;
mod error;
mod keeper;
mod keeping;
mod socket;

pub use call::{Driver, Limits};
pub use dialer::{ConnectError, Connected, DialerClient};
pub use error::LinkError;
pub use keeper::{KeeperClient, KeeperError, Rekeying};
pub use keeping::{LinkKeeping, LinkSource, Links, links};
pub use socket::AsyncLink;

#[cfg(test)]
mod tests;
