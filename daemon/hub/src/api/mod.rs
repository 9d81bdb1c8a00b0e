//! The hub's own API: what an instance tells about itself, with its own access token; and what a script approves, with a
//! personal access token. JSON both ways; errors are OAuth's, challenges as RFC 6750 has them.
//!
//! A token counts only as the one `Authorization: Bearer` field: not in the query, not in a form.

mod device;
mod instance;

use axum::Router;
use axum::routing::{delete, get, put};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::oauth::error::OAuthError;
use crate::oauth::form;

/// What every personal access token begins with.
pub(crate) const PERSONAL_TOKEN: &str = "mhp_";
/// Bytes of a body at most.
const MAX_BODY: usize = 16 * 1024;

/// Everything below `/api`.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/instance", put(instance::report))
        .route("/api/instance/sessions/{sid}", delete(instance::end_session))
        .route("/api/device", get(device::look).post(device::decide))
}

/// A body of JSON, whole and known.
async fn read<T: DeserializeOwned>(body: axum::body::Body) -> Result<T, OAuthError> {
    let body = form::read(body, MAX_BODY).await?;
    serde_json::from_slice(&body).map_err(|_| OAuthError::request("the body is not the JSON that this endpoint takes"))
}
