//! As a service of systemd with Accept=no: started with the listening socket, it serves one connection and ends; the
//! connections that wait are the next starts'.

use std::os::fd::{AsFd as _, OwnedFd};

use merlon_sandbox::seqpacket;
use merlon_wire::decode;
use merlon_wire::seal::{Failure, Request, Response};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

use crate::ask::{Keeper, SECRET, plain, receive, send, start, value};
use crate::swtpm::Swtpm;

struct Socket {
    listening: OwnedFd,
    path: std::path::PathBuf,
}

impl Socket {
    fn new(tpm: &Swtpm) -> Self {
        let path = tpm.dir().join("seal.sock");
        Self { listening: seqpacket::listen(&path, 0o600).unwrap(), path }
    }

    fn connect(&self) -> OwnedFd {
        let socket = seqpacket::connect(&self.path).unwrap();
        // Ends a test that would hang.
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(60, 0)).unwrap();
        socket
    }

    /// One start by the manager: its exit code.
    fn activate(&self, keeper: &Keeper) -> Option<i32> {
        start(&keeper.config, self.listening.as_fd()).wait_with_output().unwrap().status.code()
    }
}

#[test]
fn each_start_serves_one_connection_of_the_queue() {
    let tpm = Swtpm::new();
    tpm.extend(7);
    let keeper = Keeper::of(&tpm);
    let (object, _) = keeper.seal(value(None)).unwrap();
    let socket = Socket::new(&tpm);
    let connections = [socket.connect(), socket.connect(), socket.connect()];
    // One that asked for a report, one that went away before it asked, one that asks for the value.
    send(&connections[0], &Request::Describe { pcrs: vec![7] });
    let [first, gone, third] = connections;
    drop(gone);
    send(&third, &Request::Unseal(plain(&object)));
    for _ in 0..3 {
        assert_eq!(socket.activate(&keeper), Some(0));
    }
    let answer = receive(&first);
    assert!(matches!(decode(&answer).unwrap(), Response::Report(_)));
    let answer = receive(&third);
    let Response::Secret { secret } = decode(&answer).unwrap() else { panic!("no secret") };
    assert_eq!(secret, SECRET);
}

#[test]
fn a_start_that_cannot_serve_hangs_up_on_whoever_waits() {
    let tpm = Swtpm::new();
    let (keeper, socket) = (Keeper::of(&tpm), Socket::new(&tpm));
    std::fs::remove_file(&keeper.config).unwrap();
    let waiting = socket.connect();
    send(&waiting, &Request::Describe { pcrs: Vec::new() });
    assert_eq!(socket.activate(&keeper), Some(78));
    let mut frame = [0; 16];
    let heard = seqpacket::recv(&waiting, &mut frame);
    assert!(heard.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset), "it hung up unread");
    // Nobody waits any more: the next start has its own connection.
    let next = socket.connect();
    let keeper = Keeper::with(&tpm, "[tpm]\ntcti = \"device:/dev/tpmrm999\"\n");
    send(&next, &Request::Describe { pcrs: Vec::new() });
    assert_eq!(socket.activate(&keeper), Some(0));
    let answer = receive(&next);
    let Response::Failed(Failure::NoDevice { device, .. }) = decode(&answer).unwrap() else { panic!("no failure") };
    assert!(device.ends_with("/dev/tpmrm999"), "{device}");
}
