//! What is written into the audit log: a closed list. No event has room for a secret.

use merlon_sandbox::journal::events;
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
    /// The instance has a client at an authorization server, or what is known of it changed.
    Registered {
        /// The server.
        issuer: String,
        /// `client_id`
        client: String,
    },
    /// The instance was tied to an account.
    Claimed {
        /// The server that knows the account.
        issuer: String,
        /// `sub`
        subject: String,
        /// For people.
        name: String,
    },
    /// Client, owner, sessions and the instance's own key were forgotten.
    IdentityReset {},
    /// Somebody signed in.
    SessionBegun {
        /// The session's public id.
        id: String,
        /// `sub`
        subject: String,
        /// For people.
        name: String,
        /// What was used.
        label: String,
        /// What the person may do.
        role: String,
    },
    /// A session was ended.
    SessionEnded {
        /// Its public id.
        id: String,
        /// `sub`
        subject: String,
        /// For people.
        name: String,
    },
    /// A hub's signing keys moved on by one step.
    SigningKeysRotated {},
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
    /// The same event in the journal.
    pub(super) fn in_journal(&self) -> &'static events::Event {
        match self {
            Self::Start { .. } => &events::START,
            Self::Stop {} => &events::STOP,
            Self::Unlocked { .. } => &events::UNLOCKED,
            Self::KeyslotFailed { .. } => &events::KEYSLOT_FAILED,
            Self::UnlockFailed { .. } => &events::UNLOCK_FAILED,
            Self::KeyslotAdded { .. } => &events::KEYSLOT_ADDED,
            Self::KeyslotRemoved { .. } => &events::KEYSLOT_REMOVED,
            Self::KeyslotConfirmed { .. } => &events::KEYSLOT_CONFIRMED,
            Self::KeyslotResealed { .. } => &events::KEYSLOT_RESEALED,
            Self::PolicyAuthorized { .. } => &events::POLICY_AUTHORIZED,
            Self::KeysRotated { .. } => &events::KEYS_ROTATED,
            Self::BackupMade {} => &events::BACKUP_MADE,
            Self::TokenCreated { .. } => &events::TOKEN_CREATED,
            Self::TokenRevoked { .. } => &events::TOKEN_REVOKED,
            Self::ProxyUserAdded { .. } => &events::PROXY_USER_ADDED,
            Self::ProxyUserRemoved { .. } => &events::PROXY_USER_REMOVED,
            Self::ProjectCreated { .. } => &events::PROJECT_CREATED,
            Self::ProjectDeleted { .. } => &events::PROJECT_DELETED,
            Self::ProjectKey { .. } => &events::PROJECT_KEY,
            Self::Leaves { .. } => &events::LEAVES,
            Self::BindOverride { .. } => &events::BIND_OVERRIDE,
            Self::Registered { .. } => &events::REGISTERED,
            Self::Claimed { .. } => &events::CLAIMED,
            Self::IdentityReset {} => &events::IDENTITY_RESET,
            Self::SessionBegun { .. } => &events::SESSION_BEGUN,
            Self::SessionEnded { .. } => &events::SESSION_ENDED,
            Self::SigningKeysRotated {} => &events::SIGNING_KEYS_ROTATED,
            Self::RollbackAccepted { .. } => &events::ROLLBACK_ACCEPTED,
            Self::CounterReset {} => &events::COUNTER_RESET,
            Self::AuditRepaired { .. } => &events::AUDIT_REPAIRED,
            Self::AuditCut { .. } => &events::AUDIT_CUT,
            Self::SecretsOlder { .. } => &events::SECRETS_OLDER,
            Self::Unwritten { .. } => &events::UNWRITTEN,
        }
    }

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
    fn an_event_has_one_name_in_log_and_journal() {
        let (id, name) = (1, String::new);
        let all = [
            Event::Start { version: "" },
            Event::Stop {},
            Event::Unlocked { slot: 1, kind: "" },
            Event::KeyslotFailed { slot: 1, kind: "" },
            Event::UnlockFailed { kind: "" },
            Event::KeyslotAdded { slot: 1, kind: "" },
            Event::KeyslotRemoved { slot: 1 },
            Event::KeyslotConfirmed { slot: 1 },
            Event::KeyslotResealed { slot: 1, next_boot_once: false },
            Event::PolicyAuthorized { slot: 1 },
            Event::KeysRotated { recovery_slot: 1 },
            Event::BackupMade {},
            Event::TokenCreated { id: name(), role: name(), label: name() },
            Event::TokenRevoked { id: name() },
            Event::ProxyUserAdded { name: name() },
            Event::ProxyUserRemoved { name: name() },
            Event::ProjectCreated { id, name: name() },
            Event::ProjectDeleted { id },
            Event::ProjectKey { id },
            Event::Leaves { count: 1 },
            Event::BindOverride { address: name() },
            Event::Registered { issuer: name(), client: name() },
            Event::Claimed { issuer: name(), subject: name(), name: name() },
            Event::IdentityReset {},
            Event::SessionBegun { id: name(), subject: name(), name: name(), label: name(), role: name() },
            Event::SessionEnded { id: name(), subject: name(), name: name() },
            Event::SigningKeysRotated {},
            Event::RollbackAccepted { file: "" },
            Event::CounterReset {},
            Event::AuditRepaired { bytes: 1 },
            Event::AuditCut { last: 1, written: 2 },
            Event::SecretsOlder { known: 1, last: 2 },
            Event::Unwritten { count: 1, why: "" },
        ];
        for event in all {
            let named = format!("\"event\":\"{}\"", event.in_journal().name);
            assert!(event.fields().starts_with(&named), "{event:?}");
        }
    }

    #[test]
    fn every_event_is_a_name_and_a_map() {
        assert_eq!(Event::Stop {}.fields(), r#""event":"stop","details":{}"#);
        let resealed = Event::KeyslotResealed { slot: 3, next_boot_once: true };
        assert_eq!(resealed.fields(), r#""event":"keyslot-resealed","details":{"slot":3,"next-boot-once":true}"#);
    }
}
