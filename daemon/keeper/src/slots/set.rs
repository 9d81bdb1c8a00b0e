//! All keyslots of an instance: loading, opening, and every change, each of which is on disk before it counts.

use std::io;
use std::path::{Path, PathBuf};

use merlon_sandbox::secret::Secret;

use super::copies::{self, Copy, GoodCopy, NAMES};
use super::kinds::recovery::RecoverySlot;
use super::kinds::{Material, Way, file};
use super::record::{Counter, Keyslots, MAX_SLOTS};
use super::slot::{Kind, Slot, SlotError};
use crate::clock;
use crate::crypto::CryptoError;
use crate::instance_id::InstanceId;
use crate::keys::{MasterKey, Purpose};

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
    dir: PathBuf,
    /// The copy that counts. Until a slot has opened, the first of `candidates`.
    current: GoodCopy,
    /// Good copies, the higher sequence first; two if they differ.
    candidates: Vec<GoodCopy>,
    /// A copy is missing, damaged or old: written again once the MAC is verified.
    mend: bool,
    /// What was found, for status and log; whole sentences.
    notes: Vec<String>,
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

    /// The first keyslots of a new instance: a master key, and a `file` slot for it. Not complete yet.
    pub(crate) fn create(dir: &Path) -> Result<(Self, Opened), SlotsError> {
        let instance = InstanceId::random()?;
        let master = MasterKey::random(instance)?;
        let material = file::create_or_read(dir)?;
        let way = Way::File(file::FileSlot);
        let slot = Slot::wrap(1, clock::now_us(), way, &instance, &material, master.key())?;
        let keyslots =
            Keyslots { instance, sequence: 1, complete: false, next_id: 2, slots: vec![slot], counter: None };
        let (current, second) = write(dir, &keyslots, &master)?;
        let mut set = Self {
            dir: dir.to_owned(),
            candidates: vec![current.clone()],
            current,
            mend: second.is_some(),
            notes: Vec::new(),
        };
        set.note_second(second);
        Ok((set, Opened { master, slot: 1, kind: Kind::File }))
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

    /// What was found damaged; whole sentences.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Tries every slot that needs no person. `None`, with a note for each, if none opens.
    pub(crate) fn open_by_machine(&mut self) -> Result<Option<Opened>, SlotsError> {
        match self.open(Kind::is_machine, &[]) {
            Ok(opened) => Ok(Some(opened)),
            Err(Refused::Slots(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Tries every slot of `kind` with what a person typed.
    pub(crate) fn open_by_person(&mut self, kind: Kind, typed: &[u8]) -> Result<Opened, Refused> {
        if !self.current.keyslots.slots.iter().any(|slot| slot.kind() == kind) {
            return Err(Refused::NoSlotOfKind(kind));
        }
        self.open(|other| other == kind, typed)
    }

    fn open(&mut self, kinds: impl Fn(Kind) -> bool, typed: &[u8]) -> Result<Opened, Refused> {
        let mut failure = SlotError::WrongSecret;
        let mut altered = false;
        for copy in self.candidates.clone() {
            for slot in ordered(&copy.keyslots).into_iter().filter(|slot| kinds(slot.kind())) {
                let instance = copy.keyslots.instance;
                match slot.unwrap(&instance, Material { dir: &self.dir, typed }) {
                    Ok(key) => {
                        let master = MasterKey::unwrapped(key, instance);
                        if !copy.is_authentic(&master.derive(Purpose::KeyslotMac)?) {
                            altered = true;
                            continue;
                        }
                        let opened = Opened { slot: slot.id, kind: slot.kind(), master };
                        self.settle(copy.clone(), altered, &opened.master);
                        return Ok(opened);
                    }
                    Err(error) => {
                        if slot.kind().is_machine() {
                            self.note(format!("Keyslot {} ({}) does not open: {error}.", slot.id, slot.kind().name()));
                        }
                        failure = error;
                    }
                }
            }
        }
        if altered {
            return Err(SlotsError::Altered { dir: self.dir.clone() }.into());
        }
        Err(failure.into())
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

    /// A new slot. Returns its id.
    pub(crate) fn add(&mut self, master: &MasterKey, way: Way, material: &Secret<32>) -> Result<u32, Refused> {
        let keyslots = &self.current.keyslots;
        if keyslots.slots.len() >= MAX_SLOTS {
            return Err(Refused::TooMany);
        }
        let id = keyslots.next_id;
        let slot = Slot::wrap(id, clock::now_us(), way, &keyslots.instance, material, master.key())?;
        self.change(master, |keyslots| {
            keyslots.next_id += 1;
            keyslots.slots.push(slot);
        })?;
        Ok(id)
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
    pub(crate) fn confirm(&mut self, master: &MasterKey, typed: &[u8]) -> Result<u32, Refused> {
        let mut failure = Refused::NoSlotOfKind(Kind::Recovery);
        let mut found = None;
        for slot in self.current.keyslots.slots.iter().filter(|slot| slot.kind() == Kind::Recovery) {
            match slot.unwrap(&master.instance().to_owned(), Material { dir: &self.dir, typed }) {
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
            .any(|slot| slot.kind() != Kind::Recovery || is_confirmed(&slot.way));
        if !stays_open {
            return Err(Refused::LastSlot);
        }
        self.change(master, |keyslots| keyslots.slots.retain(|slot| slot.id != id))?;
        if kind == Kind::File {
            self.remove_key_file();
        }
        Ok(())
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

    fn note_second(&mut self, error: Option<io::Error>) {
        if let Some(error) = error {
            self.note(format!("keyslots.b could not be written ({error}); the next start mends it."));
        }
    }

    fn note(&mut self, sentence: String) {
        if !self.notes.contains(&sentence) {
            self.notes.push(sentence);
        }
    }
}

fn write(dir: &Path, keyslots: &Keyslots, master: &MasterKey) -> Result<(GoodCopy, Option<io::Error>), SlotsError> {
    copies::write(dir, keyslots, &master.derive(Purpose::KeyslotMac)?)
        .map_err(|source| SlotsError::Write { dir: dir.to_owned(), source })
}

fn ordered(keyslots: &Keyslots) -> Vec<&Slot> {
    let mut slots: Vec<&Slot> = keyslots.slots.iter().collect();
    slots.sort_by_key(|slot| (slot.kind(), slot.id));
    slots
}

fn is_confirmed(way: &Way) -> bool {
    matches!(way, Way::Recovery(RecoverySlot { confirmed: true }))
}
