//! The engine: foreign bytes and its own store. Every socket it uses was made by somebody else.
//!
//! `connect` is missing on purpose, not only `socket`: a connection received from the dialer could be disconnected by
//! `connect(AF_UNSPEC)` and pointed elsewhere.

use super::calls::{ACCEPTING, MEMORY, REACTOR, READING, SOCKET_OPTIONS, TALKING, THREADS, WORLD, WRITING};
use crate::profile::{LandlockSpec, Profile};

/// Nothing but files, and of the machine's only the source of SQLite's random numbers (its own, not those of keys).
const LANDLOCK: LandlockSpec = LandlockSpec {
    reads: &["/dev/urandom"],
    deny_tcp_bind: true,
    deny_tcp_connect: true,
    deny_signals_and_abstract_sockets: true,
};

/// `merlond engine`.
pub const ENGINE: Profile = Profile {
    name: "engine",
    seccomp: &[MEMORY, THREADS, WORLD, READING, WRITING, TALKING, ACCEPTING, REACTOR, SOCKET_OPTIONS],
    landlock: LANDLOCK,
};
