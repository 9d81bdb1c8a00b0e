//! The keyslot file as JSON, and the way from there to types: whatever does not fit is refused here.

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};

use super::kinds::Way;
use super::kinds::argon2id::Argon2id;
use super::kinds::credential::CredentialSlot;
use super::kinds::file::FileSlot;
use super::kinds::passphrase::PassphraseSlot;
use super::kinds::recovery::RecoverySlot;
use super::sealed_record::{Pkcs11Record, Tpm2Record};
use super::slot::Slot;
use crate::instance_id::InstanceId;

/// The version of the format that this program writes.
const VERSION: u32 = 1;
/// The most slots of an instance.
pub(super) const MAX_SLOTS: usize = 32;

/// All keyslots of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keyslots {
    pub(super) instance: InstanceId,
    /// Grows by one with each change; the higher copy counts.
    pub(super) sequence: u64,
    /// The first start came to its end: `secrets.db` exists and is needed.
    pub(super) complete: bool,
    /// The id of the next slot.
    pub(super) next_id: u32,
    pub(super) slots: Vec<Slot>,
    /// Where the TPM counts the changes of the keeper's files, if it does.
    pub(super) counter: Option<Counter>,
}

/// The rollback counter, as the keyslots know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    /// NV index (TPM 2.0 part 2, 13.1).
    pub(crate) index: u32,
    /// Keeps others from moving or removing it; whoever reads this file may.
    pub(crate) auth: [u8; 32],
    /// What the counter said when the keyslots were counted last.
    pub(crate) generation: u64,
}

/// Why a line is not a list of keyslots.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("it is written in format {0}, and this program knows format {VERSION}; install the release that wrote it")]
    Newer(u32),
    #[error("it is damaged ({0})")]
    Damaged(String),
}

#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Body {
    version: u32,
    instance: String,
    sequence: u64,
    complete: bool,
    next_id: u32,
    slots: Vec<SlotRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counter: Option<CounterRecord>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CounterRecord {
    index: u32,
    auth: String,
    generation: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SlotRecord {
    id: u32,
    kind: String,
    created_us: i64,
    salt: String,
    wrapped: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpm2: Option<Tpm2Record>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pkcs11: Option<Pkcs11Record>,
    #[serde(skip_serializing_if = "Option::is_none")]
    argon2id: Option<Argon2Record>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed: Option<bool>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Argon2Record {
    salt: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Keyslots {
    /// Line 1 of the file.
    pub(super) fn to_line(&self) -> String {
        let body = Body {
            version: VERSION,
            instance: self.instance.hex(),
            sequence: self.sequence,
            complete: self.complete,
            next_id: self.next_id,
            slots: self.slots.iter().map(SlotRecord::of).collect(),
            counter: self.counter.as_ref().map(|counter| CounterRecord {
                index: counter.index,
                auth: HEXLOWER_PERMISSIVE.encode(&counter.auth),
                generation: counter.generation,
            }),
        };
        serde_json::to_string(&body).expect("numbers and text always have a JSON form")
    }

    /// From line 1, whose checksum was right.
    pub(super) fn from_line(line: &str) -> Result<Self, RecordError> {
        let damaged = |e: serde_json::Error| RecordError::Damaged(e.to_string());
        let AnyVersion { version } = serde_json::from_str(line).map_err(damaged)?;
        if version != VERSION {
            return Err(RecordError::Newer(version));
        }
        let body: Body = serde_json::from_str(line).map_err(damaged)?;
        let instance = InstanceId::from_hex(&body.instance).ok_or_else(|| wrong("the instance"))?;
        if body.slots.is_empty() || body.slots.len() > MAX_SLOTS {
            return Err(wrong("the number of slots"));
        }
        let slots = body.slots.iter().map(SlotRecord::parse).collect::<Result<Vec<_>, _>>()?;
        let ids_rise = slots.windows(2).all(|pair| pair[0].id < pair[1].id);
        if !ids_rise || slots.last().is_some_and(|last| last.id >= body.next_id) {
            return Err(wrong("the order of slot ids"));
        }
        let counter = |record: &CounterRecord| {
            let CounterRecord { index, ref auth, generation } = *record;
            Ok(Counter { index, auth: bytes(auth)?, generation })
        };
        let counter = body.counter.as_ref().map(counter).transpose()?;
        Ok(Self { instance, sequence: body.sequence, complete: body.complete, next_id: body.next_id, slots, counter })
    }
}

impl SlotRecord {
    fn of(slot: &Slot) -> Self {
        let mut record = Self {
            id: slot.id,
            kind: slot.kind().name().to_owned(),
            created_us: slot.created_us,
            salt: hex(&slot.salt),
            wrapped: hex(&slot.wrapped),
            tpm2: None,
            pkcs11: None,
            argon2id: None,
            confirmed: None,
        };
        match &slot.way {
            Way::Tpm2(way) => {
                record.tpm2 = Some(Tpm2Record::of(way));
                record.argon2id = way.pin.as_ref().map(Argon2Record::of);
            }
            Way::Pkcs11(way) => record.pkcs11 = Some(Pkcs11Record::of(way)),
            Way::Credential(CredentialSlot) | Way::File(FileSlot) => {}
            Way::Passphrase(way) => record.argon2id = Some(Argon2Record::of(&way.cost)),
            Way::Recovery(way) => record.confirmed = Some(way.confirmed),
        }
        record
    }

    fn parse(&self) -> Result<Slot, RecordError> {
        let cost = self.argon2id.as_ref().map(Argon2Record::parse).transpose()?;
        let way = match (self.kind.as_str(), &self.tpm2, &self.pkcs11, cost, self.confirmed) {
            ("tpm2", Some(record), None, pin, None) => Way::Tpm2(Box::new(record.parse(pin)?)),
            ("pkcs11", None, Some(record), None, None) => Way::Pkcs11(Box::new(record.parse()?)),
            ("credential", None, None, None, None) => Way::Credential(CredentialSlot),
            ("file", None, None, None, None) => Way::File(FileSlot),
            ("passphrase", None, None, Some(cost), None) => Way::Passphrase(PassphraseSlot { cost }),
            ("recovery", None, None, None, Some(confirmed)) => Way::Recovery(RecoverySlot { confirmed }),
            _ => return Err(wrong("the kind of a slot")),
        };
        Ok(Slot {
            id: self.id,
            created_us: self.created_us,
            salt: bytes(&self.salt)?,
            wrapped: bytes(&self.wrapped)?,
            way,
        })
    }
}

impl Argon2Record {
    fn of(cost: &Argon2id) -> Self {
        Self { salt: hex(&cost.salt), memory_kib: cost.memory_kib, passes: cost.passes, lanes: cost.lanes }
    }

    fn parse(&self) -> Result<Argon2id, RecordError> {
        let Self { salt, memory_kib, passes, lanes } = self;
        let cost = Argon2id { salt: bytes(salt)?, memory_kib: *memory_kib, passes: *passes, lanes: *lanes };
        if cost.in_bounds() { Ok(cost) } else { Err(wrong("the cost of Argon2id")) }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    HEXLOWER_PERMISSIVE.encode(bytes)
}

pub(super) fn any_bytes(hex: &str) -> Result<Vec<u8>, RecordError> {
    HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map_err(|_| wrong("a value in hex"))
}

pub(super) fn bytes<const N: usize>(hex: &str) -> Result<[u8; N], RecordError> {
    any_bytes(hex)?.try_into().map_err(|_| wrong("the length of a value"))
}

pub(super) fn wrong(what: &str) -> RecordError {
    RecordError::Damaged(format!("{what} is wrong"))
}
