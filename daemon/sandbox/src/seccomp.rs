//! System call filters: rules as data, and their loading.
//!
//! Owned here: the form of a rule and how it becomes a filter. Which calls a process needs is in `profiles`.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

/// One system call that a profile allows.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name in the manual.
    pub name: &'static str,
    /// Its number on this architecture.
    pub number: libc::c_long,
    /// Any one of these has to hold. Empty: always allowed.
    pub any_of: &'static [&'static [Arg]],
}

/// What one argument of a call has to be. All of the [`Arg`]s of an alternative have to hold.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    /// Which argument, from 0 on.
    pub index: u8,
    /// What it has to be.
    pub is: Is,
}

/// A test of one argument.
#[derive(Clone, Copy, Debug)]
pub enum Is {
    /// Exactly this `int`. The kernel ignores the upper half of such a register, and so does the test.
    Int(u32),
    /// A pointer to nothing.
    Null,
    /// An `int` that has none of these bits.
    Without(u32),
    /// Any `int` but this.
    Not(u32),
    /// An `int` whose bits under the mask are the value.
    Masked {
        /// The bits that are looked at.
        mask: u32,
        /// What they have to be.
        value: u32,
    },
    /// The id of this process, as it is when the filter is loaded.
    OwnPid,
}

/// Why a filter could not be made or loaded.
#[derive(Debug, thiserror::Error)]
#[error("the system call filter was refused: {0}")]
pub struct SeccompError(String);

/// Loads two filters, on all threads. The first answers `clone3` with ENOSYS, as its flags lie in memory where no filter
/// can see them; the C library then uses `clone`. The second lets through what the rules allow, answers EPERM to the
/// rest, and ends a process that makes a call of another architecture. (Numbers of the x32 ABI are in no rule.)
pub(crate) fn load(groups: &[&[Rule]]) -> Result<(), SeccompError> {
    let allow = allow_list(groups)?;
    install(&without_clone3()?)?;
    install(&allow)
}

fn install(program: &BpfProgram) -> Result<(), SeccompError> {
    apply_filter_all_threads(program).map_err(|error| SeccompError(error.to_string()))
}

fn without_clone3() -> Result<BpfProgram, SeccompError> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    compile(rules, SeccompAction::Allow, SeccompAction::Errno(errno(libc::ENOSYS)))
}

fn allow_list(groups: &[&[Rule]]) -> Result<BpfProgram, SeccompError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for rule in groups.iter().copied().flatten() {
        let alternatives = rule.any_of.iter().map(|all| alternative(all)).collect::<Result<Vec<_>, _>>()?;
        if let Some(known) = rules.get_mut(&rule.number) {
            if known.is_empty() != alternatives.is_empty() {
                return Err(SeccompError(format!("{} stands in two groups, once without conditions", rule.name)));
            }
            known.extend(alternatives);
        } else {
            rules.insert(rule.number, alternatives);
        }
    }
    // Allowed here, so that the ENOSYS of the other filter is what counts.
    rules.insert(libc::SYS_clone3, Vec::new());
    compile(rules, SeccompAction::Errno(errno(libc::EPERM)), SeccompAction::Allow)
}

fn alternative(all: &[Arg]) -> Result<SeccompRule, SeccompError> {
    let conditions = all.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
    SeccompRule::new(conditions).map_err(refused)
}

fn condition(arg: &Arg) -> Result<SeccompCondition, SeccompError> {
    use SeccompCmpArgLen::{Dword, Qword};
    let (length, operator, value) = match arg.is {
        Is::Int(value) => (Dword, SeccompCmpOp::Eq, value.into()),
        Is::Null => (Qword, SeccompCmpOp::Eq, 0),
        Is::Without(bits) => (Dword, SeccompCmpOp::MaskedEq(bits.into()), 0),
        Is::Not(value) => (Dword, SeccompCmpOp::Ne, value.into()),
        Is::Masked { mask, value } => (Dword, SeccompCmpOp::MaskedEq(mask.into()), value.into()),
        Is::OwnPid => (Dword, SeccompCmpOp::Eq, std::process::id().into()),
    };
    SeccompCondition::new(arg.index, length, operator, value).map_err(refused)
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, SeccompError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(refused)?;
    SeccompFilter::new(rules, otherwise, matched, architecture).and_then(BpfProgram::try_from).map_err(refused)
}

fn refused(error: seccompiler::BackendError) -> SeccompError {
    SeccompError(error.to_string())
}

fn errno(number: i32) -> u32 {
    number.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiles;

    #[test]
    fn every_profile_compiles_and_stays_small() {
        for profile in profiles::ALL {
            let program = allow_list(profile.seccomp).unwrap();
            println!("{}: {} instructions", profile.name, program.len());
            assert!(program.len() < 1000, "{}: {} instructions", profile.name, program.len());
        }
        without_clone3().unwrap();
    }

    #[test]
    fn no_profile_names_a_call_that_none_may_have() {
        let never = [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_enter,
            libc::SYS_bpf,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_mount,
            libc::SYS_memfd_create,
            libc::SYS_userfaultfd,
            libc::SYS_perf_event_open,
            libc::SYS_listen,
            libc::SYS_kill,
            libc::SYS_pidfd_getfd,
            libc::SYS_seccomp,
            libc::SYS_personality,
            libc::SYS_fchmodat,
            libc::SYS_fchownat,
        ];
        for profile in profiles::ALL {
            for rule in profile.seccomp.iter().copied().flatten() {
                assert!(!never.contains(&rule.number), "{} allows {}", profile.name, rule.name);
            }
        }
    }

    #[test]
    fn a_call_that_stands_twice_must_not_lose_its_conditions() {
        const FREE: Rule = Rule { name: "socket", number: libc::SYS_socket, any_of: &[] };
        const BOUND: Rule = Rule { any_of: &[&[Arg { index: 0, is: Is::Int(1) }]], ..FREE };
        assert!(allow_list(&[&[FREE], &[BOUND]]).is_err());
        assert!(allow_list(&[&[BOUND], &[FREE]]).is_err());
        allow_list(&[&[BOUND], &[BOUND]]).unwrap();
    }
}
