//! From keyslots to the master key: which slots are tried, in which order, and what is told of those that fail.
//!
//! Every slot of a kind is tried before the next kind, and none of them stops another. What may be slow happens here, so
//! a caller that serves others works on a copy of the set.

use super::copies::GoodCopy;
use super::kinds::{Material, Means, Way};
use super::set::{Opened, Refused, SlotSet, SlotsError, ordered, write};
use super::slot::{Kind, Slot, SlotError};
use crate::keys::{MasterKey, Purpose};

impl SlotSet {
    /// Tries every slot that needs no person. If none opens there is a note for each.
    pub(crate) fn open_by_machine(&mut self, means: &Means) -> Result<Opened, Refused> {
        self.notes.retain(|note| !is_of_a_try(note));
        let wanted = |slot: &Slot| slot.is_machine(means);
        self.open(wanted, Material::machine(means), true)?.ok_or(Refused::NoMachineSlot)
    }

    /// Tries every slot of `kind` with what a person typed.
    pub(crate) fn open_by_person(&mut self, kind: Kind, means: &Means, typed: &[u8]) -> Result<Opened, Refused> {
        let wanted = |slot: &Slot| slot.kind() == kind;
        self.open(wanted, Material::typed(means, typed), false)?.ok_or(Refused::NoSlotOfKind(kind))
    }

    /// Tries every slot that takes a PIN.
    pub(crate) fn open_by_pin(&mut self, means: &Means, pin: &[u8], force: bool) -> Result<Opened, Refused> {
        let wanted = |slot: &Slot| match &slot.way {
            Way::Tpm2(slot) => slot.pin.is_some(),
            Way::Pkcs11(_) => true,
            _ => false,
        };
        self.open(wanted, Material { means, typed: pin, force }, false)?.ok_or(Refused::NoPinSlot)
    }

    /// `None` if there is no slot to try.
    fn open(
        &mut self,
        wanted: impl Fn(&Slot) -> bool,
        from: Material<'_>,
        by_machine: bool,
    ) -> Result<Option<Opened>, Refused> {
        let mut failures: Vec<(Slot, SlotError)> = Vec::new();
        let mut altered = false;
        let candidates = self.candidates.clone();
        for copy in &candidates {
            for slot in ordered(&copy.keyslots).into_iter().filter(|slot| wanted(slot)) {
                // The same slot in the other copy: a TPM is not asked twice, and no try of a PIN is wasted.
                if failures.iter().any(|(failed, _)| failed == slot) {
                    continue;
                }
                let instance = copy.keyslots.instance;
                match slot.unwrap(&instance, from) {
                    Ok(key) => {
                        let master = MasterKey::unwrapped(key, instance);
                        let mac_key = master.derive(Purpose::KeyslotMac)?;
                        // The slot is right, the list around it may not be. The other copy counts if it has this slot.
                        let others = candidates.iter().filter(|other| other.keyslots.slots.contains(slot));
                        let Some(good) = std::iter::once(copy).chain(others).find(|copy| copy.is_authentic(&mac_key))
                        else {
                            altered = true;
                            continue;
                        };
                        altered |= good != copy;
                        let opened = Opened { slot: slot.id, kind: slot.kind(), master };
                        self.settle(good.clone(), altered, &opened.master);
                        return Ok(Some(opened));
                    }
                    Err(error) => {
                        if by_machine {
                            self.note(failure_note(slot, &error));
                        }
                        failures.push((slot.clone(), error));
                    }
                }
            }
        }
        if altered {
            return Err(SlotsError::Altered { dir: self.dir.clone() }.into());
        }
        told(failures, by_machine).map_or(Ok(None), Err)
    }

    /// `copy` is authentic: it counts from now on, and both copies on disk become it.
    fn settle(&mut self, copy: GoodCopy, other_altered: bool, master: &MasterKey) {
        if other_altered {
            self.note("One copy of the keyslots was altered and is not used.".to_owned());
        }
        self.mend |= copy != self.current || other_altered;
        self.current = copy.clone();
        self.candidates = vec![copy];
        if !self.mend {
            return;
        }
        match write(&self.dir, &self.current.keyslots, master) {
            Ok((_, None)) => {
                self.mend = false;
                self.note("Both copies of the keyslots were written again and are whole.".to_owned());
            }
            Ok((_, Some(error))) => self.note_second(Some(error)),
            Err(error) => self.note(format!("The damaged copy was not mended: {error}.")),
        }
    }
}

/// What the notes on a failed slot begin with.
pub(super) fn failure_of(id: u32) -> String {
    format!("Keyslot {id} (")
}

/// `merlon-seal` does not know the slot's number and writes `ID` for it.
fn failure_note(slot: &Slot, error: &SlotError) -> String {
    let id = slot.id;
    let why = error.to_string().replace(" ID", &format!(" {id}"));
    format!("{}{}) does not open: {}.", failure_of(id), slot.kind().name(), why.trim_end_matches('.'))
}

impl SlotSet {
    /// The slots that were tried by themselves and did not open: id and kind.
    pub(crate) fn failed(&self) -> Vec<(u32, &'static str)> {
        let failed = |slot: &&Slot| {
            let beginning = failure_of(slot.id);
            self.notes().iter().any(|note| note.starts_with(&beginning) && is_of_a_try(note))
        };
        self.slots().into_iter().filter(failed).map(|slot| (slot.id, slot.kind().name())).collect()
    }
}

fn is_of_a_try(note: &str) -> bool {
    note.starts_with("Keyslot ") && note.contains(") does not open: ")
}

/// Why each slot that was tried failed, for whoever tried; `None` if none was.
fn told(mut failures: Vec<(Slot, SlotError)>, by_machine: bool) -> Option<Refused> {
    if by_machine && failures.len() > 1 {
        let each: Vec<_> = failures.iter().map(|(slot, error)| failure_note(slot, error)).collect();
        return Some(Refused::NoneOpens(each.join(" ")));
    }
    // What says more than "wrong" counts.
    let at = failures.iter().position(|(_, error)| !matches!(error, SlotError::WrongSecret)).unwrap_or_default();
    (!failures.is_empty()).then(|| failures.swap_remove(at).1.into())
}
