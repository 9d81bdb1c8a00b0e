//! What is written into the audit log: a closed list. No event has room for a secret.

use serde::Serialize;

/// Something that matters to whoever looks after the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", content = "details", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub(crate) enum Event {
    /// The keeper started.
    Start {
        /// Its release.
        version: &'static str,
    },
    /// An orderly end.
    Stop {},
    /// A keyslot opened the instance.
    Unlocked {
        /// The slot's id.
        slot: u32,
        /// Its kind.
        kind: &'static str,
    },
    /// A slot that opens by itself did not, at a start.
    KeyslotFailed {
        /// The slot's id.
        slot: u32,
        /// Its kind.
        kind: &'static str,
    },
    /// Something typed, or the machine's slots on demand, did not open the instance.
    UnlockFailed {
        /// What was tried.
        kind: &'static str,
    },
    /// A new keyslot.
    KeyslotAdded {
        /// Its id.
        slot: u32,
        /// Its kind.
        kind: &'static str,
    },
    /// A keyslot is gone.
    KeyslotRemoved {
        /// Its id.
        slot: u32,
    },
    /// A recovery key was typed back.
    KeyslotConfirmed {
        /// Its slot.
        slot: u32,
    },
    /// A slot was sealed anew.
    KeyslotResealed {
        /// The slot's id.
        slot: u32,
        /// It was given a second slot for the next start instead.
        next_boot_once: bool,
    },
    /// A signature over a policy was taken for a slot.
    PolicyAuthorized {
        /// The slot's id.
        slot: u32,
    },
    /// Master key, slots and project keys were replaced.
    KeysRotated {
        /// The new recovery slot.
        recovery_slot: u32,
    },
    /// A backup was authenticated.
    BackupMade {},
    /// A new access token.
    TokenCreated {
        /// Its public id.
        id: String,
        /// What it may do.
        role: String,
        /// As the user named it.
        label: String,
    },
    /// An access token works no more.
    TokenRevoked {
        /// Its public id.
        id: String,
    },
    /// A new proxy user.
    ProxyUserAdded {
        /// Its name.
        name: String,
    },
    /// A proxy user is gone.
    ProxyUserRemoved {
        /// Its name.
        name: String,
    },
    /// A new project.
    ProjectCreated {
        /// Its id.
        id: u64,
        /// Its name.
        name: String,
    },
    /// A project's key was forgotten.
    ProjectDeleted {
        /// Its id.
        id: u64,
    },
    /// A project's key was handed to the engine.
    ProjectKey {
        /// The project's id.
        id: u64,
    },
    /// Certificates were issued.
    Leaves {
        /// How many since this was last written.
        count: u64,
    },
    /// The engine listens where others than this host can reach it, as the configuration permits.
    BindOverride {
        /// IP address and port.
        address: String,
    },
    /// An old copy of a file, or a counter that cannot be read, was accepted by name.
    RollbackAccepted {
        /// `secrets.db`, `keyslots` or `counter`.
        file: &'static str,
    },
    /// The rollback counter was made anew.
    CounterReset {},
    /// What a write that was cut short left at the end of the log was removed. It was never counted.
    AuditRepaired {
        /// How much it was.
        bytes: u64,
    },
    /// The log lacks entries at its end, or others are in their place.
    AuditCut {
        /// The last entry that was there.
        last: u64,
        /// The last that was written.
        written: u64,
    },
    /// The log goes on beyond what `secrets.db` knows: that file is an old copy.
    SecretsOlder {
        /// The last entry that `secrets.db` knows.
        known: u64,
        /// The last that is there.
        last: u64,
    },
    /// Events that are not in the log one by one.
    Unwritten {
        /// How many.
        count: u64,
        /// Why not.
        why: &'static str,
    },
}

impl Event {
    /// `"event":"…","details":{…}`, to stand inside an object.
    pub(super) fn fields(&self) -> String {
        let object = serde_json::to_string(self).expect("numbers and text always have a JSON form");
        object[1..object.len() - 1].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_a_name_and_a_map() {
        assert_eq!(Event::Stop {}.fields(), r#""event":"stop","details":{}"#);
        let resealed = Event::KeyslotResealed { slot: 3, next_boot_once: true };
        assert_eq!(resealed.fields(), r#""event":"keyslot-resealed","details":{"slot":3,"next-boot-once":true}"#);
    }
}
