//! One instance: `merlond run` on a directory of its own, ready when [`Instance::start`] returns.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::TempDir;
use crate::process::{children, output, program, signal, stderr, stdout};

/// Ends a test that would hang; nothing is measured by it.
pub const HANG: Duration = Duration::from_secs(60);

/// How an instance is started.
#[derive(Default)]
pub struct Options {
    /// Text of the configuration; `[proxy]` and the others as a user writes them.
    pub config: String,
    /// More arguments of `merlond run`.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Runs as this user and group instead of the test's own; only root can.
    pub user: Option<u32>,
    /// Runs this program instead of the built `merlond`.
    pub program: Option<PathBuf>,
}

/// A running instance; stopped when dropped.
pub struct Instance {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    log: PathBuf,
    dir: PathBuf,
    _own: Option<TempDir>,
    /// The ready line, field by field.
    pub ready: Ready,
}

/// The ready line.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The proxy's address.
    pub proxy: SocketAddr,
    /// The API's URL.
    pub api: String,
    /// The API's Unix socket.
    pub socket: PathBuf,
    /// The CA certificate.
    pub ca: PathBuf,
}

impl Instance {
    /// A new instance in a directory of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::with(&Options::default())
    }

    /// A new instance in a directory of its own.
    #[must_use]
    pub fn with(options: &Options) -> Self {
        let dir = TempDir::new("instance");
        let mut instance = Self::start(dir.path(), options);
        instance._own = Some(dir);
        instance
    }

    /// An instance on this directory, ready.
    #[must_use]
    pub fn start(dir: &Path, options: &Options) -> Self {
        Self::try_start(dir, options).unwrap_or_else(|(status, log)| panic!("merlond ended with {status}: {log}"))
    }

    /// An instance on this directory, or how it ended before it was ready, with its log.
    ///
    /// # Errors
    /// Its exit status and log.
    pub fn try_start(dir: &Path, options: &Options) -> Result<Self, (ExitStatus, String)> {
        let (child, log) = Self::spawn(dir, options);
        let mut instance = Self {
            child,
            stdout: None,
            log,
            dir: dir.to_owned(),
            _own: None,
            ready: Ready {
                proxy: SocketAddr::from(([0, 0, 0, 0], 0)),
                api: String::new(),
                socket: PathBuf::new(),
                ca: PathBuf::new(),
            },
        };
        let mut out = BufReader::new(instance.child.stdout.take().unwrap());
        let (told, line) = mpsc::channel();
        let reading = thread::spawn(move || {
            let mut text = String::new();
            let read = out.read_line(&mut text);
            // The test may have given up.
            drop(told.send(read.map(|_| text)));
            out
        });
        let text = line.recv_timeout(HANG).unwrap_or_else(|_| panic!("not ready in time: {}", instance.log())).unwrap();
        instance.stdout = Some(reading.join().unwrap());
        if text.is_empty() {
            let status = instance.child.wait().unwrap();
            return Err((status, instance.log()));
        }
        instance.ready = parse_ready(&text);
        Ok(instance)
    }

    /// Starts the daemon without waiting for it; its log goes to a file beside the directory's content.
    #[must_use]
    pub fn spawn(dir: &Path, options: &Options) -> (Child, PathBuf) {
        let config = dir.with_extension("toml");
        std::fs::write(&config, &options.config).unwrap();
        let log = dir.with_extension("log");
        let log_file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(options.program.clone().unwrap_or_else(|| program("merlond")));
        command.args(["run", "--api-listen", "127.0.0.1:0", "--data-dir"]).arg(dir);
        if !options.arguments.iter().any(|argument| argument == "--proxy-listen") {
            command.args(["--proxy-listen", "127.0.0.1:0"]);
        }
        command.arg("--config").arg(&config).args(&options.arguments);
        command.env_clear().envs(options.environment.iter().map(|(k, v)| (k, v)));
        if let Some(user) = options.user {
            command.uid(user).gid(user);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file);
        let child = loop {
            match command.spawn() {
                // A program that was just written: another thread of this test has started a process meanwhile, which
                // holds it open for a moment.
                Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                started => break started.unwrap(),
            }
        };
        (child, log)
    }

    /// The instance's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the instance has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The parent's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pid of one of its processes, by program name (`merlon-keeper`, `merlon-dialer`, `merlond`).
    #[must_use]
    pub fn process(&self, name: &str) -> u32 {
        let found = children(self.pid());
        found
            .iter()
            .find(|(_, n)| n == name)
            .map(|(pid, _)| *pid)
            .unwrap_or_else(|| panic!("no {name} among {found:?}"))
    }

    /// Runs `merlon --data-dir DIR ARGUMENTS`.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        output(Command::new(program("merlon")).arg("--data-dir").arg(&self.dir).args(arguments))
    }

    /// Runs `merlon` and returns what it printed; it must succeed.
    pub fn cli_ok(&self, arguments: &[&str]) -> String {
        let done = self.cli(arguments);
        assert!(done.status.success(), "merlon {arguments:?}: {}{}\n{}", stdout(&done), stderr(&done), self.log());
        stdout(&done)
    }

    /// All flows that match, newest first.
    #[must_use]
    pub fn flows(&self, query: &str) -> Vec<Value> {
        let mut arguments = vec!["flows", "--json", "--limit", "1000"];
        if !query.is_empty() {
            arguments.push(query);
        }
        let done = self.cli(&arguments);
        assert!(matches!(done.status.code(), Some(0 | 3)), "{}\n{}", stderr(&done), self.log());
        stdout(&done).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until a finished flow matches, and returns the newest. A flow is committed shortly after its end, so this
    /// asks again until it is shown.
    pub fn flow(&self, query: &str) -> Value {
        wait_for(&format!("a flow that matches `{query}`"), || {
            self.flows(query).into_iter().find(|flow| !flow["duration_us"].is_null())
        })
    }

    /// `curl` through the proxy, trusting the instance's CA.
    pub fn curl(&self, arguments: &[&str]) -> Output {
        let proxy = format!("http://{}", self.ready.proxy);
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "50", "--noproxy", "", "--proxy", &proxy, "--cacert"]);
        output(command.arg(&self.ready.ca).args(arguments).env_clear().env("PATH", "/usr/bin:/bin"))
    }

    /// Stops the instance in order and returns its exit status.
    pub fn stop(&mut self) -> ExitStatus {
        if self.child.try_wait().unwrap().is_none() {
            signal(self.child.id(), Signal::SIGTERM);
        }
        let child = &mut self.child;
        wait_for("the instance's end", || child.try_wait().unwrap())
    }

    /// Ends all of its processes at once, as a power cut would, and waits until they are gone.
    pub fn kill(&mut self) {
        self.kill_in_order(|_| {});
    }

    /// The same; `order` may change the order in which the parent's children are ended, given as (pid, name).
    pub fn kill_in_order(&mut self, order: impl FnOnce(&mut Vec<(u32, String)>)) {
        // A parent that stands still neither starts a child again nor takes the end of one from us.
        signal(self.pid(), Signal::SIGSTOP);
        let mut all = children(self.pid());
        order(&mut all);
        for (pid, _) in &all {
            signal(*pid, Signal::SIGKILL);
        }
        signal(self.pid(), Signal::SIGKILL);
        self.child.wait().unwrap();
        for (pid, _) in all {
            wait_for("a process's end", || (!is_alive(pid)).then_some(()));
        }
    }

    /// What else it printed on standard output until it ended.
    #[must_use]
    pub fn rest_of_stdout(&mut self) -> String {
        let mut text = String::new();
        self.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Default for Instance {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if thread::panicking() {
                self.kill();
            } else {
                self.stop();
            }
        }
        drop(std::fs::remove_file(&self.log));
        drop(std::fs::remove_file(self.dir.with_extension("toml")));
    }
}

/// Is there a process with this id that has not ended?
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, tail)| tail.trim().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Asks until there is an answer. The pause only spares the machine; what ends the wait is the answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < HANG, "waited too long for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn parse_ready(line: &str) -> Ready {
    let rest = line.trim_end().strip_prefix("ready ").unwrap_or_else(|| panic!("no ready line: {line:?}"));
    let field = |name: &str| {
        let start = format!("{name}=");
        rest.split(' ')
            .find_map(|f| f.strip_prefix(&start))
            .unwrap_or_else(|| panic!("no {name} in {line:?}"))
            .to_owned()
    };
    Ready {
        proxy: field("proxy").parse().unwrap(),
        api: field("api"),
        socket: field("socket").into(),
        ca: field("ca").into(),
    }
}
