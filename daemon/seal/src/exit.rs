//! Errors that end the program without an answer, and the one place that maps them to exit codes.
//!
//! What goes wrong with the TPM or the token is no such error: it is an answer.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

use merlon_config::ConfigError;
use merlon_sandbox::SandboxError;
use merlon_sandbox::inherit::InheritError;
use merlon_sandbox::process::HardenError;
use merlon_sandbox::secret::SecretError;
use merlon_wire::FrameError;

const USAGE: u8 = 64;
const INTERNAL: u8 = 70;
const IO: u8 = 74;
const NOT_PERMITTED: u8 = 77;
const CONFIGURATION: u8 = 78;

/// Why the program ends without an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
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
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("the keeper's connection failed: {0}")]
    Io(io::Error),
    #[error("the answer cannot be written: {0}")]
    Answer(FrameError),
}

impl Fatal {
    /// The exit code of the contract.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Inherit(_) => USAGE,
            Self::Config(_) | Self::Unreadable { .. } | Self::Sandbox(SandboxError::NoLandlock { .. }) => CONFIGURATION,
            Self::Harden(_) | Self::Sandbox(_) => NOT_PERMITTED,
            Self::Memory(_) => IO,
            Self::Io(source) => match source.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => NOT_PERMITTED,
                _ => IO,
            },
            Self::Answer(_) => INTERNAL,
        })
    }
}

/// Help and version are no errors; anything else about the command line is wrong use.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}
