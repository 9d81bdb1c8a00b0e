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
pub const MARGIN: Duration = Duration::from_secs(5);
/// The longest message on this socket.
const MAX_MESSAGE: usize = 4096;

/// How `merlon-seal` is started.
pub struct SealRecipe {
    /// Its program.
    pub program: PathBuf,
    /// The instance's configuration.
    pub config: PathBuf,
    /// After so long it is killed: what one operation may take, and [`MARGIN`].
    pub limit: Duration,
}

/// What answers the keeper.
pub struct Sealer {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Sealer {
    /// Answers on `socket` from now on. Needs a tokio runtime with IO and time.
    ///
    /// # Errors
    /// If the descriptor cannot be watched.
    ///
    /// # Errors
    /// If the socket cannot be made non-blocking or watched.
    pub fn start(recipe: SealRecipe, socket: OwnedFd) -> io::Result<Self> {
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
    pub async fn stop(self) {
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
                *running = Some(Running { process, until: Instant::now() + recipe.limit });
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
    if let Some(directory) = std::env::var_os(crate::child::CREDENTIALS) {
        command.env(crate::child::CREDENTIALS, directory);
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A program in place of `merlon-seal`, in a directory of its own.
    fn program(name: &str, script: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("merlon-seal-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("merlon-seal");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Asks as a keeper does: the connection, or why there is none.
    async fn open(keeper: &AsyncLink) -> Result<AsyncLink, String> {
        let mut frame = [0; MAX_MESSAGE];
        loop {
            let used = encode(&SealAsk::Open, &mut frame).unwrap();
            keeper.send(&frame[..used], None).await.unwrap();
            let received = keeper.recv(&mut frame).await.unwrap();
            match decode(&frame[..received.len]).unwrap() {
                SealAnswer::Opened => return Ok(AsyncLink::new(received.fd.unwrap()).unwrap()),
                // ETXTBSY: another test forked while this one wrote its program.
                SealAnswer::Failed(why) if why.contains("os error 26") => {}
                SealAnswer::Failed(why) => return Err(why),
            }
        }
    }

    fn start_with(program: PathBuf, limit: Duration) -> (Sealer, AsyncLink) {
        let (parent, keeper) = seqpacket::pair().unwrap();
        let recipe = SealRecipe { program, config: "/etc/merlon/x.toml".into(), limit };
        (Sealer::start(recipe, parent).unwrap(), AsyncLink::new(keeper).unwrap())
    }

    async fn hung_up(connection: &AsyncLink) -> bool {
        connection.recv(&mut [0; 64]).await.unwrap().len == 0
    }

    #[tokio::test]
    async fn a_missing_program_is_an_answer() {
        let (sealer, keeper) = start_with("/nonexistent/merlon-seal".into(), Duration::from_secs(60));
        for _ in 0..2 {
            let why = open(&keeper).await.err().unwrap();
            assert!(why.contains("/nonexistent/merlon-seal"), "{why}");
        }
        sealer.stop().await;
        assert!(hung_up(&keeper).await);
    }

    #[tokio::test]
    async fn each_ask_starts_one_program_with_its_arguments_and_no_environment() {
        let path = program("plain", "#!/bin/sh\nenv > \"$0.env\"; echo \"$@\" >> \"$0.ran\"\n");
        let beside = |suffix: &str| fs::read_to_string(path.with_file_name(format!("merlon-seal.{suffix}"))).unwrap();
        let (sealer, keeper) = start_with(path.clone(), Duration::from_secs(60));
        for _ in 0..3 {
            let connection = open(&keeper).await.unwrap();
            assert!(hung_up(&connection).await, "it has ended, and nobody else holds its end");
        }
        sealer.stop().await;
        let ran = beside("ran");
        assert_eq!(ran.lines().count(), 3, "{ran}");
        for line in ran.lines() {
            assert!(line.starts_with("--config /etc/merlon/x.toml --fd seal="), "{line}");
        }
        // What a shell sets by itself does not count.
        let environment = beside("env");
        let own = ["PWD=", "SHLVL=", "_=", "OLDPWD="];
        let passed: Vec<_> = environment.lines().filter(|line| !own.iter().any(|own| line.starts_with(own))).collect();
        assert_eq!(passed, ["TSS2_LOG=all+NONE"]);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_and_the_next_one_waits_for_that() {
        let path = program("hangs", "#!/bin/sh\nexec sleep 1000\n");
        let (sealer, keeper) = start_with(path.clone(), Duration::from_millis(300));
        let begun = Instant::now();
        let first = open(&keeper).await.unwrap();
        let second = open(&keeper).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(300), "never two at once");
        assert!(hung_up(&first).await, "it was killed");
        assert!(hung_up(&second).await, "and so is the next, without being asked for");
        sealer.stop().await;
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn what_runs_ends_with_the_instance() {
        let path = program("stops", "#!/bin/sh\nexec sleep 1000\n");
        let (sealer, keeper) = start_with(path.clone(), Duration::from_secs(600));
        let connection = open(&keeper).await.unwrap();
        sealer.stop().await;
        assert!(hung_up(&connection).await);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
