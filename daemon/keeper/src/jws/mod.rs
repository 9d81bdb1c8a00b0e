//! Signed tokens (RFC 7515, RFC 7519): those that say who the instance is, and those that a hub hands out.
//!
//! Owns what such a token looks like: every header and every claim is built here from parts that were checked
//! ([`claims`]), never taken as a whole from the one who asks. No token is read here.

pub(crate) mod claims;
mod key;
mod url;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::crypto::{self, CryptoError};

pub(crate) use key::SigningKey;
pub(crate) use url::{check as check_url, check_with_query as check_url_with_query};

/// Why a token was not signed, or a key is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JwsError {
    /// A stored key that is none.
    #[error("a signing key in secrets.db is no key; restore secrets.db from a backup")]
    BadKey,
    /// Memory or the library.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// A token in compact form; wiped when it is dropped.
pub(crate) type Token = Zeroizing<String>;

/// The header of a token.
#[derive(Serialize)]
pub(crate) struct Header<'a> {
    pub(crate) typ: &'static str,
    pub(crate) alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jwk: Option<key::Jwk>,
}

/// Signs header and claims (RFC 7515, 5.1).
pub(crate) fn sign<T: Serialize>(key: &SigningKey, header: &Header<'_>, claims: &T) -> Result<Token, JwsError> {
    let header = json(header);
    let claims = json(claims);
    let length = |bytes: usize| BASE64URL_NOPAD.encode_len(bytes);
    // Exact, so that no copy of a part is left behind by growing.
    let whole = length(header.len()) + 1 + length(claims.len()) + 1 + length(key.signature_len());
    let mut token = Zeroizing::new(String::with_capacity(whole));
    BASE64URL_NOPAD.encode_append(&header, &mut token);
    token.push('.');
    BASE64URL_NOPAD.encode_append(&claims, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    BASE64URL_NOPAD.encode_append(&signature, &mut token);
    Ok(token)
}

/// 128 random bits, for `jti`.
pub(crate) fn random_id() -> Result<String, CryptoError> {
    let mut bytes = [0; 16];
    crypto::random(&mut bytes)?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("numbers and text always have a JSON form")
}
