//! The sessions that a user has at remote instances: tokens and the key that they are bound to, kept until signing out.
//!
//! Owns where they are kept and how they are changed: one document for each instance, in the user's keyring or in a
//! private file, replaced whole and durably before anything in it is used (RFC 6749, section 6), under a lock that makes
//! two `merlon` at once use one refresh. Asks no instance, and shows no secret: nothing here has `Debug`.

mod document;
mod keyring;
mod store;

pub(crate) use document::{Reach, Stored};
pub(crate) use store::{Kept, Store};

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01 UTC.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
