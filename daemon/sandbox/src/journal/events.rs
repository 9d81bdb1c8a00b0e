//! Events that have an id of their own in the journal: one table.
//!
//! The ids never change: what somebody filters by must go on to work. `systemd/merlon.catalog` says of each what it
//! means and what to do, and `docs/logs.md` lists them; a test holds the three together.

use super::Priority;

/// Something that security depends on, or shows.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// As `MERLON_EVENT` has it, and the audit log.
    pub name: &'static str,
    /// 128 bits in hexadecimal digits, as `MESSAGE_ID` has it.
    pub id: &'static str,
    /// How much it matters.
    pub priority: Priority,
}

macro_rules! events {
    ($($(#[$doc:meta])+ $constant:ident = $name:literal, $id:literal, $priority:ident;)+) => {
        $($(#[$doc])+ pub const $constant: Event = Event { name: $name, id: $id, priority: Priority::$priority };)+

        /// All of them.
        pub const ALL: &[Event] = &[$($constant),+];
    };
}

events! {
    /// The keeper started.
    START = "start", "27719377db16c9716a5bae20eb892f8c", Info;
    /// The keeper ends in order.
    STOP = "stop", "47a09cb62085c243b3ed0856a5ae98f0", Info;
    /// A keyslot opened the instance.
    UNLOCKED = "unlocked", "1fc2db8579bdcd979a5a4bb59d89f03d", Notice;
    /// A keyslot that opens by itself did not.
    KEYSLOT_FAILED = "keyslot-failed", "a6eba7e4af05573b054b48374223acc6", Warning;
    /// What was typed, or the machine's slots on demand, did not open the instance.
    UNLOCK_FAILED = "unlock-failed", "7f6c5512bfcce94c5f4d3cf853dd8942", Warning;
    /// A new keyslot.
    KEYSLOT_ADDED = "keyslot-added", "45126be2fafa40bb49fb2c0e583425c5", Notice;
    /// A keyslot is gone.
    KEYSLOT_REMOVED = "keyslot-removed", "a03940983cb9510e2de0d0edccb2e13d", Notice;
    /// A recovery key was typed back.
    KEYSLOT_CONFIRMED = "keyslot-confirmed", "f733ba829250f3641b3c4edf25fb9ba2", Notice;
    /// A keyslot was sealed anew.
    KEYSLOT_RESEALED = "keyslot-resealed", "f52ec1b88c94e8c08178627bf6331e1c", Notice;
    /// A signature over a policy was taken for a keyslot.
    POLICY_AUTHORIZED = "policy-authorized", "a02b6cf3d81448968b80ef28fc0c7e2e", Notice;
    /// Master key, keyslots and project keys were replaced.
    KEYS_ROTATED = "keys-rotated", "98be31e122f3e1580ef96c99c288e6c2", Notice;
    /// A backup was authenticated.
    BACKUP_MADE = "backup-made", "4d82625855fc4ada156d03b12d07f2ec", Notice;
    /// A new access token.
    TOKEN_CREATED = "token-created", "3fe976ffadf1724a2405b62983f296b6", Notice;
    /// An access token works no more.
    TOKEN_REVOKED = "token-revoked", "becb6aef66a19e88dd5f3c92956be295", Notice;
    /// A new proxy user.
    PROXY_USER_ADDED = "proxy-user-added", "7def9b6070e61d376552041237c78eb6", Notice;
    /// A proxy user is gone.
    PROXY_USER_REMOVED = "proxy-user-removed", "6919c81e7bd75b01c66e01d6df73d038", Notice;
    /// A new project.
    PROJECT_CREATED = "project-created", "d083bad6f4544d41b52826f41695fc13", Notice;
    /// A project's key was forgotten.
    PROJECT_DELETED = "project-deleted", "8e3e5f2a65a0e03f6bb1ddb86524921b", Notice;
    /// A project's key was handed to the engine.
    PROJECT_KEY = "project-key", "8704ab539f326ad3f6741caf50d52c36", Info;
    /// Certificates were issued.
    LEAVES = "leaves", "7612afd67079934eede5f870abcb51c8", Info;
    /// The keeper was told of a proxy listener that others than this host can reach.
    BIND_OVERRIDE = "bind-override", "e9557960ac087a878c8fc4e52f7f4b06", Warning;
    /// A file is an old copy, or the counter that would tell cannot be read.
    ROLLBACK_SUSPECTED = "rollback-suspected", "3bd32f816673679dcb64a37650145beb", Error;
    /// An old copy, or a counter that cannot be read, was accepted by name.
    ROLLBACK_ACCEPTED = "rollback-accepted", "56413434f5fba61de1ca73cce3d2c282", Warning;
    /// The rollback counter was made anew.
    COUNTER_RESET = "counter-reset", "1702425a4e2a1a1b77e74be8c1d9f15d", Warning;
    /// The instance has a client at an authorization server, or what is known of it changed.
    REGISTERED = "registered", "6c058935ea68b9cb0dd07327d57fb9fe", Notice;
    /// The instance was tied to an account.
    CLAIMED = "claimed", "49aebce27d238ab3d9b7bb12903c6f32", Notice;
    /// Client, owner, sessions and the instance's own key were forgotten.
    IDENTITY_RESET = "identity-reset", "86a2b84efd81d03576edc4e9d5a40ac4", Warning;
    /// Somebody signed in.
    SESSION_BEGUN = "session-begun", "35dcf2f27ea59e5436104173004f502c", Info;
    /// A session was ended.
    SESSION_ENDED = "session-ended", "93d7dd36c897e4333a132b5c458f88a4", Info;
    /// A hub's signing keys moved on by one step.
    SIGNING_KEYS_ROTATED = "signing-keys-rotated", "8488f75d2ad466fe73571247eaf60e2a", Notice;
    /// What a write that was cut short left at the end of the audit log was removed.
    AUDIT_REPAIRED = "audit-repaired", "f2fabbf1b3da99a2ae2ea7b1899aa893", Warning;
    /// The audit log lacks entries at its end, or others are in their place.
    AUDIT_CUT = "audit-cut", "689ce27a67c410ef26ab6b8fe2392420", Error;
    /// `secrets.db` is older than the audit log.
    SECRETS_OLDER = "secrets-older", "596bbeb0893a44868b69d12d474d9cf3", Error;
    /// Events that are not in the audit log one by one.
    UNWRITTEN = "unwritten", "570ca1f3df52005e9a25af44354012e4", Warning;
    /// No recovery key was confirmed; told at each start.
    RECOVERY_UNCONFIRMED = "recovery-unconfirmed", "098aba7eada8bbcc559fb68773b40ecd", Warning;
    /// The instance has no owner; told at each start.
    UNCLAIMED = "unclaimed", "7801c8da04344185128ff71e2956af85", Notice;
    /// The kernel lacks a part of a process's sandbox.
    SANDBOX_INCOMPLETE = "sandbox-incomplete", "de0181a41a520d292e39725dff7638af", Warning;
    /// Another process of the instance broke the protocol, or has the wrong role, and was cut off.
    PEER_DROPPED = "peer-dropped", "2e8a408c668fb54c1758455c6319dfd6", Warning;
    /// A listener that others than this host could reach was refused.
    BIND_REFUSED = "bind-refused", "b60abb1dd4750a82b9a7cb9a25e3acdf", Error;
    /// A listener that others than this host can reach is in force, as the configuration permits.
    PUBLIC_BIND = "public-bind", "b74cafe2884180862f2d1e66b7cfdf05", Warning;
    /// Somebody without a proxy user's password was turned away.
    PROXY_AUTHENTICATION_FAILED = "proxy-authentication-failed", "37dbf9741fd76208dee7d5e1f2adb8df", Warning;
    /// The TPM or the PKCS#11 token did not do what it was asked.
    DEVICE_FAILED = "device-failed", "04a9bb8b0b6a7879de71d016b55d5584", Warning;
    /// Flows cannot be written down; traffic goes on.
    RECORDING_FAILED = "recording-failed", "4a0e192be9ff245517c7fc16041e6fa7", Error;
    /// Flows are written down again.
    RECORDING_RESUMED = "recording-resumed", "77807a19e9e1dec220e45890970b6a1a", Notice;
    /// The authorization server cannot be reached; nobody can sign in by it meanwhile.
    ISSUER_UNREACHABLE = "issuer-unreachable", "8e5eb724f7ba14c3f12f707938831258", Warning;
    /// The authorization server answers again.
    ISSUER_REACHABLE = "issuer-reachable", "50a57e2934e585fb2e860e43057f5aee", Notice;
    /// The authorization server does not know the instance any more.
    INSTANCE_DELETED = "instance-deleted", "65bede615bcc06b3b7f0c17fff747233", Error;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const CATALOG: &str = include_str!("../../../../systemd/merlon.catalog");
    const DOCS: &str = include_str!("../../../../docs/logs.md");

    #[test]
    fn ids_and_names_are_unique_and_well_formed() {
        let ids: BTreeSet<_> = ALL.iter().map(|event| event.id).collect();
        let names: BTreeSet<_> = ALL.iter().map(|event| event.name).collect();
        assert_eq!((ids.len(), names.len()), (ALL.len(), ALL.len()));
        for Event { name, id, .. } in ALL {
            assert!(id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{id}");
            assert!(name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'-')), "{name}");
        }
    }

    #[test]
    fn the_catalog_has_a_subject_and_words_for_each_event_and_no_other() {
        let entries: Vec<&str> = CATALOG.split("\n-- ").skip(1).collect();
        let ids: Vec<&str> = entries.iter().filter_map(|entry| entry.lines().next()).collect();
        assert_eq!(ids, ALL.iter().map(|event| event.id).collect::<Vec<_>>());
        for entry in entries {
            let (head, body) = entry.split_once("\n\n").expect("a blank line ends the head");
            assert!(head.lines().any(|line| line.len() > 20 && line.starts_with("Subject: ")), "{entry}");
            assert!(body.trim().len() > 20 && body.trim_end().ends_with('.'), "{entry}");
        }
    }

    #[test]
    fn the_documentation_lists_each_event_with_its_id() {
        let (_, table) = DOCS.split_once("\n## Events\n").expect("a section");
        let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows.len(), ALL.len());
        for (row, event) in rows.iter().zip(ALL) {
            let Event { name, id, priority } = event;
            let word = ["err", "warning", "notice", "info"][*priority as usize - 3];
            assert!(
                row.starts_with(&format!("| `{name}` | {word} | ")) && row.ends_with(&format!(" | `{id}` |")),
                "{row}"
            );
        }
    }
}
