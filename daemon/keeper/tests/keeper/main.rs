//! The keeper as others see it: the real binary, over its real sockets.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; clippy knows only functions marked as tests"
)]

mod admin;
mod audit;
mod backup;
mod claim;
mod custody;
mod faults;
mod hostile;
mod hub;
mod identity;
mod identity_kept;
mod leaves;
mod link;
mod linking;
mod rollback;
mod rotation;
mod sealed;
mod sealed_faults;
mod sealed_kills;
mod secrecy;
mod service;
mod sessions;
mod support;
