//! An emulated TPM 2.0 of a test's own: `swtpm` on two free loopback ports, with its state in a directory that goes
//! with it. One for each test: what one program leaves in a TPM must not reach another.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::TempDir;
use crate::instance::wait_for;
use crate::process::{output, signal, stderr};

/// A running TPM; ended when dropped.
pub struct Swtpm {
    state: TempDir,
    child: Child,
    port: u16,
}

impl Swtpm {
    /// A new TPM that nobody has used, switched on. All of its PCRs are zero.
    #[must_use]
    pub fn start() -> Self {
        let state = TempDir::new("swtpm");
        let mut setup = Command::new("swtpm_setup");
        setup.args(["--tpm2", "--overwrite", "--pcr-banks", "sha256", "--tpmstate"]).arg(state.path());
        let done = output(&mut setup);
        assert!(done.status.success(), "{setup:?}: {}", stderr(&done));
        // Between looking for ports and taking them another test may have taken them.
        for _ in 0..20 {
            let port = two_ports();
            if let Some(child) = run(&state, port) {
                return Self { state, child, port };
            }
        }
        panic!("swtpm found no ports");
    }

    /// As `tpm.tcti` in a configuration.
    #[must_use]
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    /// Sections `[tpm]` and `[keeper]` of a configuration that uses it, with a short limit for its operations.
    #[must_use]
    pub fn config(&self) -> String {
        format!("[tpm]\ntcti = '{}'\nallow_emulator = true\n[keeper]\nseal_seconds = 5\n", self.tcti())
    }

    /// Measures something into a PCR of bank SHA-256: each time the same, so that after a reset a machine can be made
    /// to look the same again.
    pub fn extend_pcr(&self, index: u8) {
        let digest = format!("{index}:sha256={}", "5a".repeat(32));
        let mut command = Command::new("tpm2_pcrextend");
        let done = output(command.arg(digest).env("TPM2TOOLS_TCTI", self.tcti()));
        assert!(done.status.success(), "{command:?}: {}", stderr(&done));
    }

    /// It stands still and answers nothing.
    pub fn stop(&self) {
        signal(self.child.id(), Signal::SIGSTOP);
    }

    /// It goes on.
    pub fn cont(&self) {
        signal(self.child.id(), Signal::SIGCONT);
    }

    /// It is gone, in the middle of whatever it did.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Switched off and on again: what it keeps is there, its PCRs are zero.
    pub fn restart(&mut self) {
        self.kill();
        let port = self.port;
        self.child = wait_for("swtpm's ports", || run(&self.state, port));
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        // It may have been killed already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts it; none if a port is taken.
fn run(state: &TempDir, port: u16) -> Option<Child> {
    let control = port + 1;
    let mut child = Command::new("swtpm")
        .args(["socket", "--tpm2", "--tpmstate"])
        .arg(format!("dir={}", state.path().display()))
        .args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1,disconnect")])
        .args(["--ctrl", &format!("type=tcp,port={control},bindaddr=127.0.0.1")])
        .args(["--flags", "not-need-init,startup-clear"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("swtpm cannot be run ({e}); run `make test`, or scripts/setup-test first"));
    wait_for("swtpm to answer or to end", || {
        if child.try_wait().unwrap().is_some() {
            return Some(None);
        }
        let answers = |port| TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok();
        (answers(control) && answers(port)).then_some(Some(()))
    })
    .map(|()| child)
}

/// A free port whose successor is free too.
fn two_ports() -> u16 {
    wait_for("two free ports", || {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        TcpListener::bind((Ipv4Addr::LOCALHOST, port.checked_add(1)?)).ok().map(|_| port)
    })
}
