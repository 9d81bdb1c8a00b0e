//! As a service of systemd: ready, status, watchdog, reload and stop, also while a TPM does not answer.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use merlon_sandbox::{seqpacket, spawn};
use merlon_wire::admin::{Request, Response};
use merlon_wire::keeper::{LockState, Status};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sealed::{TPM, start};
use crate::support::seal::{FakeSeal, Mood};
use crate::support::{Link, Scratch, keeper_command};

/// Far longer than anything here takes.
const BOUND: Duration = Duration::from_secs(60);

/// A keeper started as its unit does, and the manager's end of its notify socket.
struct Service {
    child: Child,
    scratch: Scratch,
    manager: UnixDatagram,
}

impl Service {
    fn start(scratch: Scratch, seal: Option<&FakeSeal>) -> Self {
        let manager = UnixDatagram::bind(scratch.path("notify")).unwrap();
        manager.set_read_timeout(Some(BOUND)).unwrap();
        let admin = seqpacket::listen(&scratch.path("admin.sock"), 0o600).unwrap();
        let mut command = keeper_command(&scratch);
        command.arg("--link").arg(scratch.path("link.sock"));
        command.env("NOTIFY_SOCKET", scratch.path("notify")).env("WATCHDOG_USEC", "200000");
        spawn::inheriting(&mut command, &[("admin", admin.as_fd())]).unwrap();
        if let Some(seal) = seal {
            spawn::inheriting(&mut command, &[("seal", seal.keeper.as_fd())]).unwrap();
        }
        let child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        Self { child, scratch, manager }
    }

    /// The messages up to and with this one.
    fn told_until(&self, last: &str) -> Vec<String> {
        let mut told = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let len = self.manager.recv(&mut buffer).unwrap_or_else(|error| panic!("{error} after {told:?}"));
            told.push(String::from_utf8(buffer[..len].to_vec()).unwrap());
            if told.last().is_some_and(|message| message.starts_with(last)) {
                return told;
            }
        }
    }

    fn status(&self) -> Status {
        let mut admin = Link::new(seqpacket::connect(&self.scratch.path("admin.sock")).unwrap());
        match admin.ask(&Request::Status).unwrap().admin() {
            Response::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    fn stop(mut self) -> (ExitStatus, Vec<String>) {
        self.signal(Signal::SIGTERM);
        let told = self.told_until("STOPPING=1");
        (self.child.wait().unwrap(), told)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_tells_its_manager_how_it_is() {
    let service = Service::start(Scratch::new(), None);
    let told = service.told_until("READY=1");
    assert!(told.contains(&"STATUS=unlocked by keyslot 1 (file)".to_owned()), "{told:?}");
    service.told_until("WATCHDOG=1");
    service.signal(Signal::SIGHUP);
    service.told_until("RELOADING=1");
    assert_eq!(service.told_until("READY=1").last().unwrap(), "READY=1");
    assert_eq!(service.status().state, LockState::Unlocked);
    let (status, _) = service.stop();
    assert_eq!(status.code(), Some(0));
}

/// An instance whose only slot that opens by itself is of a TPM, which hangs.
fn hanging() -> (Service, FakeSeal) {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let (running, locked) = start(&scratch, TPM, &seal);
    assert!(!locked);
    assert_eq!(running.stop().0.code(), Some(0));
    seal.set(Mood::Hangs);
    std::fs::remove_file(scratch.path("admin.sock")).unwrap();
    (Service::start(scratch, Some(&seal)), seal)
}

#[test]
fn it_is_not_locked_before_every_slot_was_tried() {
    let (service, seal) = hanging();
    let status = service.status();
    assert_eq!((status.state, status.opened_by), (LockState::Opening, None));
    seal.set(Mood::Dies);
    seal.let_go();
    service.told_until("STATUS=locked");
    assert_eq!(service.status().state, LockState::Locked);
    let (status, told) = service.stop();
    assert_eq!(status.code(), Some(0), "{told:?}");
}

#[test]
fn a_tpm_that_hangs_keeps_nobody_waiting() {
    let begun = Instant::now();
    let (service, _seal) = hanging();
    assert_eq!(service.status().state, LockState::Opening);
    service.told_until("WATCHDOG=1");
    // It is as ready as it can be for now; its manager does not wait as long as a TPM may take.
    let told = service.told_until("READY=1");
    let words = "STATUS=trying the keyslots that open by themselves".to_owned();
    assert_eq!(told.iter().filter(|told| told.starts_with("STATUS=")).collect::<Vec<_>>(), [&words]);
    assert_eq!(service.status().state, LockState::Opening);
    service.told_until("WATCHDOG=1");
    let (status, told) = service.stop();
    assert_eq!(status.code(), Some(0), "{told:?}");
    // By default a TPM may take 90 s.
    assert!(begun.elapsed() < Duration::from_secs(80), "{:?}", begun.elapsed());
}
