//! The one thread that writes. It takes all changes that wait, runs each in a savepoint, commits them together, and only
//! then answers.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::cached::Cached;
use super::{StoreError, begin};

/// Changes that may wait. Each holds a request in memory.
const WAITING: usize = 4096;
/// Changes of one commit.
const TOGETHER: usize = 256;

/// One change with whoever waits for it.
trait Change: Send {
    /// Runs it in its savepoint; false: it failed, and is to be rolled back.
    fn run(&mut self, tx: &Transaction<'_>) -> bool;
    /// Its result, or why it came to nothing.
    fn answer(self: Box<Self>, failed: Option<&StoreError>);
}

struct Job<T, F> {
    change: Option<F>,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Change for Job<T, F>
where
    T: Send,
    F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, tx: &Transaction<'_>) -> bool {
        if let Some(change) = self.change.take() {
            self.result = Some(change(tx));
        }
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(mut self: Box<Self>, failed: Option<&StoreError>) {
        let result = match (self.result.take(), failed) {
            // Its own reason says more than that of the commit.
            (Some(Err(own)), _) => Err(own),
            (_, Some(error)) => Err(error.clone()),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(StoreError::Closed),
        };
        // Whoever gave up waiting does not want it.
        drop(self.answer.send(result));
    }
}

/// The thread, and the way to it.
pub(super) struct Writer {
    changes: Mutex<Option<SyncSender<Box<dyn Change>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread over this connection.
    pub(super) fn start(connection: Connection, clients: Cached) -> Result<Self, StoreError> {
        let (changes, waiting) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || work(&connection, &waiting, &clients))
            .map_err(|error| StoreError::Thread(Arc::new(error)))?;
        Ok(Self { changes: Mutex::new(Some(changes)), thread: Mutex::new(Some(thread)) })
    }

    /// Runs a change; returns once it is committed.
    pub(super) async fn run<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.give(Box::new(Job { change: Some(change), result: None, answer }))?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    fn give(&self, change: Box<dyn Change>) -> Result<(), StoreError> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.as_ref().ok_or(StoreError::Closed)?.try_send(change).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }

    /// The thread has not ended.
    pub(super) fn is_alive(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Takes no more; waits until what was taken is committed.
    pub(super) fn close(&self) {
        drop(self.changes.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(thread.join());
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn work(connection: &Connection, waiting: &Receiver<Box<dyn Change>>, clients: &Cached) {
    let mut batch: Vec<Box<dyn Change>> = Vec::with_capacity(TOGETHER);
    while let Ok(first) = waiting.recv() {
        batch.push(first);
        while batch.len() < TOGETHER
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        let failed = commit(connection, &mut batch).err();
        clients.settle();
        for change in batch.drain(..) {
            change.answer(failed.as_ref());
        }
    }
    // What is left in the log goes into the file, so that a backup of the file alone is whole.
    drop(merlon_cipherdb::checkpoint(connection));
}

/// All of them in one transaction; an error undoes all.
fn commit(connection: &Connection, batch: &mut [Box<dyn Change>]) -> Result<(), StoreError> {
    let tx = begin(connection, TransactionBehavior::Immediate)?;
    // A change alone needs no savepoint: the transaction is one.
    if let [only] = batch {
        return if only.run(&tx) { Ok(tx.commit()?) } else { Ok(tx.rollback()?) };
    }
    for change in batch {
        tx.prepare_cached("SAVEPOINT change")?.execute(())?;
        if !change.run(&tx) {
            tx.prepare_cached("ROLLBACK TO change")?.execute(())?;
        }
        tx.prepare_cached("RELEASE change")?.execute(())?;
    }
    Ok(tx.commit()?)
}
