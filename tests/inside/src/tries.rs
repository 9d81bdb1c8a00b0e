//! What is tried in each process.
//!
//! Owned here: the tables, and nothing that runs. Arguments are such that a process that nothing confines answers
//! otherwise than by a refusal, and comes to no harm: numbers out of range, pointers to nothing, empty lists.

use nix::errno::Errno::{self, EACCES, EAFNOSUPPORT, ECONNREFUSED, ENETUNREACH, ENOENT, EPERM, EROFS};

use crate::attempt::Arg::{self, Inet, N, Out, Ret, S, Stranger, Unix};
use crate::attempt::{Call, Expect, Layer, Try};

/// The filter's answer; a unit's would be the same.
const DENIED: &[Errno] = &[EPERM];
/// A file out of reach: by its mode, by Landlock, by a read-only mount, or not there at all in this process's view.
const HIDDEN: &[Errno] = &[EACCES, EPERM, ENOENT, EROFS];
const NULL: Arg = N(0);
const HERE: Arg = n(libc::AT_FDCWD);
const BAD: Arg = N(-1);

const fn n(number: i32) -> Arg {
    N(number as i64)
}

const fn bits(number: u32) -> Arg {
    N(number as i64)
}

macro_rules! calls {
    ($($call:ident($($argument:expr),*)),*) => { &[$(Call { number: libc::$call, arguments: &[$($argument),*] }),*] };
}

/// `LAYER EXPECTED { "name" => call(..), call(..) ; afterwards call(..) }`
macro_rules! tries {
    ($layer:expr, $expect:expr, { $($name:literal => $($call:ident($($argument:expr),*)),+ $(; $($after:ident($($last:expr),*)),+)?,)* }) => {
        &[$(Try {
            name: $name,
            calls: calls![$($call($($argument),*)),+],
            after: calls![$($($after($($last),*)),+)?],
            expect: $expect,
            layer: $layer,
        }),*]
    };
}

const OWN: Layer = Layer::Own;
const UNIT: Layer = Layer::Unit;
const REFUSED: Expect = Expect::Refused(DENIED);
const NO_FILE: Expect = Expect::Refused(HIDDEN);
const WORKS: Expect = Expect::Works(&[]);

