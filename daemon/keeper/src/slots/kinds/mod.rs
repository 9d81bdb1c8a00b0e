//! What each kind of slot needs to come by its key material. One file per kind; a new kind is a file here, a variant
//! of [`Way`], and a record on disk.

pub(crate) mod file;
pub(crate) mod passphrase;
pub(crate) mod recovery;

use std::path::Path;

use merlon_sandbox::secret::Secret;

use super::slot::{Kind, SlotError};

/// What a slot may use to come by its material.
#[derive(Clone, Copy)]
pub(crate) struct Material<'a> {
    /// The keeper's directory, for slots that open without a person.
    pub(crate) dir: &'a Path,
    /// What a person typed; empty for machine slots.
    pub(crate) typed: &'a [u8],
}

/// The one interface of all kinds: from what is stored (and typed) to 32 bytes that wrap the master key.
pub(crate) trait Opens {
    /// The kind, by which slots are ordered and named.
    fn kind(&self) -> Kind;

    /// The material. Failing here never stops another slot.
    fn material(&self, from: Material<'_>) -> Result<Secret<32>, SlotError>;

    /// All parameters that decide how the material is made, in a fixed order: they are authenticated with the
    /// wrapped key.
    fn parameters(&self) -> Vec<Vec<u8>>;

    /// Parameters for people.
    fn detail(&self) -> String;
}

/// How a slot comes by its material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From a file beside the keyslots.
    File(file::FileSlot),
    /// From a passphrase.
    Passphrase(passphrase::PassphraseSlot),
    /// From the printed recovery key.
    Recovery(recovery::RecoverySlot),
}

impl Way {
    /// The interface of the kind.
    pub(crate) fn opens(&self) -> &dyn Opens {
        match self {
            Self::File(slot) => slot,
            Self::Passphrase(slot) => slot,
            Self::Recovery(slot) => slot,
        }
    }
}
