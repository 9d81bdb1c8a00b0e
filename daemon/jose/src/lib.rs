//! JSON Web Tokens as Merlon reads them: access tokens (RFC 9068), client assertions (RFC 7523), and proofs of possession
//! (RFC 9449), with the keys that verify them (RFC 7517).
//!
//! Hub, engine and command line share it, because each checks or makes what another made. It verifies and, for the
//! command line's own key, signs; it does no IO, and the keeper does not use it: that one signs by itself.
//!
//! What holds for every token, whatever it is: its length is bounded before anything is decoded; the algorithm is one of
//! [`Algorithm`], so neither `none` nor HMAC exists here; the key comes from a set that the caller trusts, in proofs
//! alone from the header; a `typ` that belongs to another kind of token is refused (RFC 8725, 3.11); and no claim is
//! looked at before the signature holds. The caller gives the time and remembers which ids it has seen.

pub mod access_token;
pub mod assertion;
mod claims;
mod error;
mod htu;
mod jwk;
mod jws;
pub mod proof;

pub use error::{JwkError, TokenError};
pub use jwk::{Algorithm, Jwk, Jwks, MAX_KEYS, MAX_SET, thumbprint};
pub use jws::MAX_TOKEN;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;

/// base64url of the SHA-256 of `bytes`: `ath` of a proof, an S256 challenge (RFC 7636, 4.2), a thumbprint.
#[must_use]
pub fn sha256_base64url(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(digest(&SHA256, bytes).as_ref())
}
