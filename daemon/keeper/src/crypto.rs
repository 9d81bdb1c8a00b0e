//! The few operations on keys, all by aws-lc-rs, from secret memory to secret memory.
//!
//! Nothing here returns a key by value. The library works partly on the stack and does not wipe all of it; every
//! function that touched a key therefore ends with [`scrub`].

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, digest, hkdf, hmac, rand};
use merlon_sandbox::secret::{Secret, SecretBuf, SecretError};

/// Bytes of a sealed 256-bit value: nonce, ciphertext, tag.
pub(crate) const SEALED_LEN: usize = NONCE_LEN + 32 + TAG_LEN;
const TAG_LEN: usize = 16;

/// A failed operation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CryptoError {
    /// No secret memory.
    #[error(transparent)]
    Memory(#[from] SecretError),
    /// The key does not fit, or the bytes were altered.
    #[error("the value does not decrypt: wrong key, or altered")]
    Unauthentic,
    /// The library refused; out of memory, or a fault of this program.
    #[error("the cryptographic library failed")]
    Library,
}

/// HKDF-SHA256 (RFC 5869) to 32 bytes.
pub(crate) fn derive(material: &[u8], salt: &[u8], info: &[u8]) -> Result<Secret<32>, CryptoError> {
    let mut key = Secret::zeroed()?;
    let filled = hkdf_into(key.expose_mut(), material, salt, info);
    scrub();
    filled?;
    Ok(key)
}

/// Apart, because what is between extraction and expansion is as good as the material: it must lie where [`scrub`] of
/// the caller reaches.
#[inline(never)]
fn hkdf_into(key: &mut [u8; 32], material: &[u8], salt: &[u8], info: &[u8]) -> Result<(), CryptoError> {
    struct Len32;
    impl hkdf::KeyType for Len32 {
        fn len(&self) -> usize {
            32
        }
    }
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(material);
    extracted.expand(&[info], Len32).and_then(|okm| okm.fill(key)).map_err(|_| CryptoError::Library)
}

/// AES-256-GCM with a random nonce: `nonce || ciphertext || tag`.
pub(crate) fn seal(key: &Secret<32>, aad: &[u8], value: &Secret<32>) -> Result<[u8; SEALED_LEN], CryptoError> {
    let mut sealed = [0; SEALED_LEN];
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce)?;
    let mut work = Secret::<32>::zeroed()?;
    work.expose_mut().copy_from_slice(value.expose());
    let tag = UnboundKey::new(&AES_256_GCM, key.expose()).and_then(|key| {
        LessSafeKey::new(key).seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            &mut work.expose_mut()[..],
        )
    });
    scrub();
    let tag = tag.map_err(|_| CryptoError::Library)?;
    sealed[..NONCE_LEN].copy_from_slice(&nonce);
    sealed[NONCE_LEN..NONCE_LEN + 32].copy_from_slice(work.expose());
    sealed[NONCE_LEN + 32..].copy_from_slice(tag.as_ref());
    Ok(sealed)
}

/// The reverse of [`seal`].
pub(crate) fn open(key: &Secret<32>, aad: &[u8], sealed: &[u8]) -> Result<Secret<32>, CryptoError> {
    let sealed: &[u8; SEALED_LEN] = sealed.try_into().map_err(|_| CryptoError::Unauthentic)?;
    let (nonce, rest) = sealed.split_at(NONCE_LEN);
    let (ciphertext, tag) = rest.split_at(32);
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::Unauthentic)?;
    let mut value = Secret::zeroed()?;
    let key = UnboundKey::new(&AES_256_GCM, key.expose()).map_err(|_| CryptoError::Library)?;
    let opened =
        LessSafeKey::new(key).open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, &mut value.expose_mut()[..]);
    scrub();
    opened.map_err(|_| CryptoError::Unauthentic)?;
    Ok(value)
}

/// As [`seal`], for a value of any length.
pub(crate) fn seal_bytes(key: &Secret<32>, aad: &[u8], value: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce)?;
    let mut work = SecretBuf::from_slice(value)?;
    let tag = UnboundKey::new(&AES_256_GCM, key.expose()).and_then(|key| {
        let nonce = Nonce::assume_unique_for_key(nonce);
        LessSafeKey::new(key).seal_in_place_separate_tag(nonce, Aad::from(aad), work.as_mut_slice())
    });
    scrub();
    let tag = tag.map_err(|_| CryptoError::Library)?;
    Ok([nonce.as_slice(), work.as_slice(), tag.as_ref()].concat())
}

