//! Access tokens that are JWTs (RFC 9068): verified by whoever they are meant for, without asking their issuer.
//! Whether the session behind one still stands is not in the token, and the caller's to ask.

use serde::Deserialize;
use serde_json::Value;

use crate::claims::{Audience, date, judge_time, text};
use crate::jws::Parts;
use crate::{Jwks, TokenError};

/// The most roles of a token that are kept.
const MAX_ROLES: usize = 32;

/// What a token must be.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// `iss`, byte for byte.
    pub issuer: &'a str,
    /// One of `aud`. None: the caller judges [`AccessToken::audience`] itself, as a server does with its own tokens.
    pub audience: Option<&'a str>,
    /// Seconds since 1970-01-01 UTC.
    pub now: u64,
    /// How much the clocks may differ, in seconds.
    pub leeway: u64,
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// `aud`
    pub audience: Vec<String>,
    /// `client_id`
    pub client_id: String,
    /// `jti`
    pub jti: String,
    /// `iat`, seconds since 1970-01-01 UTC.
    pub issued: u64,
    /// `exp`, seconds since 1970-01-01 UTC.
    pub expires: u64,
    /// `scope`; empty where there is none.
    pub scope: String,
    /// `sid`: the session that it belongs to.
    pub session: Option<String>,
    /// `roles`, as far as they are texts.
    pub roles: Vec<String>,
    /// `preferred_username`
    pub name: Option<String>,
    /// `cnf.jkt`: who uses it proves possession of this key (RFC 9449, 6.1).
    pub key_thumbprint: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    client_id: Option<String>,
    jti: Option<String>,
    #[serde(default, deserialize_with = "date")]
    iat: Option<u64>,
    #[serde(default, deserialize_with = "date")]
    nbf: Option<u64>,
    #[serde(default, deserialize_with = "date")]
    exp: Option<u64>,
    scope: Option<String>,
    sid: Option<String>,
    roles: Option<Value>,
    preferred_username: Option<String>,
    cnf: Option<Confirmation>,
}

#[derive(Deserialize)]
struct Confirmation {
    jkt: Option<String>,
}

/// Looks like a JWT, so that it can be verified here; any other token is opaque and its issuer must be asked.
#[must_use]
pub fn is_jwt(token: &str) -> bool {
    token.split('.').count() == 3 && token.split('.').all(|part| !part.is_empty())
}

/// Verifies a token (RFC 9068, 4).
///
/// # Errors
/// [`TokenError`]; [`TokenError::UnknownKey`] is worth one look at the issuer's keys of today.
pub fn verify(token: &str, keys: &Jwks, expect: &Expect<'_>) -> Result<AccessToken, TokenError> {
    let parts = Parts::of(token)?;
    if !parts.is_of_type("at+jwt") {
        return Err(TokenError::Type);
    }
    let claims: Claims = parts.verified_by(keys)?;
    let issuer = text(claims.iss, "iss")?;
    if issuer != expect.issuer {
        return Err(TokenError::WrongIssuer);
    }
    let audience = claims.aud.ok_or(TokenError::Missing("aud"))?.into_vec()?;
    if expect.audience.is_some_and(|wanted| !audience.iter().any(|one| one == wanted)) {
        return Err(TokenError::WrongAudience);
    }
    let issued = claims.iat.ok_or(TokenError::Missing("iat"))?;
    let expires = claims.exp.ok_or(TokenError::Missing("exp"))?;
    judge_time(expires, [Some(issued), claims.nbf], expect.now, expect.leeway)?;
    let key_thumbprint = match claims.cnf {
        None => None,
        Some(Confirmation { jkt: Some(jkt) }) => Some(jkt),
        Some(Confirmation { jkt: None }) => return Err(TokenError::Binding),
    };
    Ok(AccessToken {
        issuer,
        subject: text(claims.sub, "sub")?,
        audience,
        client_id: text(claims.client_id, "client_id")?,
        jti: text(claims.jti, "jti")?,
        issued,
        expires,
        scope: claims.scope.unwrap_or_default(),
        session: claims.sid,
        roles: roles(claims.roles),
        name: claims.preferred_username,
        key_thumbprint,
    })
}

/// Other servers put objects there (RFC 9068, 2.2.3.1; RFC 7643, 4.1.2), or anything; what is no text is passed over.
fn roles(value: Option<Value>) -> Vec<String> {
    let Some(Value::Array(roles)) = value else { return Vec::new() };
    roles.into_iter().filter_map(|role| role.as_str().map(str::to_owned)).take(MAX_ROLES).collect()
}
