//! An instance that is being started and may wait, locked: what a test talks to before the ready line.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output};
use std::sync::mpsc;
use std::thread;

use nix::sys::signal::Signal;

use crate::instance::{HANG, Instance, Options, is_alive, wait_for};
use crate::process::{children, output, program, signal};

/// `merlond run` on a directory; stopped when dropped.
pub struct Starting {
    child: Child,
    dir: PathBuf,
    log: PathBuf,
    /// Its output stays open, as a terminal would.
    kept: Option<BufReader<ChildStdout>>,
}

impl Starting {
    /// Waits for nothing.
    #[must_use]
    pub fn new(dir: &Path, options: &Options) -> Self {
        let (child, log) = Instance::spawn(dir, options);
        Self { child, dir: dir.to_owned(), log, kept: None }
    }

    /// Returns when the instance says that it is locked.
    #[must_use]
    pub fn locked(dir: &Path, options: &Options) -> Self {
        let mut starting = Self::new(dir, options);
        wait_for("the instance to say that it is locked", || {
            let log = starting.log();
            let ended = starting.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended with {ended:?}: {log}");
            log.contains("the instance is locked").then_some(())
        });
        starting
    }

    /// The parent's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the instance has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Runs `merlon --data-dir DIR ARGUMENTS`.
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> Output {
        output(Command::new(program("merlon")).arg("--data-dir").arg(&self.dir).args(arguments))
    }

    /// Waits for the ready line.
    pub fn ready(&mut self) {
        let mut out = BufReader::new(self.child.stdout.take().unwrap());
        let (told, heard) = mpsc::channel();
        let reading = thread::spawn(move || {
            let mut line = String::new();
            let read = out.read_line(&mut line).map(|_| line);
            // The test may have given up.
            drop(told.send(read));
            out
        });
        let line = heard.recv_timeout(HANG).unwrap_or_else(|_| panic!("not ready in time: {}", self.log())).unwrap();
        self.kept = Some(reading.join().unwrap());
        assert!(line.starts_with("ready proxy="), "{line:?}: {}", self.log());
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let all = children(self.child.id());
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            signal(self.child.id(), Signal::SIGTERM);
            drop(self.child.wait());
        }
        for (pid, _) in all {
            wait_for("a process's end", || (!is_alive(pid)).then_some(()));
        }
        drop(std::fs::remove_file(&self.log));
        drop(std::fs::remove_file(self.dir.with_extension("toml")));
    }
}
