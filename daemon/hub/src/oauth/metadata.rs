//! What the hub says of itself (RFC 8414), and its public keys (RFC 7517). Made once; neither changes while it runs but
//! for the keys.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::scope::Scopes;
use super::token::GrantType;
use crate::app::App;
use crate::clients::AuthMethod;
use crate::issuer::Issuer;

/// The algorithms of assertions and proofs; those of [`merlon_jose`].
const SIGNATURES: [&str; 3] = ["ES256", "EdDSA", "RS256"];
/// For how long others may keep them: a new key is published long before it signs.
const KEEP: &str = "public, max-age=300";

/// The routes at the root of the host: the well-known path stands before the path of the issuer (RFC 8414, 3.1). The
/// name that OpenID has for the document, and its place behind the issuer's path, lead to the same.
pub(crate) fn at_root(issuer: &Issuer) -> Router<App> {
    let document: Arc<str> = document(issuer).to_string().into();
    let serve = get(move || {
        let document = document.clone();
        async move { answer(document) }
    });
    let path = issuer.path();
    let mut router = Router::new();
    for name in ["oauth-authorization-server", "openid-configuration"] {
        router = router.route(&format!("/.well-known/{name}{path}"), serve.clone());
        if !path.is_empty() {
            router = router.route(&format!("{path}/.well-known/{name}"), serve.clone());
        }
    }
    router
}

/// `GET /jwks`
pub(super) async fn jwks(State(app): State<App>) -> Response {
    answer(app.keys().jwks())
}

fn answer(json: Arc<str>) -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, KEEP)], json.to_string()).into_response()
}

fn document(issuer: &Issuer) -> serde_json::Value {
    let all = AuthMethod::ALL.map(AuthMethod::as_str);
    let confidential: Vec<_> = all.iter().filter(|method| **method != AuthMethod::None.as_str()).collect();
    let scopes = Scopes::API.or(Scopes::INSTANCE).or(Scopes::OFFLINE_ACCESS);
    json!({
        "issuer": issuer.as_str(),
        "authorization_endpoint": issuer.url("/authorize"),
        "token_endpoint": issuer.url("/token"),
        "registration_endpoint": issuer.url("/register"),
        "device_authorization_endpoint": issuer.url("/device_authorization"),
        "introspection_endpoint": issuer.url("/introspect"),
        "revocation_endpoint": issuer.url("/revoke"),
        "jwks_uri": issuer.url("/jwks"),
        "scopes_supported": scopes.names().collect::<Vec<_>>(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": GrantType::ALL.map(GrantType::as_str),
        "token_endpoint_auth_methods_supported": all,
        "token_endpoint_auth_signing_alg_values_supported": SIGNATURES,
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": SIGNATURES,
        "revocation_endpoint_auth_methods_supported": all,
        "revocation_endpoint_auth_signing_alg_values_supported": SIGNATURES,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "dpop_signing_alg_values_supported": SIGNATURES,
        // How an instance knows a hub of this project, and where it talks to it for itself.
        "merlon_instance_endpoint": issuer.url("/api/instance"),
        "merlon_version": env!("CARGO_PKG_VERSION"),
    })
}
