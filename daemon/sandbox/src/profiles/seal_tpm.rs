//! `merlon-seal` for one operation of a TPM. It opens the TPM (and loads libtss2's half for it) before it enters, and
//! then has that one descriptor and no file at all.

use super::calls::{MEMORY, READING, SOCK_FLAGS, TALKING, THREADS, WORLD, but_for, calls, int};
use crate::profile::{LandlockSpec, Profile};
use crate::seccomp::Rule;

/// libtss2 connects to an emulator anew for each command. Landlock names the ports.
const EMULATOR: &[Rule] = calls![
    SYS_connect,
    SYS_socket if &[
        &[int(0, libc::AF_INET), but_for(1, libc::SOCK_STREAM, SOCK_FLAGS), int(2, 0)],
        &[int(0, libc::AF_INET), but_for(1, libc::SOCK_STREAM, SOCK_FLAGS), int(2, libc::IPPROTO_TCP)],
        &[int(0, libc::AF_INET6), but_for(1, libc::SOCK_STREAM, SOCK_FLAGS), int(2, 0)],
        &[int(0, libc::AF_INET6), but_for(1, libc::SOCK_STREAM, SOCK_FLAGS), int(2, libc::IPPROTO_TCP)],
    ],
];

const LANDLOCK: LandlockSpec =
    LandlockSpec { reads: &[], deny_tcp_bind: true, deny_tcp_connect: true, deny_signals_and_abstract_sockets: true };

/// `merlon-seal` with a TPM: reading and writing what is open.
pub const SEAL_TPM: Profile =
    Profile { name: "seal (TPM)", seccomp: &[MEMORY, THREADS, WORLD, READING, TALKING], landlock: LANDLOCK };

/// `merlon-seal` with an emulator, which only a configuration for tests permits: also TCP to the emulator's ports.
pub const SEAL_EMULATOR: Profile = Profile {
    name: "seal (TPM emulator)",
    seccomp: &[MEMORY, THREADS, WORLD, READING, TALKING, EMULATOR],
    landlock: LANDLOCK,
};
