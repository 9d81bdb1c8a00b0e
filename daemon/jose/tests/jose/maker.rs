//! Makes tokens by the bare library of ciphers, so that nothing under test takes part in it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use data_encoding::BASE64URL_NOPAD;
use merlon_jose::Jwk;
use serde_json::{Value, json};

pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) enum Key {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    pub(crate) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(crate) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    /// The name of the algorithm that the key is for.
    pub(crate) fn alg(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Rsa(_) => "RS256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        match self {
            Self::P256(pair) => point("P-256", &pair.public_key().as_ref()[1..]),
            Self::P384(pair) => point("P-384", &pair.public_key().as_ref()[1..]),
            Self::Rsa(pair) => {
                let der: Vec<u8> = pair.public_key().as_ref().to_vec();
                Jwk::from_rsa_der(&der, None).unwrap().to_json()
            }
            Self::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64URL_NOPAD.encode(pair.public_key().as_ref()) })
            }
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::P256(pair) | Self::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of_text(&header.to_string(), &claims.to_string())
    }

    pub(crate) fn token_of_text(&self, header: &str, claims: &str) -> String {
        let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&self.sign(signed.as_bytes())))
    }
}

fn point(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point.split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y) })
}

/// `value` with one member changed, or taken away by null.
pub(crate) fn with(value: &Value, member: &str, new: Value) -> Value {
    let mut value = value.clone();
    match new {
        Value::Null => drop(value.as_object_mut().unwrap().remove(member)),
        new => value[member] = new,
    }
    value
}

/// Every way to change one character of a token to another one of its alphabet, or to a foreign one.
pub(crate) fn tampered(token: &str) -> impl Iterator<Item = String> + '_ {
    (0..token.len()).flat_map(move |at| {
        let here = token.as_bytes()[at];
        [b'A', b'z', b'_', b'.', b' '].into_iter().filter(move |new| *new != here).map(move |new| {
            let mut bytes = token.as_bytes().to_vec();
            bytes[at] = new;
            String::from_utf8(bytes).unwrap()
        })
    })
}
