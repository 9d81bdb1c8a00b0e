//! `/api/instance`: an instance says that it lives and what it runs, hears who owns it, and ends sessions at itself. It
//! shows the access token that it got by client credentials, for the hub itself and with the scope `instance`.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use merlon_jose::access_token::{self, Expect};
use serde::{Deserialize, Serialize};

use super::read;
use crate::app::App;
use crate::arrival::Arrival;
use crate::clock;
use crate::oauth::bearer;
use crate::oauth::error::{ErrorCode, OAuthError, no_store};
use crate::oauth::scope::Scopes;
use crate::store::instances;
use crate::store::sessions;
use crate::store::tokens::{self, Token};

/// The longest version, in characters; what is longer is cut.
const MAX_VERSION: usize = 64;

/// What an instance tells.
#[derive(Deserialize)]
struct Report {
    version: String,
}

/// What it is told.
#[derive(Serialize)]
struct Known {
    client_id: String,
    name: String,
    owner: Option<Owner>,
    /// New credentials wait: the next `PUT` of the registration gives them.
    rotate: bool,
}

#[derive(Serialize)]
struct Owner {
    sub: String,
    name: String,
}

/// `PUT /api/instance`
pub(super) async fn report(
    State(app): State<App>,
    arrival: Arrival,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, OAuthError> {
    let client = authorize(&app, &headers).await?;
    let Report { version } = read(body).await?;
    let version = version.chars().take(MAX_VERSION).collect();
    let address = arrival.address.to_canonical().to_string();
    let told = instances::report(app.store(), client.clone(), version, address, clock::now_us()).await?;
    let told = told.ok_or_else(|| bearer::refused("the client was deleted"))?;
    let owner = told.owner.map(|(sub, name)| Owner { sub, name });
    let known = Known { client_id: client, name: told.name, owner, rotate: told.rotate };
    Ok(no_store(Json(known).into_response()))
}

/// `DELETE /api/instance/sessions/{sid}`
pub(super) async fn end_session(
    State(app): State<App>,
    arrival: Arrival,
    headers: HeaderMap,
    Path(sid): Path<String>,
) -> Result<Response, OAuthError> {
    let client = authorize(&app, &headers).await?;
    let address = arrival.address.to_canonical().to_string();
    // One that is not there, or another client's, is answered alike: it stands no more, or is none of its business.
    sessions::end_at(app.store(), client, sid, address, clock::now_us()).await?;
    Ok(no_store(StatusCode::NO_CONTENT.into_response()))
}

/// The client whose own token this is (RFC 9068, 4).
async fn authorize(app: &App, headers: &HeaderMap) -> Result<String, OAuthError> {
    let token = bearer::token(headers)?.ok_or_else(|| bearer::missing("send the instance's own access token"))?;
    let refused = || bearer::refused("the token is none of this hub for this API, or it stands no more");
    let now_us = clock::now_us();
    let issuer = app.issuer().as_str();
    let expect = Expect { issuer, audience: Some(issuer), now: clock::seconds(now_us), leeway: 0 };
    let jwt = access_token::verify(token, &app.keys().verifiers(), &expect).map_err(|_| refused())?;
    if jwt.key_thumbprint.is_some() {
        // RFC 9449, 7.2: a token that is bound to a key is no bearer token.
        return Err(bearer::refused("the token is bound to a key; ask for one without a DPoP proof"));
    }
    let live = tokens::live(app.store(), Token::Access(jwt.jti), jwt.client_id.clone(), now_us).await?;
    let live = live.filter(|live| live.account.is_none()).ok_or_else(refused)?;
    if !live.scope.and(Scopes::stored(&jwt.scope)).holds(Scopes::INSTANCE) {
        let challenge = "Bearer realm=\"merlon-hub\", error=\"insufficient_scope\", scope=\"instance\"";
        return Err(OAuthError::new(ErrorCode::InsufficientScope, "this needs the scope instance")
            .with(WWW_AUTHENTICATE, challenge));
    }
    Ok(jwt.client_id)
}
