//! The CA's private key, as rcgen asks for it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use merlon_sandbox::secret::Secret;
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};

use super::CaError;
use crate::crypto;

/// Holds the one copy of the scalar that the library needs to sign.
pub(super) struct CaSigner {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl CaSigner {
    /// From a scalar and its point.
    pub(super) fn new(scalar: &Secret<32>, point: &[u8]) -> Result<Self, CaError> {
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_ASN1_SIGNING, scalar.expose(), point);
        crypto::scrub();
        Ok(Self { pair: pair.map_err(|_| CaError::BadKey)?, random: SystemRandom::new() })
    }
}

impl PublicKeyData for CaSigner {
    fn der_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for CaSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.pair.sign(&self.random, message);
        // With the random number of one signature anybody can compute the key.
        crypto::scrub();
        signature.map(|signature| signature.as_ref().to_vec()).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
