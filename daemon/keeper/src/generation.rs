//! Rollback: is `secrets.db`, or are the keyslots, an old copy that somebody put back?
//!
//! Owns the comparison with a counter in the TPM, which only ever grows, and the order in which files and counter move.
//! Both files hold the *generation*: what the counter said when they were counted last. A move writes the counter's
//! value and one into both, and then moves the counter; so a file holds the counter's value, or one more after a
//! crash in between. A lower one is an old copy. It knows nothing of TPMs: [`CounterDevice`] does.
//!
//! What came after the last move cannot be told from its copy: see `docs/rollback.md`.

mod device;
#[cfg(test)]
mod tests;

use std::sync::Mutex;

use merlon_sandbox::journal::{self, events};

use crate::crypto;
use crate::keeper::{KeeperError, Open, unpoisoned};
use crate::keys::MasterKey;
use crate::log;
use crate::secrets_db::{SecretsDb, SecretsError};
use crate::slots::{Counter, SlotSet, SlotsError};

/// A counter that only grows, kept where no copy of a file can put it back.
pub(crate) trait CounterDevice: Send + Sync {
    /// A new counter that only `auth` may move or remove: where it is, and its value.
    fn define(&self, auth: &[u8; 32]) -> Result<(u32, u64), CounterError>;
    /// Moves the counter by one: its new value.
    fn advance(&self, counter: &Counter) -> Result<u64, CounterError>;
    /// Its value.
    fn read(&self, counter: &Counter) -> Result<u64, CounterError>;
    /// Removes it.
    fn remove(&self, counter: &Counter) -> Result<(), CounterError>;
}

/// Why a counter gave nothing: a whole sentence without its full stop.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct CounterError(pub(crate) String);

/// What can be accepted by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// The database.
    Secrets,
    /// The keyslots.
    Keyslots,
    /// The counter itself.
    Counter,
}

impl Named {
    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Secrets => "secrets.db",
            Self::Keyslots => "keyslots",
            Self::Counter => "counter",
        }
    }
}

/// The generation of an instance's files, against the counter.
pub(crate) struct Generation {
    /// None: not in use.
    device: Option<Box<dyn CounterDevice>>,
    /// Held while the device works, which may be long.
    moving: Mutex<Moving>,
    /// Held for a moment.
    told: Mutex<Told>,
}

/// The counter, and its value as far as known. None before the first opening, and if it cannot be read.
#[derive(Default)]
struct Moving(Option<(Counter, Option<u64>)>);

#[derive(Default)]
struct Told {
    /// What the last opening was refused for.
    found: Vec<(Named, String)>,
    /// Accepted for the next opening.
    accepted: Vec<Named>,
    /// The next opening makes a new counter.
    reset: bool,
    /// What is wrong with the counter of an open instance.
    note: Option<String>,
}

impl Generation {
    /// With the counter's device, if a counter is wanted.
    pub(crate) fn new(device: Option<Box<dyn CounterDevice>>) -> Self {
        Self { device, moving: Mutex::default(), told: Mutex::default() }
    }

    /// Judges the files that were just opened and moves the counter. Files that were just restored from a backup are not
    /// judged, and are counted by a new counter.
    ///
    /// # Errors
    /// [`KeeperError::Rollback`]: one of them is an old copy, or the counter cannot tell, and that was not accepted.
    pub(crate) fn check(
        &self,
        slots: &mut SlotSet,
        db: &SecretsDb,
        master: &MasterKey,
        restored: bool,
    ) -> Result<(), KeeperError> {
        let Some(device) = self.device.as_deref() else { return Ok(()) };
        let mut moving = unpoisoned(self.moving.lock());
        let stored = db.generation()?;
        let earlier = slots.counter().cloned();
        let (mut found, known) = match (&earlier, stored) {
            (None, None) => (Vec::new(), None),
            (None, Some(_)) if restored => (Vec::new(), None),
            (None, Some(_)) => (vec![old(Named::Keyslots, "they know no rollback counter, and secrets.db does")], None),
            (Some(counter), stored) => match device.read(counter) {
                Ok(value) => (judge(counter.generation, stored, value), Some(value)),
                Err(error) => (vec![unreadable(&error)], None),
            },
        };
        let reset = {
            let mut told = unpoisoned(self.told.lock());
            let accepted = |named| told.accepted.contains(&named) || (told.reset && named == Named::Counter);
            found.retain(|(named, _)| !accepted(*named));
            if !found.is_empty() {
                let sentences: Vec<_> = found.iter().map(|(_, sentence)| sentence.as_str()).collect();
                let refusal = sentences.join(" ");
                journal::event(&events::ROLLBACK_SUSPECTED, format_args!("{refusal}"));
                told.found = found;
                return Err(KeeperError::Rollback(refusal));
            }
            std::mem::take(&mut *told).reset
        };
        moving.0 = earlier.clone().zip(known.map(Some));
        let mut files = Files {
            keyslots: &mut |counter| slots.set_counter(master, counter),
            secrets: &mut |generation| db.set_generation(generation),
        };
        let moved = match earlier {
            Some(_) if !reset => moving.advance(device, &mut files),
            earlier => moving.renew(device, earlier.as_ref(), &mut files),
        };
        self.note(moved);
        Ok(())
    }

