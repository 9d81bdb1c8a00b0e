//! The registration endpoint (RFC 7591, 3). Who may register is the configuration's to say: anybody, within limits, or
//! whoever has a registration key (an initial access token), whose maker then owns the client at once.
//!
//! A `DPoP` proof by a key in `jwks` shows that the key is the client's own. It lets an instance that was killed while it
//! registered take its own place again; nobody else can take it.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use merlon_config::Registration;
use serde::Serialize;

use super::error::{ErrorCode, OAuthError, no_store};
use super::registration::{self, Fit};
use super::{bearer, dpop, form};
use crate::app::App;
use crate::arrival::Arrival;
use crate::clients::{AuthMethod, Client, Metadata};
use crate::clock;
use crate::limits::place;
use crate::random;
use crate::store::registration::{New, Owner, Registered, register};
use crate::store::{clients, management};

/// What is registered, as the client is told (RFC 7591, 3.2.1; RFC 7592, 3).
#[derive(Serialize)]
pub(super) struct Information<'a> {
    client_id: &'a str,
    client_id_issued_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    /// Never.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<u8>,
    registration_access_token: &'a str,
    registration_client_uri: String,
    token_endpoint_auth_method: AuthMethod,
    #[serde(flatten)]
    metadata: &'a Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    merlon_owner: Option<OwnerInformation<'a>>,
}

#[derive(Serialize)]
struct OwnerInformation<'a> {
    sub: &'a str,
    name: &'a str,
}

impl<'a> Information<'a> {
    /// What a client is told of itself. `secret`: only where it has just been made, as it is not kept.
    pub(super) fn new(
        app: &App,
        client: &'a Client,
        token: &'a str,
        secret: Option<&'a str>,
        owner: Option<&'a Owner>,
    ) -> Self {
        Self {
            client_id: &client.id,
            client_id_issued_at: clock::seconds(client.created_us),
            client_secret: secret,
            client_secret_expires_at: client.secret.is_some().then_some(0),
            registration_access_token: token,
            registration_client_uri: app.issuer().url(&format!("/register/{}", client.id)),
            token_endpoint_auth_method: client.auth,
            metadata: &client.metadata,
            merlon_owner: owner.map(|owner| OwnerInformation { sub: &owner.id, name: &owner.name }),
        }
    }
}

/// `POST /register`
pub(super) async fn endpoint(
    State(app): State<App>,
    arrival: Arrival,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, OAuthError> {
    let now_us = clock::now_us();
    let place = place(arrival.address);
    let key = bearer::token(&headers)?.map(|key| random::hash(key.as_bytes()));
    match &key {
        Some(_) => app.limits().wrong_registration_by_place.look(&place, now_us)?,
        None if app.hub().registration == Registration::Key => {
            return Err(bearer::missing("this hub registers clients that have a registration key only"));
        }
        None => app.limits().registrations_by_place.take(&place, now_us)?,
    }
    let members = registration::members(&json(&headers, body).await?)?;
    let fit = registration::judge(&members, None)?;
    let proven = proven(&app, &headers, &fit).await?;
    let token = random::secret(management::PREFIX)?;
    let secret = if needs_secret(fit.auth) { Some(random::secret("mhs_")?) } else { None };
    let id = random::id("cli_")?;
    let new = New {
        id: id.clone(),
        fit,
        secret: secret.as_ref().map(|secret| random::hash(secret.as_bytes())),
        registration: random::hash(token.as_bytes()),
        rotation_key: random::bytes()?,
        proven,
        key,
        address: arrival.address.to_canonical().to_string(),
        most: app.hub().clients,
        now_us,
    };
    match register(app.store(), new).await? {
        Registered::Done(owner) => {
            let client = clients::by_id(app.store(), &id).await?;
            let client = client.ok_or_else(|| OAuthError::unavailable("the client was removed while it registered"))?;
            let information = Information::new(&app, &client, &token, secret.as_deref(), owner.as_ref());
            Ok(no_store((StatusCode::CREATED, Json(information)).into_response()))
        }
        Registered::WrongKey => {
            app.limits().wrong_registration_by_place.count(&place, now_us);
            Err(bearer::refused("the registration key is wrong, has expired, or was used up"))
        }
        Registered::Full => {
            let text = "this hub has as many clients as it may; its operator can remove some or raise hub.clients";
            Err(OAuthError::unavailable(text))
        }
    }
}

/// Does a client that authenticates so have a secret?
pub(super) fn needs_secret(auth: AuthMethod) -> bool {
    matches!(auth, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost)
}

/// A JSON body, whole.
pub(super) async fn json(headers: &HeaderMap, body: Body) -> Result<bytes::Bytes, OAuthError> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, "send Content-Type: application/json"));
    }
    form::read(body, registration::MAX_BODY).await
}

/// The thumbprint of the key in `jwks` by which a proof was made, if there is a proof.
async fn proven(app: &App, headers: &HeaderMap, fit: &Fit) -> Result<Option<String>, OAuthError> {
    let Some(thumbprint) = dpop::proof(app, headers, "POST", &app.issuer().url("/register")).await? else {
        return Ok(None);
    };
    if fit.thumbprints.contains(&thumbprint) {
        return Ok(Some(thumbprint));
    }
    Err(OAuthError::new(ErrorCode::InvalidDpopProof, "the proof is by none of the keys in jwks"))
}
