//! `merlon-seal`, which lives for one operation: started by a connection, caught before or within its sandbox.
//!
//! Owned here: asking it, finding it, and reading its answer afterwards. The question is what the TPM is, which changes
//! nothing.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use merlon_config::Paths;
use merlon_sandbox::seqpacket;
use merlon_wire::seal::{Failure, Request, Response};
use merlon_wire::{MAX_FRAME, decode, encode};
use nix::unistd::Pid;

/// How long its start may take; a machine under load is slow.
const START: Duration = Duration::from_secs(60);

/// Why `merlon-seal` could not be tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error("{socket} cannot be used: {source}")]
    Socket { socket: String, source: io::Error },
    #[error("no merlon-seal was started by a connection to {socket}; see its unit's journal")]
    NotStarted { socket: String },
    #[error("merlon-seal no longer answers after it was tried: {0}")]
    Answer(String),
}

/// A connection to a `merlon-seal` that has been asked nothing yet.
pub(crate) struct Asking {
    connection: OwnedFd,
    pub(crate) pid: Pid,
}

impl Asking {
    /// Connects to the instance's socket and waits for the process that this starts.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) fn start(socket: &Path) -> Result<Self, SealError> {
        let name = socket.display().to_string();
        let connection =
            seqpacket::connect(socket).map_err(|source| SealError::Socket { socket: name.clone(), source })?;
        let begun = Instant::now();
        while begun.elapsed() < START {
            if let Some(pid) = waiting(&name) {
                return Ok(Self { connection, pid });
            }
            thread::sleep(Duration::from_millis(2));
        }
        Err(SealError::NotStarted { socket: name })
    }

    /// Asks what the TPM is.
    ///
    /// # Errors
    /// The frame cannot be sent.
    pub(crate) fn ask(&self) -> io::Result<()> {
        let mut frame = vec![0; MAX_FRAME];
        let length = encode(&Request::Describe { pcrs: vec![7] }, &mut frame).map_err(io::Error::other)?;
        seqpacket::send(&self.connection, &frame[..length], None)
    }

    /// The answer, in a word; it has to be a report or the word that there is no TPM.
    ///
    /// # Errors
    /// [`SealError::Answer`].
    pub(crate) fn answer(&self) -> Result<&'static str, SealError> {
        let refused = |problem: String| SealError::Answer(problem);
        let mut frame = vec![0; MAX_FRAME];
        let received = seqpacket::recv(&self.connection, &mut frame).map_err(|error| refused(error.to_string()))?;
        match decode::<Response<'_>>(&frame[..received.len]).map_err(|error| refused(error.to_string()))? {
            Response::Report(_) => Ok("a report of the TPM"),
            Response::Failed(Failure::NoDevice { .. }) => Ok("the word that there is no TPM"),
            other => Err(refused(format!("{other:?}"))),
        }
    }
}

/// The `merlon-seal` that sleeps in a call of `recvmsg` or `recvfrom`: it has taken the connection and is before its
/// sandbox.
fn waiting(socket: &str) -> Option<Pid> {
    let instance = Path::new(socket).parent()?.file_name()?.to_str()?.to_owned();
    let of_the_hub = Path::new(socket) == Paths::hub().seal_socket();
    let unit =
        if of_the_hub { "merlon-hub-seal.service".to_owned() } else { format!("merlon-seal@{instance}.service") };
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
        let of_unit = fs::read_to_string(entry.path().join("cgroup")).ok()?.lines().any(|line| line.ends_with(&unit));
        let call = fs::read_to_string(entry.path().join("syscall")).ok()?;
        let number = call.split_whitespace().next()?.parse::<i64>().ok()?;
        let receives = number == libc::SYS_recvmsg || number == libc::SYS_recvfrom;
        (of_unit && receives).then_some(Pid::from_raw(pid))
    })
}
