//! Asking `merlon-seal` as the keeper does: a pair of sockets, one frame each way.

use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use merlon_sandbox::{seqpacket, spawn};
use merlon_wire::seal::{Counter, Failure, Request, Response, Tpm2Object, Tpm2Report, Tpm2Seal, Tpm2Unseal};
use merlon_wire::{MAX_FRAME, decode, encode};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

use crate::swtpm::Swtpm;

/// Ends a test that would hang.
const LIMIT_SECONDS: i64 = 60;

pub(crate) const SECRET: [u8; 32] = *b"thirty-two bytes, known to grep.";
pub(crate) const PIN: [u8; 32] = [0x17; 32];
pub(crate) const WRONG: [u8; 32] = [0x18; 32];

/// A process that was started, and the keeper's end of its socket.
pub(crate) struct Started {
    pub(crate) socket: OwnedFd,
    pub(crate) child: Child,
}

impl Started {
    pub(crate) fn new(config: &Path) -> Self {
        let (socket, theirs) = seqpacket::pair().unwrap();
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(LIMIT_SECONDS, 0)).unwrap();
        let child = start(config, theirs.as_fd());
        Self { socket, child }
    }

    pub(crate) fn send(&self, request: &Request<'_>) {
        send(&self.socket, request);
    }

    pub(crate) fn receive(&self) -> Vec<u8> {
        receive(&self.socket)
    }

    pub(crate) fn end(self) -> (ExitStatus, String) {
        let Output { status, stderr, .. } = self.child.wait_with_output().unwrap();
        (status, String::from_utf8(stderr).unwrap())
    }
}

/// Ask libtss2 for all that it can log, none of which may be seen. Off where time is measured.
pub(crate) static TRACE: AtomicBool = AtomicBool::new(true);

/// Starts the process with its socket.
pub(crate) fn start(config: &Path, socket: BorrowedFd<'_>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_merlon-seal"));
    command.arg("--config").arg(config).env_clear().stdin(Stdio::null()).stderr(Stdio::piped());
    // What must not matter: another TPM by every name that libraries and tools know.
    for name in ["TCTI", "TPM2TOOLS_TCTI", "TEST_TCTI", "TSS2_TCTI", "TPM2OPENSSL_TCTI"] {
        command.env(name, "swtpm:host=127.0.0.1,port=1");
    }
    if TRACE.load(Ordering::Relaxed) {
        command.env("TSS2_LOG", "all+TRACE");
    }
    spawn::inheriting(&mut command, &[("seal", socket)]).unwrap();
    command.spawn().unwrap()
}

pub(crate) fn send(socket: &OwnedFd, request: &Request<'_>) {
    let mut frame = vec![0; MAX_FRAME];
    let used = encode(request, &mut frame).unwrap();
    seqpacket::send(socket, &frame[..used], None).unwrap();
}

/// The answer's bytes; none if the process ended without one.
pub(crate) fn receive(socket: &OwnedFd) -> Vec<u8> {
    let mut frame = vec![0; MAX_FRAME];
    let received = seqpacket::recv(socket, &mut frame).unwrap();
    frame.truncate(received.len);
    frame
}

/// An instance's configuration for one TPM.
pub(crate) struct Keeper {
    pub(crate) config: PathBuf,
}

impl Keeper {
    pub(crate) fn of(tpm: &Swtpm) -> Self {
        Self::with(tpm, &tpm.config())
    }

    pub(crate) fn with(tpm: &Swtpm, text: &str) -> Self {
        use std::sync::atomic::AtomicU32;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let config = tpm.dir().join(format!("merlon-{}.toml", COUNT.fetch_add(1, Ordering::Relaxed)));
        fs::write(&config, text).unwrap();
        Self { config }
    }

    /// One process, one answer. It has to end well and to say nothing on standard error.
    pub(crate) fn ask<T>(&self, request: &Request<'_>, read: impl FnOnce(Response<'_>) -> T) -> T {
        let started = Started::new(&self.config);
        started.send(request);
        let frame = started.receive();
        let (status, stderr) = started.end();
        assert!(status.success() && stderr.is_empty(), "{status}: {stderr}");
        read(decode(&frame).unwrap())
    }

    pub(crate) fn seal(&self, wanted: Tpm2Seal<'_>) -> Result<(Tpm2Object, Vec<String>), Failure> {
        self.ask(&Request::Seal(wanted), |response| match response {
            Response::Sealed { object, notes } => Ok((object, notes)),
            Response::Failed(failure) => Err(failure),
            other => panic!("{other:?}"),
        })
    }

    pub(crate) fn unseal(&self, wanted: Tpm2Unseal<'_>) -> Result<[u8; 32], Failure> {
        self.ask(&Request::Unseal(wanted), |response| match response {
            Response::Secret { secret } => Ok(secret.try_into().unwrap()),
            Response::Failed(failure) => Err(failure),
            other => panic!("{other:?}"),
        })
    }

    /// Unseals what needs nothing but the machine.
    pub(crate) fn open(&self, object: &Tpm2Object) -> Result<[u8; 32], Failure> {
        self.unseal(plain(object))
    }

    /// Unseals what needs a PIN.
    pub(crate) fn open_with(&self, object: &Tpm2Object, auth: &[u8; 32], force: bool) -> Result<[u8; 32], Failure> {
        self.unseal(Tpm2Unseal { auth, force, ..plain(object) })
    }

    pub(crate) fn describe(&self, pcrs: &[u8]) -> Tpm2Report {
        self.ask(&Request::Describe { pcrs: pcrs.to_vec() }, |response| match response {
            Response::Report(report) => report,
            other => panic!("{other:?}"),
        })
    }

    pub(crate) fn count(&self, request: &Request<'_>) -> Result<(u32, u64), Failure> {
        self.ask(request, |response| match response {
            Response::Counter { index, value } => Ok((index, value)),
            Response::Done => Ok((0, 0)),
            Response::Failed(failure) => Err(failure),
            other => panic!("{other:?}"),
        })
    }
}

/// A value without PIN and key.
pub(crate) fn value(pcrs: Option<Vec<u8>>) -> Tpm2Seal<'static> {
    Tpm2Seal { secret: &SECRET, pcrs, auth: &[], policy_key: &[] }
}

/// What the keeper asks at a start.
pub(crate) fn plain(object: &Tpm2Object) -> Tpm2Unseal<'static> {
    Tpm2Unseal { object: object.clone(), auth: &[], force: false, approvals: Vec::new() }
}

pub(crate) fn counter(index: u32) -> Counter<'static> {
    Counter { index, auth: &PIN }
}
