//! One hub: `merlon-hub run` on a directory of its own, ready when [`Hub::start`] returns; and requests to it as any HTTP
//! client sends them.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use data_encoding::BASE64;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::TempDir;
use crate::client::Client;
use crate::instance::{HANG, is_alive, wait_for};
use crate::process::{children, output, program, signal};

/// How a hub is started.
#[derive(Default)]
pub struct Options {
    /// Text of the configuration, as a user writes it.
    pub config: String,
    /// More arguments of `merlon-hub run`.
    pub arguments: Vec<String>,
}

/// A running hub; stopped when dropped.
pub struct Hub {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    log: PathBuf,
    dir: PathBuf,
    _own: Option<TempDir>,
    /// Another one has taken over directory, configuration and log.
    replaced: bool,
    /// What the ready line says.
    pub issuer: String,
    /// Where it listens.
    pub address: SocketAddr,
}

/// An answer of the hub.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Fields of the head: names in lower case, and values.
    pub fields: Vec<(String, String)>,
    /// Body as text.
    pub text: String,
    /// Body as JSON; null if it is none.
    pub json: Value,
}

impl Answer {
    /// The value of a field; of the first one, if there are more.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The `error` of an OAuth answer; empty if it has none.
    #[must_use]
    pub fn error(&self) -> &str {
        self.json["error"].as_str().unwrap_or_default()
    }
}

impl Hub {
    /// A new hub in a directory of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::with(&Options::default())
    }

    /// A new hub in a directory of its own.
    #[must_use]
    pub fn with(options: &Options) -> Self {
        let dir = TempDir::new("hub");
        let mut hub = Self::start(dir.path(), options);
        hub._own = Some(dir);
        hub
    }

    /// A hub on this directory, ready.
    #[must_use]
    pub fn start(dir: &Path, options: &Options) -> Self {
        Self::try_start(dir, options).unwrap_or_else(|(status, log)| panic!("merlon-hub ended with {status}: {log}"))
    }

    /// A hub on this directory, or how it ended before it was ready, with its log.
    ///
    /// # Errors
    /// Its exit status and log.
    pub fn try_start(dir: &Path, options: &Options) -> Result<Self, (ExitStatus, String)> {
        let (mut child, log) = Self::spawn(dir, options);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (told, line) = mpsc::channel();
        let reading = thread::spawn(move || {
            let mut text = String::new();
            let read = out.read_line(&mut text);
            // The test may have given up.
            drop(told.send(read.map(|_| text)));
            out
        });
        let said = || std::fs::read_to_string(&log).unwrap();
        let text = line.recv_timeout(HANG).unwrap_or_else(|_| panic!("not ready in time: {}", said())).unwrap();
        let out = reading.join().unwrap();
        if text.is_empty() {
            let status = child.wait().unwrap();
            return Err((status, said()));
        }
        let issuer = text.trim_end().strip_prefix("ready issuer=").unwrap_or_else(|| panic!("no ready line: {text}"));
        let address = listener(child.id());
        let (dir, issuer) = (dir.to_owned(), issuer.to_owned());
        Ok(Self { child, _stdout: out, log, dir, _own: None, replaced: false, issuer, address })
    }

    /// Starts the hub without waiting for it; its log goes to a file beside the directory.
    #[must_use]
    pub fn spawn(dir: &Path, options: &Options) -> (Child, PathBuf) {
        let config = dir.with_extension("toml");
        std::fs::write(&config, &options.config).unwrap();
        let log = dir.with_extension("log");
        let log_file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(program("merlon-hub"));
        command.args(["run", "--data-dir"]).arg(dir).arg("--config").arg(&config).args(&options.arguments);
        if !options.arguments.iter().any(|argument| argument == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file);
        (command.spawn().unwrap(), log)
    }

    /// The hub's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the hub has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The parent's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pid of one of its processes, by program name (`merlon-keeper`, `merlon-hub`).
    #[must_use]
    pub fn process(&self, name: &str) -> u32 {
        let found = children(self.pid());
        found
            .iter()
            .find(|(_, n)| n == name)
            .map(|(pid, _)| *pid)
            .unwrap_or_else(|| panic!("no {name} among {found:?}"))
    }

    /// Runs `merlon --data-dir DIR ARGUMENTS`: keyslots and unlocking.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        output(Command::new(program("merlon")).arg("--data-dir").arg(&self.dir).args(arguments))
    }

    /// Sends one request on a connection of its own. `path` may have a query; `fields` are name and value.
    #[must_use]
    pub fn request(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        request(self.address, method, path, fields, body)
    }

    /// `GET`
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    /// `POST` of a form, with more header fields.
    #[must_use]
    pub fn form(&self, path: &str, fields: &[(&str, &str)], parameters: &[(&str, &str)]) -> Answer {
        let body = parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        let body = body.collect::<Vec<_>>().join("&");
        let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
        all.extend(fields);
        self.request("POST", path, &all, body.as_bytes())
    }

    /// `POST` (or another method) of JSON, with more header fields.
    #[must_use]
    pub fn json(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &Value) -> Answer {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(fields);
        self.request(method, path, &all, body.to_string().as_bytes())
    }

    /// Registers a client; what it is told of itself.
    #[must_use]
    pub fn register(&self, metadata: &Value) -> Value {
        let answer = self.json("POST", "/register", &[], metadata);
        assert_eq!(answer.status, 201, "{}\n{}", answer.text, self.log());
        answer.json
    }

    /// Registers a client for client credentials by HTTP Basic; its id and secret.
    #[must_use]
    pub fn confidential(&self) -> (String, String) {
        let client = self.register(&serde_json::json!({
            "client_name": "a client", "grant_types": ["client_credentials"], "scope": "flows:read flows:write",
        }));
        let text = |name: &str| client[name].as_str().unwrap_or_else(|| panic!("no {name}: {client}")).to_owned();
        (text("client_id"), text("client_secret"))
    }

    /// Stops the hub in order and returns its exit status.
    pub fn stop(&mut self) -> ExitStatus {
        if self.child.try_wait().unwrap().is_none() {
            signal(self.child.id(), Signal::SIGTERM);
        }
        let child = &mut self.child;
        wait_for("the hub's end", || child.try_wait().unwrap())
    }

    /// Ends all of its processes at once, as a power cut would, and waits until they are gone.
    pub fn kill(&mut self) {
        // A parent that stands still neither starts a child again nor takes the end of one from us.
        signal(self.pid(), Signal::SIGSTOP);
        let all = children(self.pid());
        for (pid, _) in &all {
            signal(*pid, Signal::SIGKILL);
        }
        signal(self.pid(), Signal::SIGKILL);
        self.child.wait().unwrap();
        for (pid, _) in all {
            wait_for("a process's end", || (!is_alive(pid)).then_some(()));
        }
    }

    /// Starts again what was stopped or killed, on the same directory and, so that its issuer stays, the same address.
    pub fn restart(&mut self, options: &Options) {
        let mut arguments = options.arguments.clone();
        arguments.extend(["--listen".to_owned(), self.address.to_string()]);
        let options = Options { config: options.config.clone(), arguments };
        // Meanwhile a connection of another test may have got the port as its own; it gives it back soon.
        let next = wait_for("the hub's old address", || match Self::try_start(&self.dir, &options) {
            Ok(hub) => Some(hub),
            Err((_, log)) if log.lines().last().is_some_and(|line| line.contains("Address already in use")) => None,
            Err((status, log)) => panic!("merlon-hub ended with {status}: {log}"),
        });
        let mut before = std::mem::replace(self, next);
        self._own = before._own.take();
        before.replaced = true;
    }
}

