//! What `merlond run` and `merlon-hub run` have in common: the parent of a few processes without systemd.
//!
//! A parent makes directories, binds sockets, starts the processes, joins them by socket pairs, starts again what dies,
//! and stops them in order. It holds no key and reads no foreign byte. Which processes there are, what they inherit and
//! what is announced is for the caller to say. The programs' exit codes, log lines and the reading of their settings
//! stand here too, so that both say and do the same.

pub mod bind;
pub mod directories;
pub mod exit;
pub mod log;
pub mod seal;
pub mod settings;
pub mod supervise;

mod child;
mod unlock;

pub use child::{Recipe, beside};
