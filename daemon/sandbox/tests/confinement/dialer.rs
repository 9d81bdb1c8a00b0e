//! The dialer's profiles.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use merlon_sandbox::{LandlockLevel, Paths, Profile, Report, enforce, process, profiles, seqpacket};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, socket};

use crate::tries::{self, Try};

fn enter(profile: &Profile, dir: &Path) -> Report {
    process::harden().unwrap();
    let mut paths = Paths::new().unix_socket(dir.join("link.sock"));
    for file in ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"] {
        paths = paths.read_only_if_present(file);
    }
    let report = enforce(profile, &paths.read_only(dir.join("merlon.toml"))).unwrap();
    println!("{report}");
    report
}

fn config(dir: &Path) {
    fs::write(dir.join("merlon.toml"), "x").unwrap();
}

pub(crate) fn denied(dir: &Path) {
    config(dir);
    let writing: &[Try] = &[
        // SAFETY: null paths and invalid descriptors: EFAULT or EBADF without a sandbox.
        Try { name: "unlinkat", call: || unsafe { libc::syscall(libc::SYS_unlinkat, -1, 0, 0) } },
        // SAFETY: as above.
        Try { name: "mkdirat", call: || unsafe { libc::syscall(libc::SYS_mkdirat, -1, 0, 0) } },
        // SAFETY: as above.
        Try { name: "renameat2", call: || unsafe { libc::syscall(libc::SYS_renameat2, -1, 0, -1, 0, 0) } },
        // SAFETY: as above.
        Try { name: "accept4", call: || unsafe { libc::syscall(libc::SYS_accept4, -1, 0, 0, 0) } },
        Try {
            name: "raw socket",
            // SAFETY: without the filter root would get a socket, which leaks for the moments this process lives.
            call: || unsafe { libc::syscall(libc::SYS_socket, libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP) },
        },
        Try {
            name: "multipath TCP socket",
            // SAFETY: as above.
            call: || unsafe { libc::syscall(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 262) },
        },
        Try {
            name: "socket AF_UNIX seqpacket",
            // SAFETY: as above.
            call: || unsafe { libc::syscall(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_SEQPACKET, 0) },
        },
    ];
    tries::control(&[tries::NOBODY_MAY]);
    let report = enter(&profiles::DIALER, dir);
    tries::denied(&[tries::NOBODY_MAY, writing]);
    tries::cannot_open("/etc/passwd", OpenOptions::new().read(true));
    tries::cannot_open(dir.join("merlon.toml"), OpenOptions::new().write(true));
    tries::cannot_open(dir.join("new"), OpenOptions::new().write(true).create(true));
    if report.landlock_abi >= 4 {
        let stream = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
        assert_eq!(bind(stream.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)), Err(Errno::EACCES));
    }
    assert_ne!(report.landlock, LandlockLevel::None);
}

pub(crate) fn allowed(dir: &Path) {
    config(dir);
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (link, engine) = seqpacket::pair().unwrap();
    let told = tries::Told::connect();
    enter(&profiles::DIALER, dir);
    told.works();
    fs::read(dir.join("merlon.toml")).unwrap();
    let question = UdpSocket::bind("0.0.0.0:0").unwrap();
    question.send_to(b"name?", server.local_addr().unwrap()).unwrap();
    let (_, asker) = server.recv_from(&mut [0; 16]).unwrap();
    server.send_to(b"here", asker).unwrap();
    assert_eq!(question.recv_from(&mut [0; 16]).unwrap().0, 4);
    let address = origin.local_addr().unwrap();
    let stream = std::thread::spawn(move || TcpStream::connect(address).unwrap()).join().unwrap();
    seqpacket::send(&link, b"connected", Some(stream.as_fd())).unwrap();
    let received = seqpacket::recv(&engine, &mut [0; 16]).unwrap();
    TcpStream::from(received.fd.unwrap()).write_all(b"x").unwrap();
}

pub(crate) fn linking(dir: &Path) {
    config(dir);
    let _engine = seqpacket::listen(&dir.join("link.sock"), 0o600).unwrap();
    enter(&profiles::DIALER_LINKING, dir);
    tries::denied(&[tries::NOBODY_MAY]);
    seqpacket::connect(&dir.join("link.sock")).unwrap();
    TcpStream::connect("127.0.0.1:1").unwrap_err();
}
