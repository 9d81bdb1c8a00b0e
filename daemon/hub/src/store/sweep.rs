//! What is over is removed: codes and tokens that have expired, grants that ended, clients that nobody ever used.
//! What a second use must still be recognised by stays long enough for that.

use rusqlite::{Transaction, params};

use super::{Store, StoreError};
use crate::clock::SECOND;
use crate::oauth::token::Issued;

/// How long used and expired codes are remembered, so that a second use is told from an unknown code.
const CODES_US: i64 = 3600 * SECOND;
/// How long an ended grant is remembered.
const GRANTS_US: i64 = 7 * 24 * 3600 * SECOND;
/// Rows of one kind in one go: others wait for the writer meanwhile.
const AT_ONCE: u32 = 1000;

/// How long what may stay. Microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    /// A client that nobody uses.
    pub(crate) unused_us: i64,
    /// An access token.
    pub(crate) access_us: i64,
    /// A refresh token that is not used.
    pub(crate) idle_us: i64,
}

/// Removes some of what is over quickly; true: there is more of it.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn often(store: &Store, now_us: i64, ages: Ages) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            let mut more = clients(tx, now_us.saturating_sub(ages.unused_us))?;
            more |= remove(tx, "device_codes", "hash", "expires_us < ?1", now_us - CODES_US)?;
            more |= remove(tx, "codes", "hash", "expires_us < ?1", now_us - CODES_US)?;
            more |= remove(tx, "seen", "hash", "expires_us < ?1", now_us)?;
            more |= access_tokens(tx, now_us, ages.access_us)?;
            Ok(more)
        })
        .await
}

/// Removes some of what needs a look at every row of its table; true: there is more of it.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn seldom(store: &Store, now_us: i64, ages: Ages) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            // One that was rotated so long ago would have expired unused, too.
            let rotated_us = now_us.saturating_sub(ages.idle_us);
            let more = remove(tx, "refresh_tokens", "hash", "rotated_us < ?1", rotated_us)?;
            Ok(more | remove(tx, "grants", "id", "ended_us < ?1 OR expires_us < ?1", now_us - GRANTS_US)?)
        })
        .await
}

fn remove(tx: &Transaction<'_>, table: &str, key: &str, which: &str, before_us: i64) -> Result<bool, StoreError> {
    let query = format!("DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {which} LIMIT {AT_ONCE})");
    Ok(tx.prepare_cached(&query)?.execute([before_us])? == AT_ONCE as usize)
}

/// Their ids rise with time, so the old ones stand together and the others need no look.
fn access_tokens(tx: &Transaction<'_>, now_us: i64, age_us: i64) -> Result<bool, StoreError> {
    let removed = tx
        .prepare_cached(
            "DELETE FROM access_tokens WHERE jti IN (SELECT jti FROM access_tokens
                 WHERE jti < ?1 AND expires_us < ?2 LIMIT ?3)",
        )?
        .execute(params![Issued::id_before(now_us.saturating_sub(age_us)), now_us, AT_ONCE])?;
    Ok(removed == AT_ONCE as usize)
}

/// Clients that registered before, were never used, and belong to nobody.
fn clients(tx: &Transaction<'_>, before_us: i64) -> Result<bool, StoreError> {
    let removed = tx
        .prepare_cached(
            "DELETE FROM clients WHERE id IN (SELECT id FROM clients
                 WHERE used_us IS NULL AND owner IS NULL AND kind <> 'dashboard' AND created_us < ?1
                     AND NOT EXISTS (SELECT 1 FROM device_codes WHERE client = clients.id AND state = 'approved')
                 LIMIT ?2)",
        )?
        .execute(params![before_us, AT_ONCE])?;
    Ok(removed == AT_ONCE as usize)
}
