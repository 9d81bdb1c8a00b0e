//! Takes out what has expired, in pieces, so that nobody waits long behind it. What a reuse would still have to be known by
//! stays for a while.

use rusqlite::params_from_iter;

use super::{Store, StoreError};
use crate::clock::SECOND;

/// Rows of one piece.
const PIECE: i64 = 1000;
const DAY: i64 = 24 * 3600 * SECOND;
/// For how long a code is known after its end, and a grant after its.
const CODES: i64 = DAY;
const GRANTS: i64 = 30 * DAY;

/// Statements that take a time, and whose rows are found by an index or are few.
const FEW: [(&str, i64); 5] = [
    ("DELETE FROM seen WHERE expires_us < ?1", 0),
    ("DELETE FROM device_codes WHERE expires_us < ?1", CODES),
    ("DELETE FROM codes WHERE expires_us < ?1", CODES),
    ("DELETE FROM refresh_tokens WHERE rotated_us < ?1", GRANTS),
    ("DELETE FROM grants WHERE account IS NOT NULL AND (ended_us < ?1 OR expires_us < ?1)", GRANTS),
];

/// Removes what has expired at this time; how many rows.
///
/// # Errors
/// [`StoreError`]; what was removed before it stays removed.
pub(crate) async fn expired(store: &Store, now_us: i64) -> Result<usize, StoreError> {
    let mut removed = 0;
    for (statement, keep) in FEW {
        removed += store.write(move |tx| Ok(tx.prepare_cached(statement)?.execute([now_us - keep])?)).await?;
    }
    loop {
        // Found by a reader: most rows that are looked at stand.
        let found = store.read(move |tx| {
            let mut statement = tx.prepare_cached("SELECT jti FROM access_tokens WHERE expires_us < ?1 LIMIT ?2")?;
            let rows = statement.query_map((now_us, PIECE), |row| row.get::<_, String>(0))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        });
        let found = found.await?;
        if found.is_empty() {
            return Ok(removed);
        }
        removed += store
            .write(move |tx| {
                let places = vec!["?"; found.len()].join(",");
                let statement = format!("DELETE FROM access_tokens WHERE jti IN ({places})");
                Ok(tx.execute(&statement, params_from_iter(found))?)
            })
            .await?;
    }
}
