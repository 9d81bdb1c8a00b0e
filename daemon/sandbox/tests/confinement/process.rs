//! Hardening, and what is handed from process to process.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use merlon_sandbox::inherit::{InheritError, Inherited, is_listening};
use merlon_sandbox::{Paths, SandboxError, enforce, process, profiles, seqpacket, spawn};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// The case that is not in the list: a program started with descriptors.
pub(crate) const CHILD: &str = "child";

pub(crate) fn missing_paths(dir: &Path) {
    let missing = Paths::new().read_only_if_present(dir.join("may")).read_write(dir.join("must"));
    let refused = enforce(&profiles::KEEPER, &missing).unwrap_err();
    assert!(matches!(refused, SandboxError::Ruleset(_)));
    assert!(refused.to_string().contains("must cannot be opened"), "{refused}");
    enforce(&profiles::KEEPER, &Paths::new().read_only_if_present(dir.join("may"))).unwrap();
}

pub(crate) fn threads(_dir: &Path) {
    let (wait, waiting) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || waiting.recv());
    let refused = enforce(&profiles::KEEPER, &Paths::new()).unwrap_err();
    assert!(matches!(refused, SandboxError::Threads { count: 2 }), "{refused}");
    drop(wait);
    thread.join().unwrap().unwrap_err();
}

pub(crate) fn hardening(dir: &Path) {
    assert!(process::raise_nofile(1).unwrap() > 1, "a limit is never lowered");
    process::harden().unwrap();
    process::harden().unwrap();
    process::nice(5).unwrap();
    fs::write(dir.join("file"), "x").unwrap();
    assert_eq!(fs::metadata(dir.join("file")).unwrap().permissions().mode() & 0o777, 0o600);
    let report = enforce(&profiles::ENGINE, &Paths::new()).unwrap();
    assert!(report.no_new_privs && report.core_dumps_off && report.dumpable_off, "{report}");
    assert!(!report.to_string().contains("OFF") && !report.to_string().contains("ON"), "{report}");
}

pub(crate) fn inheritance(_dir: &Path) {
    let (ours, theirs) = seqpacket::pair().unwrap();
    let listeners: Vec<_> = (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    // What a careless ancestor leaks: a file and a socket that would survive the exec.
    let stray = fs::File::open("/").unwrap();
    let leaked = seqpacket::pair().unwrap();
    for fd in [stray.as_fd(), leaked.0.as_fd()] {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(crate::CASE, CHILD).arg("--stray").arg(stray.as_raw_fd().to_string());
    command.arg("--stray").arg(leaked.0.as_raw_fd().to_string());
    let fds = [("parent", theirs.as_fd()), ("proxy", listeners[0].as_fd()), ("proxy", listeners[1].as_fd())];
    spawn::inheriting(&mut command, &fds).unwrap();
    drop(theirs);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut buffer = [0; 64];
    let said = seqpacket::recv(&ours, &mut buffer).unwrap();
    assert_eq!(&buffer[..said.len], b"2 proxies");
    assert!(child.wait().unwrap().success());
    assert_eq!(seqpacket::recv(&ours, &mut buffer).unwrap().len, 0, "the parent kept a copy of the child's end");
}

/// In the child of [`inheritance`] and [`systemd_sockets`].
pub(crate) fn child() {
    process::harden().unwrap();
    let arguments: Vec<String> = std::env::args().collect();
    let of = |flag: &str| -> Vec<String> {
        arguments.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].clone()).collect()
    };
    let mut inherited = Inherited::take(&of("--fd")).unwrap();
    for stray in of("--stray") {
        // SAFETY: borrowed for one question, which is answered by EBADF.
        let stray = unsafe { BorrowedFd::borrow_raw(stray.parse().unwrap()) };
        assert_eq!(fcntl(stray, FcntlArg::F_GETFD), Err(nix::errno::Errno::EBADF));
    }
    assert!(matches!(inherited.one("nothing"), Err(InheritError::Missing { .. })));
    assert!(inherited.optional("link").unwrap().is_none());
    let parent = inherited.one("parent").unwrap();
    let proxies = inherited.all("proxy");
    for proxy in &proxies {
        assert_ne!(fcntl(proxy, FcntlArg::F_GETFD).unwrap() & libc::FD_CLOEXEC, 0);
        assert!(is_listening(proxy));
    }
    seqpacket::send(&parent, format!("{} proxies", proxies.len()).as_bytes(), None).unwrap();
}

pub(crate) fn systemd_sockets(_dir: &Path) {
    let (ours, theirs) = seqpacket::pair().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg("export LISTEN_PID=$$; exec \"$0\"").arg(std::env::current_exe().unwrap());
    command.env(crate::CASE, CHILD).env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", "proxy:parent");
    let given = [(listener.as_raw_fd(), 3), (theirs.as_raw_fd(), 4)];
    let place = move || {
        // Out of the way first: a number that is wanted may be taken by what goes elsewhere.
        // SAFETY: fcntl is async-signal-safe and is given an open descriptor.
        let away = given.map(|(from, to)| (unsafe { libc::fcntl(from, libc::F_DUPFD_CLOEXEC, 10) }, to));
        for (from, to) in away {
            // SAFETY: dup2 is async-signal-safe; 3 and 4 belong to nobody who will run after this.
            unsafe { libc::dup2(from, to) };
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only.
    unsafe { command.pre_exec(place) };
    let mut child = command.spawn().unwrap();
    drop(theirs);
    let mut buffer = [0; 64];
    let said = seqpacket::recv(&ours, &mut buffer).unwrap();
    assert_eq!(&buffer[..said.len], b"1 proxies");
    assert!(child.wait().unwrap().success());
}
