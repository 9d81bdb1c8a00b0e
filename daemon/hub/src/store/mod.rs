//! The hub's database: accounts, clients, grants. This module and those below it own every statement; nobody outside
//! sees SQLite.
//!
//! [`Store::write`] is durable before it returns. All changes go through one thread, which commits whatever waits in one
//! transaction of the file, each change in a savepoint of its own: one that fails takes nothing of the others along, and
//! one fsync serves all. [`Store::read`] sees one committed state. Only the modules below call the two; the rest of the
//! hub calls their functions, each of which is one transaction.

pub(crate) mod accounts;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod browsers;
mod cached;
pub(crate) mod clients;
pub(crate) mod codes;
pub(crate) mod dashboard;
pub(crate) mod device;
pub(crate) mod device_poll;
mod error;
pub(crate) mod grants;
pub(crate) mod instances;
pub(crate) mod issue;
pub(crate) mod keys;
pub(crate) mod management;
pub(crate) mod members;
pub(crate) mod personal;
mod readers;
pub(crate) mod refresh;
pub(crate) mod registration;
mod schema;
pub(crate) mod seen;
pub(crate) mod sessions;
pub(crate) mod standing;
pub(crate) mod sweep;
pub(crate) mod tokens;
mod writer;

use std::path::Path;
use std::sync::Arc;

use merlon_cipherdb::{DbError, Options, PageMac, Synchronous};
use merlon_sandbox::secret::Secret;
use rusqlite::{Connection, Transaction};

use cached::Cached;
pub(crate) use error::StoreError;
use readers::Readers;
use writer::Writer;

/// The file below the store's directory.
const FILE: &str = "hub.db";
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 128;
/// What the writer and each reader keep of decrypted pages, in KiB.
const WRITER_CACHE: u32 = 16 * 1024;
const READER_CACHE: u32 = 4 * 1024;

/// An open database. Clones share it; the last one to go closes it, once what waits is committed.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    writer: Writer,
    readers: Readers,
    clients: Cached,
}

impl Store {
    /// Opens the database in this directory, or makes it, and brings it to the latest schema. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Database`] for a wrong key, damage, a full disk, a file of a later release.
    pub(crate) fn open(dir: &Path, key: &Secret<32>) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let mut connection = merlon_cipherdb::open(&path, key, options(WRITER_CACHE))?;
        merlon_cipherdb::migrate(&mut connection, schema::STEPS)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let clients = Cached::default();
        clients.watch(&connection)?;
        let readers = Readers::start(|| {
            let connection = merlon_cipherdb::open(&path, key, Options { read_only: true, ..options(READER_CACHE) })?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            Ok(connection)
        })?;
        Ok(Self(Arc::new(Inner { writer: Writer::start(connection, clients.clone())?, readers, clients })))
    }

    /// Gives the database in this directory, which nobody has open, another key. One that has the key already, because a
    /// kill came before that was told, is only brought to its end; one that is not there will be made with it. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Database`] if neither key opens it, or for a full disk.
    pub(crate) fn rekey(dir: &Path, key: &Secret<32>, next: &Secret<32>) -> Result<(), StoreError> {
        let path = dir.join(FILE);
        let form = Options { create: false, ..options(WRITER_CACHE) };
        if !path.exists() {
            return Ok(());
        }
        match merlon_cipherdb::open(&path, next, form) {
            // Pages under the old key may still stand in the file.
            Ok(connection) => return Ok(merlon_cipherdb::checkpoint(&connection)?),
            Err(DbError::WrongKeyOrCorrupt) => {}
            Err(error) => return Err(error.into()),
        }
        let connection = merlon_cipherdb::open(&path, key, form)?;
        merlon_cipherdb::rekey(&connection, next)?;
        connection.close().map_err(|(_, error)| DbError::from(error))?;
        Ok(merlon_cipherdb::open(&path, next, form).map(drop)?)
    }

    /// Runs `change` in a savepoint of its own and returns once it is committed and on stable storage. An error rolls
    /// back what it did, and only that.
    ///
    /// # Errors
    /// What `change` returned, or [`StoreError`] of the commit.
    pub(crate) async fn write<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.0.writer.run(change).await
    }

    /// Runs `look` on one committed state, on a thread for reading.
    ///
    /// # Errors
    /// What `look` returned, [`StoreError::Busy`].
    pub(crate) async fn read<T, F>(&self, look: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.0.readers.run(look).await
    }

    /// The thread that writes lives.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.writer.is_alive()
    }

    /// Takes no more changes, and returns once those that wait are committed.
    pub(crate) async fn close(&self) {
        let store = self.clone();
        // It fails if the thread panicked, which has been told.
        drop(tokio::task::spawn_blocking(move || store.0.writer.close()).await);
    }
}

fn options(cache_kib: u32) -> Options {
    Options { page_mac: PageMac::HmacSha256, cache_kib, synchronous: Synchronous::Full, ..Options::default() }
}

/// A transaction of a connection that this thread alone uses.
fn begin(connection: &Connection, behavior: rusqlite::TransactionBehavior) -> rusqlite::Result<Transaction<'_>> {
    Transaction::new_unchecked(connection, behavior)
}

#[cfg(test)]
mod tests;
