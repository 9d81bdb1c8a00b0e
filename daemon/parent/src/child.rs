//! One child of the parent: how it is started, what it said, how it ended.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use merlon_sandbox::{seqpacket, spawn};
use merlon_wire::link::AsyncLink;
use merlon_wire::parent::{FromChild, Ready, ToChild};
use merlon_wire::{MAX_FRAME, Role};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child as Process, Command};

/// Where systemd puts a service's credentials: a path, for the keeper and `merlon-seal`.
pub(crate) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// How a child is started, the same each time.
pub struct Recipe {
    /// Which process.
    pub role: Role,
    /// Its program.
    pub program: PathBuf,
    /// Its arguments, without descriptors.
    pub arguments: Vec<String>,
    /// What it inherits besides the parent's socket.
    pub inherited: Vec<(&'static str, OwnedFd)>,
}

/// A running child.
pub(crate) struct Child {
    /// Which process.
    pub(crate) role: Role,
    process: Process,
    socket: AsyncLink,
}

impl Recipe {
    /// Starts the child in a process group of its own, so that Ctrl-C reaches the parent alone; its environment has
    /// settings only, and for the keeper where its credentials are.
    pub(crate) fn start(&self) -> io::Result<Child> {
        let (ours, theirs) = seqpacket::pair()?;
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments).env_clear();
        let passed = |name: &str| is_setting(name) || (self.role == Role::Keeper && name == CREDENTIALS);
        command.envs(std::env::vars_os().filter(|(name, _)| passed(name.to_str().unwrap_or_default())));
        let mut inherited: Vec<(&str, BorrowedFd<'_>)> = vec![("parent", theirs.as_fd())];
        inherited.extend(self.inherited.iter().map(|(name, fd)| (*name, fd.as_fd())));
        spawn::inheriting(&mut command, &inherited)?;
        let mut command = Command::from(command);
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        let process = command
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("{} cannot be started: {e}", self.program.display())))?;
        Ok(Child { role: self.role, process, socket: AsyncLink::new(ours)? })
    }
}

impl Child {
    /// Hands the child a new link to `peer`.
    pub(crate) async fn give_link(&self, peer: Role, link: &OwnedFd) -> io::Result<()> {
        let mut buffer = [0; 64];
        let used = merlon_wire::encode(&ToChild::Link { peer }, &mut buffer).map_err(io::Error::other)?;
        self.socket.send(&buffer[..used], Some(link.as_fd())).await
    }

    /// The child's next word (none once it has hung up), or its end.
    pub(crate) async fn word_or_end(&mut self) -> io::Result<Result<Option<Ready>, ExitStatus>> {
        let mut buffer = vec![0; MAX_FRAME];
        let len = tokio::select! {
            received = self.socket.recv(&mut buffer) => received?.len,
            status = self.process.wait() => return status.map(Err),
        };
        if len == 0 {
            return Ok(Ok(None));
        }
        let FromChild::Ready(ready) = merlon_wire::decode(&buffer[..len]).map_err(io::Error::other)?;
        Ok(Ok(Some(ready)))
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.process.wait().await
    }

    /// Has it read its configuration again. A child that has ended is not there to hear it, and its next one reads anyway.
    pub(crate) fn ask_to_reload(&self) {
        let pid = self.process.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.map(Pid::from_raw)
            && let Err(error) = kill(pid, Signal::SIGHUP)
        {
            crate::log::warn(format_args!("{} was not told to read its configuration: {error}", self.role.program()));
        }
    }

    /// Asks it to stop in order.
    pub(crate) fn ask_to_stop(&self) {
        self.socket.hang_up();
    }

    /// Ends it at once.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.process.kill().await
    }
}

/// The program beside our own.
#[must_use]
pub fn beside(own: &Path, name: &str) -> PathBuf {
    own.with_file_name(name)
}

fn is_setting(name: &str) -> bool {
    name.starts_with("MERLON_")
}
