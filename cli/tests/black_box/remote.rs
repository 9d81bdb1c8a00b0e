//! A fake instance that is asked over TCP, and a user's home directory to sign in from.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::fake::{Instance, Ran, http, program};

/// The head and body of a request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) at: Instant,
}

impl Request {
    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The claims of its proof of possession.
    pub(crate) fn proof(&self) -> Option<Value> {
        let part = self.field("DPoP")?.split('.').nth(1).unwrap();
        Some(serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap())
    }

    /// `POST /x`
    pub(crate) fn is(&self, line: &str) -> bool {
        self.line == line
    }
}

/// A server whose every answer a test chooses, and all that it was asked.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers each request with the bytes that `answer` makes of it and its number, from 0; then hangs up.
    pub(crate) fn new(answer: impl Fn(&Request, usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap(), asked: Arc::default() };
        let asked = Arc::clone(&server.asked);
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, asked, answer) = (stream.unwrap(), Arc::clone(&asked), Arc::clone(&answer));
                thread::spawn(move || {
                    let Some(request) = read(&mut stream) else { return };
                    let number = {
                        let mut asked = asked.lock().unwrap();
                        asked.push(request.clone());
                        asked.len() - 1
                    };
                    // The program may have gone already; that is its right.
                    let _ = stream.write_all(&answer(&request, number));
                });
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// Of these requests: `POST /x`.
    pub(crate) fn asked_for(&self, line: &str) -> Vec<Request> {
        self.asked().into_iter().filter(|request| request.is(line)).collect()
    }
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap().rsplit_once(' ').unwrap().0.to_owned();
    let mut request = Request { line, head, body: String::new(), at: Instant::now() };
    let len = request.field("content-length").map_or(0, |len| len.parse().unwrap());
    let mut body = vec![0; len];
    stream.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}

/// A home directory, removed at the end.
pub(crate) struct Home(Instance);

impl Home {
    pub(crate) fn new() -> Self {
        Self(Instance::stopped())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0.dir
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        self.0.file(name, content)
    }

    /// The program, run by this user.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.env("HOME", self.path()).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    pub(crate) fn sessions(&self) -> PathBuf {
        self.path().join(".local/state/merlon/sessions")
    }

    /// Files with sessions in them.
    pub(crate) fn session_files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.sessions()).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
    }

    /// What is kept of the only session.
    pub(crate) fn session(&self) -> Value {
        let files = self.session_files();
        assert_eq!(files.len(), 1, "{files:?}");
        serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap()
    }
}

/// What an instance says of its identity.
pub(crate) fn identity(state: &str, issuer: &str, proofs: bool) -> Value {
    let algorithms: &[&str] = if proofs { &["RS256", "ES256"] } else { &[] };
    json!({ "state": state, "issuer": issuer, "token_endpoint": format!("{issuer}/token"),
        "dpop_algorithms": algorithms, "problem": null })
}

pub(crate) fn started() -> Value {
    json!({ "id": "sig_1", "user_code": "WDJB-MJHT", "verification_uri": "https://hub.example/device",
        "verification_uri_complete": "https://hub.example/device?user_code=WDJB-MJHT", "expires_in": 60, "interval": 1 })
}

/// Tokens `access-N` and `refresh-N`.
pub(crate) fn tokens(number: u32, kind: &str, expires_in: u32) -> Value {
    json!({ "access_token": format!("access-{number}"), "token_type": kind, "expires_in": expires_in,
        "refresh_token": format!("refresh-{number}"), "session": session(kind == "DPoP"), "scopes": ["flows:read"] })
}

pub(crate) fn session(bound: bool) -> Value {
    json!({ "id": "ses_0123456789ab", "subject": "acc_1", "name": "alice", "label": "merlon on laptop",
        "role": "operator", "bound": bound, "created": "2026-01-31T00:00:00Z", "refreshed": "2026-01-31T00:00:00Z",
        "expires": "2026-03-02T00:00:00Z" })
}

pub(crate) fn who_am_i() -> Value {
    json!({ "kind": "session", "role": "operator", "scopes": ["flows:read"], "name": "alice",
        "session": session(true), "issuer": "https://hub.example" })
}

pub(crate) fn created(body: &Value) -> Vec<u8> {
    http("201 Created", "application/json", body.to_string())
}

pub(crate) fn pending(interval: u32) -> Vec<u8> {
    http("202 Accepted", "application/json", json!({ "interval": interval }).to_string())
}

/// A problem that comes with a header field.
pub(crate) fn problem_with(code: merlon_api::ProblemCode, field: &str) -> Vec<u8> {
    let body = serde_json::to_string(&merlon_api::Problem::new(code, "This is why.")).unwrap();
    let status = code.status();
    let head = format!(
        "HTTP/1.1 {status} Problem\r\nContent-Type: application/problem+json\r\n{field}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}
