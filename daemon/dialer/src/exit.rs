//! Why this process ends, and with which code (sysexits(3), as every daemon of Merlon uses them).

use std::io;
use std::process::ExitCode;

use merlon_sandbox::SandboxError;
use merlon_sandbox::inherit::InheritError;
use merlon_sandbox::process::HardenError;
use merlon_wire::link::LinkError;

use crate::settings::SettingsError;

const USAGE: u8 = 64;
const INTERNAL: u8 = 70;
const IO: u8 = 74;
const NOT_PERMITTED: u8 = 77;
const CONFIG: u8 = 78;

/// An end that nobody asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    /// The arguments do not go together.
    #[error("give either the inherited descriptor `parent` or --link PATH")]
    Usage,
    /// The descriptors are not what was promised.
    #[error(transparent)]
    Inherited(#[from] InheritError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The kernel refused to take rights away.
    #[error(transparent)]
    Harden(#[from] HardenError),
    /// The sandbox cannot be put in force.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The parent's socket failed.
    #[error("the parent's socket: {0}")]
    Parent(LinkError),
    /// A file that this process must follow was replaced, which its sandbox keeps from it.
    #[error("{0} was replaced by a file that the sandbox does not permit; starting again to follow it")]
    Replaced(String),
    /// Input or output failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Fatal {
    /// The exit code.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage | Self::Inherited(_) => USAGE,
            Self::Settings(_) | Self::Sandbox(SandboxError::NoLandlock { .. }) => CONFIG,
            Self::Harden(_) | Self::Sandbox(_) => NOT_PERMITTED,
            Self::Parent(_) => INTERNAL,
            Self::Replaced(_) | Self::Io(_) => IO,
        })
    }
}

/// What clap has to say, and its exit code: 0 for help and version.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to be told if the terminal is gone.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
}
