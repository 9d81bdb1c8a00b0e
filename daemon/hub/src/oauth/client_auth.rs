//! Who is this client? By the one method that it registered (RFC 6749, 2.3; RFC 7591, 2), never by two at once.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use data_encoding::BASE64;
use merlon_sandbox::secret::ct_eq;
use zeroize::Zeroizing;

use super::error::OAuthError;
use super::form::{Form, decode};
use crate::app::App;
use crate::arrival::Arrival;
use crate::clients::{AuthMethod, Client};
use crate::clock;
use crate::limits::place;
use crate::random::hash;
use crate::store::clients;

/// The longest id or secret that is looked at.
const MAX: usize = 512;

/// What a request shows.
struct Shown {
    method: AuthMethod,
    id: String,
    /// A secret; empty for a public client.
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
) -> Result<Client, OAuthError> {
    let basic = headers.contains_key(AUTHORIZATION);
    let shown = shown(headers, form)?;
    let now_us = clock::now_us();
    let limits = app.limits();
    let place = place(arrival.address);
    let tried = (place, shown.id.clone());
    limits.failed_auth_by_place.look(&place, now_us)?;
    limits.failed_auth_by_client.look(&tried, now_us)?;
    match clients::by_id(app.store(), &shown.id).await? {
        Some(client) if proves(&client, &shown) => Ok(client),
        _ => {
            limits.failed_auth_by_place.count(&place, now_us);
            limits.failed_auth_by_client.count(&tried, now_us);
            Err(OAuthError::client(basic))
        }
    }
}

fn proves(client: &Client, shown: &Shown) -> bool {
    if client.auth != shown.method {
        return false;
    }
    match (shown.method, &client.secret) {
        (AuthMethod::None, _) => true,
        (AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost, Some(secret)) => {
            ct_eq(&hash(shown.credential.as_bytes()), secret)
        }
        _ => false,
    }
}

/// Finds the one method that the request uses.
fn shown(headers: &HeaderMap, form: &Form) -> Result<Shown, OAuthError> {
    let id = form.get("client_id");
    let (basic, secret) = (basic(headers)?, form.get("client_secret"));
    let shown = match (basic, secret) {
        (Some(_), Some(_)) => return Err(OAuthError::request("the client authenticates by two methods at once")),
        (Some(shown), None) => {
            if id.is_some_and(|id| id != shown.id) {
                return Err(OAuthError::request("client_id is another than that of the Authorization field"));
            }
            shown
        }
        (None, secret) => Shown {
            method: if secret.is_some() { AuthMethod::ClientSecretPost } else { AuthMethod::None },
            id: id.ok_or_else(|| OAuthError::client(false))?.to_owned(),
            credential: Zeroizing::new(secret.unwrap_or_default().to_owned()),
        },
    };
    if shown.id.len() > MAX || shown.credential.len() > MAX { Err(OAuthError::client(false)) } else { Ok(shown) }
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
