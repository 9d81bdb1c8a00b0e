//! The OAuth 2.0 endpoints. One file for each; each parses, asks the store's typed functions, and answers as its RFC says.
//! Nothing here knows a page or a browser session.

pub(crate) mod client_auth;
pub(crate) mod error;
pub(crate) mod form;
pub(crate) mod pkce;
mod redirect;
pub(crate) mod registration;
pub(crate) mod scope;
pub(crate) mod token;
pub(crate) mod user_code;

use axum::Router;
use axum::routing::post;

use crate::app::App;

/// All endpoints, below the issuer's path.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/token", post(token::endpoint))
}