const READ: Arg = n(libc::O_RDONLY | libc::O_CLOEXEC);
const WRITE: Arg = n(libc::O_WRONLY | libc::O_CLOEXEC);
const LIST: Arg = n(libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
const CREATE: Arg = n(libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC);
const PRIVATE: Arg = N(0o600);
const ANON: Arg = n(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
const PAGE: Arg = N(4096);
const RW: Arg = n(libc::PROT_READ | libc::PROT_WRITE);
const RX: Arg = n(libc::PROT_READ | libc::PROT_EXEC);
const RWX: Arg = n(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
const UNIX_LENGTH: Arg = N(110);
const INET_LENGTH: Arg = N(16);

mod everyone;

use everyone::{CALLS, FILES, NO_CONNECTING, NO_NETWORK, SOCKETS};

/// What is the keeper's alone.
const NO_KEYS: &[Try] = tries!(OWN, NO_FILE, {
    "list the keeper's directory" => SYS_openat(HERE, S("{keeper}"), LIST),
    "read secrets.db" => SYS_openat(HERE, S("{keeper}/secrets.db"), READ),
});

/// What is the engine's alone.
const NO_STORE: &[Try] = tries!(OWN, NO_FILE, {
    "list the engine's store" => SYS_openat(HERE, S("{store}"), LIST),
    "list the projects" => SYS_openat(HERE, S("{store}/projects"), LIST),
});

/// Modes that a file must not get, from those that may make files in `{store}`.
const ENGINE_MODES: &[Try] = tries!(OWN, REFUSED, {
    "a set-id directory in its store" => SYS_mkdirat(HERE, S("{store}/inside-setid"), N(0o4700));
        SYS_rmdir(S("{store}/inside-setid")),
    "a set-id file in its store" => SYS_openat(HERE, S("{store}/inside-setid"), CREATE, N(0o4700));
        SYS_close(Ret(0)), SYS_unlink(S("{store}/inside-setid")),
});

/// The same for the keeper.
const KEEPER_MODES: &[Try] = tries!(OWN, REFUSED, {
    "a set-id directory in its store" => SYS_mkdirat(HERE, S("{keeper}/inside-setid"), N(0o4700));
        SYS_rmdir(S("{keeper}/inside-setid")),
    "a set-id file in its store" => SYS_openat(HERE, S("{keeper}/inside-setid"), CREATE, N(0o4700));
        SYS_close(Ret(0)), SYS_unlink(S("{keeper}/inside-setid")),
});

/// Sockets of the instance that are not the keeper's to call.
const KEEPER_SOCKETS: &[Try] = tries!(UNIT, NO_FILE, {
    "connect to admin.sock" => SYS_socket(n(libc::AF_UNIX), n(libc::SOCK_SEQPACKET), N(0)),
        SYS_connect(Ret(0), Unix("{run}/admin.sock"), UNIX_LENGTH); SYS_close(Ret(0)),
    "connect to link-dialer.sock" => SYS_socket(n(libc::AF_UNIX), n(libc::SOCK_SEQPACKET), N(0)),
        SYS_connect(Ret(0), Unix("{run}/link-dialer.sock"), UNIX_LENGTH); SYS_close(Ret(0)),
});

/// Sockets of the instance that are not the dialer's to call.
const DIALER_SOCKETS: &[Try] = tries!(UNIT, NO_FILE, {
    "connect to admin.sock" => SYS_socket(n(libc::AF_UNIX), n(libc::SOCK_SEQPACKET), N(0)),
        SYS_connect(Ret(0), Unix("{run}/admin.sock"), UNIX_LENGTH); SYS_close(Ret(0)),
    "connect to link-keeper.sock" => SYS_socket(n(libc::AF_UNIX), n(libc::SOCK_SEQPACKET), N(0)),
        SYS_connect(Ret(0), Unix("{run}/link-keeper.sock"), UNIX_LENGTH); SYS_close(Ret(0)),
    "connect to seal.sock" => SYS_socket(n(libc::AF_UNIX), n(libc::SOCK_SEQPACKET), N(0)),
        SYS_connect(Ret(0), Unix("{run}/seal.sock"), UNIX_LENGTH); SYS_close(Ret(0)),
});

/// Landlock knows TCP since ABI 4.
const DIALER_BIND: &[Try] = tries!(Layer::Landlock(4), NO_FILE, {
    "bind a TCP port" => SYS_socket(n(libc::AF_INET), n(libc::SOCK_STREAM), N(0)),
        SYS_bind(Ret(0), Inet(0), INET_LENGTH); SYS_close(Ret(0)),
});

/// The dialer makes no file anywhere, and serves nobody.
const DIALER_ONLY: &[Try] = tries!(OWN, REFUSED, {
    "serve a TCP port" => SYS_socket(n(libc::AF_INET), n(libc::SOCK_STREAM), N(0)),
        SYS_listen(Ret(0), N(1)); SYS_close(Ret(0)),
    "accept4" => SYS_accept4(BAD, NULL, NULL, N(0)),
    "unlink" => SYS_unlink(NULL),
    "mkdir" => SYS_mkdir(NULL, N(0o700)),
    "rename" => SYS_rename(NULL, NULL),
    "pwrite" => SYS_pwrite64(BAD, NULL, N(0), N(0)),
});

/// With a TPM, `merlon-seal` only reads and writes what is open.
const SEAL_ONLY: &[Try] = tries!(OWN, REFUSED, {
    "accept4" => SYS_accept4(BAD, NULL, NULL, N(0)),
    "unlink" => SYS_unlink(NULL),
    "mkdir" => SYS_mkdir(NULL, N(0o700)),
    "rename" => SYS_rename(NULL, NULL),
    "pwrite" => SYS_pwrite64(BAD, NULL, N(0), N(0)),
    "epoll_create1" => SYS_epoll_create1(N(-1)),
    "setsockopt" => SYS_setsockopt(BAD, n(libc::SOL_SOCKET), n(libc::SO_RCVTIMEO), NULL, N(0)),
});

/// Files that stay closed to a `merlon-seal` that waits for its question, by its unit and AppArmor alone.
const SEAL_WAITING_FILES: &[Try] = tries!(UNIT, NO_FILE, {
    "list /root" => SYS_openat(HERE, S("/root"), LIST),
    "list /home" => SYS_openat(HERE, S("/home"), LIST),
    "read /etc/shadow" => SYS_openat(HERE, S("/etc/shadow"), READ),
    "read /dev/mem" => SYS_openat(HERE, S("/dev/mem"), READ),
    "open /dev/vda" => SYS_openat(HERE, S("/dev/vda"), READ),
    "open /dev/tpm0" => SYS_openat(HERE, S("/dev/tpm0"), n(libc::O_RDWR)),
    "read /proc/version" => SYS_openat(HERE, S("/proc/version"), READ),
    "read /proc/1/mem" => SYS_openat(HERE, S("/proc/1/mem"), READ),
    "write the configuration" => SYS_openat(HERE, S("{config}"), WRITE),
    "make a file in /var/lib" => SYS_openat(HERE, S("/var/lib/merlon-inside"), CREATE, PRIVATE);
        SYS_close(Ret(0)), SYS_unlink(S("/var/lib/merlon-inside")),
});

/// The same of calls: what no address family and no right of its unit leaves.
const SEAL_WAITING_CALLS: &[Try] = tries!(UNIT, Expect::Refused(&[EPERM, EAFNOSUPPORT]), {
    "socket AF_INET stream" => SYS_socket(n(libc::AF_INET), n(libc::SOCK_STREAM), N(0)),
    "socket AF_INET6 datagram" => SYS_socket(n(libc::AF_INET6), n(libc::SOCK_DGRAM), N(0)),
    "socket AF_NETLINK" => SYS_socket(n(libc::AF_NETLINK), n(libc::SOCK_RAW), N(0)),
    "socket AF_PACKET" => SYS_socket(n(libc::AF_PACKET), n(libc::SOCK_RAW), N(0)),
    "ptrace of another process" => SYS_ptrace(n(0x4206), Stranger, N(1), NULL),
    "unshare(CLONE_NEWUSER)" => SYS_unshare(n(libc::CLONE_NEWUSER)),
    "unshare(CLONE_NEWNS)" => SYS_unshare(n(libc::CLONE_NEWNS)),
    "mount" => SYS_mount(NULL, NULL, NULL, N(0), NULL),
    "chroot" => SYS_chroot(NULL),
    "init_module" => SYS_init_module(NULL, N(0), NULL),
    "bpf" => SYS_bpf(N(-1), NULL, N(0)),
    "reboot" => SYS_reboot(N(0), N(0), N(0), NULL),
    "setuid to root" => SYS_setuid(N(0)),
    "kill of process 1" => SYS_kill(N(1), N(0)),
});

/// `MemoryDenyWriteExecute=`: a filter (EPERM), or `PR_SET_MDWE` (EACCES) where systemd and the kernel have it (Debian 13).
const SEAL_WAITING_MEMORY: &[Try] = tries!(UNIT, Expect::Refused(&[EPERM, EACCES]), {
    "mmap writable and executable" => SYS_mmap(NULL, PAGE, RWX, ANON, BAD, N(0)),
});

/// AppArmor alone denies these to a `merlon-seal` that waits: its unit lets it read the system and start programs, as its
/// libraries are to be loaded.
const SEAL_WAITING_APPARMOR: &[Try] = tries!(Layer::AppArmor, Expect::Refused(&[EACCES]), {
    "read /etc/passwd" => SYS_openat(HERE, S("/etc/passwd"), READ),
    "list /" => SYS_openat(HERE, S("/"), LIST),
    "list /var/lib" => SYS_openat(HERE, S("/var/lib"), LIST),
    "read /bin/true" => SYS_openat(HERE, S("/bin/true"), READ),
});

/// The same, of a program.
const SEAL_WAITING_PROGRAM: &[Try] = tries!(Layer::AppArmorStrictly, Expect::Refused(&[EACCES]), {
    "execve of /bin/true" => SYS_execve(S("/bin/true"), NULL, NULL),
});

/// What is left of the work of each.
const ENGINE_WORKS: &[Try] = tries!(OWN, WORKS, {
    "write and remove a file of its store" => SYS_openat(HERE, S("{store}/inside"), CREATE, PRIVATE),
        SYS_write(Ret(0), S("works"), N(5)), SYS_fsync(Ret(0)), SYS_unlink(S("{store}/inside"));
        SYS_close(Ret(0)), SYS_unlink(S("{store}/inside")),
    "list its store" => SYS_openat(HERE, S("{store}"), LIST); SYS_close(Ret(0)),
    "read its configuration again" => SYS_openat(HERE, S("{config}"), READ); SYS_close(Ret(0)),
    "map memory" => SYS_mmap(NULL, PAGE, RW, ANON, BAD, N(0)); SYS_munmap(Ret(0), PAGE),
    "random bytes" => SYS_getrandom(Out(16), N(16), N(0)),
});

const KEEPER_WORKS: &[Try] = tries!(OWN, WORKS, {
    "write and remove a file of its directory" => SYS_openat(HERE, S("{keeper}/inside"), CREATE, PRIVATE),
        SYS_write(Ret(0), S("works"), N(5)), SYS_fsync(Ret(0)), SYS_unlink(S("{keeper}/inside"));
        SYS_close(Ret(0)), SYS_unlink(S("{keeper}/inside")),
    "read keyslots.db or what stands for it" => SYS_openat(HERE, S("{keeper}"), LIST); SYS_close(Ret(0)),
    "map memory" => SYS_mmap(NULL, PAGE, RW, ANON, BAD, N(0)); SYS_munmap(Ret(0), PAGE),
    "random bytes" => SYS_getrandom(Out(16), N(16), N(0)),
});

/// Under systemd the keeper calls the engine and `merlon-seal`.
const KEEPER_LINKS: &[Try] = tries!(UNIT, WORKS, {
    "socket AF_UNIX seqpacket" => SYS_socket(n(libc::AF_UNIX), n(libc::SOCK_SEQPACKET), N(0)); SYS_close(Ret(0)),
});

const DIALER_WORKS: &[Try] = tries!(OWN, Expect::Works(&[ECONNREFUSED, ENETUNREACH]), {
    "connect to a TCP port" => SYS_socket(n(libc::AF_INET), n(libc::SOCK_STREAM), N(0)),
        SYS_connect(Ret(0), Inet(9), INET_LENGTH); SYS_close(Ret(0)),
    "ask over UDP" => SYS_socket(n(libc::AF_INET), n(libc::SOCK_DGRAM), N(0)),
        SYS_connect(Ret(0), Inet(9), INET_LENGTH); SYS_close(Ret(0)),
    "read /etc/hosts" => SYS_openat(HERE, S("/etc/hosts"), READ); SYS_close(Ret(0)),
    "read its configuration again" => SYS_openat(HERE, S("{config}"), READ); SYS_close(Ret(0)),
    "map memory" => SYS_mmap(NULL, PAGE, RW, ANON, BAD, N(0)); SYS_munmap(Ret(0), PAGE),
});

const SEAL_WORKS: &[Try] = tries!(OWN, WORKS, {
    "map memory" => SYS_mmap(NULL, PAGE, RW, ANON, BAD, N(0)); SYS_munmap(Ret(0), PAGE),
    "random bytes" => SYS_getrandom(Out(16), N(16), N(0)),
});

/// `merlond engine`.
pub(crate) const ENGINE: &[&[Try]] =
    &[CALLS, SOCKETS, NO_NETWORK, NO_CONNECTING, FILES, NO_KEYS, ENGINE_MODES, ENGINE_WORKS];
/// `merlon-hub serve`, which is to do no more than the engine: it has a store, and sockets that were handed to it.
pub(crate) const HUB: &[&[Try]] = ENGINE;
/// `merlon-keeper`.
pub(crate) const KEEPER: &[&[Try]] =
    &[CALLS, SOCKETS, NO_NETWORK, FILES, NO_STORE, KEEPER_MODES, KEEPER_SOCKETS, KEEPER_WORKS, KEEPER_LINKS];
/// `merlon-dialer`.
pub(crate) const DIALER: &[&[Try]] =
    &[CALLS, SOCKETS, FILES, NO_KEYS, NO_STORE, DIALER_SOCKETS, DIALER_BIND, DIALER_ONLY, DIALER_WORKS];
/// `merlon-seal` with a TPM, in its own sandbox.
pub(crate) const SEAL: &[&[Try]] =
    &[CALLS, SOCKETS, NO_NETWORK, NO_CONNECTING, FILES, NO_KEYS, NO_STORE, SEAL_ONLY, SEAL_WORKS];
/// `merlon-seal` that waits to be asked: its unit (and AppArmor) alone hold it.
pub(crate) const SEAL_WAITING: &[&[Try]] = &[
    NO_KEYS,
    NO_STORE,
    SEAL_WAITING_FILES,
    SEAL_WAITING_CALLS,
    SEAL_WAITING_MEMORY,
    SEAL_WAITING_APPARMOR,
    SEAL_WAITING_PROGRAM,
];
