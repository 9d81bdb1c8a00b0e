//! All keyslots of an instance: loading, and every change, each of which is on disk before it counts.

use std::io;
use std::path::{Path, PathBuf};

use merlon_sandbox::secret::Secret;

use super::approvals;
use super::copies::{self, Copy, GoodCopy, NAMES};
use super::kinds::recovery::RecoverySlot;
use super::kinds::{Material, Means, Way, file, tpm2};
use super::opening::failure_of;
use super::record::{Counter, Keyslots, MAX_SLOTS};
use super::slot::{Kind, Slot, SlotError};
use crate::clock;
use crate::crypto::CryptoError;
use crate::instance_id::InstanceId;
use crate::keys::{MasterKey, Purpose};

/// The most `tpm2` slots: a report on all of them has to fit a frame.
const MAX_TPM2: usize = 8;

/// Why the keyslots cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlotsError {
    /// No good copy.
    #[error("no copy of the keyslots in {dir} can be used: keyslots.a: {a}; keyslots.b: {b}. Restore one of them from a backup; nothing was overwritten", dir = .dir.display())]
    NoGoodCopy {
        /// Where.
        dir: PathBuf,
        /// What is wrong with the first.
        a: String,
        /// What is wrong with the second.
        b: String,
    },
    /// A slot opened, but the list around it was not written by this instance.
    #[error("the keyslots in {dir} were altered: their MAC does not match the master key. Restore keyslots.a from a backup; nothing was overwritten", dir = .dir.display())]
    Altered {
        /// Where.
        dir: PathBuf,
    },
    /// The two copies name different instances.
    #[error("keyslots.a and keyslots.b in {dir} belong to different instances; remove the wrong one", dir = .dir.display())]
    TwoInstances {
        /// Where.
        dir: PathBuf,
    },
    /// The disk.
    #[error("the keyslots in {dir} could not be written ({source}); the old ones stand", dir = .dir.display())]
    Write {
        /// Where.
        dir: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The first key file.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// A fault of memory or of the library.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// Why a change was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("there is no keyslot {0}")]
    NoSuchSlot(u32),
    #[error("no {} slot", .0.name())]
    NoSlotOfKind(Kind),
    #[error("a {} slot exists", .0.name())]
    SlotExists(Kind),
    #[error("this is the last slot that opens the instance")]
    LastSlot,
    #[error("an instance has at most {MAX_SLOTS} keyslots")]
    TooMany,
    #[error("an instance has at most {MAX_TPM2} tpm2 slots")]
    TooManyTpm2,
    #[error("no slot that opens by itself")]
    NoMachineSlot,
    #[error("no slot with a PIN")]
    NoPinSlot,
    #[error("keyslot {id} is no {kind} slot", id = .0, kind = .1.name())]
    OtherKind(u32, Kind),
    /// Of several slots, each in its own words.
    #[error("{0}")]
    NoneOpens(String),
    #[error(transparent)]
    Slot(#[from] SlotError),
    #[error(transparent)]
    Slots(#[from] SlotsError),
}

impl From<CryptoError> for Refused {
    fn from(error: CryptoError) -> Self {
        Self::Slots(error.into())
    }
}

/// The master key, and how it was had.
pub(crate) struct Opened {
    pub(crate) master: MasterKey,
    /// The slot that opened it.
    pub(crate) slot: u32,
    /// Its kind.
    pub(crate) kind: Kind,
}

/// The keyslots of one instance.
#[derive(Clone, Debug)]
pub(crate) struct SlotSet {
    pub(super) dir: PathBuf,
    /// The copy that counts. Until a slot has opened, the first of `candidates`.
    pub(super) current: GoodCopy,
    /// Good copies, the higher sequence first; two if they differ.
    pub(super) candidates: Vec<GoodCopy>,
    /// A copy is missing, damaged or old: written again once the MAC is verified.
    pub(super) mend: bool,
    /// What was found, for status and log; whole sentences.
    pub(super) notes: Vec<String>,
}

impl SlotSet {
    /// Reads what is in `dir`; `None` if neither copy exists.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, SlotsError> {
        let [a, b] = NAMES.map(|name| copies::read(dir, name));
        if matches!((&a, &b), (Copy::Missing, Copy::Missing)) {
            return Ok(None);
        }
        let mut notes = Vec::new();
        let mut good = Vec::new();
        let words = [&a, &b].map(|copy| match copy {
            Copy::Missing => "it is missing".to_owned(),
            Copy::Damaged(why) | Copy::Newer(why) => why.clone(),
            Copy::Good(_) => "it is whole".to_owned(),
        });
        let newer = matches!(a, Copy::Newer(_)) || matches!(b, Copy::Newer(_));
        for (name, (copy, why)) in NAMES.iter().zip([a, b].into_iter().zip(&words)) {
            match copy {
                Copy::Good(copy) => good.push(copy),
                _ => notes.push(format!("{name} cannot be used: {why}.")),
            }
        }
        let no_good_copy = || {
            let [a, b] = words.clone();
            SlotsError::NoGoodCopy { dir: dir.to_owned(), a, b }
        };
        good.sort_by_key(|copy| std::cmp::Reverse(copy.keyslots.sequence));
        let Some(first) = good.first().cloned() else { return Err(no_good_copy()) };
        if newer {
            return Err(no_good_copy());
        }
        if good.iter().any(|copy| copy.keyslots.instance != first.keyslots.instance) {
            return Err(SlotsError::TwoInstances { dir: dir.to_owned() });
        }
        let mend = good.len() < 2 || good[0] != good[1];
        good.dedup();
        Ok(Some(Self { dir: dir.to_owned(), current: first, candidates: good, mend, notes }))
    }

    /// Those of an instance that is yet to be made in `dir`: none.
    pub(crate) fn unwritten(dir: &Path) -> Result<Self, SlotsError> {
        let current = GoodCopy::unwritten(InstanceId::random()?);
        Ok(Self { dir: dir.to_owned(), current, candidates: Vec::new(), mend: false, notes: Vec::new() })
    }

    /// Nothing of them is on disk.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.candidates.is_empty()
    }

    /// The first keyslots of a new instance: a master key and a slot for it, of the TPM if there is one that works, else
    /// of a key file. Not complete yet.
    pub(crate) fn create(&mut self, means: &Means) -> Result<Opened, SlotsError> {
        let instance = self.instance();
        let master = MasterKey::random(instance)?;
        let (way, material) = match first_tpm2(means, &mut self.notes) {
            Some(sealed) => (Way::Tpm2(Box::new(sealed.slot)), sealed.material),
            None => (Way::File(file::FileSlot), file::create_or_read(&self.dir)?),
        };
        let slot = Slot::wrap(1, clock::now_us(), way, &instance, &material, master.key())?;
        let kind = slot.kind();
        self.change(&master, |keyslots| {
            keyslots.next_id = 2;
            keyslots.slots.push(slot);
        })?;
        Ok(Opened { master, slot: 1, kind })
    }

    /// The instance that they belong to.
    pub(crate) fn instance(&self) -> InstanceId {
        self.current.keyslots.instance
    }

    /// The first start came to its end.
    pub(crate) fn is_complete(&self) -> bool {
        self.current.keyslots.complete
    }

    /// All slots, machine slots first, in the order in which they are tried.
    pub(crate) fn slots(&self) -> Vec<&Slot> {
        ordered(&self.current.keyslots)
    }

    /// A slot by its id.
    pub(crate) fn get(&self, id: u32) -> Result<&Slot, Refused> {
        self.current.keyslots.slots.iter().find(|slot| slot.id == id).ok_or(Refused::NoSuchSlot(id))
    }

    /// A recovery key was typed back.
    pub(crate) fn recovery_confirmed(&self) -> bool {
        self.current.keyslots.slots.iter().any(|slot| is_confirmed(&slot.way))
    }

    /// The list as it stands.
    pub(super) fn keyslots(&self) -> &Keyslots {
        &self.current.keyslots
    }

    /// What was found damaged, what failed, what to do; whole sentences.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What a try that opened nothing found out about the slots.
    pub(crate) fn take_notes_of(&mut self, tried: &Self) {
        self.notes.clone_from(&tried.notes);
    }

    /// The instance has all that it needs: from now on a missing `secrets.db` is a loss.
    pub(crate) fn complete(&mut self, master: &MasterKey) -> Result<(), SlotsError> {
        self.change(master, |keyslots| keyslots.complete = true)
    }

    /// The rollback counter, if there is one.
    pub(crate) fn counter(&self) -> Option<&Counter> {
        self.current.keyslots.counter.as_ref()
    }

    /// Another rollback counter, or another generation.
    pub(crate) fn set_counter(&mut self, master: &MasterKey, counter: Counter) -> Result<(), SlotsError> {
        self.change(master, |keyslots| keyslots.counter = Some(counter))
    }

    /// A new slot. Returns its id. One for the next start only takes the place of an earlier such slot.
    pub(crate) fn add(&mut self, master: &MasterKey, way: Way, material: &Secret<32>) -> Result<u32, Refused> {
        let keyslots = &self.current.keyslots;
        let id = keyslots.next_id;
        let slot = Slot::wrap(id, clock::now_us(), way, &keyslots.instance, material, master.key())?;
        let once = slot.is_once();
        let stays = |other: &Slot| !(once && other.is_once());
        if keyslots.slots.iter().filter(|other| stays(other)).count() >= MAX_SLOTS {
            return Err(Refused::TooMany);
        }
        let tpm2 = keyslots.slots.iter().filter(|other| stays(other) && other.kind() == Kind::Tpm2).count();
        if slot.kind() == Kind::Tpm2 && tpm2 >= MAX_TPM2 {
            return Err(Refused::TooManyTpm2);
        }
        self.change(master, |keyslots| {
            keyslots.next_id += 1;
            keyslots.slots.retain(stays);
            keyslots.slots.push(slot);
        })?;
        Ok(id)
    }

    /// The slot `id` made anew: another way and other material, the same id and age.
    pub(crate) fn replace(
        &mut self,
        master: &MasterKey,
        id: u32,
        way: Way,
        material: &Secret<32>,
    ) -> Result<(), Refused> {
        let created_us = self.get(id)?.created_us;
        let new = Slot::wrap(id, created_us, way, &self.current.keyslots.instance, material, master.key())?;
        self.change(master, |keyslots| {
            for slot in keyslots.slots.iter_mut().filter(|slot| slot.id == id) {
                *slot = new.clone();
            }
        })?;
        self.notes.retain(|note| !note.starts_with(&failure_of(id)));
        Ok(())
    }

    /// A slot that opens one start has opened it: it goes, and the operator is told what to do next.
    pub(crate) fn retire(&mut self, master: &MasterKey, id: u32) {
        if !self.get(id).is_ok_and(Slot::is_once) {
            return;
        }
        let others: Vec<_> = self.current.keyslots.slots.iter().filter(|slot| slot.id != id).collect();
        let reseal: Vec<_> = others
            .into_iter()
            .filter(|slot| slot.kind() == Kind::Tpm2)
            .map(|slot| format!("`merlon keyslot reseal {}`", slot.id))
            .collect();
        match self.change(master, |keyslots| keyslots.slots.retain(|slot| slot.id != id)) {
            Ok(()) if reseal.is_empty() => self.note(format!(
                "Keyslot {id} opened this start, for which it was made, and is removed; seal the instance anew now: \
                 `merlon keyslot add tpm2`."
            )),
            Ok(()) => self.note(format!(
                "Keyslot {id} opened this start, for which it was made, and is removed; seal anew now: {}.",
                reseal.join(", ")
            )),
            Err(error) => self.note(format!(
                "Keyslot {id} was made for one start and could not be removed: {error}. Run `merlon keyslot remove {id}`."
            )),
        }
    }

    /// A new key file and its slot.
    pub(crate) fn add_file(&mut self, master: &MasterKey) -> Result<u32, Refused> {
        if self.current.keyslots.slots.iter().any(|slot| slot.kind() == Kind::File) {
            return Err(Refused::SlotExists(Kind::File));
        }
        let material = file::create(&self.dir)?;
        let added = self.add(master, Way::File(file::FileSlot), &material);
        if added.is_err() {
            self.remove_key_file();
        }
        added
    }

    /// The recovery key in `typed` opens a slot of this very master key: the slot is confirmed. Returns its id.
    pub(crate) fn confirm(&mut self, master: &MasterKey, means: &Means, typed: &[u8]) -> Result<u32, Refused> {
        let mut failure = Refused::NoSlotOfKind(Kind::Recovery);
        let mut found = None;
        for slot in self.current.keyslots.slots.iter().filter(|slot| slot.kind() == Kind::Recovery) {
            match slot.unwrap(master.instance(), Material::typed(means, typed)) {
                Ok(key) if key.ct_eq(master.key()) => found = Some(slot.id),
                Ok(_) => failure = SlotError::WrongSecret.into(),
                Err(error) => failure = error.into(),
            }
        }
        let id = found.ok_or(failure)?;
        self.change(master, |keyslots| {
            for slot in keyslots.slots.iter_mut().filter(|slot| slot.id == id) {
                slot.way = Way::Recovery(RecoverySlot { confirmed: true });
            }
        })?;
        Ok(id)
    }

    /// Removes a slot, unless the instance would then hang on nothing, or on a recovery key that nobody typed back.
    pub(crate) fn remove(&mut self, master: &MasterKey, id: u32) -> Result<(), Refused> {
        let kind = self.get(id)?.kind();
        let stays_open = self
            .current
            .keyslots
            .slots
            .iter()
            .filter(|slot| slot.id != id)
            .any(|slot| (slot.kind() != Kind::Recovery && !slot.is_once()) || is_confirmed(&slot.way));
        if !stays_open {
            return Err(Refused::LastSlot);
        }
        self.change(master, |keyslots| keyslots.slots.retain(|slot| slot.id != id))?;
        if kind == Kind::File {
            self.remove_key_file();
        }
        if kind == Kind::Tpm2
            && let Err(error) = approvals::forget(&self.dir, id)
        {
            self.note(format!("The signatures kept for keyslot {id} could not be removed: {error}."));
        }
        self.notes.retain(|note| !note.starts_with(&failure_of(id)));
        Ok(())
    }

    /// The keyslot file of a backup: the slots that a person opens, `passphrase` among them if it is given (its slot
    /// exists in the backup only). `None` if nobody could open it: a recovery key that was never typed back may have
    /// been lost, and does not count.
    pub(crate) fn for_backup(
        &self,
        master: &MasterKey,
        passphrase: Option<(Way, Secret<32>)>,
    ) -> Result<Option<String>, Refused> {
        let mut keyslots = self.current.keyslots.clone();
        keyslots.slots.retain(|slot| matches!(slot.kind(), Kind::Passphrase | Kind::Recovery));
        // It belongs to the TPM of this machine.
        keyslots.counter = None;
        if let Some((way, material)) = passphrase {
            if keyslots.slots.len() >= MAX_SLOTS {
                return Err(Refused::TooMany);
            }
            let id = keyslots.next_id;
            let slot = Slot::wrap(id, clock::now_us(), way, &keyslots.instance, &material, master.key())?;
            keyslots.next_id += 1;
            keyslots.slots.push(slot);
        }
        if !keyslots.slots.iter().any(|slot| slot.kind() == Kind::Passphrase || is_confirmed(&slot.way)) {
            return Ok(None);
        }
        Ok(Some(copies::render(&keyslots, &master.derive(Purpose::KeyslotMac)?).0))
    }

    /// The slot by which this machine opens the instance at start; nothing if it has one. Returns the id of a new one.
    pub(crate) fn ensure_machine_slot(&mut self, means: &Means, master: &MasterKey) -> Result<Option<u32>, Refused> {
        if self.current.keyslots.slots.iter().any(|slot| slot.is_machine(means)) {
            return Ok(None);
        }
        let sealed = first_tpm2(means, &mut self.notes);
        match sealed {
            Some(sealed) => self.add(master, Way::Tpm2(Box::new(sealed.slot)), &sealed.material).map(Some),
            None => self.add_file(master).map(Some),
        }
    }

    fn remove_key_file(&mut self) {
        if let Err(error) = file::remove(&self.dir) {
            self.note(format!("The unused {} could not be removed: {error}.", file::KEY_FILE));
        }
    }

    fn change(&mut self, master: &MasterKey, edit: impl FnOnce(&mut Keyslots)) -> Result<(), SlotsError> {
        let mut keyslots = self.current.keyslots.clone();
        keyslots.sequence += 1;
        edit(&mut keyslots);
        let (copy, second) = write(&self.dir, &keyslots, master)?;
        self.current = copy.clone();
        self.candidates = vec![copy];
        self.note_second(second);
        Ok(())
    }

    pub(super) fn note_second(&mut self, error: Option<io::Error>) {
        if let Some(error) = error {
            self.note(format!("keyslots.b could not be written ({error}); the next start mends it."));
        }
    }

    pub(super) fn note(&mut self, sentence: String) {
        if !self.notes.contains(&sentence) {
            self.notes.push(sentence);
        }
    }
}

