//! Introspection (RFC 7662): a client that authenticates asks whether a token of its own stands. Of any other token it
//! learns nothing but that.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use merlon_jose::access_token::{self, AccessToken, Expect};
use serde::Serialize;

use super::client_auth;
use super::error::{OAuthError, no_store};
use super::form::Form;
use crate::app::App;
use crate::arrival::Arrival;
use crate::clients::AuthMethod;
use crate::clock;
use crate::random;
use crate::store::tokens::{self, Live, Token};

#[derive(Serialize)]
struct Answer<'a> {
    active: bool,
    #[serde(flatten)]
    about: Option<About<'a>>,
}

/// What is said of a token that stands (RFC 7662, 2.2; RFC 9449, 6.2).
#[derive(Serialize)]
struct About<'a> {
    iss: &'a str,
    client_id: &'a str,
    sub: &'a str,
    scope: String,
    exp: u64,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation<'a>>,
}

#[derive(Serialize)]
struct Confirmation<'a> {
    jkt: &'a str,
}

/// `POST /introspect`
pub(super) async fn endpoint(
    State(app): State<App>,
    arrival: Arrival,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, OAuthError> {
    let client = client_auth::authenticate(&app, &headers, &form, arrival).await?;
    if client.auth == AuthMethod::None {
        // Whoever knows the id of a public client is nobody (RFC 7662, 2.1).
        return Err(OAuthError::client(false));
    }
    let (token, jwt) = match read(&app, form.require("token")?) {
        Some(Read::Jwt(jwt)) => (Token::Access(jwt.jti.clone()), Some(jwt)),
        Some(Read::Refresh(hash)) => (Token::Refresh(hash), None),
        None => return Ok(inactive()),
    };
    let Some(live) = tokens::live(app.store(), token, client.id.clone(), clock::now_us()).await? else {
        return Ok(inactive());
    };
    let about = about(&app, &client.id, &live, jwt.as_deref());
    Ok(no_store(Json(Answer { active: true, about: Some(about) }).into_response()))
}

fn inactive() -> Response {
    no_store(Json(Answer { active: false, about: None }).into_response())
}

fn about<'a>(app: &'a App, client_id: &'a str, live: &'a Live, jwt: Option<&'a AccessToken>) -> About<'a> {
    let jkt = jwt.and_then(|jwt| jwt.key_thumbprint.as_deref());
    let person = live.account.as_ref();
    About {
        iss: app.issuer().as_str(),
        client_id,
        sub: person.map_or(client_id, |(id, _)| id),
        // Of what the token says what holds today.
        scope: jwt.map_or(live.scope, |jwt| live.scope.and(super::scope::Scopes::stored(&jwt.scope))).to_string(),
        exp: jwt.map_or(clock::seconds(live.expires_us), |jwt| jwt.expires),
        iat: jwt.map_or(clock::seconds(live.created_us), |jwt| jwt.issued),
        token_type: jwt.map(|_| if jkt.is_some() { "DPoP" } else { "Bearer" }),
        aud: jwt.and_then(|jwt| jwt.audience.first()).map(String::as_str),
        jti: jwt.map(|jwt| jwt.jti.as_str()),
        sid: person.map(|_| live.grant.as_str()),
        username: person.map(|(_, name)| name.as_str()),
        roles: live.role.map(|role| [role.as_str()]),
        cnf: jkt.map(|jkt| Confirmation { jkt }),
    }
}

/// A token of a kind that the hub gives out.
pub(super) enum Read {
    /// An access token of ours that has not expired.
    Jwt(Box<AccessToken>),
    /// Hash of what may be a refresh token.
    Refresh(random::Hash),
}

/// Reads a token, whatever the caller takes it for: hints are hints (RFC 7009, 2.1; RFC 7662, 2.1).
pub(super) fn read(app: &App, token: &str) -> Option<Read> {
    if !access_token::is_jwt(token) {
        return Some(Read::Refresh(random::hash(token.as_bytes())));
    }
    let now = clock::seconds(clock::now_us());
    // For whom it is does not matter here: whose it is does, and the database knows.
    let expect = Expect { issuer: app.issuer().as_str(), audience: None, now, leeway: 0 };
    access_token::verify(token, &app.keys().verifiers(), &expect).ok().map(|jwt| Read::Jwt(Box::new(jwt)))
}
