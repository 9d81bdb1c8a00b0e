//! The client configuration endpoint (RFC 7592): a client reads, replaces and deletes its own registration.
//!
//! A client that does not exist and a token that opens nothing are answered alike (401). A living token of one client at
//! the address of another is 403, whether there is such another or not.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use merlon_sandbox::secret::ct_eq;

use super::error::{ErrorCode, OAuthError, no_store};
use super::register::{Information, json, needs_secret};
use super::{bearer, registration};
use crate::app::App;
use crate::arrival::Arrival;
use crate::clients::Client;
use crate::clock;
use crate::limits::place;
use crate::random::{self, Hash};
use crate::store::management::{self, By, Managed, Replacement, Shut};

/// What a client must not send back (RFC 7592, 2.2).
const ONLY_OURS: [&str; 4] =
    ["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"];

/// `GET /register/{client_id}`
pub(super) async fn read(
    State(app): State<App>,
    arrival: Arrival,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, OAuthError> {
    let token = token(&app, arrival, &headers)?;
    let managed = management::read(app.store(), id, token).await?.map_err(|shut| refuse(&app, arrival, shut))?;
    Ok(answer(&app, &managed))
}

/// `PUT /register/{client_id}`
pub(super) async fn replace(
    State(app): State<App>,
    arrival: Arrival,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, OAuthError> {
    let token = token(&app, arrival, &headers)?;
    // Who may not is told so before his metadata is judged.
    management::read(app.store(), id.clone(), token.clone()).await?.map_err(|shut| refuse(&app, arrival, shut))?;
    let members = registration::members(&json(&headers, body).await?)?;
    let wrong = |text: &'static str| Err(OAuthError::request(text));
    if ONLY_OURS.iter().any(|name| members.contains_key(*name)) {
        return wrong(
            "leave out what only this server sets: registration_access_token, registration_client_uri, \
                      client_secret_expires_at, client_id_issued_at",
        );
    }
    if members.get("client_id").and_then(|value| value.as_str()) != Some(&id) {
        return wrong("client_id is missing or that of another client");
    }
    let shown = match members.get("client_secret").map(|value| value.as_str()) {
        None => None,
        Some(Some(secret)) => Some(random::hash(secret.as_bytes())),
        Some(None) => return wrong("client_secret is a text"),
    };
    let replacement = move |client: &Client, fresh: &Hash| {
        let given = client.secret == Some(*fresh);
        // Whoever asks again because the answer was lost cannot know the secret that was in it.
        if !given && shown.is_some_and(|shown| !client.secret.is_some_and(|secret| ct_eq(&secret, &shown))) {
            return Err(OAuthError::request("client_secret is not the current one; a client cannot choose it"));
        }
        let fit = registration::judge(&members, Some(client.kind))?;
        let secret = needs_secret(fit.auth).then(|| client.secret.unwrap_or(*fresh));
        Ok(Replacement { fit, secret })
    };
    let managed = management::replace(app.store(), id, token, by(arrival), replacement)
        .await?
        .map_err(|shut| refuse(&app, arrival, shut))??;
    Ok(answer(&app, &managed))
}

/// `DELETE /register/{client_id}`
pub(super) async fn delete(
    State(app): State<App>,
    arrival: Arrival,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, OAuthError> {
    let token = token(&app, arrival, &headers)?;
    management::delete(app.store(), id, token, by(arrival)).await?.map_err(|shut| refuse(&app, arrival, shut))?;
    Ok(no_store(StatusCode::NO_CONTENT.into_response()))
}

fn by(arrival: Arrival) -> By {
    By { address: arrival.address.to_canonical().to_string(), now_us: clock::now_us() }
}

fn token(app: &App, arrival: Arrival, headers: &HeaderMap) -> Result<String, OAuthError> {
    app.limits().wrong_registration_by_place.look(&place(arrival.address), clock::now_us())?;
    let token = bearer::token(headers)?;
    token
        .map(str::to_owned)
        .ok_or_else(|| bearer::missing("send the registration access token as Authorization: Bearer"))
}

fn refuse(app: &App, arrival: Arrival, shut: Shut) -> OAuthError {
    match shut {
        Shut::Unknown => {
            app.limits().wrong_registration_by_place.count(&place(arrival.address), clock::now_us());
            bearer::refused("there is no such client, or the registration access token was replaced or is wrong")
        }
        Shut::Forbidden => {
            OAuthError::new(ErrorCode::InsufficientScope, "the registration access token is that of another client")
        }
    }
}

fn answer(app: &App, managed: &Managed) -> Response {
    let Managed { client, owner, token, secret } = managed;
    no_store(Json(Information::new(app, client, token, secret.as_deref(), owner.as_ref())).into_response())
}
