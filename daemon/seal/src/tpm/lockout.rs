//! The dictionary attack logic (TPM 2.0 part 1, 19.8). It counts for the whole machine, so a PIN is tried only where
//! that is safe or wanted.

use merlon_wire::seal::Failure;
use tss_esapi::Context;
use tss_esapi::constants::{CapabilityType, PropertyTag};
use tss_esapi::structures::CapabilityData;

use super::failure::while_doing;

const DOING: &str = "reading the lockout counter";
/// TPMA_PERMANENT (TPM 2.0 part 2, 8.6)
const LOCKOUT_AUTH_SET: u32 = 1 << 2;
const IN_LOCKOUT: u32 = 1 << 9;

/// How the logic stands.
pub(super) struct Lockout {
    /// Failures so far.
    pub(super) counter: u32,
    /// Failures until it locks.
    pub(super) after: u32,
    /// Seconds until one failure is forgotten.
    pub(super) interval: u32,
    /// A password guards its reset.
    pub(super) auth_set: bool,
    locked: bool,
}

impl Lockout {
    pub(super) fn read(context: &mut Context) -> Result<Self, Failure> {
        let permanent = properties(context, PropertyTag::Permanent, 1)?;
        let counts = properties(context, PropertyTag::LockoutCounter, 3)?;
        let value = |list: &[(PropertyTag, u32)], tag| list.iter().find(|(t, _)| *t == tag).map_or(0, |(_, v)| *v);
        let flags = value(&permanent, PropertyTag::Permanent);
        let (counter, after) = (value(&counts, PropertyTag::LockoutCounter), value(&counts, PropertyTag::MaxAuthFail));
        Ok(Self {
            counter,
            after,
            interval: value(&counts, PropertyTag::LockoutInterval),
            auth_set: flags & LOCKOUT_AUTH_SET != 0,
            locked: flags & IN_LOCKOUT != 0 || counter >= after,
        })
    }

    /// A PIN may be tried now.
    pub(super) fn permits(&self, force: bool) -> Result<(), Failure> {
        if self.locked {
            return Err(Failure::Lockout { wait_seconds: self.interval });
        }
        if self.tries_left() <= 1 && !force {
            return Err(Failure::LastTry { wait_seconds: self.interval });
        }
        Ok(())
    }

    /// After a PIN was refused.
    pub(super) fn refusal(&self) -> Failure {
        if self.locked {
            return Failure::Lockout { wait_seconds: self.interval };
        }
        Failure::WrongPin { tries_left: self.tries_left() }
    }

    fn tries_left(&self) -> u32 {
        self.after.saturating_sub(self.counter)
    }
}

/// Fixed or variable properties, from `first` on.
pub(super) fn properties(
    context: &mut Context,
    first: PropertyTag,
    count: u32,
) -> Result<Vec<(PropertyTag, u32)>, Failure> {
    match context.get_capability(CapabilityType::TpmProperties, first.into(), count).map_err(while_doing(DOING))? {
        (CapabilityData::TpmProperties(list), _) => {
            Ok(list.iter().map(|property| (property.property(), property.value())).collect())
        }
        _ => Ok(Vec::new()),
    }
}
