//! Private keys on P-256 as they are kept: a scalar in secret memory, from which the public point is computed.

use aws_lc_rs::agreement;
use merlon_sandbox::secret::Secret;

use crate::crypto::{self, CryptoError};

/// A new private key, and its public point (SEC 1, uncompressed).
pub(crate) fn generate() -> Result<(Secret<32>, Vec<u8>), CryptoError> {
    // All but 2^-32 of the 256-bit numbers are keys on P-256.
    for _ in 0..8 {
        let scalar = Secret::random()?;
        if let Some(point) = point_of(&scalar) {
            return Ok((scalar, point));
        }
    }
    Err(CryptoError::Library)
}

/// The public point of a private key; none if it is no key.
pub(crate) fn point_of(scalar: &Secret<32>) -> Option<Vec<u8>> {
    let key = agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, scalar.expose());
    let point = key.ok().and_then(|key| key.compute_public_key().ok()).map(|point| point.as_ref().to_vec());
    crypto::scrub();
    point
}
