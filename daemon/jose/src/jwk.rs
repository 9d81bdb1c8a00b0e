//! Public keys as JSON (RFC 7517, 7518 section 6, 8037) and their thumbprints (RFC 7638). Only what verifies signatures
//! is kept: a key is typed by what it can do, so no algorithm can be applied to a key of another kind.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{JwkError, sha256_base64url};

/// The longest set of keys that is looked at, in bytes.
pub const MAX_SET: usize = 64 * 1024;
/// The most keys of a set.
pub const MAX_KEYS: usize = 32;
/// The longest `kid`, in bytes.
pub(crate) const MAX_KID: usize = 256;
/// Octets of an RSA modulus: 2048 to 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
/// Octets of an RSA exponent.
const MAX_EXPONENT: usize = 8;

/// Algorithms of signatures that are taken (RFC 7518, 3.1; RFC 8037, 3.1). All are asymmetric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Es256, Self::Rs256, Self::EdDsa];

    /// As in `alg`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// None for one that is not taken.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

/// The numbers of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    P256 { x: [u8; 32], y: [u8; 32] },
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ed25519 { x: [u8; 32] },
}

/// A public key that verifies signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwk {
    kid: Option<String>,
    material: Material,
}

/// Members of a key that are looked at; the rest is ignored (RFC 7517, 4).
#[derive(Deserialize)]
struct Members {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
}

/// Members that only private and symmetric keys have (RFC 7518, 6.2.2, 6.3.2, 6.4).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl Jwk {
    /// Reads one key.
    ///
    /// # Errors
    /// [`JwkError`]: malformed, private, or of a kind that is not used here.
    pub fn parse(value: &Value) -> Result<Self, JwkError> {
        let object = value.as_object().ok_or(JwkError::Malformed("it is no object"))?;
        if PRIVATE.iter().any(|member| object.contains_key(*member)) {
            return Err(JwkError::Private);
        }
        let members = Members::deserialize(value).map_err(|_| JwkError::Malformed("a member has the wrong type"))?;
        if members.purpose.as_deref().is_some_and(|purpose| purpose != "sig")
            || members.key_ops.is_some_and(|ops| !ops.iter().any(|op| op == "verify"))
        {
            return Err(JwkError::Unsupported);
        }
        if members.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(JwkError::Malformed("`kid` is too long"));
        }
        let material = match (members.kty.as_str(), members.crv.as_deref()) {
            ("EC", Some("P-256")) => Material::P256 { x: coordinate(members.x)?, y: coordinate(members.y)? },
            ("OKP", Some("Ed25519")) => Material::Ed25519 { x: coordinate(members.x)? },
            ("RSA", _) => rsa(number(members.n)?, number(members.e)?)?,
            _ => return Err(JwkError::Unsupported),
        };
        let key = Self { kid: members.kid, material };
        if members.alg.is_some_and(|alg| alg != key.algorithm().as_str()) {
            return Err(JwkError::Unsupported);
        }
        Ok(key)
    }

    /// A key on P-256 from its uncompressed point (SEC 1, 2.3.3).
    ///
    /// # Errors
    /// [`JwkError::Malformed`] for any other length or form.
    pub fn from_p256_point(point: &[u8], kid: Option<String>) -> Result<Self, JwkError> {
        let bad = JwkError::Malformed("this is no uncompressed point on P-256");
        let (Some(4), 65) = (point.first(), point.len()) else { return Err(bad) };
        let half = |from: usize| <[u8; 32]>::try_from(&point[from..from + 32]).map_err(|_| bad.clone());
        Ok(Self { kid, material: Material::P256 { x: half(1)?, y: half(33)? } })
    }

    /// An RSA key from the DER of `RSAPublicKey` (RFC 8017, A.1.1).
    ///
    /// # Errors
    /// [`JwkError`] for any other bytes, and for a key of less than 2048 bits.
    pub fn from_rsa_der(der: &[u8], kid: Option<String>) -> Result<Self, JwkError> {
        let bad = |_| JwkError::Malformed("this is no DER of an RSA public key");
        let key = jsonwebtoken::jwk::Jwk::from_decoding_key(&DecodingKey::from_rsa_der(der), None).map_err(bad)?;
        match key.algorithm {
            jsonwebtoken::jwk::AlgorithmParameters::RSA(key) => {
                Ok(Self { kid, material: rsa(number(Some(key.n))?, number(Some(key.e))?)? })
            }
            _ => Err(JwkError::Unsupported),
        }
    }

    /// The one algorithm that it verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::P256 { .. } => Algorithm::Es256,
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }

    /// `kid`, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// As it is published: required members, `kid`, `alg` and `use`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = self.required();
        value["alg"] = self.algorithm().as_str().into();
        value["use"] = "sig".into();
        if let Some(kid) = &self.kid {
            value["kid"] = kid.as_str().into();
        }
        value
    }

    /// The required members and no other, as a thumbprint and the header of a proof have them.
    pub(crate) fn required(&self) -> Value {
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        match &self.material {
            Material::P256 { x, y } => json!({ "crv": "P-256", "kty": "EC", "x": text(x), "y": text(y) }),
            Material::Rsa { n, e } => json!({ "e": text(e), "kty": "RSA", "n": text(n) }),
            Material::Ed25519 { x } => json!({ "crv": "Ed25519", "kty": "OKP", "x": text(x) }),
        }
    }

    pub(crate) fn verifier(&self) -> (jsonwebtoken::Algorithm, DecodingKey) {
        match &self.material {
            Material::P256 { x, y } => {
                let point = [&[4u8], x.as_slice(), y].concat();
                (jsonwebtoken::Algorithm::ES256, DecodingKey::from_ec_der(&point))
            }
            Material::Rsa { n, e } => (jsonwebtoken::Algorithm::RS256, DecodingKey::from_rsa_raw_components(n, e)),
            Material::Ed25519 { x } => (jsonwebtoken::Algorithm::EdDSA, DecodingKey::from_ed_der(x)),
        }
    }
}

