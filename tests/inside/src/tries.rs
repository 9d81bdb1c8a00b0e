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

/// Calls that no process may make.
const CALLS: &[Try] = tries!(OWN, REFUSED, {
    // Programs.
    "execve of /bin/true" => SYS_execve(S("/bin/true"), NULL, NULL),
    "execveat" => SYS_execveat(BAD, NULL, NULL, NULL, N(0)),
    "memfd_create, to start what is in it" => SYS_memfd_create(S("inside"), N(0)),
    "clone of a process" => SYS_clone(n(libc::CLONE_THREAD), NULL, NULL, NULL, NULL),
    // Code.
    "mmap writable and executable" => SYS_mmap(NULL, PAGE, RWX, ANON, BAD, N(0)),
    "mmap, then mprotect to executable" =>
        SYS_mmap(NULL, PAGE, RW, ANON, BAD, N(0)), SYS_mprotect(Ret(0), PAGE, RX); SYS_munmap(Ret(0), PAGE),
    "pkey_mprotect to executable" =>
        SYS_mmap(NULL, PAGE, RW, ANON, BAD, N(0)), SYS_pkey_mprotect(Ret(0), PAGE, RX, BAD); SYS_munmap(Ret(0), PAGE),
    "personality" => SYS_personality(bits(u32::MAX)),
    "modify_ldt" => SYS_modify_ldt(N(0), NULL, N(0)),
    // Other processes.
    "ptrace of another process" => SYS_ptrace(n(0x4206), Stranger, N(1), NULL),
    "process_vm_readv of another process" => SYS_process_vm_readv(Stranger, NULL, N(0), NULL, N(0), N(0)),
    "process_vm_writev of another process" => SYS_process_vm_writev(Stranger, NULL, N(0), NULL, N(0), N(0)),
    "process_madvise" => SYS_process_madvise(BAD, NULL, N(0), N(0), N(0)),
    "pidfd_open" => SYS_pidfd_open(Stranger, N(0)),
    "pidfd_getfd" => SYS_pidfd_getfd(BAD, N(0), N(0)),
    "pidfd_send_signal" => SYS_pidfd_send_signal(BAD, N(0), NULL, N(0)),
    "kcmp" => SYS_kcmp(Stranger, Stranger, N(99), N(0), N(0)),
    "kill of process 1" => SYS_kill(N(1), N(0)),
    "tgkill of another process" => SYS_tgkill(Stranger, Stranger, N(0)),
    "setpriority of another process" => SYS_setpriority(N(0), Stranger, N(0)),
    "sched_setscheduler of another process" => SYS_sched_setscheduler(Stranger, N(99), NULL),
    "prlimit that sets" => SYS_prlimit64(Stranger, n(libc::RLIMIT_CORE.cast_signed()), N(8), NULL),
    // The kernel.
    "init_module" => SYS_init_module(NULL, N(0), NULL),
    "finit_module" => SYS_finit_module(BAD, NULL, N(0)),
    "delete_module" => SYS_delete_module(NULL, N(0)),
    "kexec_load" => SYS_kexec_load(N(0), N(999), NULL, bits(u32::MAX)),
    "bpf" => SYS_bpf(N(-1), NULL, N(0)),
    "perf_event_open" => SYS_perf_event_open(NULL, N(0), BAD, BAD, N(0)),
    "io_uring_setup" => SYS_io_uring_setup(N(0), NULL),
    "io_uring_enter" => SYS_io_uring_enter(BAD, N(0), N(0), N(0), NULL, N(0)),
    "io_uring_register" => SYS_io_uring_register(BAD, N(0), NULL, N(0)),
    "userfaultfd" => SYS_userfaultfd(N(0x40)),
    "keyctl" => SYS_keyctl(N(-1), N(0), N(0), N(0), N(0)),
    "add_key" => SYS_add_key(NULL, NULL, NULL, N(0), N(0)),
    "request_key" => SYS_request_key(NULL, NULL, NULL, N(0)),
    "syslog" => SYS_syslog(N(10), NULL, N(0)),
    "reboot" => SYS_reboot(N(0), N(0), N(0), NULL),
    "swapon" => SYS_swapon(NULL, N(0)),
    "swapoff" => SYS_swapoff(NULL),
    "acct" => SYS_acct(S("/nowhere/at-all")),
    "quotactl" => SYS_quotactl(N(-1), NULL, N(0), NULL),
    "iopl" => SYS_iopl(N(99)),
    "ioperm" => SYS_ioperm(N(-1), N(1), N(1)),
    "clock_settime" => SYS_clock_settime(N(99), NULL),
    "settimeofday" => SYS_settimeofday(N(-4096), NULL),
    "adjtimex" => SYS_adjtimex(NULL),
    "sethostname" => SYS_sethostname(NULL, N(-1)),
    "setdomainname" => SYS_setdomainname(NULL, N(-1)),
    "set_mempolicy" => SYS_set_mempolicy(N(-1), NULL, N(0)),
    // Users, rights and sandboxes.
    "setuid to root" => SYS_setuid(N(0)),
    "setresuid to root" => SYS_setresuid(N(0), N(0), N(0)),
    "setgid to root" => SYS_setgid(N(0)),
    "setgroups" => SYS_setgroups(N(0), NULL),
    "setfsuid" => SYS_setfsuid(N(-1)),
    "capset" => SYS_capset(NULL, NULL),
    "prctl(PR_SET_DUMPABLE)" => SYS_prctl(n(libc::PR_SET_DUMPABLE), N(99), N(0), N(0), N(0)),
    "prctl(PR_SET_PTRACER)" => SYS_prctl(n(libc::PR_SET_PTRACER), N(1 << 22), N(0), N(0), N(0)),
    "prctl(PR_CAP_AMBIENT)" => SYS_prctl(n(libc::PR_CAP_AMBIENT), N(99), N(0), N(0), N(0)),
    "prctl(PR_SET_MM)" => SYS_prctl(n(libc::PR_SET_MM), N(99), N(0), N(0), N(0)),
    "seccomp" => SYS_seccomp(N(99), N(0), NULL),
    "umask" => SYS_umask(N(0o077)),
    // Namespaces.
    "unshare(CLONE_NEWUSER)" => SYS_unshare(n(libc::CLONE_NEWUSER)),
    "unshare(CLONE_NEWNS)" => SYS_unshare(n(libc::CLONE_NEWNS)),
    "unshare(CLONE_NEWNET)" => SYS_unshare(n(libc::CLONE_NEWNET)),
    "unshare(CLONE_NEWPID)" => SYS_unshare(n(libc::CLONE_NEWPID)),
    "unshare(CLONE_NEWIPC)" => SYS_unshare(n(libc::CLONE_NEWIPC)),
    "unshare(CLONE_NEWUTS)" => SYS_unshare(n(libc::CLONE_NEWUTS)),
    "unshare(CLONE_NEWCGROUP)" => SYS_unshare(n(libc::CLONE_NEWCGROUP)),
    "unshare(CLONE_NEWTIME)" => SYS_unshare(n(0x80)),
    "clone with CLONE_NEWUSER" => SYS_clone(n(libc::CLONE_NEWUSER | libc::CLONE_FS), NULL, NULL, NULL, NULL),
    "clone with CLONE_NEWNS" => SYS_clone(n(libc::CLONE_NEWNS | libc::CLONE_FS), NULL, NULL, NULL, NULL),
    "clone with CLONE_NEWPID" => SYS_clone(n(libc::CLONE_NEWPID | libc::CLONE_THREAD), NULL, NULL, NULL, NULL),
    "setns" => SYS_setns(BAD, N(0)),
    // Mounts.
    "mount" => SYS_mount(NULL, NULL, NULL, N(0), NULL),
    "umount" => SYS_umount2(NULL, N(0)),
    "pivot_root" => SYS_pivot_root(NULL, NULL),
    "chroot" => SYS_chroot(NULL),
    "open_tree" => SYS_open_tree(BAD, NULL, N(0)),
    "move_mount" => SYS_move_mount(BAD, NULL, BAD, NULL, N(0)),
    "fsopen" => SYS_fsopen(NULL, N(0)),
    "mount_setattr" => SYS_mount_setattr(BAD, NULL, N(0), NULL, N(0)),
    // Files beside their permissions.
    "open_by_handle_at" => SYS_open_by_handle_at(BAD, NULL, N(0)),
    "name_to_handle_at" => SYS_name_to_handle_at(BAD, NULL, NULL, NULL, N(0)),
    "fanotify_init" => SYS_fanotify_init(bits(u32::MAX), N(0)),
    "inotify_init1" => SYS_inotify_init1(N(-1)),
    "mknodat" => SYS_mknodat(HERE, NULL, N(0), N(0)),
    "symlinkat" => SYS_symlinkat(NULL, BAD, NULL),
    "linkat" => SYS_linkat(BAD, NULL, BAD, NULL, N(0)),
    "fchmod with set-id bits" => SYS_fchmod(BAD, N(0o4755)),
    "fchmodat" => SYS_fchmodat(BAD, NULL, N(0o4755)),
    "fchown" => SYS_fchown(BAD, N(0), N(0)),
    "fsetxattr" => SYS_fsetxattr(BAD, NULL, NULL, N(0), N(0)),
    "chdir" => SYS_chdir(NULL),
    // Terminals and descriptors.
    "ioctl(TIOCSTI)" => SYS_ioctl(BAD, N(0x5412), NULL),
    "ioctl(TIOCLINUX)" => SYS_ioctl(BAD, N(0x541c), NULL),
    "fcntl(F_SETOWN)" => SYS_fcntl(BAD, n(libc::F_SETOWN), N(0)),
    "setsockopt(SO_ATTACH_FILTER)" => SYS_setsockopt(BAD, n(libc::SOL_SOCKET), n(libc::SO_ATTACH_FILTER), NULL, N(0)),
    "setsockopt(TCP_ULP)" => SYS_setsockopt(BAD, n(libc::IPPROTO_TCP), N(31), NULL, N(0)),
    // System V and POSIX objects that other processes share.
    "shmget" => SYS_shmget(N(0), N(0), N(0)),
    "msgget" => SYS_msgget(N(0x4d65), N(0)),
    "semget" => SYS_semget(N(0), N(-1), N(0)),
    "mq_open" => SYS_mq_open(NULL, N(0), N(0), NULL),
});

