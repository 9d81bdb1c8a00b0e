//! A running dialer, and origins for it to connect to.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use merlon_sandbox::{seqpacket, spawn};
use merlon_wire::link::{AsyncLink, ConnectError, DialerClient, Limits};
use merlon_wire::parent::{FromChild, Ready, ToChild};
use merlon_wire::{Hello, Role};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longer than the dialer's own limits.
const LIMITS: Limits = Limits { in_flight: 2048, answer: Duration::from_secs(30) };

/// The program under test.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_merlon-dialer"));
    command.stdin(Stdio::null()).env_clear();
    command
}

/// Files of one test, gone afterwards.
pub(crate) struct Files(PathBuf);

impl Files {
    /// A configuration (which also has to hold on kernels without Landlock) and a hosts file.
    pub(crate) fn new(config: &str, hosts: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("merlon-dialer-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let files = Self(dir);
        files.configure(config);
        std::fs::write(files.hosts(), hosts).unwrap();
        files
    }

    pub(crate) fn configure(&self, config: &str) {
        let text = format!("[sandbox]\nrequired = false\n{config}");
        std::fs::write(self.path("merlon.toml"), text).unwrap();
    }

    pub(crate) fn hosts(&self) -> PathBuf {
        self.path("hosts")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The program with these files, and no name server.
    pub(crate) fn program(&self) -> Command {
        let mut command = program();
        command.arg("--config").arg(self.path("merlon.toml"));
        command.arg("--hosts").arg(self.hosts());
        command.arg("--resolv-conf").arg(self.path("resolv.conf"));
        command
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A dialer with a parent, as under `merlond run`.
pub(crate) struct Running {
    process: Child,
    parent: OwnedFd,
    pub(crate) files: Files,
}

impl Running {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(config: &str, hosts: &str, own_listeners: &[SocketAddr]) -> Self {
        let files = Files::new(config, hosts);
        let (parent, theirs) = seqpacket::pair().unwrap();
        let mut command = files.program();
        for address in own_listeners {
            command.arg("--own-listener").arg(address.to_string());
        }
        spawn::inheriting(&mut command, &[("parent", theirs.as_fd())]).unwrap();
        let process = command.spawn().unwrap();
        drop((command, theirs));
        let mut buffer = [0; 64];
        let received = seqpacket::recv(&parent, &mut buffer).unwrap();
        let ready: FromChild = merlon_wire::decode(&buffer[..received.len]).unwrap();
        assert_eq!(ready, FromChild::Ready(Ready::Dialer));
        Self { process, parent, files }
    }

    /// The engine's end of a new link.
    pub(crate) fn link(&self) -> OwnedFd {
        let (ours, theirs) = seqpacket::pair().unwrap();
        let mut buffer = [0; 64];
        let used = merlon_wire::encode(&ToChild::Link { peer: Role::Engine }, &mut buffer).unwrap();
        seqpacket::send(&self.parent, &buffer[..used], Some(theirs.as_fd())).unwrap();
        ours
    }

    /// A client over a new link, and the greeting that came first.
    pub(crate) async fn client(&self) -> (DialerClient, Hello) {
        client_over(self.link()).await
    }

    /// The parent hangs up.
    pub(crate) fn abandon(mut self) -> ExitStatus {
        let (other, _) = seqpacket::pair().unwrap();
        self.parent = other;
        self.process.wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    /// It has not ended.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client over the engine's end of a link.
pub(crate) async fn client_over(link: OwnedFd) -> (DialerClient, Hello) {
    let link = AsyncLink::new(link).unwrap();
    let hello = link.receive_hello(Role::Dialer, None).await.unwrap();
    let (client, driver) = DialerClient::new(link, LIMITS);
    tokio::spawn(driver.run());
    (client, hello)
}

/// Connects and takes the connection over as a blocking stream.
pub(crate) async fn connect(
    client: &DialerClient,
    host: &str,
    port: u16,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let connected = client.connect(host, port).await?;
    let stream = TcpStream::from(connected.fd);
    stream.set_nonblocking(false).unwrap();
    Ok((stream, connected.address))
}

/// An origin that only listens. Its queue is longer than any test fills it: what overflows is connected for the client and
/// never seen by `accept`.
pub(crate) fn origin(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind(address).unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(2048).unwrap()).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Nobody is waiting to be accepted.
pub(crate) fn is_unvisited(origin: &TcpListener) -> bool {
    origin.accept().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// An origin whose queue is full, so that it answers nobody; and what fills it.
pub(crate) fn silent_origin() -> (OwnedFd, Vec<OwnedFd>, u16) {
    use nix::sys::socket::*;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let stream = || socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    let listener = stream();
    let raw = |fd: &OwnedFd| std::os::fd::AsRawFd::as_raw_fd(fd);
    bind(raw(&listener), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let address: SockaddrIn = getsockname(raw(&listener)).unwrap();
    // Two fill a queue of "0"; some more do no harm.
    let filling = (0..4)
        .map(|_| {
            let client = stream();
            let _ = connect(raw(&client), &address);
            client
        })
        .collect();
    (listener, filling, address.port())
}

/// Waits for the end of a program that is expected to end by itself.
pub(crate) fn exit_code(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Puts another file in the place of this one.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}
