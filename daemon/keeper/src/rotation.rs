//! Replacing all keys: a new master key with new slots and `secrets.db` under it, all at once or not at all.
//!
//! Everything new is written beside the old: `secrets.db.next`, `keyslots.next`, `file.key.next`. Then the marker
//! `rotation.commit` is written, and from that moment the new files count: they are moved over the old ones, and the
//! marker is removed. A start that finds the marker moves first and loads then; a start that finds new files without it
//! removes them. So a kill at any moment leaves the old keys or the new ones, never a mixture.
//!
//! `secrets.db.next` also has a new key for each project. Putting those in place is the engine's work, one project after
//! the other, and the list of those that wait is its journal. New project keys are never written under the old master
//! key: whoever has that key opens nothing of what comes after.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use merlon_sandbox::files;
use merlon_sandbox::secret::SecretBuf;

use crate::keeper::{Keeper, KeeperError, Open};
use crate::keys::MasterKey;
use crate::log;
use crate::secrets_db::{self, SecretsError};
use crate::slots::rotation::{KEY_FILE_NEXT, KEYSLOTS_NEXT, Plan};
use crate::slots::{Material, Refused, SlotSet, rotation as slots};

/// While it is there, the new files count.
const MARKER: &str = "rotation.commit";

/// Why the keys were not replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotateError {
    /// Slots; nothing was changed.
    #[error(transparent)]
    Slots(#[from] Refused),
    /// `secrets.db`; nothing was changed.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Projects wait for their new key since an earlier rotation.
    #[error("{0} projects still wait for their new key")]
    UnderWay(u32),
    /// The new keys count, and could not be put in place.
    #[error(transparent)]
    Broken(#[from] KeeperError),
}

/// What a rotation would do to the slots, and how many projects wait since an earlier one.
pub(crate) fn plan(keeper: &Keeper, open: &Open, passphrase: &[u8]) -> Result<(u32, Plan), RotateError> {
    let waiting = open.db().waiting()?;
    // On a copy, because Argon2id is slow.
    let set = keeper.slots().clone();
    Ok((waiting, slots::plan(&set, &open.master, Material::typed(keeper.means(), passphrase))?))
}

/// Replaces the master key and all slots, and makes a new key for each project. Nothing else may use `open` meanwhile,
/// and nobody may use it afterwards. Returns the id of the new recovery slot and its key as it is printed.
pub(crate) fn rotate(keeper: &Keeper, open: &Open, passphrase: &[u8]) -> Result<(u32, SecretBuf), RotateError> {
    let dir = keeper.dir();
    let (waiting, plan) = plan(keeper, open, passphrase)?;
    if waiting > 0 {
        return Err(RotateError::UnderWay(waiting));
    }
    let old = keeper.slots().clone();
    let new = MasterKey::random(old.instance()).map_err(Refused::from)?;
    let written = slots::write_next(&old, &plan, &new, Material::typed(keeper.means(), passphrase))
        .map_err(RotateError::from)
        .and_then(|recovery| {
            open.db().write_next(dir, &open.master, &new)?;
            Ok(recovery)
        });
    let recovery = match written {
        Ok(recovery) => recovery,
        Err(error) => {
            undo(dir);
            return Err(error);
        }
    };
    if let Err(source) = files::write_atomic(dir, MARKER, b"the files named *.next count\n", 0o600) {
        // It may be there all the same; with it gone for certain, the old keys count.
        return match remove(dir, MARKER).and_then(|()| files::sync_dir(dir)) {
            Ok(()) => {
                undo(dir);
                Err(SecretsError::Io { path: dir.join(MARKER), source }.into())
            }
            Err(_) => Err(broken(keeper, KeeperError::Rotation { path: dir.join(MARKER), source })),
        };
    }
    log::info(format_args!("the master key was replaced; slots that went: {:?}", plan.dropped));
    let replaced = open.db().close().map_err(KeeperError::from).and_then(|()| put_in_place(dir)).and_then(|()| {
        let slots = SlotSet::load(dir)?.ok_or_else(|| KeeperError::KeyslotsMissing(dir.to_owned()))?;
        Ok((slots, open.under(dir, new)?))
    });
    match replaced {
        Ok((slots, open)) => keeper.replace(slots, open),
        Err(error) => return Err(broken(keeper, error)),
    }
    Ok(recovery)
}

/// At a start, before anything is loaded: ends a rotation that was begun, in one way or the other.
pub(crate) fn settle(dir: &Path) -> Result<(), KeeperError> {
    if dir.join(MARKER).symlink_metadata().is_ok() {
        put_in_place(dir)?;
        log::info(format_args!("a replacement of the keys that was interrupted is done"));
        return Ok(());
    }
    roll_back(dir)
}

/// Moves the new files over the old ones, and removes the marker at last. Can be begun again after any step.
fn put_in_place(dir: &Path) -> Result<(), KeeperError> {
    let failed = |source| KeeperError::Rotation { path: dir.to_owned(), source };
    if dir.join(secrets_db::NEXT).symlink_metadata().is_ok() {
        // A log left by a kill belongs to the old file, and says nothing that the new one does not have.
        for suffix in ["-wal", "-shm", "-journal"] {
            remove(dir, &format!("{}{suffix}", secrets_db::FILE)).map_err(failed)?;
        }
        fs::rename(dir.join(secrets_db::NEXT), dir.join(secrets_db::FILE)).map_err(failed)?;
    }
    slots::put_in_place(dir).map_err(failed)?;
    files::sync_dir(dir).map_err(failed)?;
    remove(dir, MARKER).and_then(|()| files::sync_dir(dir)).map_err(failed)
}

/// Removes new files that never came to count.
fn roll_back(dir: &Path) -> Result<(), KeeperError> {
    let failed = |source| KeeperError::Rotation { path: dir.to_owned(), source };
    let began =
        [KEY_FILE_NEXT, KEYSLOTS_NEXT, secrets_db::NEXT].iter().any(|name| dir.join(name).symlink_metadata().is_ok());
    for name in [KEY_FILE_NEXT, KEYSLOTS_NEXT] {
        remove(dir, name).map_err(failed)?;
    }
    secrets_db::remove_database(dir, secrets_db::NEXT)?;
    if began {
        files::sync_dir(dir).map_err(failed)?;
        log::info(format_args!("a replacement of the keys was interrupted before it counted; the old keys stand"));
    }
    Ok(())
}

/// The same after a failure, which is what counts; what is left is removed at the next start.
fn undo(dir: &Path) {
    if let Err(error) = roll_back(dir) {
        log::warn(format_args!("what a failed rotation wrote was not removed: {error}"));
    }
}

/// The new keys count, and this process cannot go on with them: it forgets the old ones and waits for its next start.
fn broken(keeper: &Keeper, error: KeeperError) -> RotateError {
    log::error(format_args!("the keys were replaced, and the files could not be put in place: {error}"));
    keeper.halt(format!(
        "The keys were replaced, and the files could not be put in place ({error}); restart the instance."
    ));
    RotateError::Broken(error)
}

fn remove(dir: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(dir.join(name)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
