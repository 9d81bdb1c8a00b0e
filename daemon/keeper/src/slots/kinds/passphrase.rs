//! The `passphrase` slot: Argon2id (RFC 9106) over what a person types.

use merlon_sandbox::secret::Secret;
use merlon_wire::admin::MAX_PASSPHRASE;

use super::argon2id::Argon2id;
use super::{Material, Opens, Place};
use crate::crypto::CryptoError;
use crate::slots::slot::{Kind, SlotError};

/// The shortest passphrase, in bytes.
pub(crate) const MIN_PASSPHRASE: usize = 8;

/// Parameters: the cost, and the salt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PassphraseSlot {
    /// As stored.
    pub(crate) cost: Argon2id,
}

impl PassphraseSlot {
    /// A new salt and the cost of today.
    pub(crate) fn new() -> Result<Self, CryptoError> {
        Ok(Self { cost: Argon2id::new()? })
    }

    /// The material that this passphrase makes.
    pub(crate) fn hash(&self, typed: &[u8]) -> Result<Secret<32>, SlotError> {
        self.cost.hash(typed)
    }
}

/// May this passphrase be used for a new slot?
pub(crate) fn length_permitted(passphrase: &[u8]) -> bool {
    (MIN_PASSPHRASE..=MAX_PASSPHRASE).contains(&passphrase.len())
}

impl Opens for PassphraseSlot {
    fn kind(&self) -> Kind {
        Kind::Passphrase
    }

    fn material(&self, _: Place<'_>, from: Material<'_>) -> Result<Secret<32>, SlotError> {
        self.hash(from.typed)
    }

    fn parameters(&self) -> Vec<Vec<u8>> {
        self.cost.parameters()
    }

    fn detail(&self) -> String {
        format!("Argon2id, {} MiB, {} passes", self.cost.memory_kib >> 10, self.cost.passes)
    }
}
