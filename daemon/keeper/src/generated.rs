//! Secrets for people to copy: random bits as text, made in secret memory.

use data_encoding::BASE32_NOPAD;
use merlon_sandbox::secret::{Secret, SecretBuf};

use crate::crypto::CryptoError;

/// `prefix` and `N` random bytes in lower-case base32 without padding.
pub(crate) fn text<const N: usize>(prefix: &[u8]) -> Result<SecretBuf, CryptoError> {
    let random = Secret::<N>::random()?;
    let length = prefix.len() + BASE32_NOPAD.encode_len(N);
    let mut text = SecretBuf::with_capacity(length)?;
    text.set_len(length);
    let (head, tail) = text.as_mut_slice().split_at_mut(prefix.len());
    head.copy_from_slice(prefix);
    BASE32_NOPAD.encode_mut(random.expose(), tail);
    tail.make_ascii_lowercase();
    Ok(text)
}
