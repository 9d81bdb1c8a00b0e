//! The protocols between Merlon's processes: closed enums, one frame each, with a hard cap.
//!
//! This crate owns what may be said on a link and how it is laid out in bytes; it owns no policy. Every frame is one
//! `SOCK_SEQPACKET` message, so there is no length to believe: a message that does not fit [`MAX_FRAME`] is a
//! protocol error and its sender is dropped. Frames are postcard, decoded *borrowed*, so that a secret goes from the
//! frame buffer (secret memory) to its place without a copy in between.
//!
//! | module | between | socket |
//! |---|---|---|
//! | [`keeper`], with [`identity`] and [`hub`] | engine or hub asks, keeper answers | link |
//! | [`admin`] | `merlon` asks, keeper answers | `admin.sock`, mode 0600 |
//! | [`dialer`] | engine asks, dialer answers with a descriptor | link |
//! | [`parent`] | `merlond run` and its children | inherited socket pair |
//! | [`seal`] | keeper asks, `merlon-seal` answers once | `seal.sock`, or a pair from the parent |

pub mod admin;
pub mod dialer;
pub mod hub;
pub mod identity;
pub mod keeper;
pub mod parent;
pub mod seal;

mod frame;
mod hello;
#[cfg(feature = "tokio")]
pub mod link;
mod sandbox_report;

pub use frame::{Frame, FrameError, decode, encode};
pub use hello::{Hello, Role, VERSION};
pub use sandbox_report::SandboxReport;

/// The largest frame on any link, in bytes. The largest message is a list of keyslots or access tokens.
pub const MAX_FRAME: usize = 32 * 1024;