/// Sockets that no process may make, and ends of connections that none may be.
const SOCKETS: &[Try] = tries!(OWN, REFUSED, {
    "socket AF_NETLINK" => SYS_socket(n(libc::AF_NETLINK), n(libc::SOCK_RAW), N(0)),
    "socket AF_PACKET" => SYS_socket(n(libc::AF_PACKET), n(libc::SOCK_RAW), N(0)),
    "socket AF_ALG" => SYS_socket(n(libc::AF_ALG), n(libc::SOCK_SEQPACKET), N(0)),
    "socket AF_VSOCK" => SYS_socket(n(libc::AF_VSOCK), n(libc::SOCK_STREAM), N(0)),
    "socket AF_BLUETOOTH" => SYS_socket(n(libc::AF_BLUETOOTH), n(libc::SOCK_RAW), N(0)),
    "socket AF_XDP" => SYS_socket(n(libc::AF_XDP), n(libc::SOCK_RAW), N(0)),
    "socket AF_CAN" => SYS_socket(n(libc::AF_CAN), n(libc::SOCK_RAW), N(0)),
    "socket AF_TIPC" => SYS_socket(n(libc::AF_TIPC), n(libc::SOCK_SEQPACKET), N(0)),
    "socket AF_INET raw" => SYS_socket(n(libc::AF_INET), n(libc::SOCK_RAW), n(libc::IPPROTO_ICMP)),
    "socket AF_INET6 raw" => SYS_socket(n(libc::AF_INET6), n(libc::SOCK_RAW), n(libc::IPPROTO_ICMPV6)),
    "socket AF_UNIX stream" => SYS_socket(n(libc::AF_UNIX), n(libc::SOCK_STREAM), N(0)),
    "socket AF_UNIX datagram" => SYS_socket(n(libc::AF_UNIX), n(libc::SOCK_DGRAM), N(0)),
    "socketpair of datagrams" => SYS_socketpair(n(libc::AF_UNIX), n(libc::SOCK_DGRAM), N(0), Out(8)),
    "listen" => SYS_listen(BAD, N(0)),
    "accept without flags" => SYS_accept(BAD, NULL, NULL),
    "sendmsg(MSG_FASTOPEN)" => SYS_sendmsg(BAD, NULL, n(libc::MSG_FASTOPEN)),
    "sendto(MSG_FASTOPEN)" => SYS_sendto(BAD, NULL, N(0), n(libc::MSG_FASTOPEN), NULL, N(0)),
});