    /// A change is on disk: the counter moves, so that a copy from before it is old. What fails is told by
    /// [`Self::warnings`]; the change stands.
    pub(crate) fn advance(&self, slots: &Mutex<SlotSet>, open: &Open) {
        let Some(device) = self.device.as_deref() else { return };
        let mut moving = unpoisoned(self.moving.lock());
        let moved = moving.advance(
            device,
            &mut Files {
                keyslots: &mut |counter| unpoisoned(slots.lock()).set_counter(&open.master, counter),
                secrets: &mut |generation| open.db().set_generation(generation),
            },
        );
        self.note(moved);
    }

    /// A new counter for an open instance, in place of the one that it has or had.
    ///
    /// # Errors
    /// In words for the owner.
    pub(crate) fn renew(&self, slots: &Mutex<SlotSet>, open: &Open) -> Result<(), String> {
        let Some(device) = self.device.as_deref() else { return Ok(()) };
        let mut moving = unpoisoned(self.moving.lock());
        let earlier = unpoisoned(slots.lock()).counter().cloned();
        let renewed = moving.renew(
            device,
            earlier.as_ref(),
            &mut Files {
                keyslots: &mut |counter| unpoisoned(slots.lock()).set_counter(&open.master, counter),
                secrets: &mut |generation| open.db().set_generation(generation),
            },
        );
        self.note(renewed.clone());
        renewed
    }

    /// Is the counter in use?
    pub(crate) fn is_on(&self) -> bool {
        self.device.is_some()
    }

    /// Accepts, for the next opening, what the last was refused for. `None` if nothing by this name was found.
    pub(crate) fn accept(&self, name: &str) -> Option<Named> {
        let mut told = unpoisoned(self.told.lock());
        let named = told.found.iter().map(|(named, _)| *named).find(|named| named.name() == name)?;
        if !told.accepted.contains(&named) {
            told.accepted.push(named);
        }
        Some(named)
    }

    /// Lets the next opening make a new counter.
    pub(crate) fn reset_at_next_opening(&self) {
        unpoisoned(self.told.lock()).reset = true;
    }

    /// For the report on keys: `off`, the counter's value, or what is wrong.
    pub(crate) fn report(&self) -> String {
        if !self.is_on() {
            return "off".to_owned();
        }
        let warnings = self.warnings();
        let known =
            unpoisoned(self.moving.lock()).0.as_ref().and_then(|(counter, known)| Some((counter.index, (*known)?)));
        match known {
            Some((index, value)) if warnings.is_empty() => {
                format!("{value}, as the files say (NV index {index:#010x})")
            }
            _ if warnings.is_empty() => "not read yet: no keyslot has opened".to_owned(),
            _ => warnings.join(" "),
        }
    }

    /// What an operator should know; whole sentences.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let told = unpoisoned(self.told.lock());
        told.found.iter().map(|(_, sentence)| sentence.clone()).chain(told.note.clone()).collect()
    }

    fn note(&self, moved: Result<(), String>) {
        let note = moved.err().map(|why| {
            format!(
                "The rollback counter does not move ({why}); an old copy of the keeper's files would not be noticed."
            )
        });
        let mut told = unpoisoned(self.told.lock());
        if let Some(sentence) = note.as_ref().filter(|sentence| told.note.as_ref() != Some(*sentence)) {
            log::warn(format_args!("{sentence}"));
        }
        told.note = note;
    }
}

