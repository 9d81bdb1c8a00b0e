//! A sandbox profile and its enforcement.
//!
//! Owned here: the form of a profile, the paths a process is granted, and the order in which they are enforced. What
//! each process may do is in `profiles`, as data.

use std::io;
use std::path::PathBuf;

use crate::report::{LandlockLevel, Report};
pub use crate::ruleset::RulesetFailure;
pub use crate::seccomp::{Arg, Is, Rule, SeccompError};
use crate::{process, ruleset, seccomp, secret};

/// What one kind of process may do.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// For messages.
    pub name: &'static str,
    /// The system calls it may make, in groups. Everything else is answered with EPERM.
    pub seccomp: &'static [&'static [Rule]],
    /// What Landlock denies besides all files that are not granted.
    pub landlock: LandlockSpec,
}

/// What Landlock denies besides all files that are not granted.
#[derive(Clone, Copy, Debug)]
pub struct LandlockSpec {
    /// No TCP socket is bound.
    pub deny_tcp_bind: bool,
    /// No TCP socket is connected.
    pub deny_tcp_connect: bool,
    /// Files that may be read, where they exist, besides those that `enforce` is told.
    pub reads: &'static [&'static str],
    /// No signal to a process outside, no abstract Unix socket of one.
    pub deny_signals_and_abstract_sockets: bool,
}

/// The files that a process keeps, and whether it may do without Landlock. By default: none, and it may not.
#[derive(Clone, Debug)]
pub struct Paths {
    pub(crate) read_only: Vec<PathBuf>,
    pub(crate) read_only_if_present: Vec<PathBuf>,
    pub(crate) read_write: Vec<PathBuf>,
    pub(crate) attached: Vec<PathBuf>,
    pub(crate) unix_sockets_in: Vec<PathBuf>,
    pub(crate) tcp_ports: Vec<u16>,
    pub(crate) required: bool,
}

impl Default for Paths {
    fn default() -> Self {
        Self::new()
    }
}

impl Paths {
    /// No file at all.
    #[must_use]
    pub fn new() -> Self {
        Self {
            read_only: Vec::new(),
            read_only_if_present: Vec::new(),
            read_write: Vec::new(),
            attached: Vec::new(),
            unix_sockets_in: Vec::new(),
            tcp_ports: Vec::new(),
            required: true,
        }
    }

    /// This file, or all below this directory, may be read. It has to exist. A file that others replace by renaming is
    /// another file afterwards: grant its directory.
    #[must_use]
    pub fn read_only(mut self, path: impl Into<PathBuf>) -> Self {
        self.read_only.push(path.into());
        self
    }

    /// As [`Self::read_only`], where the path exists.
    #[must_use]
    pub fn read_only_if_present(mut self, path: impl Into<PathBuf>) -> Self {
        self.read_only_if_present.push(path.into());
        self
    }

    /// All below this directory may be read, written, made and removed (files and directories; no links, sockets,
    /// pipes or devices). It has to exist.
    #[must_use]
    pub fn read_write(mut self, directory: impl Into<PathBuf>) -> Self {
        self.read_write.push(directory.into());
        self
    }

    /// This device may be read, written and asked by `ioctl`, or this Unix socket connected to, or every one below this
    /// directory. It has to exist; unlike [`Self::unix_socket`] this is no right to a later socket of that name, nor to
    /// what lies beside it.
    #[must_use]
    pub fn attached(mut self, path: impl Into<PathBuf>) -> Self {
        self.attached.push(path.into());
        self
    }

    /// The process may connect to this Unix socket, if its profile lets it connect at all. The right is to the socket's
    /// directory, because the socket is another file after each start of its owner. Kernels below Landlock ABI 9 don't
    /// ask.
    #[must_use]
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        let mut directory = path.into();
        directory.pop();
        self.unix_sockets_in.push(directory);
        self
    }

    /// The process may connect to this TCP port although its profile denies TCP connections, if it may connect at all.
    /// Landlock knows ports and no addresses; kernels below ABI 4 don't ask.
    #[must_use]
    pub fn tcp_port(mut self, port: u16) -> Self {
        self.tcp_ports.push(port);
        self
    }

    /// With `false` (the setting `sandbox.required`) the process also starts where the kernel has no Landlock.
    #[must_use]
    pub fn landlock_required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }
}

/// Why a process could not be put into its sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// There are threads already, which would stay outside.
    #[error(
        "{count} threads run already and would stay outside of the sandbox: a program enforces its profile before it starts threads"
    )]
    Threads {
        /// How many.
        count: usize,
    },
    /// The kernel has no Landlock.
    #[error(
        "this kernel has no Landlock (or it is turned off, see `lsm=` on the kernel's command line), so files cannot be kept from {profile}; update the kernel, or set `sandbox.required = false` to go on without"
    )]
    NoLandlock {
        /// The profile's name.
        profile: &'static str,
    },
    /// The ruleset failed.
    #[error(transparent)]
    Ruleset(#[from] RulesetFailure),
    /// The filter failed.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// The threads cannot be counted.
    #[error("the threads of this process cannot be counted: {0}")]
    Count(io::Error),
}

/// Puts this process into its sandbox for good: Landlock, then seccomp. Call it before any thread starts and before the
/// first foreign byte is read. What is open already stays usable.
///
/// # Errors
/// [`SandboxError`]; the process then ends, as it may be confined in part.
pub fn enforce(profile: &Profile, paths: &Paths) -> Result<Report, SandboxError> {
    check_single_threaded()?;
    // Choosing the backend tries memory out; it is done while the choice is free.
    let secret_memory = secret::backend();
    let enforced = ruleset::apply(&profile.landlock, paths)?;
    if enforced.level == LandlockLevel::None && paths.required {
        return Err(SandboxError::NoLandlock { profile: profile.name });
    }
    let hardening = process::hardening();
    seccomp::load(profile.seccomp)?;
    Ok(Report {
        profile: profile.name,
        landlock_abi: enforced.abi,
        landlock: enforced.level,
        missing: enforced.missing,
        seccomp: true,
        no_new_privs: hardening.no_new_privs,
        core_dumps_off: hardening.core_dumps_off,
        dumpable_off: hardening.dumpable_off,
        secret_memory,
    })
}

fn check_single_threaded() -> Result<(), SandboxError> {
    match process::thread_count() {
        Ok(0 | 1) => Ok(()),
        Ok(count) => Err(SandboxError::Threads { count }),
        // Without /proc the order of `main` has to be trusted.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(SandboxError::Count(error)),
    }
}
