//! The one door. Every request, whatever its path, passes here: host and origin, then identity, then the scope that the
//! table of endpoints demands. A handler cannot forget to ask, because it is not asked to; what is not in the table is
//! behind the door, too.

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use merlon_api::{Access, ENDPOINTS, Endpoint, Operation, ProblemCode};

use super::{ApiState, Arrival, Refused, input};
use crate::auth;

/// On every answer. An answer that wants a stricter policy sets its own.
const HEADERS: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
];

/// Lets a request through to its handler, or answers in its place.
pub(super) async fn pass(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let mut response = match admit(&state, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn admit(state: &ApiState, request: &mut Request) -> Result<(), Refused> {
    if state.is_stopping() {
        return Err(Refused::new(ProblemCode::Stopping, "the instance is stopping; try again once it has started"));
    }
    let Some(arrival) = request.extensions().get::<Arrival>().cloned() else {
        return Err(Refused::new(ProblemCode::Internal, "a request came from nowhere"));
    };
    state.sites().judge(&arrival, request.uri(), request.headers())?;
    input::judge_length(request.headers())?;
    let endpoint = endpoint(request);
    if let Some(Endpoint { access: Access::Public, operation, .. }) = endpoint {
        if *operation == Operation::Health {
            return Ok(());
        }
        let _turn = state.turn_to_ask(&arrival).await?;
        // Nobody can sign in to a locked instance; that it is one, everybody may hear.
        return auth::locked(state.links()).await.map_or(Ok(()), Err);
    }
    let principal = {
        let _turn = state.turn_to_ask(&arrival).await?;
        let shown = (request.method(), request.uri(), request.headers());
        auth::identify(&arrival, shown, state.links(), state.sessions()).await?
    };
    if let Some(Access::Scope(scope)) = endpoint.map(|endpoint| endpoint.access)
        && !principal.scopes.holds(scope)
    {
        return Err(Refused::scope(scope, principal.role));
    }
    request.extensions_mut().insert(principal);
    Ok(())
}

/// The line of the table for this request: none for a path that is not in it, or a method that its path lacks; both
/// are answered behind the door.
fn endpoint(request: &Request) -> Option<&'static Endpoint> {
    let path = request.extensions().get::<MatchedPath>()?.as_str();
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    ENDPOINTS.iter().find(|endpoint| endpoint.path == path && endpoint.method.as_str() == method.as_str())
}
