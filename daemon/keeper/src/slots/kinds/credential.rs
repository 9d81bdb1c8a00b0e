//! The `credential` slot: a secret that systemd decrypts and passes to the keeper's service
//! (`LoadCredentialEncrypted=merlon-key`), bound by systemd to the host's key, its TPM, or both.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use merlon_sandbox::secret::{Secret, SecretBuf};

use super::{Material, Means, Opens, Place};
use crate::crypto;
use crate::slots::slot::{Kind, SlotError};

/// The credential's name.
const NAME: &str = "merlon-key";
/// The least that it holds, in bytes.
const MIN: usize = 32;
/// The most.
const MAX: usize = 4096;

/// What systemd passed, read before the sandbox closes. A bad one is told when a slot needs it: it never stops a start.
pub(crate) struct Credential(Result<SecretBuf, String>);

impl Credential {
    /// From the directory that systemd names; `None` if it holds no such credential.
    pub(crate) fn read(directory: &Path) -> Option<Self> {
        let path = directory.join(NAME);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(Self(Err(format!("{} cannot be read: {error}", path.display())))),
        };
        Some(Self(take(file).map_err(|why| format!("{} {why}", path.display()))))
    }
}

/// Straight into secret memory.
fn take(mut file: File) -> Result<SecretBuf, String> {
    let mut bytes = SecretBuf::with_capacity(MAX + 1).map_err(|error| error.to_string())?;
    let mut used = 0;
    while used <= MAX {
        match file.read(&mut bytes.as_full_mut_slice()[used..]) {
            Ok(0) => break,
            Ok(count) => used += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("cannot be read: {error}")),
        }
    }
    if !(MIN..=MAX).contains(&used) {
        let more = if used > MAX { "more than " } else { "" };
        return Err(format!("has {more}{} bytes; a credential for keys has {MIN} to {MAX}", used.min(MAX)));
    }
    bytes.set_len(used);
    Ok(bytes)
}

/// Parameters: none; there is one such credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CredentialSlot;

impl Opens for CredentialSlot {
    fn kind(&self) -> Kind {
        Kind::Credential
    }

    fn material(&self, _: Place<'_>, from: Material<'_>) -> Result<Secret<32>, SlotError> {
        material(from.means)
    }

    fn parameters(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn detail(&self) -> String {
        NAME.to_owned()
    }

    fn is_machine(&self, _: &Means) -> bool {
        true
    }
}

/// What the credential makes.
pub(crate) fn material(means: &Means) -> Result<Secret<32>, SlotError> {
    match &means.credential {
        None => Err(SlotError::NoCredential),
        Some(Credential(Err(why))) => Err(SlotError::Credential(why.clone())),
        Some(Credential(Ok(bytes))) => Ok(crypto::derive(bytes.as_slice(), b"", b"merlon v1 credential")?),
    }
}
