//! Argon2id (RFC 9106) over what a person types, with the parameters that a slot stores.

use argon2::{Algorithm, Argon2, Params, Version};
use merlon_sandbox::secret::Secret;
use merlon_wire::admin::MAX_PASSPHRASE;

use crate::crypto::{self, CryptoError};
use crate::slots::slot::SlotError;

/// Parameters as stored. Bounded, so that an altered file cannot make the keeper use all memory or hang.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argon2id {
    /// Salt.
    pub(crate) salt: [u8; 16],
    /// Memory, in KiB.
    pub(crate) memory_kib: u32,
    /// Passes.
    pub(crate) passes: u32,
    /// Lanes.
    pub(crate) lanes: u32,
}

impl Argon2id {
    /// A new salt and the cost of today: 64 MiB, 3 passes (RFC 9106, the second recommended option).
    pub(crate) fn new() -> Result<Self, CryptoError> {
        let mut salt = [0; 16];
        crypto::random(&mut salt)?;
        Ok(Self { salt, memory_kib: 64 << 10, passes: 3, lanes: 1 })
    }

    /// Is the cost one that this program would use?
    pub(crate) fn in_bounds(&self) -> bool {
        (19 << 10..=1 << 20).contains(&self.memory_kib)
            && (1..=16).contains(&self.passes)
            && (1..=4).contains(&self.lanes)
    }

    /// `N` bytes of what was typed. Slow on purpose.
    pub(crate) fn hash<const N: usize>(&self, typed: &[u8]) -> Result<Secret<N>, SlotError> {
        if typed.len() > MAX_PASSPHRASE {
            return Err(SlotError::WrongSecret);
        }
        let cost = Params::new(self.memory_kib, self.passes, self.lanes, Some(N)).map_err(|_| SlotError::Cost)?;
        let mut key = Secret::zeroed()?;
        let done = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost).hash_password_into(
            typed,
            &self.salt,
            &mut key.expose_mut()[..],
        );
        crypto::scrub();
        done.map_err(|_| SlotError::Cost)?;
        Ok(key)
    }

    /// In a fixed order, to be authenticated.
    pub(crate) fn parameters(&self) -> Vec<Vec<u8>> {
        let number = |n: u32| n.to_be_bytes().to_vec();
        vec![self.salt.to_vec(), number(self.memory_kib), number(self.passes), number(self.lanes)]
    }
}
