//! Keyslots: the ways to the master key, and the file that holds them.
//!
//! Owns the format on disk (two copies, see `docs/keyslot-format.md`), wrapping and unwrapping, the order in which
//! slots are tried, and the rule that no instance loses its last way in. It knows nothing of `secrets.db`.

pub(crate) mod approvals;
mod copies;
mod kinds;
mod opening;
mod record;
pub(crate) mod rotation;
mod sealed_record;
mod set;
mod slot;

pub(crate) use kinds::credential::Credential;
pub(crate) use kinds::{Material, Means, Serving, Way, credential, passphrase, pkcs11, recovery, tpm2};
pub(crate) use record::Counter;
pub(crate) use set::{Opened, Refused, SlotSet, SlotsError};
pub(crate) use slot::{Kind, Slot, SlotError};
