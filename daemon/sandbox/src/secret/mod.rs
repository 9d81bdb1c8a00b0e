//! Memory for secrets: out of reach of other processes, of the swap, of core dumps and of children.
//!
//! Owned here: the types [`Secret`] and [`SecretBuf`]. What is in them is wiped when they are dropped, and they can be
//! neither printed, cloned nor serialised. They must not interpret what they hold.

mod region;

use std::hint::black_box;

use region::Region;
pub use region::{Backend, backend, force_locked};

/// Why memory for a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The limit of locked memory is used up.
    #[error(
        "no more memory may be locked for secrets ({bytes} bytes were asked for): raise LimitMEMLOCK= of the unit, or \
         `ulimit -l`"
    )]
    Limit {
        /// What was asked for.
        bytes: usize,
    },
    /// The kernel refused a step.
    #[error("the kernel refused memory for secrets ({step}): {source}")]
    Kernel {
        /// The system call.
        step: &'static str,
        /// What it answered.
        source: std::io::Error,
    },
    /// [`force_locked`] came after secrets were made.
    #[error("secrets already live in memfd_secret memory; this setting has to be made before the first of them")]
    TooLate,
}

/// `N` secret bytes in a page of their own, between two pages that cannot be touched.
pub struct Secret<const N: usize> {
    region: Region,
}

impl<const N: usize> Secret<N> {
    /// All zero.
    ///
    /// # Errors
    /// No memory for secrets can be had.
    pub fn zeroed() -> Result<Self, SecretError> {
        Ok(Self { region: Region::new(N)? })
    }

    /// Filled by `fill`, which writes straight into the secret memory.
    ///
    /// # Errors
    /// No memory for secrets can be had.
    pub fn init(fill: impl FnOnce(&mut [u8; N])) -> Result<Self, SecretError> {
        let mut secret = Self::zeroed()?;
        fill(secret.expose_mut());
        Ok(secret)
    }

    /// Filled by `fill`, which may fail; what it wrote until then is wiped.
    ///
    /// # Errors
    /// That of `fill`, or no memory for secrets can be had.
    pub fn try_init<E: From<SecretError>>(fill: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self::zeroed()?;
        fill(secret.expose_mut())?;
        Ok(secret)
    }

    /// Random bytes, written by the kernel straight into the secret memory.
    ///
    /// # Errors
    /// No memory for secrets can be had, or no randomness.
    pub fn random() -> Result<Self, SecretError> {
        let mut secret = Self::zeroed()?;
        region::fill_random(secret.region.as_mut_slice())?;
        Ok(secret)
    }

    /// The secret, for as long as it is needed. What copies it must wipe the copy.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        self.region.as_slice().first_chunk().expect("the region has N bytes")
    }

    /// The secret, to be written.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut [u8; N] {
        self.region.as_mut_slice().first_chunk_mut().expect("the region has N bytes")
    }

    /// Compares in a time that does not depend on where the two differ.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        ct_eq(self.expose(), other.expose())
    }
}

/// Compares in a time that depends on the lengths only.
#[must_use]
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let difference = a.iter().zip(b).fold(0u8, |sum, (x, y)| black_box(sum | (x ^ y)));
    black_box(difference) == 0
}

/// A buffer of fixed capacity in secret memory, for frames that may carry secrets.
pub struct SecretBuf {
    region: Region,
    len: usize,
}

impl SecretBuf {
    /// An empty buffer that can hold `capacity` bytes and never grows.
    ///
    /// # Errors
    /// No memory for secrets can be had.
    pub fn with_capacity(capacity: usize) -> Result<Self, SecretError> {
        Ok(Self { region: Region::new(capacity)?, len: 0 })
    }

    /// A buffer that holds exactly these bytes. The caller wipes the original.
    ///
    /// # Errors
    /// No memory for secrets can be had.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SecretError> {
        let mut buffer = Self::with_capacity(bytes.len())?;
        buffer.set_len(bytes.len());
        buffer.as_mut_slice().copy_from_slice(bytes);
        Ok(buffer)
    }

    /// The bytes in use.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.region.as_slice()[..self.len]
    }

    /// The bytes in use, to be written.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.region.as_mut_slice()[..self.len]
    }

    /// All bytes up to the capacity, in use or not: to receive into, before [`Self::set_len`].
    #[must_use]
    pub fn as_full_mut_slice(&mut self) -> &mut [u8] {
        self.region.as_mut_slice()
    }

    /// How many bytes are in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// No byte is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.region.len()
    }

    /// Says how many bytes are in use; those that come into use hold what was written there, or zero.
    ///
    /// # Panics
    /// If `len` is above the capacity: the caller asked for a buffer too small for what it does.
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity(), "a length of {len} in a secret buffer of {}", self.capacity());
        self.len = len;
    }

    /// Wipes the whole buffer and uses none of it.
    pub fn clear(&mut self) {
        self.region.wipe();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests;