/// The network, for those that have none.
const NO_NETWORK: &[Try] = tries!(OWN, REFUSED, {
    "socket AF_INET stream" => SYS_socket(n(libc::AF_INET), n(libc::SOCK_STREAM), N(0)),
    "socket AF_INET datagram" => SYS_socket(n(libc::AF_INET), n(libc::SOCK_DGRAM), N(0)),
    "socket AF_INET6 stream" => SYS_socket(n(libc::AF_INET6), n(libc::SOCK_STREAM), N(0)),
    "socket AF_INET6 datagram" => SYS_socket(n(libc::AF_INET6), n(libc::SOCK_DGRAM), N(0)),
    "bind" => SYS_bind(BAD, NULL, N(0)),
    "sendto an address" => SYS_sendto(BAD, NULL, N(0), N(0), N(16), N(16)),
    "sendmmsg" => SYS_sendmmsg(BAD, NULL, N(0), N(0)),
});

/// For those that connect to nobody.
const NO_CONNECTING: &[Try] = tries!(OWN, REFUSED, {
    "connect" => SYS_connect(BAD, NULL, N(0)),
    "socket AF_UNIX seqpacket" => SYS_socket(n(libc::AF_UNIX), n(libc::SOCK_SEQPACKET), N(0)),
});

/// Files that no process may open.
const FILES: &[Try] = tries!(OWN, NO_FILE, {
    "read /etc/passwd" => SYS_openat(HERE, S("/etc/passwd"), READ),
    "read /etc/shadow" => SYS_openat(HERE, S("/etc/shadow"), READ),
    "list /root" => SYS_openat(HERE, S("/root"), LIST),
    "list /home" => SYS_openat(HERE, S("/home"), LIST),
    "list /" => SYS_openat(HERE, S("/"), LIST),
    "list /tmp" => SYS_openat(HERE, S("/tmp"), LIST),
    "list /var/log" => SYS_openat(HERE, S("/var/log"), LIST),
    "list /dev" => SYS_openat(HERE, S("/dev"), LIST),
    "list /proc" => SYS_openat(HERE, S("/proc"), LIST),
    "read /bin/true" => SYS_openat(HERE, S("/bin/true"), READ),
    "read /dev/mem" => SYS_openat(HERE, S("/dev/mem"), READ),
    "read /dev/kmsg" => SYS_openat(HERE, S("/dev/kmsg"), READ),
    "write /dev/null" => SYS_openat(HERE, S("/dev/null"), WRITE),
    "open /dev/tpmrm0" => SYS_openat(HERE, S("/dev/tpmrm0"), n(libc::O_RDWR)),
    "open /dev/tpm0" => SYS_openat(HERE, S("/dev/tpm0"), n(libc::O_RDWR)),
    "open /dev/vda" => SYS_openat(HERE, S("/dev/vda"), READ),
    "open /dev/fuse" => SYS_openat(HERE, S("/dev/fuse"), n(libc::O_RDWR)),
    "read /proc/version" => SYS_openat(HERE, S("/proc/version"), READ),
    "read /proc/kallsyms" => SYS_openat(HERE, S("/proc/kallsyms"), READ),
    "read /proc/1/environ" => SYS_openat(HERE, S("/proc/1/environ"), READ),
    "read /proc/1/maps" => SYS_openat(HERE, S("/proc/1/maps"), READ),
    "read /proc/1/mem" => SYS_openat(HERE, S("/proc/1/mem"), READ),
    "read own /proc/self/environ" => SYS_openat(HERE, S("/proc/self/environ"), READ),
    "write own /proc/self/mem" => SYS_openat(HERE, S("/proc/self/mem"), WRITE),
    "write /proc/sys/kernel/core_pattern" => SYS_openat(HERE, S("/proc/sys/kernel/core_pattern"), WRITE),
    "write /proc/sysrq-trigger" => SYS_openat(HERE, S("/proc/sysrq-trigger"), WRITE),
    "list /sys/kernel" => SYS_openat(HERE, S("/sys/kernel"), LIST),
    "list /sys/fs/cgroup" => SYS_openat(HERE, S("/sys/fs/cgroup"), LIST),
    "write the configuration" => SYS_openat(HERE, S("{config}"), WRITE),
    "list another instance's store" => SYS_openat(HERE, S("{other-store}"), LIST),
    "list another instance's keys" => SYS_openat(HERE, S("{other-keeper}"), LIST),
    "list another instance's sockets" => SYS_openat(HERE, S("{other-run}"), LIST),
    "make a file in /tmp" => SYS_openat(HERE, S("/tmp/merlon-inside"), CREATE, PRIVATE);
        SYS_close(Ret(0)), SYS_unlink(S("/tmp/merlon-inside")),
    "make a file in /run" => SYS_openat(HERE, S("/run/merlon-inside"), CREATE, PRIVATE);
        SYS_close(Ret(0)), SYS_unlink(S("/run/merlon-inside")),
    "make a file in /var/lib" => SYS_openat(HERE, S("/var/lib/merlon-inside"), CREATE, PRIVATE);
        SYS_close(Ret(0)), SYS_unlink(S("/var/lib/merlon-inside")),
    "make a directory in /dev/shm" => SYS_mkdirat(HERE, S("/dev/shm/merlon-inside"), N(0o700));
        SYS_rmdir(S("/dev/shm/merlon-inside")),
});

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
});

