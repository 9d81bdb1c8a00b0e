//! What is over is removed: codes and tokens that have expired, grants that ended, clients that nobody ever used.
//! What a second use must still be recognised by stays long enough for that.

use rusqlite::{Transaction, params};

use super::{Store, StoreError};
use crate::clock::SECOND;

/// How long used and expired codes are remembered, so that a second use is told from an unknown code.
const CODES_US: i64 = 3600 * SECOND;
/// How long an ended grant is remembered.
const GRANTS_US: i64 = 7 * 24 * 3600 * SECOND;
/// Rows of one kind in one go: others wait for the writer meanwhile.
const AT_ONCE: u32 = 500;

/// Removes what is over; true: there is more of it. `unused_us`: how long a client may go unused; `idle_us`: how long a
/// refresh token.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn sweep(store: &Store, now_us: i64, unused_us: i64, idle_us: i64) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            let mut more = clients(tx, now_us.saturating_sub(unused_us))?;
            for (table, key, condition, before_us) in [
                ("device_codes", "hash", "expires_us < ?1", now_us - CODES_US),
                ("codes", "hash", "expires_us < ?1", now_us - CODES_US),
                ("access_tokens", "jti", "expires_us < ?1", now_us),
                ("seen", "hash", "expires_us < ?1", now_us),
                // One that was rotated so long ago would have expired unused, too.
                ("refresh_tokens", "hash", "rotated_us < ?1", now_us.saturating_sub(idle_us)),
                ("grants", "id", "ended_us < ?1 OR expires_us < ?1", now_us - GRANTS_US),
            ] {
                let query = format!(
                    "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {condition} LIMIT {AT_ONCE})"
                );
                more |= tx.prepare_cached(&query)?.execute([before_us])? == AT_ONCE as usize;
            }
            Ok(more)
        })
        .await
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
