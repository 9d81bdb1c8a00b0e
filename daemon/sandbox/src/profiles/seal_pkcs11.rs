//! `merlon-seal` with a PKCS#11 module: somebody else's code, loaded after the profile is in force.
//!
//! Nobody knows what calls a vendor's module makes, so this is wider than the other profiles: it maps code, polls and
//! locks. It has no network, starts no program, and of files only the system's libraries besides what `enforce` is told.

use super::calls::{
    MEMORY, READING, SOCK_FLAGS, TALKING, THREADS, WAKING, WORLD, WRITING, but_for, calls, int, not, without,
};
use crate::profile::{LandlockSpec, Profile};
use crate::seccomp::Rule;

/// Code comes from files, is never writable, and data never becomes code.
const CODE: &[Rule] =
    calls![SYS_mmap if &[&[without(2, libc::PROT_WRITE), without(3, libc::MAP_ANONYMOUS)]], SYS_msync];

/// What libraries of others use and ours don't. None of it reaches another process.
const FOREIGN: &[Rule] = calls![
    SYS_dup,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_fcntl if &[&[int(1, libc::F_DUPFD)]],
    SYS_getcpu,
    SYS_getpgid,
    SYS_pselect6,
    SYS_times,
    #[cfg(target_arch = "x86_64")]
    SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    SYS_getpgrp,
    #[cfg(target_arch = "x86_64")]
    SYS_pipe,
    #[cfg(target_arch = "x86_64")]
    SYS_select,
    #[cfg(target_arch = "x86_64")]
    SYS_time,
];

/// A Unix stream socket to the daemon that has the token (`pcscd`, a p11-kit server), or the token's own device. What
/// device that is, is Landlock's business; a terminal is not pasted into all the same.
const ATTACHED: &[Rule] = calls![
    SYS_connect,
    SYS_ioctl if &[&[not(1, TIOCSTI), not(1, TIOCLINUX)]],
    SYS_socket if &[&[int(0, libc::AF_UNIX), but_for(1, libc::SOCK_STREAM, SOCK_FLAGS), int(2, 0)]],
];

/// Libraries, where the loader finds them, and the settings of the one that most modules bring along.
const LANDLOCK: LandlockSpec = LandlockSpec {
    reads: &[
        "/lib",
        "/lib64",
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/etc/ld.so.cache",
        "/etc/ssl/openssl.cnf",
        "/etc/pki/tls/openssl.cnf",
        "/dev/urandom",
    ],
    deny_tcp_bind: true,
    deny_tcp_connect: true,
    deny_signals_and_abstract_sockets: true,
};

/// A module that works on files, as SoftHSM does.
pub const SEAL_PKCS11: Profile = Profile {
    name: "seal (PKCS#11)",
    seccomp: &[MEMORY, CODE, THREADS, WORLD, READING, WRITING, TALKING, WAKING, FOREIGN],
    landlock: LANDLOCK,
};

/// A module that reaches its token by a Unix socket or a device which the configuration names.
pub const SEAL_PKCS11_ATTACHED: Profile = Profile {
    name: "seal (PKCS#11, attached)",
    seccomp: &[MEMORY, CODE, THREADS, WORLD, READING, WRITING, TALKING, WAKING, FOREIGN, ATTACHED],
    landlock: LANDLOCK,
};

// libc has these with another type on each C library.
const TIOCSTI: libc::c_int = 0x5412;
const TIOCLINUX: libc::c_int = 0x541c;
