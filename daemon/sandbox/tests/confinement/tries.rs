//! Calls to try. Each is made so that without a sandbox it does no harm and is not answered by EPERM, which
//! [`Tries::control`] checks first: a denial that was there anyway proves nothing.

use std::io;
use std::os::unix::net::UnixDatagram;

use libc::{c_long, c_void};

/// What `journal` and `systemd::Notify` have: a socket that was connected before the sandbox.
pub(crate) struct Told(UnixDatagram, UnixDatagram);

impl Told {
    pub(crate) fn connect() -> Self {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_write_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
        Self(ours, theirs)
    }

    /// An entry can still be sent, and read by whoever it is for.
    pub(crate) fn works(&self) {
        self.0.send(b"MESSAGE=text\n").unwrap();
        assert_eq!(self.1.recv(&mut [0; 64]).unwrap(), 13);
    }
}

/// One call and its name.
pub(crate) struct Try {
    pub(crate) name: &'static str,
    pub(crate) call: fn() -> c_long,
}

macro_rules! tries {
    ($($(#[$when:meta])* $name:literal => $call:ident($($argument:expr),*)),* $(,)?) => {
        // SAFETY: pointers are null or to live constants, numbers are invalid or harmless: see the module.
        &[$($(#[$when])* Try { name: $name, call: || unsafe { libc::syscall(libc::$call, $($argument),*) } }),*]
    };
}

const NULL: *const c_void = std::ptr::null();
const WX: i32 = libc::PROT_WRITE | libc::PROT_EXEC;
const ANON: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
const PAGE: usize = 4096;

/// What no process of an instance may do.
pub(crate) const NOBODY_MAY: &[Try] = tries![
    "execve" => SYS_execve(NULL, NULL, NULL),
    "execveat" => SYS_execveat(-1, NULL, NULL, NULL, 0),
    "io_uring_setup" => SYS_io_uring_setup(0, NULL),
    "io_uring_enter" => SYS_io_uring_enter(-1, 0, 0, 0, NULL, 0),
    "io_uring_register" => SYS_io_uring_register(-1, 0, NULL, 0),
    "ptrace" => SYS_ptrace(libc::PTRACE_PEEKDATA, 0, NULL, NULL),
    "process_vm_readv" => SYS_process_vm_readv(0, NULL, 0, NULL, 0, 0),
    "process_vm_writev" => SYS_process_vm_writev(0, NULL, 0, NULL, 0, 0),
    "pidfd_open" => SYS_pidfd_open(-1, 0),
    "pidfd_getfd" => SYS_pidfd_getfd(-1, 0, 0),
    "memfd_create" => SYS_memfd_create(c"x".as_ptr(), 0),
    "unshare" => SYS_unshare(0),
    "setns" => SYS_setns(-1, 0),
    "clone as fork" => SYS_clone(libc::CLONE_THREAD, NULL, NULL, NULL, NULL),
    "keyctl" => SYS_keyctl(-1, 0, 0, 0, 0),
    "add_key" => SYS_add_key(NULL, NULL, NULL, 0, 0),
    "listen" => SYS_listen(-1, 0),
    "accept without flags" => SYS_accept(-1, NULL, NULL),
    "kill" => SYS_kill(0, 0),
    "tgkill of another process" => SYS_tgkill(1 << 22, 1 << 22, 0),
    "personality" => SYS_personality(0xffff_ffffu32),
    "seccomp" => SYS_seccomp(99, 0, NULL),
    "umask" => SYS_umask(0o077),
    "fchmod with set-id bits" => SYS_fchmod(-1, 0o4755),
    "openat that makes a set-id file" => SYS_openat(-1, NULL, libc::O_WRONLY | libc::O_CREAT, 0o4755),
    "openat that makes a set-group-id file" => SYS_openat(-1, NULL, libc::O_WRONLY | libc::O_CREAT, 0o2755),
    "openat that makes a sticky file" => SYS_openat(-1, NULL, libc::O_WRONLY | libc::O_CREAT, 0o1755),
    "openat that makes a set-id file without a name" => SYS_openat(-1, NULL, libc::O_WRONLY | libc::O_TMPFILE, 0o4755),
    #[cfg(target_arch = "x86_64")]
    "open that makes a set-id file" => SYS_open(NULL, libc::O_WRONLY | libc::O_CREAT, 0o4755),
    #[cfg(target_arch = "x86_64")]
    "open that makes a set-id file without a name" => SYS_open(NULL, libc::O_WRONLY | libc::O_TMPFILE, 0o4755),
    "symlinkat" => SYS_symlinkat(NULL, -1, NULL),
    "linkat" => SYS_linkat(-1, NULL, -1, NULL, 0),
    "mknodat" => SYS_mknodat(-1, NULL, 0, 0),
    "name_to_handle_at" => SYS_name_to_handle_at(-1, NULL, NULL, NULL, 0),
    "prlimit that sets" => SYS_prlimit64(0, libc::RLIMIT_CORE, 1, NULL),
    "prctl(PR_SET_DUMPABLE)" => SYS_prctl(libc::PR_SET_DUMPABLE, 99, 0, 0, 0),
    "ioctl(TIOCSTI)" => SYS_ioctl(-1, libc::TIOCSTI, NULL),
    "fcntl(F_SETOWN)" => SYS_fcntl(-1, libc::F_SETOWN, 0),
    "setsockopt(SO_ATTACH_FILTER)" => SYS_setsockopt(-1, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, NULL, 0),
    "setsockopt(TCP_ULP)" => SYS_setsockopt(-1, libc::IPPROTO_TCP, 31, NULL, 0),
    "sendmsg(MSG_FASTOPEN)" => SYS_sendmsg(-1, NULL, libc::MSG_FASTOPEN),
    "sendto(MSG_FASTOPEN)" => SYS_sendto(-1, NULL, 0, libc::MSG_FASTOPEN, NULL, 0),
    "mmap executable" => SYS_mmap(NULL, PAGE, libc::PROT_READ | libc::PROT_EXEC, ANON, -1, 0),
    "mmap writable and executable" => SYS_mmap(NULL, PAGE, WX, ANON, -1, 0),
    "mprotect to executable" => SYS_mprotect(NULL, 0, libc::PROT_READ | libc::PROT_EXEC),
    "socket AF_NETLINK" => SYS_socket(libc::AF_NETLINK, libc::SOCK_RAW, 0),
    "socket AF_UNIX datagram" => SYS_socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0),
    "socket AF_UNIX stream" => SYS_socket(libc::AF_UNIX, libc::SOCK_STREAM, 0),
    "socket of family 99" => SYS_socket(99, libc::SOCK_STREAM, 0),
    "socketpair of family 99" => SYS_socketpair(99, libc::SOCK_STREAM, 0, NULL),
    "chroot" => SYS_chroot(NULL),
];

/// What neither keeper nor engine may do.
pub(crate) const NO_NETWORK: &[Try] = tries![
    "socket AF_INET" => SYS_socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0),
    "socket AF_INET datagram" => SYS_socket(libc::AF_INET, libc::SOCK_DGRAM, 0),
    "socket AF_INET6" => SYS_socket(libc::AF_INET6, libc::SOCK_STREAM, 0),
    "bind" => SYS_bind(-1, NULL, 0),
    "sendto an address" => SYS_sendto(-1, NULL, 0, 0, 16, 16),
    "sendmmsg" => SYS_sendmmsg(-1, NULL, 0, 0),
];

/// What nobody may do that was not told to connect.
pub(crate) const NO_CONNECTING: &[Try] = tries![
    "connect" => SYS_connect(-1, NULL, 0),
    "socket AF_UNIX seqpacket" => SYS_socket(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0),
];

/// What everybody may ask for: opens that make no file, with anything at all where a mode would stand.
const EVERYBODY_MAY: &[Try] = tries![
    "openat without a mode" => SYS_openat(-1, NULL, libc::O_RDONLY, -1),
    "openat of a directory without a mode" => SYS_openat(-1, NULL, libc::O_RDONLY | libc::O_DIRECTORY, -1),
    "openat that makes a file" => SYS_openat(-1, NULL, libc::O_WRONLY | libc::O_CREAT, 0o666),
    #[cfg(target_arch = "x86_64")]
    "open without a mode" => SYS_open(NULL, libc::O_RDONLY, -1),
    #[cfg(target_arch = "x86_64")]
    "open that makes a file" => SYS_open(NULL, libc::O_WRONLY | libc::O_CREAT, 0o666),
];

/// Before the sandbox: none of these is denied anyway. (`chroot` and such are, for who is not root.)
pub(crate) fn control(lists: &[&[Try]]) {
    for one in lists.iter().copied().flatten() {
        let answer = answer(one);
        let expected_anyway = answer == libc::EPERM && anyway(one.name);
        assert!(
            expected_anyway || !matches!(answer, libc::EPERM | libc::EACCES),
            "{}: denied without a sandbox",
            one.name
        );
    }
}

/// Within the sandbox: all of these are denied, and no more than that.
pub(crate) fn denied(lists: &[&[Try]]) {
    for one in EVERYBODY_MAY {
        assert_eq!(answer(one), libc::EFAULT, "{}: the filter denies it", one.name);
    }
    denied_each(lists.iter().copied().flatten());
    println!("{} calls denied", lists.iter().map(|list| list.len()).sum::<usize>());
}

/// As [`denied`], for a choice of them.
pub(crate) fn denied_each<'a>(list: impl IntoIterator<Item = &'a Try>) {
    for one in list {
        assert_eq!(answer(one), libc::EPERM, "{}: not denied by the filter", one.name);
    }
}

fn answer(one: &Try) -> i32 {
    if (one.call)() == -1 { io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 }
}

fn anyway(name: &str) -> bool {
    // These ask for a privilege before they look at their arguments, or a sysctl may forbid them.
    !nix::unistd::geteuid().is_root() && name == "chroot" || name.starts_with("io_uring")
}

/// Opening `path` this way is denied by Landlock.
pub(crate) fn cannot_open(path: impl AsRef<std::path::Path>, options: &std::fs::OpenOptions) {
    let path = path.as_ref();
    let error = options.open(path).expect_err("a file outside of the granted paths");
    assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{}: {error}", path.display());
}
