//! Client assertions (RFC 7523, 3; `private_key_jwt`): a client shows who it is by its own key, once for each. That an
//! assertion is used once only is the caller's to remember, by `jti`, until it has expired.

use serde::Deserialize;

use crate::claims::{Audience, date, judge_time, text};
use crate::jws::Parts;
use crate::{Jwks, TokenError};

/// The longest life of an assertion in seconds, which bounds what must be remembered.
pub const MAX_LIFE: u64 = 600;
/// How much the clocks may differ, in seconds.
pub const LEEWAY: u64 = 60;

/// A verified assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// `jti`: taken once.
    pub jti: String,
    /// Until when its id must be remembered, seconds since 1970-01-01 UTC: `exp` and the leeway.
    pub remember_until: u64,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    jti: Option<String>,
    #[serde(default, deserialize_with = "date")]
    iat: Option<u64>,
    #[serde(default, deserialize_with = "date")]
    nbf: Option<u64>,
    #[serde(default, deserialize_with = "date")]
    exp: Option<u64>,
}

/// The client that an assertion says it is from: unproven, to look its keys up.
///
/// # Errors
/// [`TokenError`] if it cannot be read or has no `sub`.
pub fn claimed_client(jwt: &str) -> Result<String, TokenError> {
    text(Parts::of(jwt)?.claims::<Claims>()?.sub, "sub")
}

/// Verifies an assertion of `client_id` by the keys that it registered. `audiences` are the names of the server that it
/// may be addressed to; `now` is in seconds since 1970-01-01 UTC.
///
/// # Errors
/// [`TokenError`]
pub fn verify(jwt: &str, keys: &Jwks, client_id: &str, audiences: &[&str], now: u64) -> Result<Assertion, TokenError> {
    let parts = Parts::of(jwt)?;
    // `typ` is not required of assertions; one of another kind is refused (RFC 8725, 3.11 and 3.12).
    if parts.header.typ.is_some() && !parts.is_of_type("JWT") && !parts.is_of_type("client-authentication+jwt") {
        return Err(TokenError::Type);
    }
    let claims: Claims = parts.verified_by(keys)?;
    if text(claims.iss, "iss")? != client_id || text(claims.sub, "sub")? != client_id {
        return Err(TokenError::WrongIssuer);
    }
    let audience = claims.aud.ok_or(TokenError::Missing("aud"))?.into_vec()?;
    if !audience.iter().any(|one| audiences.contains(&one.as_str())) {
        return Err(TokenError::WrongAudience);
    }
    let expires = claims.exp.ok_or(TokenError::Missing("exp"))?;
    judge_time(expires, [claims.iat, claims.nbf], now, LEEWAY)?;
    if expires > now.saturating_add(MAX_LIFE + LEEWAY) {
        return Err(TokenError::LivesTooLong { max: MAX_LIFE });
    }
    Ok(Assertion { jti: text(claims.jti, "jti")?, remember_until: expires.saturating_add(LEEWAY) })
}
