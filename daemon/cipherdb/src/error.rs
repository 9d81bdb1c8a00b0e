//! Why a database could not be used: whose fault, and what to do next.

use std::path::PathBuf;

use rusqlite::ffi::{ErrorCode, SQLITE_IOERR_SHMSIZE};

/// A failure of a database. `rusqlite::Error` converts into it, so that callers can tell a full disk from a wrong key.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The first page does not authenticate under the key, or the file is damaged. SQLCipher cannot tell which.
    #[error("the database does not open with its key, or it is damaged; restore the file from a backup")]
    WrongKeyOrCorrupt,
    /// Another connection holds the lock.
    #[error("the database is locked by another connection; try again")]
    Locked,
    /// No space left.
    #[error("the disk (or quota) is full; free some space and try again")]
    Full,
    /// The file or its directory cannot be written.
    #[error("the database cannot be written; make the file and its directory writable for this user")]
    ReadOnly,
    /// The file is missing or cannot be opened.
    #[error("{path} cannot be opened: {reason}", path = .path.display())]
    CannotOpen {
        /// The database.
        path: PathBuf,
        /// The system's or SQLite's words.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("the database could not be read or written: {0}; check that its disk is healthy and not full")]
    Io(String),
    /// The schema was written by a later release.
    #[error(
        "the database has schema version {found}, and this program knows versions up to {known}; install the release that wrote it"
    )]
    NewerSchema {
        /// In the file.
        found: u32,
        /// In the program.
        known: u32,
    },
    /// Pages that do not authenticate.
    #[error("the database is damaged ({problems} problems, first: {first}); restore the file from a backup")]
    Damaged {
        /// How many were found.
        problems: usize,
        /// The first, in SQLCipher's words.
        first: String,
    },
    /// Secret memory for the key could not be had.
    #[error(transparent)]
    SecretMemory(#[from] merlon_sandbox::secret::SecretError),
    /// Anything else; a fault of the program.
    #[error("a database statement failed: {0}")]
    Statement(rusqlite::Error),
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(code, ref message) = error else { return Self::Statement(error) };
        let words = || message.clone().unwrap_or_else(|| code.to_string());
        match code.code {
            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => Self::WrongKeyOrCorrupt,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Locked,
            ErrorCode::DiskFull => Self::Full,
            // The index of the log is a file, too: opening a database fails so where there is no room for it.
            ErrorCode::SystemIoFailure if code.extended_code == SQLITE_IOERR_SHMSIZE => Self::Full,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::CannotOpen => {
                Self::CannotOpen { path: PathBuf::from("a file of the database"), reason: words() }
            }
            ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed => Self::Io(words()),
            _ => Self::Statement(error),
        }
    }
}
