//! Ids of assertions and proofs that were used, so that none is used twice.

use rusqlite::params;

use super::{Store, StoreError};
use crate::random::Hash;

/// Notes that this was seen, until it would be refused as too old anyway. False: it was seen before.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn first_time(store: &Store, hash: Hash, expires_us: i64) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            let mut insert = tx.prepare_cached("INSERT OR IGNORE INTO seen (hash, expires_us) VALUES (?1, ?2)")?;
            Ok(insert.execute(params![hash, expires_us])? == 1)
        })
        .await
}
