//! The master key and what is derived from it.
//!
//! Owns the labels of derivation (they are part of the on-disk format, see `docs/keyslot-format.md`). Every key stays
//! in secret memory; the page key is derived, given to SQLCipher, and dropped.

use merlon_sandbox::secret::Secret;

use crate::crypto::{self, CryptoError};
use crate::instance_id::InstanceId;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Pages of `secrets.db`.
    Pages,
    /// Values inside `secrets.db`.
    Values,
    /// The MAC of the keyslot file.
    KeyslotMac,
    /// Hashes of access tokens.
    TokenHash,
    /// Hashes of proxy passwords.
    ProxyHash,
    /// The MAC of a backup's manifest.
    BackupMac,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Pages => b"merlon v1 secrets.db page key",
            Self::Values => b"merlon v1 value key",
            Self::KeyslotMac => b"merlon v1 keyslot mac",
            Self::TokenHash => b"merlon v1 token hash",
            Self::ProxyHash => b"merlon v1 proxy password hash",
            Self::BackupMac => b"merlon v1 backup mac",
        }
    }
}

/// The master key of one instance.
pub(crate) struct MasterKey {
    key: Secret<32>,
    instance: InstanceId,
}

impl MasterKey {
    /// A new one, from the system's random source straight into secret memory.
    pub(crate) fn random(instance: InstanceId) -> Result<Self, CryptoError> {
        Ok(Self { key: Secret::random()?, instance })
    }

    /// One that a keyslot gave.
    pub(crate) fn unwrapped(key: Secret<32>, instance: InstanceId) -> Self {
        Self { key, instance }
    }

    /// The key for one purpose.
    pub(crate) fn derive(&self, purpose: Purpose) -> Result<Secret<32>, CryptoError> {
        crypto::derive(self.key.expose(), self.instance.bytes(), purpose.label())
    }

    /// For wrapping in a keyslot.
    pub(crate) fn key(&self) -> &Secret<32> {
        &self.key
    }

    /// The instance that it belongs to.
    pub(crate) fn instance(&self) -> &InstanceId {
        &self.instance
    }
}
