//! Who is this client? By the one method that it registered (RFC 6749, 2.3; RFC 7591, 2), never by two at once.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use data_encoding::BASE64;
use merlon_jose::{Jwks, assertion};
use merlon_sandbox::secret::ct_eq;
use zeroize::Zeroizing;

use super::error::OAuthError;
use super::form::Form;
use super::urlencoded::decode;
use crate::app::App;
use crate::arrival::Arrival;
use crate::clients::{AuthMethod, Client};
use crate::clock::{self, SECOND};
use crate::limits::place;
use crate::random::hash;
use crate::store::{StoreError, clients, seen};

/// The longest id or secret that is looked at.
const MAX: usize = 512;
/// The longest assertion.
const MAX_ASSERTION: usize = 8 * 1024;
/// `client_assertion_type` (RFC 7523, 2.2)
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a request shows.
struct Shown {
    method: AuthMethod,
    id: String,
    /// A secret or an assertion; empty for a public client.
    credential: Zeroizing<String>,
}

/// The client that sent this request. A public one is known by its id alone: [`Client::auth`] says so.
///
/// # Errors
/// `invalid_client` for whoever is unknown or wrong, without saying which; `invalid_request` for two methods at once; a
/// limit on failures.
pub(crate) async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    form: &Form,
    arrival: Arrival,
) -> Result<Arc<Client>, OAuthError> {
    let basic = headers.contains_key(AUTHORIZATION);
    let shown = shown(headers, form)?;
    let now_us = clock::now_us();
    let limits = app.limits();
    let place = place(arrival.address);
    let tried = (place, shown.id.clone());
    limits.failed_auth_by_place.look(&place, now_us)?;
    limits.failed_auth_by_client.look(&tried, now_us)?;
    if let Some(client) = clients::by_id(app.store(), &shown.id).await?
        && proves(app, &client, &shown, now_us).await?
    {
        return Ok(client);
    }
    limits.failed_auth_by_place.count(&place, now_us);
    limits.failed_auth_by_client.count(&tried, now_us);
    Err(OAuthError::client(basic))
}

async fn proves(app: &App, client: &Client, shown: &Shown, now_us: i64) -> Result<bool, StoreError> {
    if client.auth != shown.method {
        return Ok(false);
    }
    match shown.method {
        AuthMethod::None => Ok(true),
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => {
            let is = |secret| ct_eq(&hash(shown.credential.as_bytes()), secret);
            Ok(client.secret.as_ref().is_some_and(|secret| is(secret)))
        }
        AuthMethod::PrivateKeyJwt => asserts(app, client, &shown.credential, now_us).await,
    }
}

/// A signed assertion by a key that the client registered, addressed to this hub, never seen before (RFC 7523, 3).
async fn asserts(app: &App, client: &Client, jwt: &str, now_us: i64) -> Result<bool, StoreError> {
    let Some(keys) = client.metadata.jwks.as_ref().and_then(|jwks| Jwks::from_value(jwks).ok()) else {
        return Ok(false);
    };
    let issuer = app.issuer();
    // The issuer is what it should be addressed to; many libraries write the token endpoint.
    let audiences = [issuer.as_str(), &issuer.url("/token")];
    let Ok(assertion) = assertion::verify(jwt, &keys, &client.id, &audiences, clock::seconds(now_us)) else {
        return Ok(false);
    };
    let seen_as = hash(format!("assertion {} {}", client.id, assertion.jti).as_bytes());
    let until = i64::try_from(assertion.remember_until).unwrap_or(i64::MAX / SECOND).saturating_mul(SECOND);
    seen::first_time(app.store(), seen_as, until).await
}

/// Finds the one method that the request uses.
fn shown(headers: &HeaderMap, form: &Form) -> Result<Shown, OAuthError> {
    let id = form.get("client_id");
    let (basic, secret) = (basic(headers)?, form.get("client_secret"));
    let assertion = form.get("client_assertion");
    if usize::from(basic.is_some()) + usize::from(secret.is_some()) + usize::from(assertion.is_some()) > 1 {
        return Err(OAuthError::request("the client authenticates by two methods at once"));
    }
    if assertion.is_some() != form.get("client_assertion_type").is_some() {
        return Err(OAuthError::request("client_assertion and client_assertion_type go together"));
    }
    let shown = match (basic, secret, assertion) {
        (Some(shown), ..) => shown,
        (_, _, Some(jwt)) => asserted(form, jwt)?,
        (_, secret, _) => Shown {
            method: if secret.is_some() { AuthMethod::ClientSecretPost } else { AuthMethod::None },
            id: id.ok_or_else(|| OAuthError::client(false))?.to_owned(),
            credential: Zeroizing::new(secret.unwrap_or_default().to_owned()),
        },
    };
    if id.is_some_and(|id| id != shown.id) {
        return Err(OAuthError::request("client_id is another than that of the client's authentication"));
    }
    let most = if shown.method == AuthMethod::PrivateKeyJwt { MAX_ASSERTION } else { MAX };
    if shown.id.len() > MAX || shown.credential.len() > most { Err(OAuthError::client(false)) } else { Ok(shown) }
}

/// The client that an assertion is said to be from.
fn asserted(form: &Form, jwt: &str) -> Result<Shown, OAuthError> {
    if form.get("client_assertion_type") != Some(JWT_BEARER) {
        return Err(OAuthError::request("the hub knows no such client_assertion_type"));
    }
    if jwt.len() > MAX_ASSERTION {
        return Err(OAuthError::client(false));
    }
    let id = assertion::claimed_client(jwt).map_err(|_| OAuthError::client(false))?;
    Ok(Shown { method: AuthMethod::PrivateKeyJwt, id, credential: Zeroizing::new(jwt.to_owned()) })
}

/// `Authorization: Basic` (RFC 7617); id and secret are urlencoded within (RFC 6749, 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<Shown>, OAuthError> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(OAuthError::request("there is more than one Authorization field"));
    }
    let wrong = || OAuthError::client(true);
    let (scheme, encoded) = field.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    let decoded = Zeroizing::new(BASE64.decode(encoded.trim().as_bytes()).map_err(|_| wrong())?);
    let colon = decoded.iter().position(|byte| *byte == b':').ok_or_else(wrong)?;
    let id = decode(&decoded[..colon]).map_err(|_| wrong())?;
    let credential = Zeroizing::new(decode(&decoded[colon + 1..]).map_err(|_| wrong())?);
    if id.is_empty() || credential.is_empty() {
        return Err(wrong());
    }
    Ok(Some(Shown { method: AuthMethod::ClientSecretBasic, id, credential }))
}
