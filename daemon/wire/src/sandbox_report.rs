//! What a process says of its own sandbox.

use serde::{Deserialize, Serialize};

/// What is enforced on a process, as it measured it itself at start. Shown by `merlon doctor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxReport {
    /// Landlock ABI of the kernel; 0 where there is none.
    pub landlock_abi: u32,
    /// `full`, `partial` or `none`.
    pub landlock: String,
    /// Rules that the profile asks for and this kernel lacks.
    pub missing: Vec<String>,
    /// A seccomp filter is loaded.
    pub seccomp: bool,
    /// `no_new_privs` is set.
    pub no_new_privs: bool,
    /// `RLIMIT_CORE` is 0 and the process is not dumpable.
    pub core_dumps_off: bool,
    /// Where keys are held: `memfd_secret` or `locked`.
    pub secret_memory: String,
}

impl From<merlon_sandbox::Report> for SandboxReport {
    fn from(report: merlon_sandbox::Report) -> Self {
        Self {
            landlock_abi: report.landlock_abi,
            landlock: report.landlock.to_string(),
            missing: report.missing,
            seccomp: report.seccomp,
            no_new_privs: report.no_new_privs,
            core_dumps_off: report.core_dumps_off && report.dumpable_off,
            secret_memory: report.secret_memory.to_string(),
        }
    }
}
