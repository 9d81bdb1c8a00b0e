//! Errors that end the keeper, and the one place that maps them to exit codes.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

use merlon_cipherdb::DbError;
use merlon_config::ConfigError;
use merlon_sandbox::SandboxError;
use merlon_sandbox::files::FileError;
use merlon_sandbox::inherit::InheritError;
use merlon_sandbox::lock::LockError;
use merlon_sandbox::process::HardenError;
use merlon_sandbox::secret::SecretError;

use crate::backup::RestoreError;
use crate::ca::CaError;
use crate::keeper::KeeperError;
use crate::secrets_db::SecretsError;
use crate::slots::{SlotError, SlotsError};

const USAGE: u8 = 64;
const INTERNAL: u8 = 70;
const IO: u8 = 74;
const NOT_PERMITTED: u8 = 77;
const CONFIGURATION: u8 = 78;

/// Why the keeper ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    #[error("{0}")]
    Usage(&'static str),
    #[error(transparent)]
    Inherit(#[from] InheritError),
    #[error(transparent)]
    Harden(#[from] HardenError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{path}: the configuration cannot be read: {source}; an empty file is enough for the defaults", path = .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Memory(#[from] SecretError),
    #[error("{path}: {source}", path = .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    #[error("the keeper's sockets failed: {0}")]
    Io(io::Error),
}

impl Fatal {
    /// The exit code of the contract.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) | Self::Inherit(_) => USAGE,
            Self::Harden(_) | Self::Lock(LockError::Held { .. }) => NOT_PERMITTED,
            Self::Config(_) | Self::Unreadable { .. } => CONFIGURATION,
            Self::Sandbox(SandboxError::NoLandlock { .. }) => CONFIGURATION,
            Self::Sandbox(_) => NOT_PERMITTED,
            Self::Memory(_) => IO,
            Self::File { source, .. } | Self::Lock(LockError::Io { source, .. }) | Self::Io(source) => of_io(source),
            Self::Keeper(error) => of_keeper(error),
        })
    }
}

fn of_keeper(error: &KeeperError) -> u8 {
    match error {
        KeeperError::KeyslotsMissing(_) | KeeperError::SecretsMissing(_) | KeeperError::Rollback(_) => CONFIGURATION,
        KeeperError::Slots(
            SlotsError::Write { source, .. }
            | SlotsError::Slot(SlotError::Write { source, .. } | SlotError::KeyFile(FileError::Io { source, .. })),
        ) => of_io(source),
        KeeperError::Slots(SlotsError::Crypto(_)) | KeeperError::Crypto(_) => INTERNAL,
        KeeperError::Slots(_) => CONFIGURATION,
        KeeperError::Rotation { source, .. } => of_io(source),
        KeeperError::Halted(_) => IO,
        KeeperError::Panic => INTERNAL,
        KeeperError::Secrets(error) | KeeperError::Ca(CaError::Secrets(error)) => of_secrets(error),
        KeeperError::Ca(CaError::Missing | CaError::BadKey) => CONFIGURATION,
        KeeperError::Ca(_) => INTERNAL,
        KeeperError::Restore(RestoreError::Io { source, .. }) => of_io(source),
        KeeperError::Restore(RestoreError::Crypto(_)) => INTERNAL,
        KeeperError::Restore(RestoreError::Altered(_) | RestoreError::Slot(_)) => CONFIGURATION,
    }
}

fn of_secrets(error: &SecretsError) -> u8 {
    match error {
        SecretsError::Foreign { .. } | SecretsError::Crypto(_) | SecretsError::Mark(_) => CONFIGURATION,
        SecretsError::Io { source, .. } => of_io(source),
        SecretsError::Db { source, .. } | SecretsError::Statement(source) => match source {
            DbError::WrongKeyOrCorrupt | DbError::NewerSchema { .. } | DbError::Damaged { .. } => CONFIGURATION,
            DbError::ReadOnly => NOT_PERMITTED,
            DbError::Statement(_) => INTERNAL,
            _ => IO,
        },
        SecretsError::Taken | SecretsError::TooMany => INTERNAL,
    }
}

fn of_io(error: &io::Error) -> u8 {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => NOT_PERMITTED,
        _ => IO,
    }
}

/// Help and version are no errors; anything else about the command line is wrong use.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}
