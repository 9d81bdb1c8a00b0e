//! A TPM emulator of its own for a test: `swtpm` on two free ports of loopback, in a directory that goes with it.
//!
//! This file stands alone (std and nix), so that the tests of `merlon-seal` can include it.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::Pid;

/// Ends a test that would hang.
const LIMIT_MILLISECONDS: u16 = 20_000;

/// An emulated TPM that runs.
pub struct Swtpm {
    dir: PathBuf,
    port: u16,
    child: Child,
}

impl Swtpm {
    /// A new TPM, as it comes from the factory, powered on.
    #[must_use]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("merlon-swtpm-{}-{number}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let (port, child) = power_on(&dir, None);
        Self { dir, port, child }
    }

    /// Where it takes commands. Control is at the next port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// As `tpm.tcti` in the configuration.
    #[must_use]
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    /// The sections of a configuration that lead to it.
    #[must_use]
    pub fn config(&self) -> String {
        format!("[tpm]\ntcti = \"{}\"\nallow_emulator = true\n", self.tcti())
    }

    /// Power off and on: PCRs begin anew, keys and counters stay. The address stays too.
    pub fn restart(&mut self) {
        self.power_off();
        (self.port, self.child) = power_on(&self.dir, Some(self.port));
    }

    /// Power off without a warning.
    pub fn power_off(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// It answers nothing from now on, until [`Self::go_on`].
    pub fn hang(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// It answers again.
    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Measures something into a PCR, as firmware does.
    pub fn extend(&self, pcr: u8) {
        self.tool("tpm2_pcrextend", &[&format!("{pcr}:sha256={}", "5a".repeat(32))]);
    }

    /// Runs one of tpm2-tools at it; it has to succeed.
    pub fn tool(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(["-T", &self.tcti()]).args(arguments).env("TSS2_LOG", "all+NONE").current_dir(&self.dir);
        let output = command.output().unwrap_or_else(|e| panic!("{program} cannot be run (package tpm2-tools): {e}"));
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// A directory for a test's own files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }
}

impl Default for Swtpm {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        // It may have ended already, and the directory may be gone.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// Starts it and waits until it listens: it writes its pid, into a pipe here, once it does.
fn power_on(dir: &Path, wanted: Option<u16>) -> (u16, Child) {
    // Another program may take a port between our look and swtpm's bind.
    for _ in 0..20 {
        let port = wanted.unwrap_or_else(free_ports);
        let ready = dir.join("ready");
        drop(fs::remove_file(&ready));
        nix::unistd::mkfifo(&ready, Mode::S_IRWXU).unwrap();
        let pipe: OwnedFd = nix::fcntl::open(&ready, OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()).unwrap();
        let mut child = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", dir.display())])
            .args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1,disconnect")])
            .args(["--ctrl", &format!("type=tcp,port={},bindaddr=127.0.0.1", port + 1)])
            .args(["--pid", &format!("file={}", ready.display())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("swtpm cannot be run (package swtpm): {e}"));
        let mut errors = child.stderr.take().unwrap();
        let mut ends = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN), PollFd::new(errors.as_fd(), PollFlags::empty())];
        assert_ne!(poll(&mut ends, PollTimeout::from(LIMIT_MILLISECONDS)).unwrap(), 0, "swtpm did not start in time");
        if ends[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)) {
            return (port, child);
        }
        child.wait().unwrap();
        let mut text = String::new();
        errors.read_to_string(&mut text).unwrap();
        assert!(text.contains("in use") || text.contains("bind"), "swtpm ended at its start: {text}");
    }
    panic!("no two ports in a row are free");
}

/// A port that is free, and the next one too.
fn free_ports() -> u16 {
    loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1)).is_ok() {
            return port;
        }
    }
}
