//! Asking `merlon-seal` as the keeper does: one process for one request.

use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use merlon_sandbox::{seqpacket, spawn};
use merlon_tests::softhsm::SoftHsm;
use merlon_wire::MAX_FRAME;
use merlon_wire::seal::{Failure, Pkcs11Object, Pkcs11Unwrap, Pkcs11Wrap, Request, Response};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};

pub(crate) const SECRET: [u8; 32] = *b"thirty-two bytes that stay here!";
pub(crate) const AAD: &[u8] = b"instance, keyslot 7";
pub(crate) const AES: &str = "pkcs11:token=merlon%20lab;id=%01";
pub(crate) const RSA: &str = "pkcs11:token=merlon%20lab;id=%02;type=private";
pub(crate) const LABEL: &str = "merlon lab";
pub(crate) const PIN: Option<&[u8]> = Some(SoftHsm::PIN.as_bytes());

/// What a process of merlon-seal said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) answer: Result<Done, Failure>,
    pub(crate) stderr: String,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Done {
    Wrapped(Pkcs11Object),
    Secret(Vec<u8>),
}

impl Said {
    pub(crate) fn failure(self) -> Failure {
        self.answer.expect_err("it should have failed")
    }

    pub(crate) fn object(self) -> Pkcs11Object {
        match self.answer {
            Ok(Done::Wrapped(object)) => object,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn secret(self) -> Vec<u8> {
        match self.answer {
            Ok(Done::Secret(secret)) => secret,
            other => panic!("{other:?}"),
        }
    }
}

/// An instance's configuration beside a token.
pub(crate) struct Seal {
    pub(crate) hsm: SoftHsm,
    pub(crate) config: PathBuf,
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
}

impl Seal {
    pub(crate) fn new(hsm: SoftHsm) -> Self {
        let config = hsm.dir().join("merlon.toml");
        let seal = Self { hsm, config, environment: Vec::new() };
        seal.configure("");
        seal
    }

    /// With lines at the end of `[pkcs11]`.
    pub(crate) fn configure(&self, more: &str) {
        fs::write(&self.config, self.hsm.config() + more).unwrap();
    }

    pub(crate) fn ask(&self, request: &Request<'_>) -> Said {
        let (ours, theirs) = seqpacket::pair().unwrap();
        // Ends a test that would hang.
        setsockopt(&ours, sockopt::ReceiveTimeout, &TimeVal::seconds(60)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_merlon-seal"));
        command.env_clear().arg("--config").arg(&self.config).stdin(Stdio::null()).stderr(Stdio::piped());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        spawn::inheriting(&mut command, &[("seal", theirs.as_fd())]).unwrap();
        let child = command.spawn().unwrap();
        drop((command, theirs));
        let mut frame = vec![0; MAX_FRAME];
        let len = merlon_wire::encode(request, &mut frame).unwrap();
        seqpacket::send(&ours, &frame[..len], None).unwrap();
        let len = seqpacket::recv(&ours, &mut frame).unwrap().len;
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {stderr}", output.status);
        for secret in [&SECRET[..], SoftHsm::PIN.as_bytes()] {
            assert_eq!(find(&output.stderr, secret), None, "a secret in: {stderr}");
        }
        let answer = match merlon_wire::decode::<Response<'_>>(&frame[..len]).unwrap() {
            Response::Wrapped(object) => Ok(Done::Wrapped(object)),
            Response::Secret { secret } => Ok(Done::Secret(secret.to_vec())),
            Response::Failed(failure) => Err(failure),
            other => panic!("{other:?}"),
        };
        Said { answer, stderr }
    }

    pub(crate) fn wrap(&self, uri: &str, pin: Option<&[u8]>) -> Said {
        self.ask(&Request::Wrap(Pkcs11Wrap { uri, pin, secret: &SECRET, aad: AAD }))
    }

    pub(crate) fn unwrap(&self, uri: &str, pin: Option<&[u8]>, object: &Pkcs11Object, aad: &[u8]) -> Said {
        self.ask(&Request::Unwrap(Pkcs11Unwrap { uri, pin, object: object.clone(), aad, force: false }))
    }
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

pub(crate) fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
