//! Starts `merlon-seal` when the keeper asks for it: one process for one operation, never two at once, killed if it
//! outlives its time. The keeper itself may start nothing, and nothing else may touch a TPM.
//!
//! What the two say to each other does not pass here: the keeper gets one end of a fresh socket pair, `merlon-seal` the
//! other.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use merlon_sandbox::{seqpacket, spawn};
use merlon_wire::link::AsyncLink;
use merlon_wire::parent::{SealAnswer, SealAsk};
use merlon_wire::{decode, encode};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::log;

/// How much longer than its own alarm a `merlon-seal` may live.
const MARGIN: Duration = Duration::from_secs(5);
/// The longest message on this socket.
const MAX_MESSAGE: usize = 4096;

/// How `merlon-seal` is started.
pub(super) struct SealRecipe {
    /// Its program.
    pub(super) program: PathBuf,
    /// The instance's configuration.
    pub(super) config: PathBuf,
    /// How long one operation may take.
    pub(super) limit: Duration,
}

/// What answers the keeper.
pub(super) struct Sealer {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Sealer {
    /// Answers on `socket` from now on. Needs a tokio runtime with IO and time.
    pub(super) fn start(recipe: SealRecipe, socket: OwnedFd) -> io::Result<Self> {
        let link = AsyncLink::new(socket)?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut running = None;
            let served = tokio::select! {
                served = serve(&recipe, &link, &mut running) => served,
                _ = stopped => Ok(()),
            };
            if let Err(error) = served {
                log::error(format_args!("the keeper is no longer answered when it asks for merlon-seal: {error}"));
            }
            if let Some(running) = &mut running {
                running.end().await;
            }
        });
        Ok(Self { stop, task })
    }

    /// Answers no more, and ends what runs.
    pub(super) async fn stop(self) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            log::error(format_args!("what starts merlon-seal failed: {error}"));
        }
    }
}

/// A `merlon-seal` under way.
struct Running {
    process: Child,
    until: Instant,
}

async fn serve(recipe: &SealRecipe, link: &AsyncLink, running: &mut Option<Running>) -> io::Result<()> {
    let mut buffer = [0; MAX_MESSAGE];
    loop {
        let len = tokio::select! {
            received = link.recv(&mut buffer) => received?.len,
            () = ended(running) => {
                *running = None;
                continue;
            }
        };
        if len == 0 {
            return Ok(());
        }
        let SealAsk::Open = decode(&buffer[..len]).map_err(io::Error::other)?;
        // The one before has answered, or the keeper has given it up; either way it ends within its time.
        if let Some(mut earlier) = running.take() {
            earlier.ended().await;
        }
        let (answer, socket) = match start(recipe) {
            Ok((process, socket)) => {
                *running = Some(Running { process, until: Instant::now() + recipe.limit + MARGIN });
                (SealAnswer::Opened, Some(socket))
            }
            Err(error) => {
                let why = format!("{} cannot be started: {error}", recipe.program.display());
                (SealAnswer::Failed(why), None)
            }
        };
        let used = encode(&answer, &mut buffer).map_err(io::Error::other)?;
        link.send(&buffer[..used], socket.as_ref().map(OwnedFd::as_fd)).await?;
    }
}

fn start(recipe: &SealRecipe) -> io::Result<(Child, OwnedFd)> {
    let (ours, theirs) = seqpacket::pair()?;
    let mut command = std::process::Command::new(&recipe.program);
    command.arg("--config").arg(&recipe.config);
    // The environment decides nothing, and libtss2 is told to keep off stderr: its words reach the keeper.
    command.env_clear().env("TSS2_LOG", "all+NONE");
    if let Some(directory) = std::env::var_os(super::child::CREDENTIALS) {
        command.env(super::child::CREDENTIALS, directory);
    }
    spawn::inheriting(&mut command, &[("seal", theirs.as_fd())])?;
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).kill_on_drop(true);
    Ok((command.spawn()?, ours))
}

/// Waits until the process under way has ended, and kills it when its time is over. Waits for ever if there is none.
async fn ended(running: &mut Option<Running>) {
    match running {
        Some(running) => running.ended().await,
        None => std::future::pending().await,
    }
}

impl Running {
    async fn ended(&mut self) {
        tokio::select! {
            status = self.process.wait() => tell(status),
            () = sleep_until(self.until) => {
                log::warn(format_args!("merlon-seal took too long and is killed; is the TPM or the token stuck?"));
                self.end().await;
            }
        }
    }

    /// Ends it at once.
    async fn end(&mut self) {
        if let Err(error) = self.process.kill().await {
            log::warn(format_args!("merlon-seal could not be killed: {error}"));
        }
    }
}

fn tell(status: io::Result<ExitStatus>) {
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => log::warn(format_args!("merlon-seal ended with {status}")),
        Err(error) => log::warn(format_args!("how merlon-seal ended is unknown: {error}")),
    }
}
