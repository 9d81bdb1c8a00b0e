//! Connections that only read, made when they are needed. They see what is committed, and never hold up the writer.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use merlon_cipherdb::DbError;
use merlon_sandbox::secret::Secret;
use rusqlite::Connection;

use super::{StoreError, schema};

/// Connections at once; each holds 8 MiB of pages.
const MOST: usize = 4;
/// Steps of SQLite's machine between two looks at whether the project is being closed.
const STEPS: i32 = 20_000;

/// The readers of one open project.
pub(super) struct Readers {
    path: PathBuf,
    state: Mutex<Option<State>>,
    returned: Condvar,
    closing: Arc<AtomicBool>,
}

struct State {
    key: Secret<32>,
    idle: Vec<Connection>,
    lent: usize,
}

impl Readers {
    pub(super) fn new(path: PathBuf, key: Secret<32>) -> Self {
        let state = State { key, idle: Vec::new(), lent: 0 };
        Self { path, state: Mutex::new(Some(state)), returned: Condvar::new(), closing: Arc::default() }
    }

    /// Lends a connection to `read`; waits while all are lent.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut lent = Lent { readers: self, connection: Some(self.borrow()?) };
        let Some(connection) = &lent.connection else { return Err(StoreError::Closing) };
        let result = read(connection);
        if result.is_err() {
            // After an error a new connection is the safer one.
            lent.connection = None;
        }
        result
    }

    /// A connection that `open` makes, which is not one of those lent.
    pub(super) fn apart(
        &self,
        open: impl FnOnce(&Path, &Secret<32>) -> Result<Connection, DbError>,
    ) -> Result<Connection, StoreError> {
        let guard = self.lock();
        let state = guard.as_ref().ok_or(StoreError::Closing)?;
        Ok(open(&self.path, &state.key)?)
    }

    /// The project is being closed.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Forgets the key, closes what is idle, and interrupts what runs.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        drop(self.lock().take());
        self.returned.notify_all();
    }

    fn borrow(&self) -> Result<Connection, StoreError> {
        let mut guard = self.lock();
        loop {
            let state = guard.as_mut().ok_or(StoreError::Closing)?;
            if let Some(connection) = state.idle.pop() {
                state.lent += 1;
                return Ok(connection);
            }
            if state.lent < MOST {
                let mut connection = schema::open_reader(&self.path, &state.key)?;
                let closing = Arc::clone(&self.closing);
                connection.progress_handler(STEPS, Some(move || closing.load(Ordering::Relaxed)))?;
                state.lent += 1;
                return Ok(connection);
            }
            guard = self.returned.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Comes back even after a panic.
struct Lent<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.readers.lock().as_mut() {
            state.lent -= 1;
            state.idle.extend(self.connection.take());
        }
        self.readers.returned.notify_one();
    }
}
