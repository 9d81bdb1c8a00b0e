//! What keeps a database healthy: checkpoint and integrity check.

use rusqlite::Connection;

use crate::DbError;

/// Writes the log into the database and empties it. Needed before a file is copied, before an integrity check, and
/// after a deletion that must not live on in the log.
///
/// # Errors
/// [`DbError::Locked`] if a reader holds the log.
pub fn checkpoint(connection: &Connection) -> Result<(), DbError> {
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
    if busy { Err(DbError::Locked) } else { Ok(()) }
}

/// Checkpoints, then authenticates every page and checks the structure of every table and index.
///
/// # Errors
/// [`DbError::Damaged`] with the number of problems and the first of them.
pub fn integrity(connection: &Connection) -> Result<(), DbError> {
    checkpoint(connection)?;
    let mut problems = rows(connection, "PRAGMA cipher_integrity_check")?;
    problems.extend(rows(connection, "PRAGMA integrity_check")?.into_iter().filter(|line| line != "ok"));
    match problems.first() {
        None => Ok(()),
        Some(first) => Err(DbError::Damaged { problems: problems.len(), first: first.clone() }),
    }
}

fn rows(connection: &Connection, pragma: &str) -> Result<Vec<String>, DbError> {
    let mut statement = connection.prepare(pragma)?;
    let rows = statement.query_map((), |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
