//! All routes of an open hub, below the path of its issuer, and what every answer has.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, HeaderName, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::app::App;
use crate::{api, oauth, pages};

/// On every answer that has none of its own. Nothing here may be framed, guessed at or kept.
const HEADERS: [(HeaderName, &str); 4] = [
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
];

/// Everything that an open hub serves.
pub(crate) fn router(app: App) -> Router {
    let path = app.issuer().path().to_owned();
    let own = Router::new().merge(oauth::router()).merge(pages::router(&app)).merge(api::router());
    // A router below a path has its first page there without a slash; links have one.
    let below = if path.is_empty() {
        own
    } else {
        Router::new().nest(&path, own).route(&format!("{path}/"), get(without_slash))
    };
    below.merge(oauth::metadata::at_root(app.issuer())).with_state(app)
}

async fn without_slash(uri: Uri) -> Response {
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let location = format!("{}{query}", uri.path().trim_end_matches('/'));
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

/// Puts those on an answer that have to be on every one.
pub(crate) fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
