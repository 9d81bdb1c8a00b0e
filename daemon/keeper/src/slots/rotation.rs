//! New slots for a new master key: which of the old ones can be made again, and the files that will hold them.

use std::io;
use std::path::Path;

use merlon_sandbox::files;
use merlon_sandbox::secret::{Secret, SecretBuf};

use super::copies;
use super::kinds::credential::{self, CredentialSlot};
use super::kinds::file::{FileSlot, KEY_FILE};
use super::kinds::passphrase::PassphraseSlot;
use super::kinds::recovery::{self, RecoverySlot};
use super::kinds::{Material, Way, pkcs11, tpm2};
use super::record::Keyslots;
use super::set::{Refused, SlotSet, SlotsError};
use super::slot::{Kind, Slot, SlotError};
use crate::clock;
use crate::crypto::CryptoError;
use crate::instance_id::InstanceId;
use crate::keys::{MasterKey, Purpose};

/// The file that becomes both copies of the keyslots.
pub(crate) const KEYSLOTS_NEXT: &str = "keyslots.next";
/// The file that becomes `file.key`, if there is a `file` slot.
pub(crate) const KEY_FILE_NEXT: &str = "file.key.next";

/// What becomes of each slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Made again, under the same id.
    pub(crate) kept: Vec<u32>,
    /// Not made again.
    pub(crate) dropped: Vec<u32>,
}

/// Which slots [`write_next`] would keep. A passphrase that opens no slot is refused; an empty one is none.
pub(crate) fn plan(slots: &SlotSet, master: &MasterKey, from: Material<'_>) -> Result<Plan, Refused> {
    let mut plan = Plan::default();
    let mut passphrase_used = from.typed.is_empty();
    for slot in &slots.keyslots().slots {
        let kept = can_rewrap(slot, master, from)?;
        passphrase_used |= kept && slot.kind() == Kind::Passphrase;
        if kept { plan.kept.push(slot.id) } else { plan.dropped.push(slot.id) }
    }
    if passphrase_used { Ok(plan) } else { Err(SlotError::WrongSecret.into()) }
}

/// Can the slot be made again with what is at hand?
fn can_rewrap(slot: &Slot, master: &MasterKey, from: Material<'_>) -> Result<bool, Refused> {
    match &slot.way {
        Way::File(_) | Way::Credential(_) => Ok(true),
        // What is kept of a PIN was kept under the old master key: it has to be given anew, with a slot that is new too.
        Way::Tpm2(slot) => Ok(slot.pin.is_none() && !slot.once),
        Way::Pkcs11(slot) => Ok(!slot.typed_pin),
        Way::Passphrase(_) if from.typed.is_empty() => Ok(false),
        Way::Passphrase(_) => match slot.unwrap(master.instance(), from) {
            Ok(key) => Ok(key.ct_eq(master.key())),
            Err(SlotError::WrongSecret) => Ok(false),
            Err(error) => Err(error.into()),
        },
        Way::Recovery(_) => Ok(false),
    }
}

/// Fresh material for a slot that can be made again, and how it is had from now on. A failure stops the whole rotation
/// before anything is changed.
fn rewrap_slot(slot: &Slot, instance: &InstanceId, from: Material<'_>) -> Result<(Way, Secret<32>), Refused> {
    match &slot.way {
        Way::File(FileSlot) => Ok((Way::File(FileSlot), Secret::random().map_err(CryptoError::from)?)),
        Way::Tpm2(slot) => {
            let to = tpm2::Binding { pcrs: Some(slot.pcrs()), policy_key: &slot.object.policy_key, once: false };
            let sealed = tpm2::seal(&from.means.door, &to, None)?;
            Ok((Way::Tpm2(Box::new(sealed.slot)), sealed.material))
        }
        Way::Pkcs11(slot) => {
            let (slot, material) = pkcs11::wrap(&from.means.door, instance, &slot.uri, None)?;
            Ok((Way::Pkcs11(Box::new(slot)), material))
        }
        // It is systemd's, and was never kept under the old master key.
        Way::Credential(_) => Ok((Way::Credential(CredentialSlot), credential::material(from.means)?)),
        Way::Passphrase(_) => {
            let way = PassphraseSlot::new()?;
            let material = way.hash(from.typed)?;
            Ok((Way::Passphrase(way), material))
        }
        Way::Recovery(_) => Err(SlotError::WrongSecret.into()),
    }
}

/// Writes [`KEYSLOTS_NEXT`] and, for a `file` slot, [`KEY_FILE_NEXT`]: the slots of `plan`, and a recovery slot. Returns
/// that slot's id and its key as it is printed.
pub(crate) fn write_next(
    slots: &SlotSet,
    plan: &Plan,
    new: &MasterKey,
    from: Material<'_>,
) -> Result<(u32, SecretBuf), Refused> {
    let old = slots.keyslots();
    let io = |source| SlotsError::Write { dir: from.means.dir().to_owned(), source };
    let mut next = Vec::new();
    for slot in old.slots.iter().filter(|slot| plan.kept.contains(&slot.id)) {
        let (way, material) = rewrap_slot(slot, new.instance(), from)?;
        if slot.kind() == Kind::File {
            files::write_atomic(from.means.dir(), KEY_FILE_NEXT, material.expose(), 0o400).map_err(io)?;
        }
        next.push(Slot::wrap(slot.id, clock::now_us(), way, new.instance(), &material, new.key())?);
    }
    if next.is_empty() {
        return Err(Refused::LastSlot);
    }
    let key = Secret::random().map_err(CryptoError::from)?;
    let printed = recovery::print(&key)?;
    let way = Way::Recovery(RecoverySlot { confirmed: false });
    next.push(Slot::wrap(old.next_id, clock::now_us(), way, new.instance(), &key, new.key())?);
    let keyslots = Keyslots { sequence: old.sequence + 1, next_id: old.next_id + 1, slots: next, ..old.clone() };
    let (_, text) = copies::text(&keyslots, &new.derive(Purpose::KeyslotMac)?);
    files::write_atomic(from.means.dir(), KEYSLOTS_NEXT, text.as_bytes(), 0o600).map_err(io)?;
    Ok((old.next_id, printed))
}

/// Puts in place what [`write_next`] wrote; what is in place already is passed over.
pub(crate) fn put_in_place(dir: &Path) -> io::Result<()> {
    let is_there = |name: &str| dir.join(name).symlink_metadata().is_ok();
    if is_there(KEY_FILE_NEXT) {
        std::fs::rename(dir.join(KEY_FILE_NEXT), dir.join(KEY_FILE))?;
    }
    if is_there(KEYSLOTS_NEXT) {
        let text = std::fs::read(dir.join(KEYSLOTS_NEXT))?;
        if let Some(error) = copies::put(dir, &text)? {
            return Err(error);
        }
        std::fs::remove_file(dir.join(KEYSLOTS_NEXT))?;
    }
    Ok(())
}
