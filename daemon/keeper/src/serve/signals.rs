//! Signals, blocked and turned into a descriptor that the main thread waits for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// SIGTERM, SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// SIGTERM, SIGINT and SIGHUP. To be made before any thread.
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Under a parent an interrupt from the terminal, or its end, is the parent's business, which then hangs up.
    pub(crate) fn block(has_parent: bool) -> io::Result<Self> {
        let mut heard = SigSet::empty();
        heard.add(Signal::SIGTERM);
        let mut taken = heard;
        taken.add(Signal::SIGINT);
        taken.add(Signal::SIGHUP);
        taken.thread_block()?;
        if !has_parent {
            heard = taken;
        }
        Ok(Self(SignalFd::with_flags(&heard, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// The next signal, if there is one.
    pub(super) fn next(&self) -> io::Result<Option<Asked>> {
        let signal = self.0.read_signal()?;
        Ok(signal.map(|signal| if signal.ssi_signo == Signal::SIGHUP as u32 { Asked::Reload } else { Asked::Stop }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
