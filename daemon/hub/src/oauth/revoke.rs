//! Revocation (RFC 7009): a client gives back a token of its own. What was not there is gone, too, so the answer is 200.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::client_auth;
use super::error::{ErrorCode, OAuthError, no_store};
use super::form::Form;
use super::introspect::{Read, read};
use crate::app::App;
use crate::arrival::Arrival;
use crate::clock;
use crate::store::tokens::{self, Revoked, Token};

/// Tokens of people and registrations, which are taken back elsewhere.
const NOT_HERE: [&str; 2] = ["mhp_", "mhm_"];

/// `POST /revoke`
pub(super) async fn endpoint(
    State(app): State<App>,
    arrival: Arrival,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, OAuthError> {
    let client = client_auth::authenticate(&app, &headers, &form, arrival).await?;
    let token = form.require("token")?;
    if NOT_HERE.iter().any(|prefix| token.starts_with(prefix)) {
        let text = "access tokens and refresh tokens are revoked here; others where they were made";
        return Err(OAuthError::new(ErrorCode::UnsupportedTokenType, text));
    }
    let token = match read(&app, token) {
        Some(Read::Jwt(jwt)) => Token::Access(jwt.jti),
        Some(Read::Refresh(hash)) => Token::Refresh(hash),
        None => return Ok(no_store(StatusCode::OK.into_response())),
    };
    match tokens::revoke(app.store(), token, client.id.clone(), clock::now_us()).await? {
        Revoked::Done => Ok(no_store(StatusCode::OK.into_response())),
        Revoked::Anothers => Err(OAuthError::grant("the token is that of another client, and lives on")),
    }
}
