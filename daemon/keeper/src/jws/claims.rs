//! What the three kinds of tokens say: client assertions (RFC 7523), proofs of possession (RFC 9449) and access tokens
//! (RFC 9068). Each is built from parts whose bounds are checked here.

use data_encoding::BASE64URL_NOPAD;
use merlon_wire::hub::{Claims, MAX_CLAIM, MAX_LIFETIME_SECONDS};
use serde::Serialize;

use super::{Header, JwsError, SigningKey, Token, check_url, random_id, sign};

/// An assertion is good for so many seconds: one request, and clocks that differ a little.
const ASSERTION_SECONDS: u64 = 60;
/// The hub's clock and the keeper's are one: what differs more is no token of now.
const SKEW_SECONDS: u64 = 60;
/// The longest nonce that a server may ask for, in bytes.
const MAX_NONCE: usize = 255;
/// A thumbprint: SHA-256 in base64url.
const THUMBPRINT_LEN: usize = 43;
const METHODS: [&str; 4] = ["DELETE", "GET", "POST", "PUT"];
const ROLES: [&str; 3] = ["viewer", "operator", "owner"];

/// A client assertion for its issuer (RFC 7523, 3).
pub(crate) fn assertion(key: &SigningKey, client_id: &str, issuer: &str, now: u64) -> Result<Token, JwsError> {
    #[derive(Serialize)]
    struct Assertion<'a> {
        iss: &'a str,
        sub: &'a str,
        aud: &'a str,
        jti: &'a str,
        iat: u64,
        exp: u64,
    }
    let (kid, jti) = (key.thumbprint()?, random_id()?);
    let header = Header { typ: "JWT", alg: key.alg(), kid: Some(&kid), jwk: None };
    let exp = now.saturating_add(ASSERTION_SECONDS);
    sign(key, &header, &Assertion { iss: client_id, sub: client_id, aud: issuer, jti: &jti, iat: now, exp })
}

/// May a proof be signed for this request? The error says why not.
pub(crate) fn check_proof(method: &str, url: &str, nonce: &str) -> Result<(), String> {
    if !METHODS.contains(&method) {
        return Err("the method must be DELETE, GET, POST or PUT".to_owned());
    }
    check_url(url).map_err(|why| format!("the URL of the request: {why}"))?;
    // RFC 6749, appendix A: NQCHAR.
    let printable = nonce.bytes().all(|c| c.is_ascii_graphic() && !br#""\"#.contains(&c));
    if nonce.len() > MAX_NONCE || !printable {
        return Err("the nonce must have at most 255 printable characters".to_owned());
    }
    Ok(())
}

/// A proof of possession for a request that was checked (RFC 9449, 4.2).
pub(crate) fn proof(key: &SigningKey, method: &str, url: &str, nonce: &str, now: u64) -> Result<Token, JwsError> {
    #[derive(Serialize)]
    struct Proof<'a> {
        jti: &'a str,
        htm: &'a str,
        htu: &'a str,
        iat: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        nonce: Option<&'a str>,
    }
    let header = Header { typ: "dpop+jwt", alg: key.alg(), kid: None, jwk: Some(key.jwk()?) };
    let nonce = Some(nonce).filter(|nonce| !nonce.is_empty());
    sign(key, &header, &Proof { jti: &random_id()?, htm: method, htu: url, iat: now, nonce })
}

/// May these claims be signed? The error says why not.
pub(crate) fn check_access(claims: &Claims<'_>, now: u64) -> Result<(), String> {
    check_url(claims.issuer).map_err(|why| format!("iss: {why}"))?;
    let needed =
        [("sub", claims.subject), ("aud", claims.audience), ("client_id", claims.client_id), ("jti", claims.id)];
    let optional = [("sid", claims.session), ("preferred_username", claims.name)];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    for (name, value) in needed.into_iter().chain(optional) {
        if value.is_empty() {
            return Err(format!("{name} is empty"));
        }
        check_text(name, value)?;
    }
    check_text("scope", claims.scope)?;
    if claims.role.is_some_and(|role| !ROLES.contains(&role)) {
        return Err("roles: there is no such role".to_owned());
    }
    let is_thumbprint = |text: &str| text.len() == THUMBPRINT_LEN && BASE64URL_NOPAD.decode(text.as_bytes()).is_ok();
    if !claims.key_thumbprint.is_none_or(is_thumbprint) {
        return Err("cnf.jkt is no thumbprint".to_owned());
    }
    if !(1..=MAX_LIFETIME_SECONDS).contains(&claims.lifetime) {
        return Err("an access token lives 1 second to a day".to_owned());
    }
    if claims.issued.abs_diff(now) > SKEW_SECONDS {
        return Err("iat is not now".to_owned());
    }
    Ok(())
}

fn check_text(name: &str, value: &str) -> Result<(), String> {
    if value.len() > MAX_CLAIM {
        return Err(format!("{name} is longer than {MAX_CLAIM} bytes"));
    }
    if value.chars().any(char::is_control) {
        return Err(format!("{name} has a control character"));
    }
    Ok(())
}

/// An access token of claims that were checked (RFC 9068, 2).
pub(crate) fn access(key: &SigningKey, kid: &str, claims: &Claims<'_>) -> Result<Token, JwsError> {
    #[derive(Serialize)]
    struct Access<'a> {
        iss: &'a str,
        sub: &'a str,
        aud: &'a str,
        client_id: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        scope: &'a str,
        jti: &'a str,
        iat: u64,
        exp: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        sid: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        roles: Option<[&'a str; 1]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        preferred_username: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cnf: Option<Confirmation<'a>>,
    }
    #[derive(Serialize)]
    struct Confirmation<'a> {
        jkt: &'a str,
    }
    let header = Header { typ: "at+jwt", alg: key.alg(), kid: Some(kid), jwk: None };
    let claims = Access {
        iss: claims.issuer,
        sub: claims.subject,
        aud: claims.audience,
        client_id: claims.client_id,
        scope: claims.scope,
        jti: claims.id,
        iat: claims.issued,
        exp: claims.issued.saturating_add(u64::from(claims.lifetime)),
        sid: claims.session,
        roles: claims.role.map(|role| [role]),
        preferred_username: claims.name,
        cnf: claims.key_thumbprint.map(|jkt| Confirmation { jkt }),
    };
    sign(key, &header, &claims)
}
