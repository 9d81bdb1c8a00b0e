//! The keeper: keys and its own directory, no network of any kind.

use super::calls::{ACCEPTING, LINKING, MEMORY, READING, SOCKET_OPTIONS, TALKING, THREADS, WAKING, WORLD, WRITING};
use crate::profile::{LandlockSpec, Profile};

/// Nothing but files, and of the machine's only the source of SQLite's random numbers (its own, not those of keys).
const LANDLOCK: LandlockSpec = LandlockSpec {
    reads: &["/dev/urandom"],
    deny_tcp_bind: true,
    deny_tcp_connect: true,
    deny_signals_and_abstract_sockets: true,
};

/// `merlon-keeper` under `merlond run`: links come through the parent's socket.
pub const KEEPER: Profile = Profile {
    name: "keeper",
    seccomp: &[MEMORY, THREADS, WORLD, READING, WRITING, TALKING, ACCEPTING, WAKING, SOCKET_OPTIONS],
    landlock: LANDLOCK,
};

/// `merlon-keeper` under systemd: it connects to `link.sock`, and again after a hang-up. Such a socket can be Unix and
/// SOCK_SEQPACKET only.
pub const KEEPER_LINKING: Profile = Profile {
    name: "keeper (linking)",
    seccomp: &[MEMORY, THREADS, WORLD, READING, WRITING, TALKING, ACCEPTING, WAKING, SOCKET_OPTIONS, LINKING],
    landlock: LANDLOCK,
};