pub(super) fn write(
    dir: &Path,
    keyslots: &Keyslots,
    master: &MasterKey,
) -> Result<(GoodCopy, Option<io::Error>), SlotsError> {
    copies::write(dir, keyslots, &master.derive(Purpose::KeyslotMac)?)
        .map_err(|source| SlotsError::Write { dir: dir.to_owned(), source })
}

/// The TPM for the first slot, if this machine has one that works. What it says, and why it failed, becomes a note.
fn first_tpm2(means: &Means, notes: &mut Vec<String>) -> Option<tpm2::Sealed> {
    // A key file without keyslots was left by a first start that was killed: it goes on as it began.
    if !means.tpm_first || !means.door.exists() || file::exists(means.dir()) {
        return None;
    }
    let to = tpm2::Binding { pcrs: None, policy_key: &[], once: false };
    match tpm2::seal(&means.door, &to, None) {
        Ok(mut sealed) => {
            notes.append(&mut sealed.notes);
            Some(sealed)
        }
        Err(error) => {
            notes.push(format!(
                "The TPM was not used for the first keyslot, which is a key file instead: {error}. Once it works: \
                 `merlon keyslot add tpm2`."
            ));
            None
        }
    }
}

pub(super) fn ordered(keyslots: &Keyslots) -> Vec<&Slot> {
    let mut slots: Vec<&Slot> = keyslots.slots.iter().collect();
    slots.sort_by_key(|slot| (slot.kind(), !slot.is_once(), slot.id));
    slots
}

fn is_confirmed(way: &Way) -> bool {
    matches!(way, Way::Recovery(RecoverySlot { confirmed: true }))
}
