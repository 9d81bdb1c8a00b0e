//! Threads that only read, each with a connection of its own. They see what is committed, and never hold up the writer.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::{StoreError, begin};

/// Threads.
const THREADS: usize = 3;
/// Reads that may wait.
const WAITING: usize = 4096;

type Look = Box<dyn FnOnce(&Connection) + Send>;

/// The threads, and the way to them.
pub(super) struct Readers {
    looks: Option<SyncSender<Look>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts the threads, each over a connection that `open` makes.
    pub(super) fn start(open: impl Fn() -> Result<Connection, StoreError>) -> Result<Self, StoreError> {
        let (looks, waiting) = sync_channel::<Look>(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut threads = Vec::with_capacity(THREADS);
        for number in 0..THREADS {
            let connection = open()?;
            let waiting = Arc::clone(&waiting);
            let thread = std::thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || {
                    while let Some(look) = next(&waiting) {
                        look(&connection);
                    }
                })
                .map_err(|error| StoreError::Thread(Arc::new(error)))?;
            threads.push(thread);
        }
        Ok(Self { looks: Some(looks), threads })
    }

    /// Runs a read on one of the threads.
    pub(super) async fn run<T, F>(&self, look: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Look = Box::new(move |connection| {
            let result =
                begin(connection, TransactionBehavior::Deferred).map_err(StoreError::from).and_then(|tx| look(&tx));
            // Whoever gave up waiting does not want it.
            drop(answer.send(result));
        });
        let looks = self.looks.as_ref().ok_or(StoreError::Closed)?;
        looks.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.looks.take());
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// One thread at a time waits for the next read; the others wait for that one.
fn next(waiting: &Mutex<Receiver<Look>>) -> Option<Look> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
