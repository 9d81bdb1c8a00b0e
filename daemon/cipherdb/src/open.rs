//! From a path and a key to a connection that is ready for use.

use std::ffi::{c_int, c_void};
use std::path::Path;
use std::time::Duration;

use merlon_sandbox::secret::{Secret, SecretBuf};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::DbError;

/// How a database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a page: a power of two, 512 to 65536. Must be what the file was created with. Default 4096.
    pub page_size: u32,
    /// What authenticates a page. Must be what the file was created with. Default [`PageMac::HmacSha512`].
    pub page_mac: PageMac,
    /// Decrypted pages kept by this connection, in KiB. Default 2000.
    pub cache_kib: u32,
    /// Opens without the right to write. Default false.
    pub read_only: bool,
    /// Creates the file if it is missing; otherwise a missing or empty file is an error. Default true.
    pub create: bool,
    /// What a commit waits for. Default [`Synchronous::Full`].
    pub synchronous: Synchronous,
    /// How long a statement waits for a lock. Default 5 s.
    pub busy_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            page_size: 4096,
            page_mac: PageMac::HmacSha512,
            cache_kib: 2000,
            read_only: false,
            create: true,
            synchronous: Synchronous::Full,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// What authenticates a page; both tags are at least 256 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageMac {
    /// SQLCipher's default.
    HmacSha512,
    /// Costs half of it on processors with SHA instructions, for databases that are written all the time.
    HmacSha256,
}

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// The log is on stable storage: a commit survives a loss of power.
    Full,
    /// A commit survives the end of the process; the last ones may be lost with the power. Never corrupts.
    Normal,
}

/// Opens (or creates) the SQLCipher database at `path` with a raw 256-bit key.
///
/// The connection uses a write-ahead log, enforces foreign keys, trusts no schema, is defensive, keeps temporary tables
/// in memory, and logs nothing. `cipher_memory_security` stays off: it locks every allocation of SQLite, pages of
/// recorded traffic included, against a limit that the secret memory of the process needs.
///
/// # Errors
/// [`DbError::WrongKeyOrCorrupt`] for a wrong key and for a damaged first page alike; others as named.
pub fn open(path: &Path, key: &Secret<32>, options: Options) -> Result<Connection, DbError> {
    let cannot_open = |reason: String| DbError::CannotOpen { path: path.to_owned(), reason };
    if !options.create || options.read_only {
        let file = std::fs::metadata(path).map_err(|e| cannot_open(e.to_string()))?;
        if file.len() == 0 {
            // SQLite would take an empty file for a new database.
            return Err(DbError::WrongKeyOrCorrupt);
        }
    }
    let access = match options {
        Options { read_only: true, .. } => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Options { create: false, .. } => OpenFlags::SQLITE_OPEN_READ_WRITE,
        _ => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    };
    let connection =
        Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(
            |error| match DbError::from(error) {
                DbError::CannotOpen { reason, .. } => cannot_open(reason),
                other => other,
            },
        )?;
    // SQLite opens a file that it may not write without a word, and fails at the first change.
    if !options.read_only && connection.is_readonly(rusqlite::MAIN_DB)? {
        return Err(DbError::ReadOnly);
    }
    silence(&connection)?;
    set_key(&connection, key)?;
    connection.pragma_update(None, "cipher_page_size", options.page_size)?;
    if options.page_mac == PageMac::HmacSha256 {
        connection.pragma_update(None, "cipher_hmac_algorithm", "HMAC_SHA256")?;
    }
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // The first read: here a wrong key shows.
    connection.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
    if !options.read_only {
        connection.pragma_update(None, "journal_mode", "wal")?;
        let level = match options.synchronous {
            Synchronous::Full => "full",
            Synchronous::Normal => "normal",
        };
        connection.pragma_update(None, "synchronous", level)?;
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -i64::from(options.cache_kib))?;
    Ok(connection)
}

/// SQLCipher writes what it thinks of a wrong key to stderr, unless told otherwise. The setting is process-wide.
fn silence(connection: &Connection) -> Result<(), DbError> {
    connection.query_row("PRAGMA cipher_log_level = NONE", (), |_| Ok(())).or_else(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        other => Err(other.into()),
    })
}

/// Replaces the key of a database: every page is written again under `new`, in one transaction, and the log is emptied.
/// Until the commit the old key opens the file, from then on only the new one does; a kill at any moment leaves the one
/// or the other. Needs room for a second copy of the database beside it.
///
/// No other connection may have the database open. After an error the connection is of no more use: which key the file
/// has is found out by opening it.
///
/// # Errors
/// [`DbError::Locked`] if there is another connection; others as named.
pub fn rekey(connection: &Connection, new: &Secret<32>) -> Result<(), DbError> {
    // What is in the log is under the old key, and a page is looked for there first.
    crate::checkpoint(connection)?;
    let text = raw_key(new)?;
    let length = c_int::try_from(text.as_slice().len()).expect("67 fits into any int");
    let pointer: *const c_void = text.as_slice().as_ptr().cast();
    // SAFETY: the handle is used at once, for this one call, while `connection` is borrowed and not closed.
    #[expect(unsafe_code, reason = "sqlite3_rekey has no safe form, and PRAGMA rekey leaves the key in freed heap")]
    let handle = unsafe { connection.handle() };
    // SAFETY: as for `sqlite3_key` below: an open connection of this thread alone, and `length` readable bytes that
    // live until after the call.
    #[expect(unsafe_code, reason = "sqlite3_rekey has no safe form, and PRAGMA rekey leaves the key in freed heap")]
    let code = unsafe { ffi::sqlite3_rekey(handle, pointer, length) };
    drop(text);
    if code != ffi::SQLITE_OK {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into());
    }
    // Pages under the old key stand in the file until here.
    crate::checkpoint(connection)?;
    Ok(connection.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?)
}

/// Gives the key to SQLCipher, out of secret memory that is wiped at once.
fn set_key(connection: &Connection, key: &Secret<32>) -> Result<(), DbError> {
    let text = raw_key(key)?;
    let length = c_int::try_from(text.as_slice().len()).expect("67 fits into any int");
    let pointer: *const c_void = text.as_slice().as_ptr().cast();
    // SAFETY: the handle is used at once, for this one call, while `connection` is borrowed and not closed.
    #[expect(unsafe_code, reason = "sqlite3_key has no safe form, and PRAGMA key leaves the key in freed heap")]
    let handle = unsafe { connection.handle() };
    // SAFETY: `handle` is an open connection that no other thread uses (it is not Sync), and `pointer` is readable for
    // `length` bytes, because `text` lives until after the call. SQLCipher copies the key.
    #[expect(unsafe_code, reason = "sqlite3_key has no safe form, and PRAGMA key leaves the key in freed heap")]
    let code = unsafe { ffi::sqlite3_key(handle, pointer, length) };
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into())
    }
}

/// The key as `x'…'`: a raw key, from which nothing is derived.
fn raw_key(key: &Secret<32>) -> Result<SecretBuf, DbError> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    const LENGTH: usize = 2 + 64 + 1;
    let mut text = SecretBuf::with_capacity(LENGTH)?;
    text.set_len(LENGTH);
    let bytes = text.as_mut_slice();
    bytes[..2].copy_from_slice(b"x'");
    bytes[LENGTH - 1] = b'\'';
    for (pair, byte) in bytes[2..LENGTH - 1].chunks_exact_mut(2).zip(key.expose()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    Ok(text)
}
