//! The hub: foreign bytes and its own database. Every socket it uses was made by somebody else, and it never makes a
//! connection.

use super::calls::{ACCEPTING, MEMORY, REACTOR, READING, SOCKET_OPTIONS, TALKING, THREADS, WORLD, WRITING};
use crate::profile::{LandlockSpec, Profile};

/// Nothing but files, and of the machine's only the source of SQLite's random numbers (its own, not those of keys).
const LANDLOCK: LandlockSpec = LandlockSpec {
    reads: &["/dev/urandom"],
    deny_tcp_bind: true,
    deny_tcp_connect: true,
    deny_signals_and_abstract_sockets: true,
};

/// `merlon-hub serve`.
pub const HUB: Profile = Profile {
    name: "hub",
    seccomp: &[MEMORY, THREADS, WORLD, READING, WRITING, TALKING, ACCEPTING, REACTOR, SOCKET_OPTIONS],
    landlock: LANDLOCK,
};