/// The reverse of [`seal_bytes`], and of [`seal`].
pub(crate) fn open_bytes(key: &Secret<32>, aad: &[u8], sealed: &[u8]) -> Result<SecretBuf, CryptoError> {
    let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(CryptoError::Unauthentic)?;
    let length = rest.len().checked_sub(TAG_LEN).ok_or(CryptoError::Unauthentic)?;
    let (ciphertext, tag) = rest.split_at(length);
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::Unauthentic)?;
    let mut value = SecretBuf::with_capacity(length)?;
    value.set_len(length);
    let key = UnboundKey::new(&AES_256_GCM, key.expose()).map_err(|_| CryptoError::Library)?;
    let opened =
        LessSafeKey::new(key).open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, value.as_mut_slice());
    scrub();
    opened.map_err(|_| CryptoError::Unauthentic)?;
    Ok(value)
}

/// HMAC-SHA256 over the parts, each of which is preceded by its length (so that no two lists of parts look alike).
pub(crate) fn mac_of_parts(key: &Secret<32>, parts: &[&[u8]]) -> [u8; 32] {
    let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let pieces: Vec<&[u8]> = lengths.iter().zip(parts).flat_map(|(length, part)| [length.as_slice(), part]).collect();
    let out = hmac_of(key, &pieces);
    scrub();
    out
}

/// Plain HMAC-SHA256.
pub(crate) fn mac(key: &Secret<32>, bytes: &[u8]) -> [u8; 32] {
    let out = hmac_of(key, &[bytes]);
    scrub();
    out
}

/// Apart, because the context holds the last bytes it was fed: it must lie where [`scrub`] of the caller reaches.
#[inline(never)]
fn hmac_of(key: &Secret<32>, pieces: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()));
    for piece in pieces {
        context.update(piece);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// SHA-256, piece by piece.
pub(crate) struct Sha256(digest::Context);

impl Sha256 {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// And of these bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all of them.
    pub(crate) fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

/// Are the slices equal? The time depends on the lengths only.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// Fills with random bytes that are no secret (salts, nonces, ids). Secrets are made by `Secret::random`.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), CryptoError> {
    rand::fill(bytes).map_err(|_| CryptoError::Library)
}

/// Overwrites the part of this thread's stack that the calls before may have used. The libraries clean up most of what
/// they leave there, but none of them promises all of it (a random number of a signature is enough to compute its key).
#[inline(never)]
pub(crate) fn scrub() {
    let mut below = [0u8; 48 << 10];
    std::hint::black_box(&mut below);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> Secret<32> {
        Secret::init(|bytes| bytes.fill(byte)).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_data_only() {
        let sealed = seal(&secret(1), b"aad", &secret(9)).unwrap();
        assert!(open(&secret(1), b"aad", &sealed).unwrap().ct_eq(&secret(9)));
        assert!(matches!(open(&secret(2), b"aad", &sealed), Err(CryptoError::Unauthentic)));
        assert!(matches!(open(&secret(1), b"add", &sealed), Err(CryptoError::Unauthentic)));
        assert!(matches!(open(&secret(1), b"aad", &sealed[1..]), Err(CryptoError::Unauthentic)));
        for i in 0..SEALED_LEN {
            let mut altered = sealed;
            altered[i] ^= 1;
            assert!(matches!(open(&secret(1), b"aad", &altered), Err(CryptoError::Unauthentic)), "byte {i}");
        }
        assert_ne!(sealed, seal(&secret(1), b"aad", &secret(9)).unwrap());
    }

    #[test]
    fn values_of_any_length_are_sealed_alike() {
        for value in [&b""[..], b"x", &[7; 5000]] {
            let sealed = seal_bytes(&secret(1), b"aad", value).unwrap();
            assert_eq!(open_bytes(&secret(1), b"aad", &sealed).unwrap().as_slice(), value);
            for altered in [&sealed[1..], &sealed[..sealed.len() - 1], &[]] {
                assert!(matches!(open_bytes(&secret(1), b"aad", altered), Err(CryptoError::Unauthentic)));
            }
            assert!(matches!(open_bytes(&secret(1), b"add", &sealed), Err(CryptoError::Unauthentic)));
        }
        let sealed = seal(&secret(1), b"aad", &secret(9)).unwrap();
        assert_eq!(open_bytes(&secret(1), b"aad", &sealed).unwrap().as_slice(), secret(9).expose());
    }

    #[test]
    fn derivation_follows_rfc_5869() {
        // RFC 5869, appendix A.1, the first 32 bytes of its OKM.
        let salt: Vec<u8> = (0..=12).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let key = derive(&[0x0b; 22], &salt, &info).unwrap();
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf";
        assert_eq!(data_encoding::HEXLOWER.encode(key.expose()), expected);
    }

    #[test]
    fn parts_cannot_be_shifted() {
        assert_ne!(mac_of_parts(&secret(1), &[b"ab", b"c"]), mac_of_parts(&secret(1), &[b"a", b"bc"]));
    }
}
