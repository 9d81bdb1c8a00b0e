//! The token endpoint (RFC 6749, 3.2): who asks, for which grant, with which proof of a key. What is granted is for the
//! module of each grant type to say, in one transaction.

mod client_credentials;
mod code;
mod device;
mod issue;
mod person;
mod refresh;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::{DPOP_NONCE, ErrorCode, OAuthError, no_store};
use super::form::Form;
use super::{client_auth, dpop, registration};
use crate::app::App;
use crate::arrival::Arrival;
use crate::clients::Client;
use crate::clock;

pub(crate) use issue::{AccessToken, Issued};

/// A request that passed what all grants have in common.
pub(crate) struct TokenRequest {
    pub(crate) app: App,
    /// Authenticated, or public ([`crate::clients::AuthMethod::None`]). It registered this grant.
    pub(crate) client: Arc<Client>,
    pub(crate) form: Form,
    /// The key of a valid proof (RFC 9449): tokens are to be bound to it.
    pub(crate) thumbprint: Option<String>,
}

/// What a grant gives (RFC 6749, 5.1).
#[derive(Serialize)]
pub(crate) struct TokenResponse {
    pub(crate) access_token: String,
    /// `Bearer`, or `DPoP` (RFC 9449, 5).
    pub(crate) token_type: &'static str,
    /// Seconds.
    pub(crate) expires_in: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    /// What was granted, whether it is what was asked or not.
    pub(crate) scope: String,
}

/// The grants, by their `grant_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrantType {
    /// RFC 6749, 4.4
    ClientCredentials,
    /// RFC 8628, 3.4
    DeviceCode,
    /// RFC 6749, 6
    RefreshToken,
    /// RFC 6749, 4.1.3
    AuthorizationCode,
}

impl GrantType {
    /// All that the hub knows.
    pub(crate) const ALL: [Self; 4] =
        [Self::ClientCredentials, Self::DeviceCode, Self::RefreshToken, Self::AuthorizationCode];

    /// As sent and registered.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => registration::CLIENT_CREDENTIALS,
            Self::DeviceCode => registration::DEVICE_CODE,
            Self::RefreshToken => registration::REFRESH_TOKEN,
            Self::AuthorizationCode => registration::AUTHORIZATION_CODE,
        }
    }
}

/// `POST /token`
pub(super) async fn endpoint(
    State(app): State<App>,
    arrival: Arrival,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, OAuthError> {
    let proves = dpop::is_there(&headers);
    let answer = answer(app.clone(), arrival, headers, form).await;
    if !proves {
        return Ok(no_store(Json(answer?).into_response()));
    }
    // The next proof needs no answer of its own to know its nonce (RFC 9449, 8.2).
    let nonce = app.nonces().current(clock::now_us());
    let mut response = no_store(Json(answer.map_err(|error| error.with(DPOP_NONCE, &nonce))?).into_response());
    response.headers_mut().extend(HeaderValue::from_str(&nonce).ok().map(|nonce| (DPOP_NONCE, nonce)));
    Ok(response)
}

async fn answer(app: App, arrival: Arrival, headers: HeaderMap, form: Form) -> Result<TokenResponse, OAuthError> {
    let asked = form.require("grant_type")?;
    let grant = GrantType::ALL.into_iter().find(|grant| grant.as_str() == asked);
    let unknown = || OAuthError::new(ErrorCode::UnsupportedGrantType, "the hub knows no such grant_type");
    let grant = grant.ok_or_else(unknown)?;
    let client = client_auth::authenticate(&app, &headers, &form, arrival).await?;
    if !client.may(grant.as_str()) {
        let text = "the client did not register this grant_type";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, text));
    }
    let thumbprint = dpop::proof_with_nonce(&app, &headers, "POST", &app.issuer().url("/token")).await?;
    if client.metadata.dpop_bound_access_tokens && thumbprint.is_none() {
        let text = "the client registered that all of its tokens are bound to a key; send a DPoP proof";
        return Err(OAuthError::new(ErrorCode::InvalidDpopProof, text));
    }
    let request = TokenRequest { app, client, form, thumbprint };
    match grant {
        GrantType::ClientCredentials => client_credentials::grant(request).await,
        GrantType::DeviceCode => device::grant(request).await,
        GrantType::RefreshToken => refresh::grant(request).await,
        GrantType::AuthorizationCode => code::grant(request).await,
    }
}
