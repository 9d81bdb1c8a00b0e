//! What `merlon` may ask of the keeper on `admin.sock` (mode 0600: root, or the instance's owner).
//!
//! Secrets travel here in both directions (a passphrase in; a recovery key, a token or a password out, each once), so
//! both sides hold frames in secret memory.

use serde::{Deserialize, Serialize};

use crate::keeper::{Refusal, Status};
use crate::seal::Tpm2Report;

/// The longest passphrase, in bytes.
pub const MAX_PASSPHRASE: usize = 1024;
/// The longest label of a token or name of a proxy user, in bytes.
pub const MAX_LABEL: usize = 64;

/// A request on the admin socket. All need an unlocked keeper, but the first three and those that say otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// State of the keeper.
    Status,
    /// All keyslots.
    ListKeyslots,
    /// Open a locked instance.
    Unlock(UnlockWith<'a>),
    /// A new slot; the answer to `Recovery` is the recovery key, shown this once and unconfirmed.
    AddKeyslot(NewKeyslot<'a>),
    /// The recovery key typed back: confirms the slot that it opens.
    ConfirmRecovery(&'a [u8]),
    /// Removes a slot.
    RemoveKeyslot(u32),
    /// Does this slot still open? The secret is needed for `passphrase`, `recovery`, and slots with a PIN.
    TestKeyslot {
        /// The slot's id.
        id: u32,
        /// Passphrase, recovery key or PIN; empty for slots that open by themselves.
        secret: &'a [u8],
    },
    /// Seals a `tpm2` slot anew, to the machine as it is now. Needs no secret.
    Reseal {
        /// The slot's id.
        id: u32,
        /// Make a second slot without PCRs instead, which opens the next start and is removed by it.
        next_boot_once: bool,
    },
    /// What a policy key has to sign for a slot, as the machine is now. Answered while locked too.
    Policy(u32),
    /// Keeps a signature over a policy for a slot. Taken while locked too: the TPM judges it.
    Authorize {
        /// The slot's id.
        id: u32,
        /// The policy digest, 32 bytes; empty: the present one.
        policy: &'a [u8],
        /// ECDSA with SHA-256, in DER.
        signature: &'a [u8],
    },
    /// How TPM, slots, memory and counter stand. Answered while locked too.
    KeyReport,
    /// What [`Request::Rotate`] would do to each slot. Changes nothing. The passphrase may be empty.
    PlanRotation(&'a [u8]),
    /// A new master key, new slots, and a new key for each project, which the engine then puts in place. A passphrase
    /// slot is kept only if this passphrase opens it; it may be empty. The answer is the new recovery key.
    Rotate(&'a [u8]),
    /// A new access token; the answer shows it this once.
    CreateToken {
        /// `viewer`, `operator` or `owner`.
        role: &'a str,
        /// For people.
        label: &'a str,
    },
    /// All access tokens, without their values.
    ListTokens,
    /// Revokes a token at once.
    RevokeToken(&'a str),
    /// A new proxy user with a generated password; the answer shows it this once.
    CreateProxyUser(&'a str),
    /// The names of all proxy users.
    ListProxyUsers,
    /// Removes a proxy user.
    RemoveProxyUser(&'a str),
    /// The keeper's part of a backup. The answer brings a descriptor, from which its parts are read.
    Backup {
        /// Not empty: a passphrase that opens this backup, besides the slots that the instance has.
        passphrase: &'a [u8],
    },
    /// The MAC of a backup's manifest, once all parts are copied. Refused if keys changed since `state` was told.
    SealBackup {
        /// From [`Response::Backup`].
        state: [u8; 32],
        /// SHA-256 of the manifest's first line.
        manifest: [u8; 32],
    },
    /// Entries of the audit log, newest first: as many as fit an answer.
    AuditList {
        /// Only entries with lower numbers; none: from the newest.
        before: Option<u64>,
        /// At most so many.
        limit: u32,
    },
    /// Verifies the whole audit log.
    AuditVerify,
    /// Lets the instance open although this file (`secrets.db` or `keyslots`) is an old copy, or although the rollback
    /// counter (`counter`) cannot be read. Holds for one opening. Taken while locked.
    AcceptRollback(&'a str),
    /// A new rollback counter in place of the one that is lost. Taken while locked too.
    CounterReset,
    /// The one-time code that ties the instance to an account.
    ClaimCode,
}

/// A way to open a locked instance by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnlockWith<'a> {
    /// The bytes of the passphrase, without a line end.
    Passphrase(&'a [u8]),
    /// The recovery key as printed, in any case, with or without dashes.
    Recovery(&'a [u8]),
    /// The PIN of a `tpm2` or `pkcs11` slot, without a line end.
    Pin {
        /// The PIN.
        pin: &'a [u8],
        /// Try even if a failure would lock TPM or token.
        force: bool,
    },
    /// Try once more all slots that open by themselves.
    Machine,
}

/// A slot to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NewKeyslot<'a> {
    /// A random key in a file beside the keyslots, mode 0400.
    File,
    /// Argon2id (RFC 9106) over a passphrase.
    Passphrase(&'a [u8]),
    /// 256 random bits, printed once.
    Recovery,
    /// Sealed to this machine's TPM 2.0.
    Tpm2 {
        /// Which PCRs; none given: PCR 7 if it measures something, else none.
        pcrs: Option<Vec<u8>>,
        /// Empty: without a PIN.
        pin: &'a [u8],
        /// A P-256 point (SEC 1, uncompressed) whose signature stands for the PCRs; or empty.
        policy_key: &'a [u8],
    },
    /// Encrypted by a key in a PKCS#11 token.
    Pkcs11 {
        /// RFC 7512.
        uri: &'a str,
        /// The user PIN; none: from the configured file or credential, which then also opens it at start.
        pin: Option<&'a [u8]>,
    },
    /// The credential `merlon-key` that systemd passes (`LoadCredentialEncrypted=`).
    Credential,
}

/// An answer on the admin socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response<'a> {
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::ListKeyslots`].
    Keyslots(Vec<Keyslot>),
    /// The id of the slot added, tested, confirmed, removed, or that opened the instance.
    Keyslot(u32),
    /// To [`Request::PlanRotation`].
    RotationPlan(RotationPlan),
    /// A new recovery slot and its key, in the alphabet that people can type.
    RecoveryKey {
        /// The slot's id.
        id: u32,
        /// Groups joined by `-`.
        key: &'a str,
    },
    /// To [`Request::AddKeyslot`] and [`Request::Reseal`], where there is something to be told.
    KeyslotWithNotes {
        /// The slot's id.
        id: u32,
        /// Whole sentences.
        notes: Vec<String>,
    },
    /// To [`Request::Policy`].
    Policy {
        /// SHA-256 digest of the policy.
        digest: [u8; 32],
        /// The PCRs that it is over.
        pcrs: Vec<u8>,
        /// A signature for it is kept already.
        authorized: bool,
    },
    /// To [`Request::KeyReport`].
    KeyReport(KeyReport),
    /// To [`Request::CreateToken`].
    Token {
        /// Public id.
        id: &'a str,
        /// The token, shown this once.
        token: &'a str,
    },
    /// To [`Request::ListTokens`].
    Tokens(Vec<Token>),
    /// To [`Request::CreateProxyUser`].
    ProxyPassword(&'a str),
    /// To [`Request::ListProxyUsers`].
    ProxyUsers(Vec<String>),
    /// To [`Request::Backup`]; with it comes a descriptor, whose bytes are those of all parts, in this order.
    Backup {
        /// The instance's id, in hex.
        instance: String,
        /// The projects whose keys are in the copy of `secrets.db`.
        projects: Vec<u64>,
        /// For [`Request::SealBackup`].
        state: [u8; 32],
        /// The keeper's parts.
        parts: Vec<BackupPart>,
    },
    /// To [`Request::SealBackup`].
    BackupMac([u8; 32]),
    /// To [`Request::AuditList`].
    AuditEntries(Vec<AuditEntry>),
    /// To [`Request::AuditVerify`].
    AuditVerdict(AuditVerdict),
    /// To [`Request::ClaimCode`]: groups joined by `-`; none once the instance has an owner.
    ClaimCode(Option<&'a str>),
    /// Done, nothing to show.
    Done,
    /// Understood and refused.
    Refused(AdminRefusal),
}

/// Why an administrative request was refused. Each says what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AdminRefusal {
    /// As on the link.
    #[error(transparent)]
    Keeper(Refusal),
    /// Unlocking an open instance.
    #[error("the instance is open already; nothing was done")]
    AlreadyUnlocked,
    /// No slot of this kind.
    #[error("the instance has no {0} slot; `merlon keyslot list` shows those it has")]
    NoSlotOfKind(String),
    /// No slot with this id.
    #[error("there is no keyslot {0}; `merlon keyslot list` shows them")]
    NoSuchSlot(u32),
    /// The secret does not open the slot.
    #[error("this {0} does not open the instance; check it and try again")]
    WrongSecret(String),
    /// A recovery key with a typing error: its check group does not match.
    #[error("the recovery key has a typing error: its check group does not match the rest")]
    RecoveryTypo,
    /// The last slot that stands without a confirmed recovery slot.
    #[error("this is the last other slot and no recovery slot is confirmed; run `merlon keyslot add recovery` first")]
    LastSlot,
    /// A passphrase too short or too long.
    #[error("a passphrase has 8 to {MAX_PASSPHRASE} bytes")]
    PassphraseLength,
    /// A PIN too short or too long.
    #[error("a PIN has 4 to {MAX_PASSPHRASE} bytes")]
    PinLength,
    /// A PCR that no TPM has.
    #[error("PCRs are numbered 0 to 23; `--pcrs 7` is what most machines want")]
    Pcr,
    /// Not a point on P-256.
    #[error("the policy key is no public key on P-256; make one with `openssl ecparam -name prime256v1 -genkey`")]
    PolicyKey,
    /// A slot of the kind exists and only one makes sense.
    #[error("there is a {0} slot already; remove it first")]
    SlotExists(String),
    /// A role that does not exist.
    #[error("there is no role `{0}`; use viewer, operator or owner")]
    NoSuchRole(String),
    /// A label or name that is empty, too long or has control characters.
    #[error("a name has 1 to {MAX_LABEL} printable characters and no colon")]
    BadLabel,
    /// A name that is in use.
    #[error("the name `{0}` is taken")]
    Taken(String),
    /// No such token or user.
    #[error("there is no `{0}`")]
    NotFound(String),
    /// The TPM or the token refused; why, and what to do.
    #[error(transparent)]
    Seal(crate::seal::Failure),
    /// No `merlon-seal` answered.
    #[error("merlon-seal did not do its work: {0}")]
    NoSeal(String),
    /// The slot is of another kind than the request needs.
    #[error("keyslot {0} is no {1} slot; `merlon keyslot list` shows their kinds")]
    OtherKind(u32, String),
    /// systemd passed no credential.
    #[error(
        "no credential `merlon-key` was passed to the keeper; set LoadCredentialEncrypted= in a drop-in of merlon-keeper@.service"
    )]
    NoCredential,
    /// A machine slot failed; why.
    #[error("the slot does not open: {0}")]
    SlotFailed(String),
    /// A list is full.
    #[error("there are too many {0} already; remove one first")]
    TooMany(String),
    /// An earlier rotation has not come to its end.
    #[error("{0} projects still wait for their new key; `merlon keyslot rotate` goes on with them")]
    RotationUnderWay(u32),
    /// Nothing but the new recovery key would open the instance.
    #[error(
        "no slot but the recovery key would be left; give the passphrase: `merlon keyslot rotate --passphrase-file FILE`"
    )]
    RotationNeedsPassphrase,
    /// An old copy of a file was put back, or its age cannot be told.
    #[error("{0}")]
    Rollback(String),
    /// Nothing by this name waits to be accepted.
    #[error("there is nothing to accept by the name `{0}`; `merlon status` says what was found")]
    NothingToAccept(String),
    /// The rollback counter is not in use.
    #[error("the rollback counter is off; set tpm.counter = true in the instance's configuration")]
    CounterOff,
    /// The keyslots could not be written; nothing was changed.
    #[error("nothing was changed: {0}")]
    NotWritten(String),
    /// A backup that nobody could open.
    #[error(
        "nobody could open this backup: the instance has no recovery key that was typed back and no passphrase; run `merlon keyslot add recovery`, or give --passphrase-file"
    )]
    NoWayIntoBackup,
    /// A project was created or deleted, or keys were rotated, while the backup was made.
    #[error("projects or their keys were changed while the backup was made; run `merlon backup` again")]
    BackupOutdated,
    /// The keeper's part could not be made; why.
    #[error("the keeper's part of the backup could not be made: {0}")]
    BackupFailed(String),
}

/// One of the keeper's parts of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupPart {
    /// As in the backup's manifest.
    pub name: String,
    /// Bytes.
    pub length: u64,
}

/// A keyslot, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyslot {
    /// Never used again after removal.
    pub id: u32,
    /// `tpm2`, `pkcs11`, `credential`, `file`, `passphrase` or `recovery`.
    pub kind: String,
    /// Microseconds since 1970-01-01 UTC.
    pub created_us: i64,
    /// For recovery slots: typed back.
    pub confirmed: bool,
    /// This slot opened the running instance.
    pub in_use: bool,
    /// A PIN typed by a person can open it: `tpm2` with a PIN, and every `pkcs11`.
    pub pin: bool,
    /// Parameters for people (path of the file, cost of Argon2id).
    pub detail: String,
}

/// What becomes of each slot when all keys are replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationPlan {
    /// Projects that wait for their new key since an earlier call; if there are any, only they are dealt with.
    pub waiting: u32,
    /// Slots that stay, with new material.
    pub kept: Vec<u32>,
    /// Slots that go, because they cannot be made again without a person. All recovery slots are among them.
    pub dropped: Vec<u32>,
}

/// How the keys stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyReport {
    /// The TPM, or why there is none to be had.
    pub tpm: Result<Tpm2Report, String>,
    /// Each `tpm2` slot against it.
    pub tpm2_slots: Vec<Tpm2Slot>,
    /// Where keys are held: `memfd_secret` or `locked`.
    pub secret_memory: String,
    /// The rollback counter: `off`; or text that begins with its value in digits, where all is well; anything else is a
    /// sentence about what is wrong with it.
    pub counter: String,
    /// What the last start was opened by, and what failed before it; whole sentences.
    pub notes: Vec<String>,
}

/// A `tpm2` slot against the TPM as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tpm2Slot {
    /// The slot's id.
    pub id: u32,
    /// The TPM's storage root key is the pinned one.
    pub srk_matches: bool,
    /// Each bound PCR: when it was sealed, and now.
    pub pcrs: Vec<PcrThenNow>,
    /// It needs a PIN.
    pub pin: bool,
    /// It takes signed policies.
    pub signed: bool,
    /// It opens one start and is removed by it.
    pub once: bool,
    /// When it was sealed last, in microseconds since 1970-01-01 UTC.
    pub sealed_us: i64,
}

/// A PCR's values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PcrThenNow {
    /// 0 to 23.
    pub index: u8,
    /// SHA-256 when it was sealed.
    pub then: [u8; 32],
    /// SHA-256 now.
    pub now: [u8; 32],
}

/// An access token without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Public id.
    pub id: String,
    /// `viewer`, `operator` or `owner`.
    pub role: String,
    /// For people.
    pub label: String,
    /// Microseconds since 1970-01-01 UTC.
    pub created_us: i64,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number; the first is 1.
    pub sequence: u64,
    /// RFC 3339 in UTC with microseconds.
    pub time: String,
    /// What happened, as in `docs/audit.md`.
    pub event: String,
    /// More about it: a JSON object of numbers and text.
    pub details: String,
}

/// How the audit log stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditVerdict {
    /// Entries whose place in the chain was verified.
    pub entries: u64,
    /// The number of the first.
    pub first: Option<u64>,
    /// The number of the last.
    pub last: Option<u64>,
    /// The first place where something is wrong, and what.
    pub problem: Option<String>,
}
