//! The device authorization endpoint (RFC 8628, 3.1 and 3.2): gives out a pair of codes, one for the client to poll with
//! and one for a person to type.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::client_auth;
use super::error::{ErrorCode, OAuthError, no_store};
use super::form::Form;
use super::registration::DEVICE_CODE;
use super::scope::Scopes;
use super::user_code::UserCode;
use crate::app::App;
use crate::arrival::Arrival;
use crate::clients::{Client, Kind};
use crate::clock::{self, SECOND};
use crate::limits::place;
use crate::random;
use crate::store::device::{self, Begun, New};
use crate::store::issue::own_audience;

/// The longest label, in bytes. A longer one is cut.
const MAX_LABEL: usize = 128;
/// How often a user code is made anew that another has.
const TRIES: usize = 20;

#[derive(Serialize)]
struct Answer {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: u32,
    interval: u32,
}

/// `POST /device_authorization`
pub(super) async fn endpoint(
    State(app): State<App>,
    arrival: Arrival,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, OAuthError> {
    let now_us = clock::now_us();
    let client = client_auth::authenticate(&app, &headers, &form, arrival).await?;
    if !client.may(DEVICE_CODE) {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "the client did not register the device grant"));
    }
    app.limits().device_by_place.take(&place(arrival.address), now_us)?;
    let scope = scope(&client, form.get("scope"))?;
    let resource = resource(&app, &client, form.get("resource"))?;
    let claim = client.kind == Kind::Instance && form.get("merlon_claim") == Some("1");
    let label = form.get("merlon_label").or(client.metadata.client_name.as_deref()).unwrap_or_default();
    let device_code = random::secret("")?;
    for _ in 0..TRIES {
        let user_code = UserCode::random().map_err(random::NoRandomness::from)?;
        let new = New {
            hash: random::hash(device_code.as_bytes()),
            user_code: user_code.clone(),
            client: client.id.clone(),
            scope,
            resource: resource.clone(),
            claim,
            label: cut(label),
            address: shown(arrival.address),
            interval_us: i64::from(app.hub().device_interval) * SECOND,
            now_us,
            expires_us: now_us + i64::from(app.hub().device_seconds) * SECOND,
        };
        match device::begin(app.store(), new).await? {
            Begun::Waiting => return Ok(answer(&app, device_code, &user_code)),
            Begun::CodeTaken => {}
            Begun::TooMany => {
                return Err(OAuthError::unavailable("too many device codes wait already; try again later"));
            }
            Begun::NoClient => return Err(OAuthError::client(false)),
        }
    }
    Err(OAuthError::unavailable("no user code is free; try again"))
}

fn answer(app: &App, device_code: String, user_code: &UserCode) -> Response {
    let verification_uri = app.issuer().url("/device");
    let answer = Answer {
        device_code,
        user_code: user_code.shown(),
        verification_uri_complete: format!("{verification_uri}?user_code={}", user_code.shown()),
        verification_uri,
        expires_in: app.hub().device_seconds,
        interval: app.hub().device_interval,
    };
    no_store(Json(answer).into_response())
}

/// What is asked for, of what was registered. An instance is always given the right to refresh.
fn scope(client: &Client, asked: Option<&str>) -> Result<Scopes, OAuthError> {
    let people = Scopes::API.or(Scopes::OFFLINE_ACCESS);
    let registered = Scopes::stored(&client.metadata.scope).and(people);
    let wrong = |text: String| OAuthError::new(ErrorCode::InvalidScope, text);
    let scope = match asked {
        None => registered,
        Some(text) => Scopes::parse(text).map_err(|error| wrong(error.to_string()))?.and(registered),
    };
    if scope.and(Scopes::API).is_empty() {
        return Err(wrong("the client may have none of these scopes".to_owned()));
    }
    Ok(if client.kind == Kind::Instance { scope.or(registered.and(Scopes::OFFLINE_ACCESS)) } else { scope })
}

/// The resource asked for (RFC 8707): the client itself, or the hub.
pub(super) fn resource(app: &App, client: &Client, asked: Option<&str>) -> Result<Option<String>, OAuthError> {
    match asked {
        Some(resource) if resource != app.issuer().as_str() && resource != own_audience(&client.id) => {
            let text = "resource is the hub itself, or urn:merlon:instance: with the id of the client";
            Err(OAuthError::new(ErrorCode::InvalidTarget, text))
        }
        asked => Ok(asked.map(str::to_owned)),
    }
}

fn cut(label: &str) -> String {
    label[..label.floor_char_boundary(MAX_LABEL.min(label.len()))].to_owned()
}

fn shown(address: IpAddr) -> String {
    address.to_canonical().to_string()
}
