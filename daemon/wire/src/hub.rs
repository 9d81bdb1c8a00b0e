//! What the hub may ask of its keeper besides [`crate::keeper::Request::Status`] and the projects (its database is one):
//! to sign access tokens. Parts of [`crate::keeper::Request`] and its answers; a keeper serves them with `--hub` only.
//!
//! The keeper signs meaning: it builds header and claims itself, and refuses what is no short-lived access token.

use serde::{Deserialize, Serialize};

/// The longest life of an access token, in seconds.
pub const MAX_LIFETIME_SECONDS: u32 = 24 * 3600;
/// The most tokens of one request.
pub const MAX_TOKENS: usize = 16;
/// The longest text in a claim, in bytes.
pub const MAX_CLAIM: usize = 512;

/// Algorithms of access tokens (RFC 7518).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256; the default.
    Es256,
    /// RSA PKCS#1 v1.5 with SHA-256, 2048 bits: what every resource server knows (RFC 9068, 2.1).
    Rs256,
}

/// An access token to be (RFC 9068).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims<'a> {
    /// Signed with the current key of this algorithm.
    pub algorithm: Algorithm,
    /// `iss`
    pub issuer: &'a str,
    /// `sub`
    pub subject: &'a str,
    /// `aud`
    pub audience: &'a str,
    /// `client_id`
    pub client_id: &'a str,
    /// `scope`, space-separated; may be empty.
    pub scope: &'a str,
    /// `jti`
    pub id: &'a str,
    /// `iat`, seconds since 1970-01-01 UTC. Within a minute of the keeper's own clock.
    pub issued: u64,
    /// `exp` minus `iat`; 1 to [`MAX_LIFETIME_SECONDS`].
    pub lifetime: u32,
    /// `sid`: the grant, for tokens of a person.
    pub session: Option<&'a str>,
    /// `roles`: what the person is at the audience (`viewer`, `operator`, `owner`).
    pub role: Option<&'a str>,
    /// `preferred_username`
    pub name: Option<&'a str>,
    /// `cnf.jkt` (RFC 9449, 6.1), base64url.
    pub key_thumbprint: Option<&'a str>,
}

/// A signing key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// `kid`
    pub id: String,
    /// What it signs.
    pub algorithm: Algorithm,
    /// Which of them it is.
    pub state: KeyState,
    /// `Es256`: uncompressed point, 65 bytes. `Rs256`: DER of RSAPublicKey (RFC 8017, A.1.1).
    pub public_key: Vec<u8>,
    /// Made. Microseconds since 1970-01-01 UTC.
    pub created_us: i64,
}

/// The life of a signing key. Each algorithm has one next, one current, and at most one previous key; all are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    /// Published so that resource servers know it before it signs.
    Next,
    /// Signs.
    Current,
    /// Signs no more; its tokens may still be about.
    Previous,
}
