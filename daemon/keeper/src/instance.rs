//! From a directory to a keeper: the first start, every later one, and what may never happen in between.
//!
//! A first start writes, in this order: `file.key`, both keyslot copies (marked incomplete), `secrets.db` with the CA
//! (under another name, then renamed), and the keyslots once more, marked complete. A kill at any point leaves
//! something that the next start goes on from. Once complete, whatever is missing or damaged is an error, and nothing
//! is written over it.

use std::fs;
use std::io;
use std::path::Path;

use crate::ca::Ca;
use crate::generation::Generation;
use crate::keeper::{KeeperError, Open};
use crate::log;
use crate::secrets_db::{SecretsDb, SecretsError};
use crate::slots::{Opened, SlotSet};

/// What a start has found or made.
pub(crate) struct Started {
    pub(crate) slots: SlotSet,
    /// `None`: locked, because no slot opened by itself.
    pub(crate) open: Option<Open>,
}

/// Opens the instance in `dir`, or creates it if there is nothing.
pub(crate) fn start(dir: &Path, generation: &Generation) -> Result<Started, KeeperError> {
    sweep(dir).map_err(|source| SecretsError::Io { path: dir.to_owned(), source })?;
    let (mut slots, opened) = match SlotSet::load(dir)? {
        Some(mut slots) => {
            let opened = slots.open_by_machine()?;
            (slots, opened)
        }
        None if SecretsDb::exists(dir) => return Err(KeeperError::KeyslotsMissing(dir.to_owned())),
        None => {
            log::info(format_args!("creating an instance in {}", dir.display()));
            let (slots, opened) = SlotSet::create(dir)?;
            (slots, Some(opened))
        }
    };
    let open = match opened.map(|opened| load(dir, &mut slots, opened, generation)).transpose() {
        // Status says what was found, and who may accept it asks again.
        Err(KeeperError::Rollback(_)) => None,
        other => other?,
    };
    Ok(Started { slots, open })
}

/// Opens `secrets.db` and the CA with the master key, if neither is an old copy; makes both if the first start did not
/// get that far.
pub(crate) fn load(
    dir: &Path,
    slots: &mut SlotSet,
    opened: Opened,
    generation: &Generation,
) -> Result<Open, KeeperError> {
    let open = load_any(dir, slots, opened)?;
    generation.check(slots, &open.db(), &open.master)?;
    Ok(open)
}

fn load_any(dir: &Path, slots: &mut SlotSet, opened: Opened) -> Result<Open, KeeperError> {
    if slots.is_complete() {
        return Open::load(dir, opened);
    }
    if !SecretsDb::exists(dir) {
        let master = &opened.master;
        SecretsDb::create(dir, master, |db| Ca::create(db, master.instance()).map_err(KeeperError::from))?;
    }
    let open = Open::load(dir, opened)?;
    slots.complete(&open.master)?;
    Ok(open)
}

/// Removes what writes that were killed left beside their files: a key among them would be a key too many.
fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = [".file.key.", ".keyslots.a.", ".keyslots.b."].iter().any(|start| name.starts_with(start));
        if ours && name.ends_with(".new") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