/// Sends one request on a connection of its own, and reads the answer.
fn request(address: SocketAddr, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut client = Client::connect(address);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT") {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    client.send(&[head.as_bytes(), body].concat());
    let answer = client.answer();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let lines = answer.head.lines().skip(1).filter_map(|line| line.split_once(": "));
    Answer {
        status: answer.status,
        fields: lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        json: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
    }
}

/// The `Authorization` field of HTTP Basic, as OAuth encodes it (RFC 6749, 2.3.1).
#[must_use]
pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{}:{}", encode(id), encode(secret)).as_bytes()))
}

/// A value as a form has it.
#[must_use]
pub fn encode(value: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
    value.bytes().map(|c| if plain(c) { char::from(c).to_string() } else { format!("%{c:02X}") }).collect()
}

/// The one address on which the server below this parent listens.
fn listener(parent: u32) -> SocketAddr {
    let server = children(parent).into_iter().find(|(_, name)| name == "merlon-hub").map(|(pid, _)| pid).unwrap();
    let sockets: Vec<String> = std::fs::read_dir(format!("/proc/{server}/fd"))
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if columns[3] == "0A" && sockets.iter().any(|inode| inode == columns[9]) {
            let (address, port) = columns[1].split_once(':').unwrap();
            let address = u32::from_str_radix(address, 16).unwrap().to_ne_bytes();
            return SocketAddr::from((address, u16::from_str_radix(port, 16).unwrap()));
        }
    }
    panic!("the hub listens nowhere");
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if thread::panicking() {
                self.kill();
            } else {
                self.stop();
            }
        }
        if self.replaced {
            return;
        }
        drop(std::fs::remove_file(&self.log));
        drop(std::fs::remove_file(self.dir.with_extension("toml")));
    }
}

/// A hub that was started and is not ready yet, because it is locked; ended when dropped.
pub struct Waiting {
    child: Child,
    address: SocketAddr,
}

impl Waiting {
    /// Of a hub that listens at this address, or will.
    #[must_use]
    pub fn new(child: Child, address: SocketAddr) -> Self {
        Self { child, address }
    }

    /// `GET`; none as long as nobody listens.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Answer> {
        drop(std::net::TcpStream::connect(self.address).ok()?);
        Some(request(self.address, "GET", path, &[], b""))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        signal(self.child.id(), Signal::SIGTERM);
        drop(self.child.wait());
    }
}
