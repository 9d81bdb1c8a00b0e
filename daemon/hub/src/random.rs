//! Ids, tokens and codes: made of the system's randomness, kept as their hashes.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

/// The randomness of the system failed; nothing can be made.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gave no random numbers")]
pub(crate) struct NoRandomness;

impl From<Unspecified> for NoRandomness {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes)?;
    Ok(bytes)
}

/// A public id: the prefix (`acc_`, `cli_`, `grt_` …) and 24 hex digits. Kinds differ in their prefixes, so that the id of
/// one can never equal that of another.
pub(crate) fn id(prefix: &str) -> Result<String, NoRandomness> {
    Ok(format!("{prefix}{}", HEXLOWER.encode(&bytes::<12>()?)))
}

/// A secret of 256 bits: the prefix and 43 characters of base64url.
pub(crate) fn secret(prefix: &str) -> Result<String, NoRandomness> {
    Ok(format!("{prefix}{}", BASE64URL_NOPAD.encode(&bytes::<32>()?)))
}

/// What is kept of a token, code or secret.
pub(crate) type Hash = [u8; 32];

/// SHA-256. Enough for what is random; passwords go through Argon2id.
pub(crate) fn hash(secret: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret).as_ref());
    hash
}
