//! Without a parent: the keeper connects to the engine's link socket, and again after a hang-up.

use std::os::fd::AsFd as _;

use merlon_sandbox::{seqpacket, spawn};
use merlon_wire::Role;
use merlon_wire::keeper::{Request, Response};

use crate::support::{Scratch, greeted, keeper_command};

#[test]
fn it_connects_and_connects_again() {
    let scratch = Scratch::new();
    let admin = seqpacket::listen(&scratch.path("admin.sock"), 0o600).unwrap();
    let path = scratch.path("link.sock");
    let mut command = keeper_command(&scratch);
    command.arg("--link").arg(&path);
    spawn::inheriting(&mut command, &[("admin", admin.as_fd())]).unwrap();
    // The keeper is started first: it waits for the engine.
    let mut child = command.spawn().unwrap();
    for _ in 0..3 {
        // Each time another socket at the same path, as a restarted engine makes it.
        let listener = seqpacket::listen(&path, 0o600).unwrap();
        for _ in 0..2 {
            let (mut link, hello) = greeted(seqpacket::accept(&listener).unwrap());
            assert_eq!((hello.role, hello.pid), (Role::Keeper, child.id()));
            let answer = link.ask(&Request::CaCertificate).unwrap();
            assert!(matches!(answer.link(), Response::CaCertificate(_)));
        }
    }
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn wrong_use_says_so() {
    let scratch = Scratch::new();
    for arguments in [&[][..], &["--fd", "admin"], &["--fd", "admin=9999"], &["--nonsense"], &["--instance", "../x"]] {
        let output = keeper_command(&scratch).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
    let output = keeper_command(&scratch).arg("--version").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_wrong_configuration_is_named() {
    let scratch = Scratch::new();
    let config = scratch.path("merlon.toml");
    std::fs::write(&config, "[keeper]\nmemfd = false\n").unwrap();
    let output = keeper_command(&scratch).arg("--config").arg(&config).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.contains("merlon.toml") && text.contains("memfd"), "{text}");
}
