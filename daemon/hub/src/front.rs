//! What stands before the routes: the health of the hub, the refusal of plain HTTP from elsewhere, and the answer while the
//! hub is not open yet.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, Method, Request};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use merlon_wire::link::Links;
use serde::Serialize;

use crate::arrival::Arrival;
use crate::oauth::error::{ErrorCode, OAuthError};

/// Clones share it.
#[derive(Clone)]
pub(crate) struct Front(Arc<Inner>);

struct Inner {
    /// Where the health is asked for: below the issuer's path, and at the root for whoever watches the host.
    health: [String; 2],
    links: Links,
    routes: OnceLock<Router>,
}

#[derive(Serialize)]
struct Health {
    name: &'static str,
    version: &'static str,
    ready: bool,
}

impl Front {
    /// Without routes; the hub is not open. `path` is the issuer's.
    pub(crate) fn new(path: &str, links: Links) -> Self {
        let health = [format!("{path}/health"), "/health".to_owned()];
        Self(Arc::new(Inner { health, links, routes: OnceLock::new() }))
    }

    /// The hub is open.
    pub(crate) fn open(&self, routes: Router) {
        // Opened once; a second time would be the same hub.
        drop(self.0.routes.set(routes));
    }

    /// The routes of an open hub.
    pub(crate) fn routes(&self) -> Option<&Router> {
        self.0.routes.get()
    }

    /// An answer in place of the routes'.
    pub(crate) fn instead(&self, request: &Request<Body>, arrival: Arrival) -> Option<Response> {
        if request.method() == Method::GET && self.0.health.iter().any(|path| path == request.uri().path()) {
            return Some(self.health());
        }
        if !arrival.secure {
            let text = "this hub takes plain HTTP on loopback and from its trusted proxies only; use https";
            return Some(OAuthError::new(ErrorCode::InvalidRequest, text).into_response());
        }
        None
    }

    /// While the hub is not open.
    pub(crate) fn not_open(&self) -> Response {
        OAuthError::unavailable("the hub is not open yet: its keeper is locked or away").into_response()
    }

    fn health(&self) -> Response {
        let ready = self.routes().is_some() && self.0.links.keeper_now().is_some();
        let health = Health { name: "merlon-hub", version: env!("CARGO_PKG_VERSION"), ready };
        let mut response = Json(health).into_response();
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
