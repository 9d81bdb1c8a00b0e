//! A process that the run started: pinned to a core, its standard error in a file, its `ready` line parsed, and ended in
//! order when dropped.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a process may take to end when asked, before it is ended by force.
const STOP: Duration = Duration::from_secs(15);

/// A running process. Dropping it ends it.
pub(crate) struct Child {
    process: std::process::Child,
    // Open for as long as the child shall live, where the child watches it.
    stdin: Option<ChildStdin>,
}

/// The values of a `ready KEY=VALUE …` line.
pub(crate) struct Ready(BTreeMap<String, String>);

impl Ready {
    fn parse(line: &str) -> Option<Self> {
        let pairs = line.strip_prefix("ready ")?.split_ascii_whitespace();
        Some(Self(pairs.filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()))
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Result<&str> {
        self.0.get(key).map(String::as_str).ok_or_else(|| anyhow!("the ready line has no `{key}=`"))
    }
}

impl Child {
    /// Starts a program; `core` pins it and its descendants.
    pub(crate) fn start(program: &Path, arguments: &[OsString], core: Option<usize>, log: &Path) -> Result<Self> {
        Self::spawn(program, arguments, core, log, Stdio::null())
    }

    /// Starts a program and waits for its `ready` line.
    pub(crate) fn start_until_ready(
        program: &Path,
        arguments: &[OsString],
        core: Option<usize>,
        log: &Path,
        limit: Duration,
    ) -> Result<(Self, Ready)> {
        let mut child = Self::spawn(program, arguments, core, log, Stdio::piped())?;
        let stdout = child.process.stdout.take().context("the child has no standard output")?;
        let (lines, ready) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Later lines are read too, so that the child never waits for room, and dropped.
                if let Some(ready) = Ready::parse(&line) {
                    drop(lines.send(ready));
                }
            }
        });
        match ready.recv_timeout(limit) {
            Ok(ready) => Ok((child, ready)),
            Err(_) => bail!("{} did not get ready; its messages are in {}", program.display(), log.display()),
        }
    }

    fn spawn(program: &Path, arguments: &[OsString], core: Option<usize>, log: &Path, out: Stdio) -> Result<Self> {
        let mut command = match core {
            // Replaces itself by the program: the process id stays.
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string()]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let log = File::options().create(true).append(true).open(log).context("cannot open the log")?;
        let mut process = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stdin = process.stdin.take();
        Ok(Self { process, stdin })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Has it not ended yet?
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Ends it and waits. Says whether it had to be forced.
    pub(crate) fn stop(&mut self) -> bool {
        drop(self.stdin.take());
        if !self.lives() {
            return false;
        }
        // Not waited for yet, so the id is still its own.
        if let Ok(id) = i32::try_from(self.id()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        let began = Instant::now();
        while self.lives() {
            if began.elapsed() > STOP {
                drop(self.process.kill());
                drop(self.process.wait());
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_line_is_a_list_of_values() {
        let ready = Ready::parse("ready proxy=127.0.0.1:1 api=https://127.0.0.1:2 ca=/a/ca.pem").unwrap();
        assert_eq!(ready.get("proxy").unwrap(), "127.0.0.1:1");
        assert_eq!(ready.get("ca").unwrap(), "/a/ca.pem");
        assert!(ready.get("socket").is_err());
        assert!(Ready::parse("listening on 1").is_none());
    }
}
