//! One keyslot: its parameters, and the master key wrapped under its material.

use std::path::PathBuf;

use merlon_sandbox::files::FileError;
use merlon_sandbox::secret::{Secret, SecretError};

use super::kinds::{Material, Means, Place, Way};
use crate::crypto::{self, CryptoError, SEALED_LEN};
use crate::door::DoorError;
use crate::instance_id::InstanceId;

/// The kinds of slots, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The TPM.
    Tpm2,
    /// A PKCS#11 token.
    Pkcs11,
    /// A credential of systemd.
    Credential,
    /// A key file.
    File,
    /// A passphrase.
    Passphrase,
    /// The printed recovery key.
    Recovery,
}

impl Kind {
    /// As in files, messages and commands.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tpm2 => "tpm2",
            Self::Pkcs11 => "pkcs11",
            Self::Credential => "credential",
            Self::File => "file",
            Self::Passphrase => "passphrase",
            Self::Recovery => "recovery",
        }
    }
}

/// Why a slot did not open. None of these stops another slot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlotError {
    /// The key file.
    #[error("{path} {problem}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A new key file.
    #[error("{path} cannot be written: {source}", path = .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The key file is not there, or not as it must be.
    #[error(transparent)]
    KeyFile(#[from] FileError),
    /// What was typed does not open it; or it was altered.
    #[error("the wrapped key does not decrypt: wrong secret, or the slot was altered")]
    WrongSecret,
    /// A recovery key whose check group does not match.
    #[error("the recovery key has a typing error")]
    Typo,
    /// Argon2id refused its cost.
    #[error("the memory for Argon2id could not be had")]
    Cost,
    /// It needs a PIN, and none was given.
    #[error("it needs its PIN: `merlon unlock --pin-file FILE`")]
    NeedsPin,
    /// systemd passed no credential.
    #[error("no credential `merlon-key` was passed to the keeper")]
    NoCredential,
    /// The credential cannot be used; why.
    #[error("the credential {0}")]
    Credential(String),
    /// TPM or token took a secret and gave another one back.
    #[error("what was sealed for a test did not come back the same; the slot was not made")]
    Unproven,
    /// The slot's stretched PIN is not in `secrets.db`.
    #[error("what is kept of its PIN is missing, so it cannot be sealed anew; remove the slot and add it again")]
    PinNotKept,
    /// `merlon-seal` did not do it.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// A fault of memory or of the library.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl From<SecretError> for SlotError {
    fn from(error: SecretError) -> Self {
        Self::Crypto(error.into())
    }
}

/// One way to the master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Never used again after removal.
    pub(crate) id: u32,
    /// Microseconds since 1970-01-01 UTC.
    pub(crate) created_us: i64,
    /// Salt of the derivation from material to wrapping key.
    pub(crate) salt: [u8; 32],
    /// The master key: nonce, ciphertext, tag.
    pub(crate) wrapped: [u8; SEALED_LEN],
    /// How the material is had.
    pub(crate) way: Way,
}

impl Slot {
    /// Wraps `master` under `material`.
    pub(crate) fn wrap(
        id: u32,
        created_us: i64,
        way: Way,
        instance: &InstanceId,
        material: &Secret<32>,
        master: &Secret<32>,
    ) -> Result<Self, CryptoError> {
        let mut salt = [0; 32];
        crypto::random(&mut salt)?;
        let mut slot = Self { id, created_us, salt, wrapped: [0; SEALED_LEN], way };
        let key = slot.wrapping_key(material)?;
        slot.wrapped = crypto::seal(&key, &slot.authenticated(instance), master)?;
        Ok(slot)
    }

    /// The master key, if the material is right and nothing was altered.
    pub(crate) fn unwrap(&self, instance: &InstanceId, from: Material<'_>) -> Result<Secret<32>, SlotError> {
        let material = self.way.opens().material(Place { instance, id: self.id }, from)?;
        let key = self.wrapping_key(&material)?;
        crypto::open(&key, &self.authenticated(instance), &self.wrapped).map_err(|error| match error {
            CryptoError::Unauthentic => SlotError::WrongSecret,
            other => other.into(),
        })
    }

    /// The kind.
    pub(crate) fn kind(&self) -> Kind {
        self.way.opens().kind()
    }

    /// Opens at a start without a person.
    pub(crate) fn is_machine(&self, means: &Means) -> bool {
        self.way.opens().is_machine(means)
    }

    /// Opens one start only, before all others.
    pub(crate) fn is_once(&self) -> bool {
        matches!(&self.way, Way::Tpm2(slot) if slot.once)
    }

    fn wrapping_key(&self, material: &Secret<32>) -> Result<Secret<32>, CryptoError> {
        let info = [b"merlon v1 keyslot ".as_slice(), self.kind().name().as_bytes()].concat();
        crypto::derive(material.expose(), &self.salt, &info)
    }

    /// Everything that decides what the slot means, so that no part can be exchanged: label, instance, id, kind, salt,
    /// and the parameters of the kind, each with its length before it.
    fn authenticated(&self, instance: &InstanceId) -> Vec<u8> {
        let opens = self.way.opens();
        let parameters = opens.parameters();
        let id = self.id.to_be_bytes();
        let head: [&[u8]; 5] =
            [b"merlon v1 keyslot", instance.bytes(), &id, opens.kind().name().as_bytes(), &self.salt];
        let mut bytes = Vec::new();
        for part in head.into_iter().chain(parameters.iter().map(Vec::as_slice)) {
            let length = u32::try_from(part.len()).expect("a parameter has fewer than 2^32 bytes");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::Door;
    use crate::slots::kinds::passphrase::PassphraseSlot;

    #[test]
    fn a_slot_opens_with_its_secret_and_only_as_it_was_made() {
        let instance = InstanceId::random().unwrap();
        let master = Secret::random().unwrap();
        let way = PassphraseSlot::new().unwrap();
        let means = Means {
            serving: super::super::Serving::Instance,
            dir: "/nonexistent".into(),
            door: Door::new(None, None, 5).into(),
            credential: None,
            pkcs11_pin: false,
            tpm_first: false,
        };
        let from = |typed| Material::typed(&means, typed);
        let material = way.hash(b"correct horse").unwrap();
        let slot = Slot::wrap(3, 0, Way::Passphrase(way.clone()), &instance, &material, &master).unwrap();
        assert!(slot.unwrap(&instance, from(b"correct horse")).unwrap().ct_eq(&master));
        assert!(matches!(slot.unwrap(&instance, from(b"correct horsf")), Err(SlotError::WrongSecret)));
        let other = InstanceId::random().unwrap();
        assert!(matches!(slot.unwrap(&other, from(b"correct horse")), Err(SlotError::WrongSecret)));
        let moved = Slot { id: 4, ..slot.clone() };
        assert!(matches!(moved.unwrap(&instance, from(b"correct horse")), Err(SlotError::WrongSecret)));
    }
}