/// Where both files take their generation.
struct Files<'a> {
    keyslots: &'a mut dyn FnMut(Counter) -> Result<(), SlotsError>,
    secrets: &'a mut dyn FnMut(u64) -> Result<(), SecretsError>,
}

impl Files<'_> {
    fn put(&mut self, counter: &Counter) -> Result<(), String> {
        (self.keyslots)(counter.clone()).map_err(|e| e.to_string())?;
        (self.secrets)(counter.generation).map_err(|e| e.to_string())
    }
}

impl Moving {
    /// Files first, then the counter: a crash in between leaves files that are one ahead, which is no rollback.
    fn advance(&mut self, device: &dyn CounterDevice, files: &mut Files<'_>) -> Result<(), String> {
        let Some((counter, known)) = &mut self.0 else {
            return Err("it could not be read when the instance was opened".to_owned());
        };
        // After a failure nobody knows whether it moved.
        let value = known.take().map_or_else(|| device.read(counter), Ok).map_err(|e| e.to_string())?;
        counter.generation = value.checked_add(1).ok_or("it is at its end")?;
        files.put(counter)?;
        let value = device.advance(counter).map_err(|e| e.to_string())?;
        if value != counter.generation {
            // Somebody else has moved it too.
            counter.generation = value;
            files.put(counter)?;
        }
        *known = Some(value);
        Ok(())
    }

    /// A new counter in place of an earlier one.
    fn renew(
        &mut self,
        device: &dyn CounterDevice,
        earlier: Option<&Counter>,
        files: &mut Files<'_>,
    ) -> Result<(), String> {
        let mut auth = [0; 32];
        crypto::random(&mut auth).map_err(|e| e.to_string())?;
        let (index, value) = device.define(&auth).map_err(|e| e.to_string())?;
        self.0 = Some((Counter { index, auth, generation: value }, Some(value)));
        self.advance(device, files)?;
        // After a TPM was cleared the new counter may be where the earlier one was.
        let gone = earlier.filter(|earlier| earlier.index != index);
        if let Some(Err(error)) = gone.map(|earlier| device.remove(earlier)) {
            // Mostly because it is gone, which is why a new one was wanted.
            log::info(format_args!("the earlier rollback counter was not removed: {error}"));
        }
        Ok(())
    }
}

fn unreadable(error: &CounterError) -> (Named, String) {
    let sentence = format!(
        "The rollback counter cannot be read, so nobody knows whether the keeper's files are old copies: {error}. The instance stays locked. To open it once without the counter: `merlon unlock --accept-rollback counter`."
    );
    (Named::Counter, sentence)
}

/// What the values of both files say against that of the counter.
fn judge(keyslots: u64, secrets: Option<u64>, value: u64) -> Vec<(Named, String)> {
    let mut found = Vec::new();
    let behind = |generation: u64| format!("{} later changes are missing", value - generation);
    if keyslots < value {
        found.push(old(Named::Keyslots, &behind(keyslots)));
    }
    match secrets {
        Some(generation) if generation < value => found.push(old(Named::Secrets, &behind(generation))),
        // Killed in the first move of all, between the two files.
        None if keyslots == value.saturating_add(1) => {}
        None => found.push(old(Named::Secrets, "it was never counted, and the keyslots were")),
        Some(_) => {}
    }
    if [Some(keyslots), secrets].into_iter().flatten().any(|generation| generation > value.saturating_add(1)) {
        let sentence = "The rollback counter is behind the keeper's files: it is not the one that they were counted by. If the TPM was exchanged or cleared: `merlon keyslot counter reset`.";
        found.push((Named::Counter, sentence.to_owned()));
    }
    found
}

fn old(named: Named, why: &str) -> (Named, String) {
    let (name, copy) = match named {
        Named::Keyslots => ("keyslots.a and keyslots.b are", "old copies"),
        _ => ("secrets.db is", "an old copy"),
    };
    let accept = named.name();
    let sentence = format!(
        "{name} {copy} ({why}): what was removed or revoked since would hold again. The instance stays locked. Put the newest copy back; if there is none, or you mean this one: `merlon unlock --accept-rollback {accept}`."
    );
    (named, sentence)
}