/// The SHA-256 thumbprint (RFC 7638, 3), base64url: `jkt` of tokens bound to this key.
#[must_use]
pub fn thumbprint(key: &Jwk) -> String {
    // Written out in the order that the RFC fixes, so that no setting of a JSON library can change it.
    let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let canonical = match &key.material {
        Material::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y)),
        Material::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(e), text(n)),
        Material::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(x)),
    };
    sha256_base64url(canonical.as_bytes())
}

/// A set of public keys (RFC 7517, 5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

impl Jwks {
    /// Reads a set. Keys of kinds that are not used here are passed over; one private key refuses the set.
    ///
    /// # Errors
    /// [`JwkError`]
    pub fn parse(json: &[u8]) -> Result<Self, JwkError> {
        if json.len() > MAX_SET {
            return Err(JwkError::TooLong);
        }
        let value = serde_json::from_slice(json).map_err(|_| JwkError::Malformed("it is no JSON"))?;
        Self::from_value(&value)
    }

    /// As [`Self::parse`], of a set that stands in a larger document (RFC 7591, `jwks`).
    ///
    /// # Errors
    /// [`JwkError`]
    pub fn from_value(value: &Value) -> Result<Self, JwkError> {
        let keys = value.get("keys").and_then(Value::as_array).ok_or(JwkError::Malformed("it has no `keys`"))?;
        if keys.len() > MAX_KEYS {
            return Err(JwkError::TooMany);
        }
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            match Jwk::parse(key) {
                Ok(key) => found.push(key),
                Err(JwkError::Unsupported) => {}
                // `oct` has `k`, so it is private by its members; servers list encryption keys beside, never those.
                Err(error) => return Err(error),
            }
        }
        Ok(Self { keys: found })
    }

    /// The keys that can be used.
    #[must_use]
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// The key of this name.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&Jwk> {
        self.keys.iter().find(|key| key.kid() == Some(kid))
    }

    /// Keys that may have signed: those of the algorithm, and of the name unless one of the two sides has none. A name is
    /// a hint (RFC 7515, 4.1.4): clients register keys without one and name them all the same.
    pub(crate) fn candidates<'a>(
        &'a self,
        kid: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a Jwk> + 'a {
        self.keys.iter().filter(move |key| {
            key.algorithm() == algorithm && (kid.is_none() || key.kid().is_none() || key.kid() == kid)
        })
    }
}

impl FromIterator<Jwk> for Jwks {
    fn from_iter<I: IntoIterator<Item = Jwk>>(keys: I) -> Self {
        Self { keys: keys.into_iter().take(MAX_KEYS).collect() }
    }
}

fn number(text: Option<String>) -> Result<Vec<u8>, JwkError> {
    let text = text.ok_or(JwkError::Malformed("a member is missing"))?;
    if text.len() > MAX_SET {
        return Err(JwkError::Malformed("a number is too long"));
    }
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| JwkError::Malformed("a member is no base64url"))
}

/// A coordinate has its full length, leading zeros included (RFC 7518, 6.2.1.2; RFC 8037, 2).
fn coordinate(text: Option<String>) -> Result<[u8; 32], JwkError> {
    number(text)?.try_into().map_err(|_| JwkError::Malformed("a coordinate is not 32 octets long"))
}

fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Material, JwkError> {
    // No leading zeros (RFC 7518, 2, Base64urlUInt): the thumbprint would have two forms.
    if n.first() == Some(&0) || e.first().is_none_or(|first| *first == 0) {
        return Err(JwkError::Malformed("a number is empty or has leading zeros"));
    }
    if !MODULUS.contains(&n.len()) || e.len() > MAX_EXPONENT {
        return Err(JwkError::Unsupported);
    }
    Ok(Material::Rsa { n, e })
}
