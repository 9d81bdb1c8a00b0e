//! Keys that sign tokens: ES256 and RS256 (RFC 7518, 3.4 and 3.3), their public form (RFC 7517), and their names.
//!
//! A key is kept as a scalar (ES256) or as PKCS#8 (RS256), in secret memory; the library holds the one copy that it
//! needs to sign.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use data_encoding::BASE64URL_NOPAD;
use merlon_sandbox::secret::{Secret, SecretBuf};
use merlon_wire::hub::Algorithm;
use serde::Serialize;

use super::JwsError;
use crate::crypto::{self, CryptoError};
use crate::p256;

const ES256_SIGNATURE_LEN: usize = 64;
/// What stands before and behind the modulus in the DER of a public key of 2048 bits with the exponent 65537
/// (RFC 8017, A.1.1).
const RSA_HEAD: [u8; 9] = [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
const RSA_TAIL: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

/// A key pair.
pub(crate) enum SigningKey {
    /// P-256.
    Es256(EcdsaKeyPair),
    /// 2048 bits, exponent 65537.
    Rs256(Box<rsa::KeyPair>),
}

/// A public key as JSON. The members stand in the order that RFC 7638 (3.2) hashes them in.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Jwk {
    Ec { crv: &'static str, kty: &'static str, x: String, y: String },
    Rsa { e: &'static str, kty: &'static str, n: String },
}

impl SigningKey {
    /// A new key, and what it is kept as.
    pub(crate) fn generate(algorithm: Algorithm) -> Result<(Self, SecretBuf), JwsError> {
        match algorithm {
            Algorithm::Es256 => {
                let (scalar, _) = p256::generate()?;
                let kept = SecretBuf::from_slice(scalar.expose()).map_err(CryptoError::from)?;
                Ok((Self::of_scalar(&scalar)?, kept))
            }
            Algorithm::Rs256 => {
                let made = generate_rsa();
                crypto::scrub();
                let (pair, pkcs8) = made.ok_or(CryptoError::Library)?;
                let kept = SecretBuf::from_slice(pkcs8.as_ref()).map_err(CryptoError::from)?;
                Ok((Self::Rs256(Box::new(pair)), kept))
            }
        }
    }

    /// The key that is kept as this.
    pub(crate) fn kept(algorithm: Algorithm, kept: &[u8]) -> Result<Self, JwsError> {
        match algorithm {
            Algorithm::Es256 => {
                let scalar: &[u8; 32] = kept.try_into().map_err(|_| JwsError::BadKey)?;
                let scalar = Secret::init(|bytes| bytes.copy_from_slice(scalar)).map_err(CryptoError::from)?;
                Self::of_scalar(&scalar)
            }
            Algorithm::Rs256 => {
                let pair = rsa::KeyPair::from_pkcs8(kept);
                crypto::scrub();
                Ok(Self::Rs256(Box::new(pair.map_err(|_| JwsError::BadKey)?)))
            }
        }
    }

    /// The ES256 key with this scalar.
    pub(crate) fn of_scalar(scalar: &Secret<32>) -> Result<Self, JwsError> {
        let point = p256::point_of(scalar).ok_or(JwsError::BadKey)?;
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, scalar.expose(), &point);
        crypto::scrub();
        Ok(Self::Es256(pair.map_err(|_| JwsError::BadKey)?))
    }

    /// `alg` (RFC 7518, 3.1).
    pub(crate) fn alg(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
        }
    }

    /// An uncompressed point, or the DER of RSAPublicKey.
    pub(crate) fn public_key(&self) -> &[u8] {
        match self {
            Self::Es256(pair) => pair.public_key().as_ref(),
            Self::Rs256(pair) => pair.public_key().as_ref(),
        }
    }

    /// The public key as JSON.
    pub(crate) fn jwk(&self) -> Result<Jwk, JwsError> {
        let public = self.public_key();
        match self {
            Self::Es256(_) => {
                let [x, y] = [public.get(1..33), public.get(33..65)].map(Option::unwrap_or_default);
                let [x, y] = [x, y].map(|half| BASE64URL_NOPAD.encode(half));
                Ok(Jwk::Ec { crv: "P-256", kty: "EC", x, y })
            }
            Self::Rs256(_) => {
                let rest = public.strip_prefix(&RSA_HEAD).and_then(|rest| rest.strip_suffix(&RSA_TAIL));
                let n = BASE64URL_NOPAD.encode(rest.ok_or(JwsError::BadKey)?);
                Ok(Jwk::Rsa { e: "AQAB", kty: "RSA", n })
            }
        }
    }

    /// The thumbprint (RFC 7638), which is also the name of each key here.
    pub(crate) fn thumbprint(&self) -> Result<String, JwsError> {
        Ok(BASE64URL_NOPAD.encode(&crypto::sha256(&super::json(&self.jwk()?))))
    }

    pub(super) fn signature_len(&self) -> usize {
        match self {
            Self::Es256(_) => ES256_SIGNATURE_LEN,
            Self::Rs256(pair) => pair.public_modulus_len(),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JwsError> {
        let random = SystemRandom::new();
        let mut signature = vec![0; self.signature_len()];
        let signed = match self {
            Self::Es256(pair) => pair.sign(&random, message).map(|made| {
                signature.clear();
                signature.extend_from_slice(made.as_ref());
            }),
            Self::Rs256(pair) => pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature),
        };
        // With the random number of one signature anybody can compute the key.
        crypto::scrub();
        signed.map_err(|_| CryptoError::Library)?;
        Ok(signature)
    }
}

/// Apart, so that what it leaves on the stack lies where [`crypto::scrub`] of the caller reaches. The library wipes both
/// results when they are dropped.
#[inline(never)]
fn generate_rsa() -> Option<(rsa::KeyPair, Pkcs8V1Der<'static>)> {
    let pair = rsa::KeyPair::generate(KeySize::Rsa2048).ok()?;
    let pkcs8 = pair.as_der().ok()?;
    Some((pair, pkcs8))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_key_signs_the_same_after_it_was_kept() {
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let (made, kept) = SigningKey::generate(algorithm).unwrap();
            let again = SigningKey::kept(algorithm, kept.as_slice()).unwrap();
            assert_eq!(made.public_key(), again.public_key());
            assert_eq!(made.thumbprint().unwrap(), again.thumbprint().unwrap());
            let signature = again.sign(b"message").unwrap();
            assert_eq!(signature.len(), again.signature_len());
            match algorithm {
                Algorithm::Es256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, made.public_key())
                    .verify(b"message", &signature)
                    .unwrap(),
                Algorithm::Rs256 => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, made.public_key())
                    .verify(b"message", &signature)
                    .unwrap(),
            }
            assert!(matches!(SigningKey::kept(algorithm, &kept.as_slice()[1..]), Err(JwsError::BadKey)));
        }
        assert!(matches!(SigningKey::kept(Algorithm::Es256, &[0; 32]), Err(JwsError::BadKey)));
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        // RFC 7638, 3.1: the key of the example and its thumbprint.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let jwk = Jwk::Rsa { e: "AQAB", kty: "RSA", n: n.to_owned() };
        let hash = crypto::sha256(&super::super::json(&jwk));
        assert_eq!(BASE64URL_NOPAD.encode(&hash), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
