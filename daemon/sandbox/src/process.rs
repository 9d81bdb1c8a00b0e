//! What a process gives up for good at its start.
//!
//! Owned here: privileges, dumps, the umask, limits and priority. Files, system calls and the network are the business
//! of `profile`.
#![expect(unsafe_code, reason = "setpriority has no safe wrapper, and a stray descriptor has no owner to close it")]

use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

/// Why a process could not be hardened.
#[derive(Debug, thiserror::Error)]
#[error("{step} was refused: {source}; the process does not go on without it")]
pub struct HardenError {
    step: &'static str,
    source: io::Error,
}

/// No new privileges, no core dumps, not dumpable (so that `/proc/PID` belongs to root), and files for the owner only.
///
/// Call it first in `main`, before threads.
///
/// # Errors
/// The kernel refused a step.
pub fn harden() -> Result<(), HardenError> {
    let failed = |step| move |errno: Errno| HardenError { step, source: errno.into() };
    prctl::set_no_new_privs().map_err(failed("prctl(PR_SET_NO_NEW_PRIVS)"))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(failed("setrlimit(RLIMIT_CORE)"))?;
    // Where core_pattern is a pipe the limit does not bind; this does.
    prctl::set_dumpable(false).map_err(failed("prctl(PR_SET_DUMPABLE)"))?;
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    Ok(())
}

/// Raises the soft limit of open files to `wanted`, or to the hard limit if that is lower. Answers what it is now.
///
/// # Errors
/// That of the kernel.
pub fn raise_nofile(wanted: u64) -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let aim = wanted.min(hard).max(soft);
    if aim > soft {
        setrlimit(Resource::RLIMIT_NOFILE, aim, hard)?;
    }
    Ok(aim)
}

/// Sets the nice value of this process: larger yields more.
///
/// # Errors
/// That of the kernel.
pub fn nice(value: i32) -> io::Result<()> {
    // SAFETY: setpriority takes three numbers and no pointer; `0` is the calling process.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) })?;
    Ok(())
}

/// Closes what was inherited by accident: every descriptor from 3 on that is not in `keep` and survives an exec. What
/// this process opened itself does not survive one, so it may be called at any time.
///
/// # Errors
/// The open descriptors cannot be listed.
pub fn close_inherited_except(keep: &[RawFd]) -> io::Result<()> {
    for number in open_descriptors()? {
        if number < 3 || keep.contains(&number) {
            continue;
        }
        // SAFETY: borrowed for one fcntl, which reports a closed number as EBADF.
        let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        let flags = nix::fcntl::fcntl(borrowed, FcntlArg::F_GETFD);
        if flags.is_ok_and(|flags| !FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC)) {
            // SAFETY: std and this crate open everything with CLOEXEC, so nothing in this process owns a descriptor
            // without it but whoever started us; `keep` holds those that were meant.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
    Ok(())
}

fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let listed: io::Result<Vec<RawFd>> = fs::read_dir("/proc/self/fd").and_then(|entries| {
        entries.map(|entry| Ok(entry?.file_name().to_str().and_then(|name| name.parse().ok()).unwrap_or(-1))).collect()
    });
    match listed {
        // Without /proc: every number that could be open.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
            Ok((3..RawFd::try_from(soft.min(1 << 20)).unwrap_or(RawFd::MAX)).collect())
        }
        other => other,
    }
}

/// How many threads this process has, as the kernel counts them.
///
/// # Errors
/// `/proc` is not there, or cannot be read.
pub(crate) fn thread_count() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/task")?.count())
}

/// What [`harden`] has achieved, as the kernel says it.
pub(crate) struct Hardening {
    pub(crate) no_new_privs: bool,
    pub(crate) core_dumps_off: bool,
    pub(crate) dumpable_off: bool,
}

pub(crate) fn hardening() -> Hardening {
    Hardening {
        no_new_privs: prctl::get_no_new_privs().unwrap_or(false),
        core_dumps_off: getrlimit(Resource::RLIMIT_CORE).is_ok_and(|limits| limits == (0, 0)),
        dumpable_off: prctl::get_dumpable().is_ok_and(|dumpable| !dumpable),
    }
}
