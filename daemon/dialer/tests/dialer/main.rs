//! The real `merlon-dialer`, driven over its sockets. All traffic stays on loopback.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; clippy knows only functions marked as tests"
)]

mod connects;
mod links;
mod refuses;
mod running;
mod starts;
