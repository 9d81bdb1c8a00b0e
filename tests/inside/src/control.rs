//! A process that nothing confines, to which a try must give another answer.
//!
//! Owned here: its start and its end. It is this program again, which waits until its standard input is closed; so it
//! does not survive whoever tries. Each try gets a new one, since a try may leave nothing of it.

use std::io::{self, Read as _};
use std::process::{Child, Command, Stdio};

use nix::unistd::Pid;

use crate::attempt::{Places, Try};
use crate::tracee::{TraceError, Tracee};
use crate::trial;

/// The hidden command line of the waiting process.
pub(crate) const WAIT: &str = "wait-to-be-tried";

/// Waits for the end of standard input.
///
/// # Errors
/// It cannot be read.
pub(crate) fn wait() -> io::Result<()> {
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

/// Why there is no answer to compare with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("a process to compare with cannot be started: {0}")]
    Start(io::Error),
    #[error(transparent)]
    Trace(#[from] TraceError),
}

/// What an unconfined process is answered.
///
/// # Errors
/// It cannot be started or traced.
pub(crate) fn answer(one: &Try, places: &Places) -> Result<i64, ControlError> {
    let program = std::env::current_exe().map_err(ControlError::Start)?;
    let mut child = Command::new(program)
        .arg(WAIT)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(ControlError::Start)?;
    let answered = try_in(&child, one, places);
    // It may be another program by now, or stand still; nothing of it is needed any more.
    child.kill().map_err(ControlError::Start)?;
    child.wait().map_err(ControlError::Start)?;
    answered
}

fn try_in(child: &Child, one: &Try, places: &Places) -> Result<i64, ControlError> {
    let pid = Pid::from_raw(child.id().cast_signed());
    let mut tracee = Tracee::enter(pid)?;
    let answer = trial::make(&mut tracee, one, places)?;
    // Whatever it has become, it is ended.
    tracee.abandon();
    Ok(answer)
}
