//! Why the hub's database gave nothing: whose fault, what to do next.

use std::sync::Arc;

use merlon_cipherdb::DbError;

/// A failure of the store. Nothing of the transaction in which it happened was kept.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Too many transactions wait already.
    #[error("too many requests wait for the hub's database; try again in a moment")]
    Busy,
    /// The hub is stopping, or the thread of the database has ended.
    #[error("the hub's database is closed")]
    Closed,
    /// What the database said.
    #[error("the hub's database could not be used: {0}")]
    Database(Arc<DbError>),
    /// A row holds what no row of this program holds.
    #[error("the hub's database holds {0} that cannot be read; restore it from a backup")]
    Damaged(&'static str),
    /// A thread could not start.
    #[error("a thread of the database could not start ({0}); raise the limit of threads or memory")]
    Thread(Arc<std::io::Error>),
}

impl StoreError {
    /// No space is left: every change fails until there is some.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Database(error) if matches!(**error, DbError::Full))
    }
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        DbError::from(error).into()
    }
}
