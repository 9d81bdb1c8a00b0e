//! The `file` slot: 32 random bytes in `file.key`, mode 0400, owned by the keeper's user.
//!
//! It protects against nothing but a copy of the other files without this one. It is what an instance has on a
//! machine without a TPM.

use std::path::Path;

use merlon_sandbox::files;
use merlon_sandbox::secret::Secret;

use super::{Material, Means, Opens, Place};
use crate::slots::slot::{Kind, SlotError};

/// The name of the key file in the keeper's directory.
pub(crate) const KEY_FILE: &str = "file.key";

/// Parameters: none; the file always stands beside the keyslots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileSlot;

impl Opens for FileSlot {
    fn kind(&self) -> Kind {
        Kind::File
    }

    fn material(&self, _: Place<'_>, from: Material<'_>) -> Result<Secret<32>, SlotError> {
        read(from.means.dir())
    }

    fn parameters(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn detail(&self) -> String {
        KEY_FILE.to_owned()
    }

    fn is_machine(&self, _: &Means) -> bool {
        true
    }
}

/// A new key file, in place of one that no slot uses any more.
pub(crate) fn create(dir: &Path) -> Result<Secret<32>, SlotError> {
    let key = Secret::random()?;
    files::write_atomic(dir, KEY_FILE, key.expose(), 0o400)
        .map_err(|source| SlotError::Write { path: dir.join(KEY_FILE), source })?;
    Ok(key)
}

/// Is there a key file? Without keyslots it is one that a killed first start left.
pub(crate) fn exists(dir: &Path) -> bool {
    dir.join(KEY_FILE).symlink_metadata().is_ok()
}

/// The key file of an instance that is being created: one that a killed first start left is taken over.
pub(crate) fn create_or_read(dir: &Path) -> Result<Secret<32>, SlotError> {
    if exists(dir) { read(dir) } else { create(dir) }
}

/// Removes the key file once no slot uses it.
pub(crate) fn remove(dir: &Path) -> std::io::Result<()> {
    std::fs::remove_file(dir.join(KEY_FILE))
}

fn read(dir: &Path) -> Result<Secret<32>, SlotError> {
    let path = dir.join(KEY_FILE);
    let mut key = Secret::zeroed()?;
    // A regular file of our own user that nobody else can read, straight into secret memory.
    let read = files::read_owned_into(&path, key.expose_mut(), 0o077)?;
    if read != key.expose().len() {
        let problem = format!("has {read} bytes instead of 32; restore the key file from a backup");
        return Err(SlotError::File { path, problem });
    }
    Ok(key)
}
