//! What is enforced on this process, for people and for `merlon doctor`.
//!
//! Owned here: the words. It is filled in by `profile`, from what the kernel answered.

use std::fmt;

use crate::journal::{self, events};
use crate::secret::Backend;

/// How much of a ruleset this kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LandlockLevel {
    /// Every rule that the profile asks for.
    Full,
    /// Some; [`Report::missing`] names the others.
    Partial,
    /// None: the kernel has no Landlock, or it is turned off.
    None,
}

impl LandlockLevel {
    /// `full`, `partial` or `none`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "none",
        }
    }
}

impl fmt::Display for LandlockLevel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What is enforced on this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The profile's name.
    pub profile: &'static str,
    /// Landlock ABI of the kernel; 0 where there is none.
    pub landlock_abi: u32,
    /// How much of the ruleset is enforced.
    pub landlock: LandlockLevel,
    /// Rules that the profile asks for and this kernel lacks.
    pub missing: Vec<String>,
    /// A seccomp filter is loaded.
    pub seccomp: bool,
    /// `no_new_privs` is set.
    pub no_new_privs: bool,
    /// `RLIMIT_CORE` is 0.
    pub core_dumps_off: bool,
    /// The process is not dumpable.
    pub dumpable_off: bool,
    /// Where secrets are held.
    pub secret_memory: Backend,
}

impl Report {
    /// Tells the operator, as an event, if this kernel lacks a part of the sandbox.
    pub fn warn_if_incomplete(&self) {
        if self.landlock != LandlockLevel::Full {
            journal::event(&events::SANDBOX_INCOMPLETE, format_args!("{self}"));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |set| if set { "on" } else { "OFF" };
        write!(out, "sandbox {}: landlock {} (ABI {})", self.profile, self.landlock, self.landlock_abi)?;
        if !self.missing.is_empty() {
            write!(out, ", this kernel lacks: {}", self.missing.join(", "))?;
        }
        write!(
            out,
            "; seccomp {}; no_new_privs {}; core dumps {}; dumpable {}; secrets in {}",
            on(self.seccomp),
            on(self.no_new_privs),
            if self.core_dumps_off { "off" } else { "ON" },
            if self.dumpable_off { "off" } else { "ON" },
            self.secret_memory,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_enforced_stands_out() {
        let mut report = Report {
            profile: "engine",
            landlock_abi: 7,
            landlock: LandlockLevel::Full,
            missing: Vec::new(),
            seccomp: true,
            no_new_privs: true,
            core_dumps_off: true,
            dumpable_off: true,
            secret_memory: Backend::MemfdSecret,
        };
        let all = "sandbox engine: landlock full (ABI 7); seccomp on; no_new_privs on; core dumps off; dumpable off; \
                   secrets in memfd_secret";
        assert_eq!(report.to_string(), all);
        report.landlock = LandlockLevel::Partial;
        report.missing = vec!["TCP rules".to_owned()];
        report.seccomp = false;
        let text = report.to_string();
        assert!(text.contains("landlock partial (ABI 7), this kernel lacks: TCP rules"), "{text}");
        assert!(text.contains("seccomp OFF"), "{text}");
    }
}
