//! Programs of other people that `scripts/setup-test` installs: OAuth clients and an authorization server, on Node and
//! Python. The scripts that use them are in `tests/foreign`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::process::{output, stderr, stdout};

/// The scripts, and what was installed for them.
fn directory() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign");
    assert!(
        dir.join("node_modules").is_dir(),
        "run scripts/setup-test first: nothing is installed in {}",
        dir.display()
    );
    dir
}

/// The release of an installed npm package.
#[must_use]
pub fn release(package: &str) -> String {
    let manifest = directory().join("node_modules").join(package).join("package.json");
    let manifest: Value = serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    manifest["version"].as_str().unwrap().to_owned()
}

/// Runs a script to its end and returns the lines that it printed; it must succeed.
#[must_use]
pub fn run(interpreter: &str, script: &str, arguments: &[&str]) -> Vec<String> {
    let done = output(Command::new(interpreter).arg(directory().join(script)).args(arguments));
    let lines = stdout(&done);
    assert!(done.status.success(), "{script} ended with {} after\n{lines}\n{}", done.status, stderr(&done));
    lines.lines().map(str::to_owned).collect()
}

/// npm `oidc-provider`, serving; ends when dropped.
pub struct Provider {
    child: Child,
    /// Its issuer.
    pub issuer: String,
}

impl Provider {
    /// Starts one on a free port.
    #[must_use]
    pub fn start() -> Self {
        let mut command = Command::new("node");
        command.arg(directory().join("servers/oidc-provider.mjs"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let issuer = line.trim_end().strip_prefix("ready issuer=").expect("the provider starts").to_owned();
        Self { child, issuer }
    }

    /// A person signs in at the provider and consents to what waits at this address; what the last page says.
    #[must_use]
    pub fn approve(&self, address: &str, person: &str) -> String {
        run("node", "servers/approve.mjs", &[address, person]).join(" ")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}
