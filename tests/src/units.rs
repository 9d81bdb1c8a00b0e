//! The processes of an instance, each started as its systemd unit would start it: with the unit's sockets as
//! `LISTEN_FDS` and a notify socket. The sockets outlive the processes, as they do there.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};

use crate::TempDir;
use crate::instance::wait_for;
use crate::process::{output, program, signal};

/// An instance's directory, configuration and sockets.
pub struct Units {
    dir: TempDir,
    /// The proxy's socket.
    pub proxy: TcpListener,
    /// The API's socket.
    pub api: TcpListener,
    api_unix: UnixListener,
    link_keeper: OwnedFd,
    link_dialer: OwnedFd,
    admin: OwnedFd,
}

/// How a process is started besides.
#[derive(Default)]
pub struct Start {
    /// Names of sockets that are not handed over.
    pub without: Vec<&'static str>,
    /// More arguments.
    pub arguments: Vec<String>,
    /// More variables of its environment.
    pub environment: Vec<(&'static str, String)>,
}

/// One running process; killed when dropped.
pub struct Service {
    child: Child,
    notify: UnixDatagram,
    told: Vec<String>,
    log: PathBuf,
}

impl Units {
    /// A new instance whose first keyslot is a file. `config` is appended to what names the listeners.
    #[must_use]
    pub fn new(config: &str) -> Self {
        let dir = TempDir::new("units");
        for part in ["store", "keeper", "run"] {
            std::fs::create_dir(dir.path().join(part)).unwrap();
        }
        let run = dir.path().join("run");
        let seqpacket = |name: &str| seqpacket(&run.join(name));
        let units = Self {
            proxy: TcpListener::bind("127.0.0.1:0").unwrap(),
            api: TcpListener::bind("127.0.0.1:0").unwrap(),
            api_unix: UnixListener::bind(run.join("api.sock")).unwrap(),
            link_keeper: seqpacket("link-keeper.sock"),
            link_dialer: seqpacket("link-dialer.sock"),
            admin: seqpacket("admin.sock"),
            dir,
        };
        units.configure(config);
        units
    }

    /// Writes the configuration anew, in place; it names the sockets that are there.
    pub fn configure(&self, config: &str) {
        let (proxy, api) = (self.proxy_address(), self.api.local_addr().unwrap());
        let listeners = format!("proxy.listen = ['{proxy}']\napi.listen = ['{api}']\ntpm.first_slot = false\n");
        self.write(&format!("{listeners}{config}"));
    }

    /// Writes the whole configuration.
    pub fn write(&self, text: &str) {
        std::fs::write(self.config(), text).unwrap();
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("default.toml")
    }

    /// A file or directory of the instance.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the proxy listens.
    #[must_use]
    pub fn proxy_address(&self) -> SocketAddr {
        self.proxy.local_addr().unwrap()
    }

    /// `merlond@`.
    #[must_use]
    pub fn engine(&self, start: &Start) -> Service {
        let sockets = [
            ("proxy", self.proxy.as_fd()),
            ("api", self.api_unix.as_fd()),
            ("api", self.api.as_fd()),
            ("link-keeper", self.link_keeper.as_fd()),
            ("link-dialer", self.link_dialer.as_fd()),
            // Another release's unit may hand over what this one's engine does not know.
            ("unknown", self.admin.as_fd()),
        ];
        let [config, store] = [self.config(), self.path("store")].map(|path| path.display().to_string());
        self.start("merlond", &["engine", "--config", &config, "--store", &store], &sockets, start)
    }

    /// `merlon-keeper@`.
    #[must_use]
    pub fn keeper(&self, start: &Start) -> Service {
        let [dir, config, link] = [self.path("keeper"), self.config(), self.path("run/link-keeper.sock")]
            .map(|path| path.display().to_string());
        let arguments = ["--dir", &dir, "--config", &config, "--link", &link];
        self.start("merlon-keeper", &arguments, &[("admin", self.admin.as_fd())], start)
    }

    /// `merlon-seal@`.
    #[must_use]
    pub fn seal(&self, start: &Start) -> Service {
        let config = self.config().display().to_string();
        self.start("merlon-seal", &["--config", &config], &[("seal", self.admin.as_fd())], start)
    }

    /// A `merlon-seal` that hangs, at `run/seal.sock`: nobody answers there until this is dropped, which ends it.
    #[must_use]
    pub fn seal_that_hangs(&self) -> OwnedFd {
        seqpacket(&self.path("run/seal.sock"))
    }

