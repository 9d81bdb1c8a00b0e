//! A real keeper over real sockets: started, asked, killed.

pub(crate) mod format;
pub(crate) mod memory;
pub(crate) mod seal;

use std::fs;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use merlon_sandbox::{seqpacket, spawn};
use merlon_wire::parent::{FromChild, Ready, ToChild};
use merlon_wire::{Frame, Hello, MAX_FRAME, Role, admin, decode, encode, keeper};
use serde::Serialize;

use self::seal::FakeSeal;

/// A scratch directory with a `keeper` directory in it; removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let name = format!("merlon-keeper-{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(dir.join("keeper")).unwrap();
        Self(dir)
    }

    /// The keeper's directory.
    pub(crate) fn keeper(&self) -> PathBuf {
        self.0.join("keeper")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file of the keeper.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.keeper().join(name)
    }

    /// All of the keeper's files by name, but its lock.
    pub(crate) fn snapshot(&self) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(self.keeper())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            .filter(|(name, _)| name != "lock")
            .collect();
        files.sort();
        files
    }

    /// As [`Self::snapshot`], without what each start writes: the audit log, and its head in `secrets.db`.
    pub(crate) fn keys(&self) -> Vec<(String, Vec<u8>)> {
        let each_start = ["audit.log", "secrets.db"];
        self.snapshot().into_iter().filter(|(name, _)| !each_start.contains(&name.as_str())).collect()
    }

    /// A copy of the keeper's directory without the files named.
    pub(crate) fn copy_without(&self, left_out: &[&str]) -> Self {
        let copy = Self::new();
        for (name, bytes) in self.snapshot() {
            if !left_out.contains(&name.as_str()) {
                let mode = fs::metadata(self.file(&name)).unwrap().permissions();
                fs::write(copy.file(&name), bytes).unwrap();
                fs::set_permissions(copy.file(&name), mode).unwrap();
            }
        }
        copy
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a keeper is started, before it is.
pub(crate) struct Starting {
    command: Command,
    admin_path: PathBuf,
    parent: OwnedFd,
}

impl Starting {
    pub(crate) fn new(scratch: &Scratch) -> Self {
        Self::with_config(scratch, "")
    }

    /// With this text as configuration.
    pub(crate) fn with_config(scratch: &Scratch, config: &str) -> Self {
        let admin_path = scratch.path("admin.sock");
        let admin = seqpacket::listen(&admin_path, 0o600).unwrap();
        let (parent, child) = seqpacket::pair().unwrap();
        let mut command = keeper_command(scratch);
        fs::write(scratch.path("merlon.toml"), config).unwrap();
        command.arg("--config").arg(scratch.path("merlon.toml"));
        spawn::inheriting(&mut command, &[("admin", admin.as_fd()), ("parent", child.as_fd())]).unwrap();
        Self { command, admin_path, parent }
    }

    /// With a `merlon-seal`, and this text as configuration.
    pub(crate) fn with_seal(scratch: &Scratch, config: &str, seal: &FakeSeal) -> Self {
        let mut starting = Self::with_config(scratch, config);
        spawn::inheriting(&mut starting.command, &[("seal", seal.keeper.as_fd())]).unwrap();
        starting
    }

    /// A hub's.
    pub(crate) fn hub(scratch: &Scratch) -> Self {
        let mut starting = Self::new(scratch);
        starting.command.arg("--hub");
        starting
    }

    /// With what systemd would pass in this directory.
    pub(crate) fn credentials(mut self, directory: &Path) -> Self {
        self.command.env("CREDENTIALS_DIRECTORY", directory);
        self
    }

    pub(crate) fn spawn(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        // With the command go the copies of the sockets that are the keeper's.
        drop(self.command);
        // A keeper whose lines nobody reads stands still once the pipe is full.
        let mut stderr = child.stderr.take().unwrap();
        let lines = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        Running { child, admin_path: self.admin_path, parent: self.parent, lines: Some(lines) }
    }
}

/// The binary with its directory.
pub(crate) fn keeper_command(scratch: &Scratch) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_merlon-keeper"));
    command.arg("--dir").arg(scratch.keeper()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// A keeper process; killed at the end.
pub(crate) struct Running {
    pub(crate) child: Child,
    admin_path: PathBuf,
    pub(crate) parent: OwnedFd,
    lines: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts a keeper that is expected to serve.
    pub(crate) fn start(scratch: &Scratch) -> Self {
        let mut running = Starting::new(scratch).spawn();
        running.ready();
        running
    }

    /// The state, as an administrator sees it.
    pub(crate) fn status(&self) -> keeper::Status {
        match self.administer(&admin::Request::Status).admin() {
            admin::Response::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until it serves; whether it is locked.
    pub(crate) fn ready(&mut self) -> bool {
        self.try_ready().unwrap_or_else(|| {
            let (status, text) = self.wait();
            panic!("the keeper ended with {status}: {text}");
        })
    }

    /// As [`Self::ready`]; `None` if it ended instead.
    pub(crate) fn try_ready(&mut self) -> Option<bool> {
        let mut frame = [0; 1024];
        let received = seqpacket::recv(&self.parent, &mut frame).unwrap();
        if received.len == 0 {
            return None;
        }
        match decode(&frame[..received.len]).unwrap() {
            FromChild::Ready(Ready::Keeper { locked }) => Some(locked),
            other => panic!("{other:?}"),
        }
    }

    /// A new link, as the parent makes it, and the greeting on it.
    pub(crate) fn link(&self) -> (Link, Hello) {
        let (ours, theirs) = seqpacket::pair().unwrap();
        self.send_link(&theirs);
        greeted(ours)
    }

    pub(crate) fn send_link(&self, link: &OwnedFd) {
        let mut frame = [0; 64];
        let used = encode(&ToChild::Link { peer: Role::Engine }, &mut frame).unwrap();
        seqpacket::send(&self.parent, &frame[..used], Some(link.as_fd())).unwrap();
    }

    /// A new connection to the admin socket.
    pub(crate) fn admin(&self) -> Link {
        Link::new(seqpacket::connect(&self.admin_path).unwrap())
    }

    /// One administrative request.
    pub(crate) fn administer(&self, request: &admin::Request<'_>) -> Answer {
        self.admin().ask(request).expect("the keeper answers")
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Waits for its end; its exit status and what it wrote to stderr.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let text = self.lines.take().unwrap().join().unwrap();
        (self.child.wait().unwrap(), text)
    }

    /// Hangs up as a parent does, and waits.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        let (ours, theirs) = seqpacket::pair().unwrap();
        drop(theirs);
        self.parent = ours;
        self.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a keeper that is expected to end by itself: exit code and stderr.
pub(crate) fn start_fails(scratch: &Scratch) -> (Option<i32>, String) {
    let (status, text) = Starting::new(scratch).spawn().wait();
    (status.code(), text)
}

/// The first frame on a link.
pub(crate) fn greeted(link: OwnedFd) -> (Link, Hello) {
    let mut frame = vec![0; MAX_FRAME];
    let received = seqpacket::recv(&link, &mut frame).unwrap();
    let hello = decode(&frame[..received.len]).unwrap();
    (Link::new(link), hello)
}

/// A connection to the keeper: the engine's end, or an administrator's.
pub(crate) struct Link {
    pub(crate) socket: OwnedFd,
    next: u64,
}

impl Link {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, next: 1 }
    }

    /// Asks; `None` if the keeper hung up.
    pub(crate) fn ask<T: Serialize>(&mut self, request: &T) -> Option<Answer> {
        let id = self.next;
        self.next += 1;
        let mut frame = vec![0; MAX_FRAME];
        let used = encode(&Frame { id, body: request }, &mut frame).unwrap();
        let answer = self.send_raw(&frame[..used], None)?;
        assert_eq!(answer.id(), id);
        Some(answer)
    }

    /// Sends any bytes; `None` if the keeper hung up.
    pub(crate) fn send_raw(&mut self, frame: &[u8], fd: Option<BorrowedFd<'_>>) -> Option<Answer> {
        if let Err(error) = seqpacket::send(&self.socket, frame, fd) {
            // Reset: it was killed before it took what had come.
            assert!(matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset), "{error}");
            return None;
        }
        self.receive()
    }

    pub(crate) fn receive(&mut self) -> Option<Answer> {
        let mut frame = vec![0; MAX_FRAME];
        match seqpacket::recv(&self.socket, &mut frame) {
            Ok(received) if received.len > 0 => {
                assert!(received.fd.is_none());
                frame.truncate(received.len);
                Some(Answer(frame))
            }
            Ok(_) => None,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                None
            }
        }
    }
}

/// The bytes of an answer.
pub(crate) struct Answer(Vec<u8>);

impl Answer {
    fn id(&self) -> u64 {
        let (id, _) = postcard_u64(&self.0);
        id
    }

    pub(crate) fn link(&self) -> keeper::Response<'_> {
        decode::<Frame<_>>(&self.0).unwrap().body
    }

    pub(crate) fn admin(&self) -> admin::Response<'_> {
        decode::<Frame<_>>(&self.0).unwrap().body
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A little-endian base-128 number, as frames begin with.
fn postcard_u64(bytes: &[u8]) -> (u64, usize) {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return (value, at + 1);
        }
    }
    panic!("no number");
}

/// Header, claims, and what is signed with the signature, of a token in compact form.
pub(crate) fn token_parts(token: &str) -> (serde_json::Value, serde_json::Value, String, Vec<u8>) {
    let decoded = |part: &str| data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).unwrap();
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let json = |part: &str| serde_json::from_slice(&decoded(part)).unwrap();
    (json(header), json(claims), format!("{header}.{claims}"), decoded(signature))
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A public key on P-256.
pub(crate) fn public_key() -> Vec<u8> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap().public_key().as_ref().to_vec()
}

/// A new recovery key, and its slot's id.
pub(crate) fn add_recovery(running: &Running) -> (u32, String) {
    let answer = running.administer(&admin::Request::AddKeyslot(admin::NewKeyslot::Recovery));
    match answer.admin() {
        admin::Response::RecoveryKey { id, key } => (id, key.to_owned()),
        other => panic!("{other:?}"),
    }
}

/// Runs `openssl` and gives what it printed; it must succeed.
pub(crate) fn openssl(arguments: &[&str], files: &[&Path]) -> String {
    let output = Command::new("openssl").args(arguments).args(files).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}