/// Only a unit denies it: a mode given to `open` lies where no rule of the engine's filter looks.
const ENGINE_MODES_OF_UNIT: &[Try] = tries!(UNIT, REFUSED, {
    "a set-id file in its store" => SYS_openat(HERE, S("{store}/inside-setid"), CREATE, N(0o4700));
        SYS_close(Ret(0)), SYS_unlink(S("{store}/inside-setid")),
});

/// The same for the keeper.
const KEEPER_MODES: &[Try] = tries!(OWN, REFUSED, {
    "a set-id directory in its store" => SYS_mkdirat(HERE, S("{keeper}/inside-setid"), N(0o4700));
        SYS_rmdir(S("{keeper}/inside-setid")),
});

/// The same for the keeper.
const KEEPER_MODES_OF_UNIT: &[Try] = tries!(UNIT, REFUSED, {
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
    "mmap writable and executable" => SYS_mmap(NULL, PAGE, RWX, ANON, BAD, N(0)),
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
    &[CALLS, SOCKETS, NO_NETWORK, NO_CONNECTING, FILES, NO_KEYS, ENGINE_MODES, ENGINE_MODES_OF_UNIT, ENGINE_WORKS];
/// `merlon-keeper`.
pub(crate) const KEEPER: &[&[Try]] = &[
    CALLS,
    SOCKETS,
    NO_NETWORK,
    FILES,
    NO_STORE,
    KEEPER_MODES,
    KEEPER_MODES_OF_UNIT,
    KEEPER_SOCKETS,
    KEEPER_WORKS,
    KEEPER_LINKS,
];
/// `merlon-dialer`.
pub(crate) const DIALER: &[&[Try]] =
    &[CALLS, SOCKETS, FILES, NO_KEYS, NO_STORE, DIALER_SOCKETS, DIALER_BIND, DIALER_ONLY, DIALER_WORKS];
/// `merlon-seal` with a TPM, in its own sandbox.
pub(crate) const SEAL: &[&[Try]] =
    &[CALLS, SOCKETS, NO_NETWORK, NO_CONNECTING, FILES, NO_KEYS, NO_STORE, SEAL_ONLY, SEAL_WORKS];
/// `merlon-seal` that waits to be asked: its unit (and AppArmor) alone hold it.
pub(crate) const SEAL_WAITING: &[&[Try]] =
    &[NO_KEYS, NO_STORE, SEAL_WAITING_FILES, SEAL_WAITING_CALLS, SEAL_WAITING_APPARMOR, SEAL_WAITING_PROGRAM];