    /// `merlon-dialer@`.
    #[must_use]
    pub fn dialer(&self, start: &Start) -> Service {
        let [config, link] = [self.config(), self.path("run/link-dialer.sock")].map(|path| path.display().to_string());
        self.start("merlon-dialer", &["--config", &config, "--link", &link], &[], start)
    }

    /// Engine, keeper and dialer, each ready.
    #[must_use]
    pub fn all(&self) -> [Service; 3] {
        let start = Start::default();
        let mut all = [self.engine(&start), self.keeper(&start), self.dialer(&start)];
        for service in &mut all {
            service.ready();
        }
        all
    }

    fn start(&self, name: &str, arguments: &[&str], sockets: &[(&str, BorrowedFd<'_>)], start: &Start) -> Service {
        let sockets: Vec<_> = sockets.iter().filter(|(name, _)| !start.without.contains(name)).collect();
        for (_, socket) in &sockets {
            fcntl(socket, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        }
        // To high numbers first, so that none is overwritten before it is copied; then from 3 on, as systemd has them.
        let high: String =
            sockets.iter().zip(0..).map(|((_, fd), i)| format!(" {{a{i}}}<&{}", fd.as_raw_fd())).collect();
        let low: String = (0..sockets.len()).map(|i| format!(" {}<&${{a{i}}}", i + 3)).collect();
        let script = match sockets.len() {
            0 => "exec \"$@\"".to_owned(),
            _ => format!("exec{high}\nexec{low}\nexport LISTEN_PID=$$\nexec \"$@\""),
        };
        let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
        let notify_path = self.path(&format!("run/notify-{name}"));
        drop(std::fs::remove_file(&notify_path));
        let notify = UnixDatagram::bind(&notify_path).unwrap();
        notify.set_nonblocking(true).unwrap();
        let log = self.path(&format!("{name}.log"));
        let log_file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new("/bin/bash");
        command.args(["-c", &script, "bash"]).arg(program(name)).args(arguments).args(&start.arguments).env_clear();
        command.env("NOTIFY_SOCKET", &notify_path).envs(start.environment.iter().map(|(name, value)| (name, value)));
        if !sockets.is_empty() {
            command.env("LISTEN_FDS", sockets.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file).spawn().unwrap();
        Service { child, notify, told: Vec::new(), log }
    }

    /// `curl` through the proxy, trusting the instance's CA.
    #[must_use]
    pub fn curl(&self, arguments: &[&str]) -> Output {
        let proxy = format!("http://{}", self.proxy_address());
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "50", "--noproxy", "", "--proxy", &proxy, "--cacert"]);
        output(command.arg(self.path("store/ca.pem")).args(arguments).env_clear().env("PATH", "/usr/bin:/bin"))
    }

    /// The answer's status code and body, as `curl` through the proxy has it.
    #[must_use]
    pub fn get(&self, url: &str) -> String {
        crate::process::stdout(&self.curl(&["--write-out", " %{http_code}", url]))
    }

    /// Runs `merlon --data-dir DIR ARGUMENTS`: the directory is laid out as `merlond run` does it.
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> Output {
        output(Command::new(program("merlon")).arg("--data-dir").arg(self.dir.path()).args(arguments))
    }
}

fn seqpacket(path: &Path) -> OwnedFd {
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(socket.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
    listen(&socket, Backlog::new(16).unwrap()).unwrap();
    socket
}

impl Service {
    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far, and those before it.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// What it has told the service manager so far.
    pub fn told(&mut self) -> &[String] {
        let mut buffer = [0; 4096];
        while let Ok(len) = self.notify.recv(&mut buffer) {
            self.told.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
        }
        &self.told
    }

    /// Waits until it has told this; returns the whole message.
    pub fn tells(&mut self, part: &str) -> String {
        self.tells_after(0, part)
    }

    /// The same, in messages from this number on.
    pub fn tells_after(&mut self, first: usize, part: &str) -> String {
        wait_for(&format!("{part:?}, see {}", self.log.display()), || {
            let found = self.told().iter().skip(first).find(|told| told.contains(part)).cloned();
            if found.is_none()
                && let Some(status) = self.child.try_wait().unwrap()
            {
                panic!("it ended with {status} before {part:?}: {}", self.log());
            }
            found
        })
    }

    /// Waits until it is ready.
    pub fn ready(&mut self) {
        self.tells("READY=1");
    }

    /// Waits for a part of its log.
    pub fn logs(&self, part: &str) {
        wait_for(&format!("{part:?} in {}", self.log()), || self.log().contains(part).then_some(()));
    }

    /// Sends it a signal.
    pub fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait_for("a process's end", || child.try_wait().unwrap())
    }

    /// Stops it in order.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
