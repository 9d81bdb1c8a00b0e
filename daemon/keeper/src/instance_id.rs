//! The 16 random bytes that name an instance for ever.

use data_encoding::HEXLOWER_PERMISSIVE;

use crate::crypto::{self, CryptoError};

/// Salt of every derivation and part of everything authenticated, so that nothing moves between instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InstanceId([u8; 16]);

impl InstanceId {
    /// A new name.
    pub(crate) fn random() -> Result<Self, CryptoError> {
        let mut bytes = [0; 16];
        crypto::random(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// From hex, as it stands in files.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// In hex.
    pub(crate) fn hex(&self) -> String {
        HEXLOWER_PERMISSIVE.encode(&self.0)
    }

    /// As salt and associated data.
    pub(crate) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}
