//! The dialer: makes outbound connections and asks name servers. It reads a few files, writes none, and serves nobody.

use super::calls::{
    LINKING, MEMORY, REACTOR, READING, SOCK_FLAGS, SOCKET_OPTIONS, TALKING, THREADS, WORLD, but_for, calls, int,
    without,
};
use crate::profile::{LandlockSpec, Profile};
use crate::seccomp::Rule;

/// TCP connections and UDP questions over IPv4 and IPv6, nothing raw. `bind` gives a question its port; Landlock denies
/// it to TCP, and nothing can listen.
const DIALLING: &[Rule] = calls![
    SYS_bind,
    SYS_connect,
    SYS_socket if &[
        &[int(0, libc::AF_INET), but_for(1, libc::SOCK_STREAM, SOCK_FLAGS), int(2, 0)],
        &[int(0, libc::AF_INET), but_for(1, libc::SOCK_STREAM, SOCK_FLAGS), int(2, libc::IPPROTO_TCP)],
        &[int(0, libc::AF_INET), but_for(1, libc::SOCK_DGRAM, SOCK_FLAGS), int(2, 0)],
        &[int(0, libc::AF_INET), but_for(1, libc::SOCK_DGRAM, SOCK_FLAGS), int(2, libc::IPPROTO_UDP)],
        &[int(0, libc::AF_INET6), but_for(1, libc::SOCK_STREAM, SOCK_FLAGS), int(2, 0)],
        &[int(0, libc::AF_INET6), but_for(1, libc::SOCK_STREAM, SOCK_FLAGS), int(2, libc::IPPROTO_TCP)],
        &[int(0, libc::AF_INET6), but_for(1, libc::SOCK_DGRAM, SOCK_FLAGS), int(2, 0)],
        &[int(0, libc::AF_INET6), but_for(1, libc::SOCK_DGRAM, SOCK_FLAGS), int(2, libc::IPPROTO_UDP)],
    ],
    // A question names its server; not in the opening of a TCP connection, which would be a connect by another name.
    SYS_sendto if &[&[without(3, libc::MSG_FASTOPEN)]],
];

const LANDLOCK: LandlockSpec =
    LandlockSpec { reads: &[], deny_tcp_bind: true, deny_tcp_connect: false, deny_signals_and_abstract_sockets: true };

/// `merlon-dialer` under `merlond run`: links come through the parent's socket.
pub const DIALER: Profile = Profile {
    name: "dialer",
    seccomp: &[MEMORY, THREADS, WORLD, READING, TALKING, REACTOR, SOCKET_OPTIONS, DIALLING],
    landlock: LANDLOCK,
};

/// `merlon-dialer` under systemd: it connects to `link.sock`, and again after a hang-up.
pub const DIALER_LINKING: Profile = Profile {
    name: "dialer (linking)",
    seccomp: &[MEMORY, THREADS, WORLD, READING, TALKING, REACTOR, SOCKET_OPTIONS, DIALLING, LINKING],
    landlock: LANDLOCK,
};
