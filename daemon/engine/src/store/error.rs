//! Why a project could not be opened, read or deleted: which file, what happened, what to do next.

use std::path::PathBuf;

use merlon_cipherdb::DbError;

/// A failure of the store. Failures to record are no errors of a call: they are counted and told in `Stats`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// No project is open.
    #[error("no project is open; open one with `merlon project open NAME`")]
    NoProject,
    /// The project was closed while it was read.
    #[error("the project was closed while it was read; ask again")]
    Closing,
    /// The project's file cannot be used. It was left as it is.
    #[error("the project file {path} was left as it is: {source}", path = .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        source: DbError,
    },
    /// The file belongs to another project.
    #[error("{path} holds project {found}, not {asked}; put the file of project {asked} in its place", path = .path.display())]
    OtherProject {
        /// The file.
        path: PathBuf,
        /// Whose file it is.
        found: u64,
        /// Whose it should be.
        asked: u64,
    },
    /// Reading the open project failed.
    #[error("the open project could not be read: {0}")]
    Read(#[from] DbError),
    /// A stored flow cannot be decoded.
    #[error("flow {0} is damaged and cannot be shown; the others can")]
    DamagedFlow(i64),
    /// The query needs more than its time.
    #[error("the query did not end within {seconds} seconds; narrow it, by host or time for example")]
    TooLong {
        /// The limit.
        seconds: u64,
    },
    /// An open project is not deleted.
    #[error("project {0} is open; open another project first, then delete it")]
    StillOpen(u64),
    /// A backup is under way, or cannot begin.
    #[error("a backup is under way or cannot begin: {0}; try again")]
    BackupBusy(&'static str),
    /// A file or directory operation failed.
    #[error("{path}: {source}; check the owner and mode of the directory and the space left", path = .path.display())]
    Files {
        /// Where.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The recorder's thread could not start.
    #[error("the recorder's thread could not start ({0}); raise the limit of threads or memory")]
    Thread(std::io::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::OperationInterrupted) => Self::Closing,
            _ => Self::Read(error.into()),
        }
    }
}
