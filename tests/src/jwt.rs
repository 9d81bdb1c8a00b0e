//! Keys of clients, and what clients sign with them: proofs of possession (RFC 9449) and assertions (RFC 7523). Made here
//! without any code of the project.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};

/// A key on P-256.
pub struct Key(EcdsaKeyPair);

impl Default for Key {
    fn default() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }
}

impl Key {
    /// A new key.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Its public part (RFC 7517).
    #[must_use]
    pub fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        let part = |range: std::ops::Range<usize>| BASE64URL_NOPAD.encode(&point[range]);
        json!({ "kty": "EC", "crv": "P-256", "x": part(1..33), "y": part(33..65) })
    }

    /// Its thumbprint (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let (jwk, text) = (self.jwk(), |value: &Value| value.as_str().unwrap().to_owned());
        let (x, y) = (text(&jwk["x"]), text(&jwk["y"]));
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        BASE64URL_NOPAD.encode(digest(&SHA256, canonical.as_bytes()).as_ref())
    }

    /// A signed JWT.
    #[must_use]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    /// A proof for one request.
    #[must_use]
    pub fn proof(&self, method: &str, url: &str) -> String {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() });
        self.sign(&header, &json!({ "jti": id(), "htm": method, "htu": url, "iat": now() }))
    }

    /// An assertion that this client is itself.
    #[must_use]
    pub fn assertion(&self, client_id: &str, audience: &str) -> String {
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": audience, "jti": id(), "iat": now(), "exp": now() + 60,
        });
        self.sign(&json!({ "alg": "ES256", "typ": "JWT" }), &claims)
    }
}

/// The claims of a JWT, unverified.
#[must_use]
pub fn claims(jwt: &str) -> Value {
    let part = jwt.split('.').nth(1).unwrap_or_else(|| panic!("no JWT: {jwt}"));
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

/// Seconds since 1970-01-01 UTC.
#[must_use]
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A random id.
#[must_use]
pub fn id() -> String {
    let mut bytes = [0; 16];
    fill(&mut bytes).unwrap();
    HEXLOWER.encode(&bytes)
}
