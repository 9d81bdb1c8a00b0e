//! A fake instance: a directory with the two sockets, answering what a test says. And the program, run against it.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use merlon_sandbox::seqpacket;
use merlon_wire::admin::{Request, Response};
use merlon_wire::{Frame, MAX_FRAME, decode, encode};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A data directory, removed at the end.
pub(crate) struct Instance {
    pub(crate) dir: PathBuf,
}

/// The head of a request.
pub(crate) struct Asked {
    pub(crate) target: String,
    pub(crate) head: String,
}

impl Instance {
    /// A directory with nobody in it.
    pub(crate) fn stopped() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("mcli-{}-{number}", std::process::id()));
        std::fs::create_dir_all(dir.join("run")).unwrap();
        Self { dir }
    }

    /// Answers each HTTP request with the bytes that `answer` makes, and then hangs up.
    pub(crate) fn api(answer: impl Fn(&Asked) -> Vec<u8> + Send + 'static) -> Self {
        Self::stopped().with_api(answer)
    }

    /// The same of one that has a keeper.
    pub(crate) fn with_api(self, answer: impl Fn(&Asked) -> Vec<u8> + Send + 'static) -> Self {
        let listener = UnixListener::bind(self.dir.join("run/api.sock")).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if let Some(asked) = read_head(&mut stream) {
                    // The program may have gone already; that is its right.
                    let _ = stream.write_all(&answer(&asked));
                }
            }
        });
        self
    }

    /// Answers every request with the same bytes.
    pub(crate) fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::api(move |_| bytes.clone())
    }

    /// Answers each frame on the admin socket; any number of connections.
    pub(crate) fn keeper(answer: impl Fn(&Request<'_>) -> Response<'static> + Send + 'static) -> Self {
        Self::raw_keeper(move |frame| {
            let Frame { id, body } = decode::<Frame<Request<'_>>>(frame).unwrap();
            let mut out = vec![0; MAX_FRAME];
            let len = encode(&Frame { id, body: answer(&body) }, &mut out).unwrap();
            out.truncate(len);
            out
        })
    }

    /// As [`Self::keeper`], byte by byte.
    pub(crate) fn raw_keeper(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> Self {
        let instance = Self::stopped();
        let listener = seqpacket::listen(&instance.dir.join("run/admin.sock"), 0o600).unwrap();
        thread::spawn(move || {
            loop {
                serve(&seqpacket::accept(&listener).unwrap(), &answer);
            }
        });
        instance
    }

    /// The program, asked about this instance, away from any terminal.
    pub(crate) fn command(&self) -> Command {
        let mut command = program();
        command.env("MERLON_DATA_DIR", &self.dir);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command().args(arguments).output().unwrap())
    }

    /// A file in the directory, readable by its owner only.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.dir.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn serve(peer: &OwnedFd, answer: &impl Fn(&[u8]) -> Vec<u8>) {
    let mut buffer = vec![0; MAX_FRAME];
    while let Ok(received) = seqpacket::recv(peer, &mut buffer) {
        if received.len == 0 {
            return;
        }
        let answer = answer(&buffer[..received.len]);
        if answer.is_empty() || seqpacket::send(peer, &answer, None).is_err() {
            return;
        }
    }
}

fn read_head(stream: &mut UnixStream) -> Option<Asked> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    Some(Asked { target, head })
}

/// The program with no environment of ours.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_merlon"));
    command.env_clear().env("HOME", "/nonexistent").stdin(Stdio::null());
    command
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It ended with this code, and standard error says all of this.
    #[track_caller]
    pub(crate) fn ended(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for text in says {
            assert!(self.err.contains(text), "`{text}` is not in {self:#?}");
        }
    }
}

/// An HTTP answer.
pub(crate) fn http(status: &str, kind: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn json(body: &serde_json::Value) -> Vec<u8> {
    http("200 OK", "application/json", body.to_string())
}

/// A problem with this code.
pub(crate) fn problem(code: merlon_api::ProblemCode) -> Vec<u8> {
    let problem = merlon_api::Problem::new(code, "This is why.");
    let body = serde_json::to_string(&problem).unwrap();
    http(&format!("{} Problem", code.status()), "application/problem+json", body)
}

/// The state of an instance that is well, but for its dialer, with this project open.
pub(crate) fn status(dialer: bool, project: u64) -> serde_json::Value {
    let process = |name: &str, connected: bool| {
        serde_json::json!({ "name": name, "connected": connected, "pid": 7, "sandbox": {
            "landlock_abi": 7, "landlock": "full", "missing": [], "seccomp": true, "no_new_privs": true,
            "core_dumps_off": true, "secret_memory": "locked" } })
    };
    serde_json::json!({
        "name": "merlon", "version": "0", "instance": null, "ready": true, "locked": false,
        "keys": { "opened_by": "file", "keyslots": ["file"], "recovery_confirmed": false, "secret_memory": "locked" },
        "warnings": [], "project": { "id": project, "name": format!("p{project}") },
        "recorder": { "recorded": 1, "unrecorded": 0, "truncated_bodies": 0, "waiting_bytes": 0, "last_error": null },
        "listeners": [{ "service": "proxy", "address": "127.0.0.1:8080", "exposure": "loopback", "tls": false,
            "authentication": "none" }],
        "processes": [process("merlond", true), process("merlon-keeper", true), process("merlon-dialer", dialer)],
    })
}

/// A flow as the API has it.
pub(crate) fn flow(id: i64, host: &str, path: &str) -> serde_json::Value {
    serde_json::json!({
        "id": id, "time": "2026-01-31T23:59:59.000001Z", "method": "GET", "scheme": "https", "host": host,
        "port": 443, "path": path, "status": 200, "request_bytes": 0, "response_bytes": 1234, "duration_us": 5600,
        "error": null,
    })
}

/// Text of a path.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
