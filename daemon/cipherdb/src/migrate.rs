//! Schema versions, kept in `user_version`.

use rusqlite::{Connection, TransactionBehavior};

use crate::DbError;

/// Brings a database to the latest schema: `steps[n]` leads from version `n` to `n + 1`. All missing steps run in one
/// transaction, so that an end in between leaves the old schema. Returns the version found.
///
/// # Errors
/// [`DbError::NewerSchema`] for a file of a later release, which is left alone.
pub fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<u32, DbError> {
    let known = u32::try_from(steps.len()).expect("a schema has fewer than 2^32 steps");
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(DbError::NewerSchema { found, known });
    }
    if found == known {
        return Ok(found);
    }
    for step in steps.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(found)
}
