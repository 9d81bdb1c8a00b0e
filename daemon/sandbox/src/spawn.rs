//! Handing descriptors to a program that is about to be started.
//!
//! Owned here: that the child, and only the child, gets them. Which program it is, and when it is restarted, is the
//! parent's business.
#![expect(unsafe_code, reason = "only code that runs between fork and exec can open a descriptor to the child alone")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Appends `--fd NAME=N` for each descriptor to `command` and lets the child inherit them, for
/// [`crate::inherit::Inherited::take`]. The descriptors are duplicated: the caller may close its own at once. In this
/// process the duplicates stay close-on-exec, so that no other child can get them; they close with `command`.
///
/// # Errors
/// A descriptor cannot be duplicated.
pub fn inheriting(command: &mut Command, fds: &[(&str, BorrowedFd<'_>)]) -> io::Result<()> {
    let mut held: Vec<OwnedFd> = Vec::with_capacity(fds.len());
    for (name, fd) in fds {
        // std duplicates to a number from 3 on, with CLOEXEC.
        let copy = fd.try_clone_to_owned()?;
        command.arg("--fd").arg(format!("{name}={}", copy.as_raw_fd()));
        held.push(copy);
    }
    let open_to_child = move || -> io::Result<()> {
        for fd in &held {
            fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure only calls fcntl, which is async-signal-safe, on descriptors it owns;
    // it neither allocates nor locks, and an Errno becomes an io::Error without allocation.
    unsafe { command.pre_exec(open_to_child) };
    Ok(())
}
