//! The tables of a project, the keys of their rows, and how a project's file is created and opened. No flow is read or
//! written here, but for those that a stop left unfinished.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use merlon_cipherdb::{DbError, Options, PageMac};
use merlon_sandbox::secret::Secret;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{ProjectMeta, StoreError, segment};
use crate::flow::{FlowId, Side};

/// Version 1. Typed rows are narrow and apart from the blobs, so that a filter reads a sixteenth of the pages; there is
/// no index but the ids, because every further one would cost more than all the rest of recording (and ids are in time
/// order). `path` stands last: it is the only column without a small bound.
const STEPS: &[&str] = &["
    CREATE TABLE flows (
        id INTEGER PRIMARY KEY, time_us INTEGER NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL,
        scheme INTEGER NOT NULL, method TEXT NOT NULL, status INTEGER, request_bytes INTEGER NOT NULL,
        response_bytes INTEGER NOT NULL, duration_us INTEGER, error TEXT, path TEXT NOT NULL) STRICT;
    CREATE TABLE blobs (key INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
    CREATE TABLE segments (id INTEGER PRIMARY KEY, key BLOB NOT NULL) STRICT;
    CREATE TABLE unfinished (id INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"];

/// The columns of a summary, in the order in which [`super::summary::from_row`] reads them.
pub(super) const SUMMARY: &str = "f.id, f.time_us, f.host, f.port, f.scheme, f.method, f.status, f.request_bytes, \
     f.response_bytes, f.duration_us, f.error, f.path";
/// Flows as queries know them: the scheme is a word. SQLite dissolves the inner SELECT.
pub(super) const FLOWS: &str = "(SELECT id, time_us, host, port, \
     CASE scheme WHEN 0 THEN 'http' WHEN 1 THEN 'https' ELSE 'tunnel' END AS scheme, method, status, request_bytes, \
     response_bytes, duration_us, error, path FROM flows) AS f";

const PAGE: u32 = 16 << 10;
const WRITER_CACHE_KIB: u32 = 4 << 10;
const READER_CACHE_KIB: u32 = 8 << 10;

/// Bytes of a body in one row, mostly: the last one has fewer, and what is relayed in larger pieces is kept so.
pub(super) const CHUNK: usize = 64 << 10;
/// The rows of a side in `blobs`: 1 to this.
pub(super) const MAX_SEQUENCE: u32 = (1 << 19) - 2;
/// The row of `blobs` with which every flow begins.
pub(super) const OPENING: u32 = 0;
/// The row of `blobs` with which a flow ends that was written while under way.
pub(super) const CLOSING: u32 = (1 << 20) - 1;

/// The key of a row of `blobs`: 43 bits flow, 20 bits part. Parts: [`OPENING`]; 1 to [`MAX_SEQUENCE`] the request's
/// body; the same with bit 19 set the response's; [`CLOSING`].
pub(super) fn blob_key(id: FlowId, part: u32) -> i64 {
    (id.0 << 20) | i64::from(part)
}

/// The part that holds piece `sequence` (from 1) of a body.
pub(super) fn body_part(side: Side, sequence: u32) -> u32 {
    debug_assert!((1..=MAX_SEQUENCE).contains(&sequence));
    match side {
        Side::Request => sequence,
        Side::Response => 1 << 19 | sequence,
    }
}

/// The form of a project's file.
pub(super) fn form() -> Options {
    Options { page_size: PAGE, page_mac: PageMac::HmacSha256, ..Options::default() }
}

/// The file of a project.
pub(super) fn project_path(store: &Path, id: u64) -> PathBuf {
    store.join("projects").join(format!("{id}.db"))
}

/// What opening found.
pub(super) struct Opened {
    /// For the writer.
    pub(super) connection: Connection,
    /// The first id not yet used.
    pub(super) next_id: i64,
}

/// Opens a project for writing; a missing file is created, anything that is not this project's is left alone.
pub(super) fn open(path: &Path, project: &ProjectMeta, key: &Secret<32>) -> Result<Opened, StoreError> {
    let unusable = |source: DbError| StoreError::Unusable { path: path.to_owned(), source };
    if !path.try_exists().map_err(|source| StoreError::Files { path: path.to_owned(), source })? {
        create(path, project, key)?;
    }
    let options = Options { cache_kib: WRITER_CACHE_KIB, create: false, ..form() };
    let mut connection = merlon_cipherdb::open(path, key, options).map_err(unusable)?;
    merlon_cipherdb::migrate(&mut connection, STEPS).map_err(unusable)?;
    let found: Option<i64> = connection
        .query_row("SELECT value FROM meta WHERE name = 'project'", (), |row| row.get(0))
        .optional()
        .map_err(|e| unusable(e.into()))?;
    let found = found.map_or(0, i64::cast_unsigned);
    if found != project.id {
        return Err(StoreError::OtherProject { path: path.to_owned(), found, asked: project.id });
    }
    match interrupt_unfinished(&connection).map_err(DbError::from) {
        // A full disk is no reason not to read; they are marked at the next opening.
        Ok(()) | Err(DbError::Full | DbError::Io(_)) => {}
        Err(error) => return Err(unusable(error)),
    }
    let known = segments(&connection).map_err(|e| unusable(e.into()))?;
    let directory = segment::directory(path);
    segment::remove_unknown(&directory, &known).map_err(|source| StoreError::Files { path: directory, source })?;
    let next_id = next_id(&connection).map_err(|e| unusable(e.into()))?;
    // Short, because on one core a checkpoint stands in the way of traffic; after a burst the log is cut back.
    connection.pragma_update(None, "wal_autocheckpoint", 200).map_err(|e| unusable(e.into()))?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20).map_err(|e| unusable(e.into()))?;
    Ok(Opened { connection, next_id })
}

/// A connection for one reader.
pub(super) fn open_reader(path: &Path, key: &Secret<32>) -> Result<Connection, DbError> {
    let options = Options { cache_kib: READER_CACHE_KIB, read_only: true, create: false, ..form() };
    merlon_cipherdb::open(path, key, options)
}

/// Made under another name and moved, so that an empty or half-made file is never taken for a new project.
fn create(path: &Path, project: &ProjectMeta, key: &Secret<32>) -> Result<(), StoreError> {
    let files = |source| StoreError::Files { path: path.to_owned(), source };
    let unusable = |source: DbError| StoreError::Unusable { path: path.to_owned(), source };
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(files)?;
    let half_made = path.with_extension("new");
    remove(&half_made).map_err(files)?;
    let mut connection = merlon_cipherdb::open(&half_made, key, form()).map_err(unusable)?;
    merlon_cipherdb::migrate(&mut connection, STEPS).map_err(unusable)?;
    connection
        .execute("INSERT INTO meta VALUES ('project', ?1)", params![project.id.cast_signed()])
        .map_err(|e| unusable(e.into()))?;
    merlon_cipherdb::checkpoint(&connection).map_err(unusable)?;
    connection.close().map_err(|(_, e)| unusable(e.into()))?;
    fs::rename(&half_made, path).map_err(files)?;
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(files)
}

/// Removes a database with its log and index; what is missing is no error.
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// Ends the flows that were under way when the engine stopped. `unfinished` names them, so that no scan is needed.
pub(super) fn interrupt_unfinished(connection: &Connection) -> rusqlite::Result<()> {
    let some: bool = connection.query_row("SELECT EXISTS (SELECT 1 FROM unfinished)", (), |row| row.get(0))?;
    if some {
        connection.execute_batch(
            "BEGIN IMMEDIATE;
             UPDATE flows SET error = 'interrupted: recording stopped while the flow was under way'
                 WHERE id IN (SELECT id FROM unfinished);
             DELETE FROM unfinished;
             COMMIT",
        )?;
    }
    Ok(())
}

/// The segments that rows may point to.
pub(super) fn segments(connection: &Connection) -> rusqlite::Result<HashSet<i64>> {
    connection.prepare("SELECT id FROM segments")?.query_map((), |row| row.get(0))?.collect()
}

fn next_id(connection: &Connection) -> rusqlite::Result<i64> {
    let (flow, blob): (Option<i64>, Option<i64>) =
        connection.query_row("SELECT (SELECT max(id) FROM flows), (SELECT max(key) FROM blobs)", (), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    Ok(flow.unwrap_or(0).max(blob.unwrap_or(0) >> 20) + 1)
}
