//! The token endpoint (RFC 6749, 3.2): who asks, for which grant, with which proof of a key. What is granted is for the
//! module of each grant type to say, in one transaction.

mod client_credentials;
mod issue;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::client_auth;
use super::error::{ErrorCode, OAuthError, no_store};
use super::form::Form;
use crate::app::App;
use crate::arrival::Arrival;
use crate::clients::Client;

pub(crate) use issue::{AccessToken, Issued};

/// A request that passed what all grants have in common.
pub(crate) struct TokenRequest {
    pub(crate) app: App,
    /// Authenticated, or public ([`crate::clients::AuthMethod::None`]). It registered this grant.
    pub(crate) client: Client,
    pub(crate) form: Form,
    pub(crate) arrival: Arrival,
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
}

impl GrantType {
    /// All that the hub knows.
    pub(crate) const ALL: [Self; 1] = [Self::ClientCredentials];

    /// As sent and registered.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
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
    let asked = form.require("grant_type")?;
    let grant = GrantType::ALL.into_iter().find(|grant| grant.as_str() == asked);
    let unknown = || OAuthError::new(ErrorCode::UnsupportedGrantType, "the hub knows no such grant_type");
    let grant = grant.ok_or_else(unknown)?;
    let client = client_auth::authenticate(&app, &headers, &form, arrival).await?;
    if !client.may(grant.as_str()) {
        let text = "the client did not register this grant_type";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, text));
    }
    let request = TokenRequest { app, client, form, arrival, thumbprint: None };
    let response = match grant {
        GrantType::ClientCredentials => client_credentials::grant(request).await,
    }?;
    Ok(no_store(Json(response).into_response()))
}
