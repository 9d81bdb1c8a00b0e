//! Groups of system calls that more than one process needs.
//!
//! Owned here: that each group holds the least it can, with arguments tested where a call can do more than is needed.
//! Calls that only x86_64 has are marked; there a libc may use the old form, on aarch64 it cannot.

use libc::c_int;

use crate::seccomp::{Arg, Is, Rule};

/// A list of rules: `SYS_x`, or `SYS_x if ALTERNATIVES`, one line of which has to hold.
macro_rules! calls {
    ($($(#[$when:meta])* $call:ident $(if $any_of:expr)?),* $(,)?) => {
        &[$($(#[$when])* $crate::seccomp::Rule {
            name: stringify!($call),
            number: libc::$call,
            any_of: $crate::profiles::calls::calls!(@any $($any_of)?),
        }),*]
    };
    (@any) => { &[] };
    (@any $any_of:expr) => { $any_of };
}
pub(super) use calls;

/// The argument is exactly this `int`.
pub(super) const fn int(index: u8, value: c_int) -> Arg {
    Arg { index, is: Is::Int(value.cast_unsigned()) }
}

/// The argument is an `int` without these bits.
pub(super) const fn without(index: u8, bits: c_int) -> Arg {
    Arg { index, is: Is::Without(bits.cast_unsigned()) }
}

/// The argument is an `int` other than this.
pub(super) const fn not(index: u8, value: c_int) -> Arg {
    Arg { index, is: Is::Not(value.cast_unsigned()) }
}

/// The argument is an `int` that is `value` but for the bits `free`.
pub(super) const fn but_for(index: u8, value: c_int, free: c_int) -> Arg {
    Arg { index, is: Is::Masked { mask: !free.cast_unsigned(), value: value.cast_unsigned() } }
}

/// The argument is a pointer to nothing.
pub(super) const fn null(index: u8) -> Arg {
    Arg { index, is: Is::Null }
}

/// What a thread's `clone` asks for, in glibc as in musl (which adds an old flag that means nothing). A process would
/// lack `CLONE_THREAD`, a namespace would add a flag.
const THREAD_FLAGS: c_int = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID;

/// What makes a file of an open, and its mode count. (`O_TMPFILE` holds `O_DIRECTORY`, which makes none.)
const MAKES_A_FILE: c_int = libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY);

/// Memory that is never executable, and memory for secrets.
pub(super) const MEMORY: &[Rule] = calls![
    SYS_brk,
    SYS_madvise,
    SYS_memfd_secret,
    SYS_mlock,
    SYS_mmap if &[&[without(2, libc::PROT_EXEC)]],
    SYS_mprotect if &[&[without(2, libc::PROT_EXEC)]],
    SYS_mremap,
    SYS_munlock,
    SYS_munmap,
    SYS_ftruncate,
];

/// Threads, their names and signals, and the end. Signals are sent to this process only: that is `abort`.
pub(super) const THREADS: &[Rule] = calls![
    SYS_clone if &[&[but_for(0, THREAD_FLAGS, libc::CLONE_DETACHED)]],
    SYS_exit,
    SYS_exit_group,
    SYS_futex,
    SYS_getpid,
    SYS_gettid,
    SYS_prctl if &[&[int(0, libc::PR_SET_NAME)], &[int(0, libc::PR_GET_NAME)]],
    SYS_restart_syscall,
    SYS_rseq,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigtimedwait,
    SYS_sched_getaffinity,
    SYS_sched_yield,
    SYS_set_robust_list,
    SYS_sigaltstack,
    SYS_tgkill if &[&[Arg { index: 0, is: Is::OwnPid }]],
];

/// Time, randomness, and who this process is.
pub(super) const WORLD: &[Rule] = calls![
    SYS_clock_getres,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_getegid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getppid,
    SYS_getrandom,
    SYS_getrusage,
    SYS_gettimeofday,
    SYS_getuid,
    SYS_nanosleep,
    // Reading a limit of this process, not setting one.
    SYS_prlimit64 if &[&[int(0, 0), null(2)]],
    SYS_sysinfo,
    SYS_uname,
];

/// What one does with any descriptor, and reading files where Landlock allows it. Where a file may be made, none with
/// set-id bits; without that the mode means nothing, and a libc may leave anything in its place.
pub(super) const READING: &[Rule] = calls![
    SYS_close,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_fadvise64,
    SYS_fcntl if &[
        &[int(1, libc::F_DUPFD_CLOEXEC)],
        &[int(1, libc::F_GETFD)],
        &[int(1, libc::F_SETFD)],
        &[int(1, libc::F_GETFL)],
        &[int(1, libc::F_SETFL)],
        &[int(1, libc::F_GETLK)],
        &[int(1, libc::F_SETLK)],
        &[int(1, libc::F_SETLKW)],
        &[int(1, libc::F_OFD_GETLK)],
        &[int(1, libc::F_OFD_SETLK)],
        &[int(1, libc::F_OFD_SETLKW)],
    ],
    SYS_fstat,
    SYS_fstatfs,
    SYS_getcwd,
    SYS_getdents64,
    // std makes descriptors non-blocking and close-on-exec this way.
    SYS_ioctl if &[&[int(1, FIONBIO)], &[int(1, FIOCLEX)]],
    SYS_lseek,
    SYS_newfstatat,
    SYS_openat if &[&[without(2, MAKES_A_FILE)], &[without(3, 0o7000)]],
    SYS_pread64,
    SYS_preadv,
    SYS_read,
    SYS_readlinkat,
    SYS_readv,
    SYS_statfs,
    SYS_statx,
    SYS_write,
    SYS_writev,
    #[cfg(target_arch = "x86_64")]
    SYS_access,
    #[cfg(target_arch = "x86_64")]
    SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    SYS_open if &[&[without(1, MAKES_A_FILE)], &[without(2, 0o7000)]],
    #[cfg(target_arch = "x86_64")]
    SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    SYS_stat,
];

/// Writing files where Landlock allows it, as SQLite and `files` do. No mode with set-id bits; no change of owner.
pub(super) const WRITING: &[Rule] = calls![
    SYS_fallocate,
    SYS_fchmod if &[&[without(1, 0o7000)]],
    SYS_fdatasync,
    SYS_flock,
    SYS_fsync,
    SYS_mkdirat if &[&[without(2, 0o7000)]],
    SYS_pwrite64,
    SYS_pwritev,
    SYS_renameat,
    SYS_renameat2,
    SYS_unlinkat,
    #[cfg(target_arch = "x86_64")]
    SYS_mkdir if &[&[without(1, 0o7000)]],
    #[cfg(target_arch = "x86_64")]
    SYS_rename,
    #[cfg(target_arch = "x86_64")]
    SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    SYS_unlink,
];

/// Talking on sockets that exist: none is made, connected, bound or made to listen. No address is named in `sendto`, and
/// `sendmsg` opens no connection by `MSG_FASTOPEN`.
pub(super) const TALKING: &[Rule] = calls![
    SYS_getpeername,
    SYS_getsockname,
    SYS_getsockopt,
    SYS_ppoll,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_sendmsg if &[&[without(2, libc::MSG_FASTOPEN)]],
    SYS_sendto if &[&[null(4), without(3, libc::MSG_FASTOPEN)]],
    SYS_shutdown,
    #[cfg(target_arch = "x86_64")]
    SYS_poll,
];

/// Taking connections of a socket that listens already.
pub(super) const ACCEPTING: &[Rule] = calls![SYS_accept4];

/// tokio's reactor. Its signal driver makes one pair of connected Unix sockets.
pub(super) const REACTOR: &[Rule] = calls![
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_eventfd2,
    SYS_socketpair if &[&[int(0, libc::AF_UNIX), but_for(1, libc::SOCK_STREAM, SOCK_FLAGS)]],
    #[cfg(target_arch = "x86_64")]
    SYS_epoll_wait,
];

/// Waking and stopping blocking threads.
pub(super) const WAKING: &[Rule] = calls![SYS_eventfd2, SYS_pipe2, SYS_signalfd4];

/// Options of connections; none that attaches a filter, changes the route or takes over a sequence number.
pub(super) const SOCKET_OPTIONS: &[Rule] = calls![SYS_setsockopt if &[
    &[int(1, libc::SOL_SOCKET), int(2, libc::SO_KEEPALIVE)],
    &[int(1, libc::SOL_SOCKET), int(2, libc::SO_LINGER)],
    &[int(1, libc::SOL_SOCKET), int(2, libc::SO_RCVBUF)],
    &[int(1, libc::SOL_SOCKET), int(2, libc::SO_RCVTIMEO)],
    &[int(1, libc::SOL_SOCKET), int(2, libc::SO_SNDBUF)],
    &[int(1, libc::SOL_SOCKET), int(2, libc::SO_SNDTIMEO)],
    &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_CORK)],
    &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_KEEPCNT)],
    &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_KEEPIDLE)],
    &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_KEEPINTVL)],
    &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_NODELAY)],
    &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_NOTSENT_LOWAT)],
    &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_QUICKACK)],
    &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_USER_TIMEOUT)],
]];

/// Connecting again to the one Unix socket that links the processes of a systemd instance.
pub(super) const LINKING: &[Rule] = calls![
    SYS_connect,
    SYS_socket if &[&[int(0, libc::AF_UNIX), but_for(1, libc::SOCK_SEQPACKET, SOCK_FLAGS), int(2, 0)]],
];

/// What may be set in a socket's type besides the type.
pub(super) const SOCK_FLAGS: c_int = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;

// libc has these with another type on each C library.
const FIONBIO: c_int = 0x5421;
const FIOCLEX: c_int = 0x5451;
