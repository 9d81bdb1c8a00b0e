//! Landlock: rules about files, TCP, device ioctls, signals and abstract sockets.
//!
//! Owned here: turning a profile and its paths into a ruleset, and telling how much of it this kernel enforces. It must
//! be applied before threads exist, as it holds for the calling thread and what that one starts.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, PathFdError, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use crate::profile::{LandlockSpec, Paths};
use crate::report::LandlockLevel;

/// The newest ABI whose file rules are handled: what was added since is denied as well, where the kernel knows it.
const NEWEST: ABI = ABI::V9;

/// What a kernel with a lower ABI cannot enforce. Up to ABI 6; from 9 on, connecting to a Unix socket by its path is a
/// file rule too, and not listed here because no distribution's kernel has it yet: there the seccomp filter decides who
/// may connect at all, and the modes of the sockets to whom.
const SINCE: &[(u32, Part, &str)] = &[
    (1, Part::Files, "file rules (Landlock ABI 1)"),
    (2, Part::Files, "renames between directories (ABI 2)"),
    (3, Part::Files, "truncation (ABI 3)"),
    (4, Part::Tcp, "TCP bind and connect (ABI 4)"),
    (5, Part::Files, "device ioctls (ABI 5)"),
    (6, Part::Scopes, "signals and abstract sockets (ABI 6)"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Files,
    Tcp,
    Scopes,
}

/// How far the ruleset went.
pub(crate) struct Enforced {
    pub(crate) abi: u32,
    pub(crate) level: LandlockLevel,
    pub(crate) missing: Vec<String>,
}

/// Why a ruleset could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum RulesetFailure {
    /// A path that the process needs is not there.
    #[error("{} cannot be opened for the sandbox: {problem}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        problem: String,
    },
    /// The kernel refused a rule.
    #[error("the Landlock ruleset was refused: {0}")]
    Rules(#[from] RulesetError),
}

pub(crate) fn apply(spec: &LandlockSpec, paths: &Paths) -> Result<Enforced, RulesetFailure> {
    let mut ruleset = Ruleset::default().handle_access(AccessFs::from_all(NEWEST))?;
    let mut tcp = BitFlags::EMPTY;
    if spec.deny_tcp_bind {
        tcp |= AccessNet::BindTcp;
    }
    if spec.deny_tcp_connect {
        tcp |= AccessNet::ConnectTcp;
    }
    if !tcp.is_empty() {
        ruleset = ruleset.handle_access(tcp)?;
    }
    if spec.deny_signals_and_abstract_sockets {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket | Scope::Signal)?;
    }
    let mut created = ruleset.create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    for path in &paths.read_only {
        created = created.add_rule(PathBeneath::new(open(path)?, narrow(path, read)))?;
    }
    let fixed = spec.reads.iter().map(Path::new);
    for path in paths.read_only_if_present.iter().map(PathBuf::as_path).chain(fixed) {
        if let Ok(file) = PathFd::new(path) {
            created = created.add_rule(PathBeneath::new(file, narrow(path, read)))?;
        }
    }
    let write = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir;
    for path in &paths.read_write {
        created = created.add_rule(PathBeneath::new(open(path)?, narrow(path, write)))?;
    }
    let attached = read | AccessFs::WriteFile | AccessFs::IoctlDev | AccessFs::ResolveUnix;
    for path in &paths.attached {
        created = created.add_rule(PathBeneath::new(open(path)?, narrow(path, attached)))?;
    }
    for directory in &paths.unix_sockets_in {
        created = created.add_rule(PathBeneath::new(open(directory)?, AccessFs::ReadFile | AccessFs::ResolveUnix))?;
    }
    if spec.deny_tcp_connect {
        for port in &paths.tcp_ports {
            created = created.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
        }
    }
    let status = created.restrict_self()?;
    let abi = match status.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            kernel_abi.and_then(|abi| u32::try_from(abi).ok()).unwrap_or(effective_abi as u32)
        }
        _ => 0,
    };
    if status.ruleset == RulesetStatus::NotEnforced {
        return Ok(Enforced { abi: 0, level: LandlockLevel::None, missing: missing(spec, 0) });
    }
    let missing = missing(spec, abi);
    let level = if missing.is_empty() { LandlockLevel::Full } else { LandlockLevel::Partial };
    Ok(Enforced { abi, level, missing })
}

fn missing(spec: &LandlockSpec, abi: u32) -> Vec<String> {
    let asked = |part| match part {
        Part::Files => true,
        Part::Tcp => spec.deny_tcp_bind || spec.deny_tcp_connect,
        Part::Scopes => spec.deny_signals_and_abstract_sockets,
    };
    SINCE
        .iter()
        .filter(|(since, part, _)| abi < *since && asked(*part))
        .map(|(_, _, text)| (*text).to_owned())
        .collect()
}

fn open(path: &Path) -> Result<PathFd, RulesetFailure> {
    PathFd::new(path).map_err(|error| {
        let problem = match error {
            PathFdError::OpenCall { source, .. } => source.to_string(),
            other => other.to_string(),
        };
        RulesetFailure::Path { path: path.to_owned(), problem }
    })
}

/// A file takes only what makes sense for a file; the kernel refuses the rest.
fn narrow(path: &Path, access: BitFlags<AccessFs>) -> BitFlags<AccessFs> {
    if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kernel_lacks_is_named_by_what_the_profile_asks_for() {
        let all = LandlockSpec {
            reads: &[],
            deny_tcp_bind: true,
            deny_tcp_connect: true,
            deny_signals_and_abstract_sockets: true,
        };
        assert!(missing(&all, 6).is_empty() && missing(&all, 9).is_empty());
        assert_eq!(missing(&all, 5), ["signals and abstract sockets (ABI 6)"]);
        // Debian 12.
        assert_eq!(missing(&all, 2).len(), 4);
        assert_eq!(missing(&all, 0).len(), SINCE.len());
        let files = LandlockSpec {
            reads: &[],
            deny_tcp_bind: false,
            deny_tcp_connect: false,
            deny_signals_and_abstract_sockets: false,
        };
        assert_eq!(missing(&files, 3), ["device ioctls (ABI 5)"]);
    }
}
