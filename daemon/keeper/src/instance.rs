//! From a directory to a keeper: the first start, every later one, and what may never happen in between.
//!
//! A first start writes, in this order: `file.key` (unless a TPM takes its place), both keyslot copies (marked incomplete), `secrets.db` with the CA
//! (under another name, then renamed), and the keyslots once more, marked complete. A kill at any point leaves
//! something that the next start goes on from. Once complete, whatever is missing or damaged is an error, and nothing
//! is written over it.

use std::fs;
use std::io;
use std::path::Path;

use crate::backup::restore;
use crate::ca::Ca;
use crate::generation::Generation;
use crate::keeper::{KeeperError, Open};
use crate::log;
use crate::secrets_db::{SecretsDb, SecretsError};
use crate::slots::{Means, Opened, Refused, Serving, SlotSet};

/// Why the first try opened nothing.
pub(crate) enum NotOpened {
    /// No slot opens by itself, each for the reason in its note; or a file is an old copy, which whoever may accept it
    /// asks about. The keeper serves, locked.
    Locked,
    /// A later try would find the same: the keeper ends.
    Fatal(KeeperError),
}

impl From<KeeperError> for NotOpened {
    fn from(error: KeeperError) -> Self {
        match error {
            KeeperError::Rollback(_) => Self::Locked,
            other => Self::Fatal(other),
        }
    }
}

/// The keyslots in `dir`, after what a kill left there was cleared up; of an instance that is yet to be made if there is
/// nothing. Nothing slow.
pub(crate) fn find(dir: &Path) -> Result<SlotSet, KeeperError> {
    sweep(dir).map_err(|source| SecretsError::Io { path: dir.to_owned(), source })?;
    crate::rotation::settle(dir)?;
    match SlotSet::load(dir)? {
        Some(slots) => Ok(slots),
        None if SecretsDb::exists(dir) => Err(KeeperError::KeyslotsMissing(dir.to_owned())),
        None => Ok(SlotSet::unwritten(dir)?),
    }
}

/// The master key, without a person: by the slots that open by themselves, or new for an instance that is yet to be
/// made. As slow as a TPM.
pub(crate) fn open_by_itself(slots: &mut SlotSet, means: &Means) -> Result<Opened, NotOpened> {
    if slots.is_unwritten() {
        log::info(format_args!("creating an instance in {}", means.dir().display()));
        return slots.create(means).map_err(|error| NotOpened::Fatal(error.into()));
    }
    slots.open_by_machine(means).map_err(|refused| match refused {
        Refused::Slots(error) => NotOpened::Fatal(error.into()),
        // There is a note for each slot that failed.
        _ => NotOpened::Locked,
    })
}

/// Opens `secrets.db` and the CA with the master key, if neither is an old copy; makes both if the first start did not
/// get that far.
pub(crate) fn load(
    means: &Means,
    slots: &mut SlotSet,
    opened: Opened,
    generation: &Generation,
) -> Result<Open, KeeperError> {
    let (open, restored) = load_any(means, slots, opened)?;
    generation.check(slots, &open.db(), &open.master, restored)?;
    Ok(open)
}

/// Whether it was just restored from a backup comes along.
fn load_any(means: &Means, slots: &mut SlotSet, opened: Opened) -> Result<(Open, bool), KeeperError> {
    let dir = means.dir();
    if slots.is_complete() {
        // Before anything is opened: what was restored may have been exchanged.
        let restored = restore::settle(means, slots, &opened.master)?;
        let open = Open::load(dir, opened, means.serving)?;
        slots.retire(&open.master, open.slot);
        return Ok((open, restored));
    }
    if !SecretsDb::exists(dir) {
        let master = &opened.master;
        SecretsDb::create(dir, master, |db| match means.serving {
            Serving::Instance => Ca::create(db, master.instance()).map_err(KeeperError::from),
            Serving::Hub => Ok(()),
        })?;
    }
    let open = Open::load(dir, opened, means.serving)?;
    slots.complete(&open.master)?;
    Ok((open, false))
}

/// Removes what writes that were killed left beside their files: a key among them would be a key too many.
fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours =
            [".file.key.", ".keyslots.", ".policy-signatures.json.", ".backup.", ".audit.log.", ".rotation.commit."]
                .iter()
                .any(|start| name.starts_with(start));
        if ours && name.ends_with(".new") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
