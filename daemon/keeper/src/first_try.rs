//! The first try of a start to open the instance, in a thread of its own: a TPM or a token may take long, and whoever
//! asks for the status, asks the keeper to stop or watches over it does not wait for that.

use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::keeper::{Keeper, KeeperError};

/// A try that is under way.
pub(crate) struct FirstTry {
    thread: JoinHandle<Result<(), KeeperError>>,
    /// Hangs up when the thread is over, however it ends.
    over: PipeReader,
}

impl FirstTry {
    /// Begins.
    ///
    /// # Errors
    /// There is no pipe or no thread to be had.
    pub(crate) fn begin(keeper: &Arc<Keeper>) -> io::Result<Self> {
        let keeper = Arc::clone(keeper);
        let (over, open) = io::pipe()?;
        let thread = thread::Builder::new().name("first try".to_owned()).spawn(move || {
            let _open = open;
            keeper.open_by_itself()
        })?;
        Ok(Self { thread, over })
    }

    /// What it came to; waits for it.
    ///
    /// # Errors
    /// Those of [`Keeper::open_by_itself`], or it panicked.
    pub(crate) fn outcome(self) -> Result<(), KeeperError> {
        self.thread.join().unwrap_or(Err(KeeperError::Panic))
    }
}

impl AsFd for FirstTry {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.over.as_fd()
    }
}
