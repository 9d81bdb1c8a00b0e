//! The OAuth 2.0 endpoints. One file for each; each parses, asks the store's typed functions, and answers as its RFC says.
//! Nothing here knows a page or a browser session.

pub(crate) mod authorize;
pub(crate) mod bearer;
pub(crate) mod client_auth;
mod device;
pub(crate) mod dpop;
pub(crate) mod error;
pub(crate) mod form;
mod introspect;
mod manage;
pub(crate) mod metadata;
pub(crate) mod nonces;
pub(crate) mod pkce;
mod redirect;
mod register;
pub(crate) mod registration;
mod revoke;
pub(crate) mod scope;
pub(crate) mod token;
mod urlencoded;
pub(crate) mod user_code;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

/// All endpoints, below the issuer's path.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/token", post(token::endpoint))
        .route("/jwks", get(metadata::jwks))
        .route("/register", post(register::endpoint))
        .route("/register/{client_id}", get(manage::read).put(manage::replace).delete(manage::delete))
        .route("/introspect", post(introspect::endpoint))
        .route("/revoke", post(revoke::endpoint))
        .route("/device_authorization", post(device::endpoint))
}
