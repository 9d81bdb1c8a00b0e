//! The table of endpoints as routes. The match has no wildcard: an endpoint without a handler does not compile.

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use merlon_api::endpoints::Method;
use merlon_api::{ENDPOINTS, Endpoint, Operation, ProblemCode};

use super::{ApiState, Refused, backup, bodies, events, flows, gate, identity, instance, projects, rotation};

/// All routes behind the gate.
pub(super) fn router(state: ApiState) -> Router {
    let mut router = Router::new();
    for endpoint in ENDPOINTS {
        router = router.route(endpoint.path, handler(endpoint));
    }
    router
        .fallback(|| async {
            Refused::new(ProblemCode::NoSuchEndpoint, "nothing is served at this path; see GET /api/v1/openapi.json")
        })
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.clone(), gate::pass))
        .with_state(state)
}

fn handler(endpoint: &Endpoint) -> MethodRouter<ApiState> {
    let method = match endpoint.method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Delete => MethodFilter::DELETE,
    };
    match endpoint.operation {
        Operation::Health => on(method, instance::health),
        Operation::OpenApi => on(method, instance::openapi),
        Operation::Status => on(method, instance::status),
        Operation::CaCertificate => on(method, instance::ca_certificate),
        Operation::ListFlows => on(method, flows::list),
        Operation::CountFlows => on(method, flows::count),
        Operation::ReadFlow => on(method, flows::read),
        Operation::ReadRequestHead => on(method, bodies::request_head),
        Operation::ReadRequestBody => on(method, bodies::request_body),
        Operation::ReadResponseHead => on(method, bodies::response_head),
        Operation::ReadResponseBody => on(method, bodies::response_body),
        Operation::Events => on(method, events::stream),
        Operation::QueryHelp => on(method, instance::query_help),
        Operation::ListProjects => on(method, projects::list),
        Operation::CreateProject => on(method, projects::create),
        Operation::OpenProject => on(method, projects::open),
        Operation::AdvanceRotation => on(method, rotation::advance),
        Operation::DeleteProject => on(method, projects::delete),
        Operation::BackUpProject => on(method, backup::project),
        Operation::Identity => on(method, identity::info),
        Operation::StartSignIn => on(method, identity::start),
        Operation::PollSignIn => on(method, identity::poll),
        Operation::Refresh => on(method, identity::refresh),
        Operation::SignOut => on(method, identity::sign_out),
        Operation::WhoAmI => on(method, identity::who_am_i),
        Operation::ListSessions => on(method, identity::sessions),
        Operation::EndSession => on(method, identity::end_session),
        Operation::ResetIdentity => on(method, identity::reset),
    }
}

async fn method_not_allowed(request: Request) -> Refused {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let mut allowed = Vec::new();
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.path == path) {
        allowed.push(endpoint.method.as_str());
        if endpoint.method == Method::Get {
            allowed.push("HEAD");
        }
    }
    Refused::method(&allowed.join(", "))
}
