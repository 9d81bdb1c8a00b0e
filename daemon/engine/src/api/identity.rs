//! Signing in and out, sessions, and the instance's identity. The handlers say what was asked and what came of it; what
//! is done stands in `signin`, `auth` and `identity`.

use axum::extract::{Path, State};
use axum::http::header::PRAGMA;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use merlon_api::{
    IdentityInfo, IdentityKind, IdentityReset, PollSignIn, ProblemCode, Refresh, Role, Session, SessionEnded, Sessions,
    SignInPending, SignInStarted, SignOut, SignedIn, StartSignIn, Timestamp, WhoAmI,
};
use zeroize::Zeroizing;

use super::input::Json as Body;
use super::{ApiState, Arrival, Refused};
use crate::auth::{Principal, Via, one_proof};
use crate::signin::Polled;

/// RFC 9449, 8.2.
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

pub(super) async fn info(State(state): State<ApiState>) -> Json<IdentityInfo> {
    let snapshot = state.identity().snapshot();
    let server = snapshot.server.as_ref();
    Json(IdentityInfo {
        state: snapshot.state,
        issuer: snapshot.issuer.clone(),
        token_endpoint: server.map(|server| server.token.as_str().to_owned()),
        dpop_algorithms: server.map(|server| server.dpop_algorithms.clone()).unwrap_or_default(),
        problem: snapshot.problem.clone(),
    })
}

pub(super) async fn start(
    State(state): State<ApiState>,
    Extension(arrival): Extension<Arrival>,
    Body(asked): Body<StartSignIn>,
) -> Result<(StatusCode, Json<SignInStarted>), Refused> {
    let started = state.sign_ins().start(arrival.peer(), asked).await?;
    Ok((StatusCode::CREATED, Json(started)))
}

pub(super) async fn poll(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(asked): Body<PollSignIn>,
) -> Result<Response, Refused> {
    let proof = one_proof(&headers)?.map(str::to_owned);
    Ok(match state.sign_ins().poll(&id, &Zeroizing::new(asked.verifier), proof).await? {
        Polled::Pending(interval) => (StatusCode::ACCEPTED, Json(SignInPending { interval })).into_response(),
        Polled::Tokens(signed_in, nonce) => tokens(*signed_in, nonce.as_deref()),
    })
}

pub(super) async fn refresh(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Body(asked): Body<Refresh>,
) -> Result<Response, Refused> {
    let proof = one_proof(&headers)?.map(str::to_owned);
    let (signed_in, nonce) = state.sign_ins().refresh(Zeroizing::new(asked.refresh_token), proof).await?;
    Ok(tokens(signed_in, nonce.as_deref()))
}

pub(super) async fn sign_out(
    State(state): State<ApiState>,
    Body(asked): Body<SignOut>,
) -> Result<Json<SessionEnded>, Refused> {
    Ok(Json(state.sign_ins().sign_out(Zeroizing::new(asked.token)).await?))
}

pub(super) async fn who_am_i(Extension(principal): Extension<Principal>) -> Result<Json<WhoAmI>, Refused> {
    let (kind, name, session, issuer) = match &principal.via {
        Via::UnixSocket => (IdentityKind::UnixSocket, None, None, None),
        Via::Token { label, .. } => (IdentityKind::LocalToken, Some(label.clone()), None, None),
        Via::Session(session) => {
            let name = Some(session.name.clone()).filter(|name| !name.is_empty());
            (IdentityKind::Session, name, Some(session_of(session)?), Some(session.issuer.clone()))
        }
    };
    Ok(Json(WhoAmI { kind, role: principal.role, scopes: principal.scopes.to_vec(), name, session, issuer }))
}

pub(super) async fn sessions(State(state): State<ApiState>) -> Result<Json<Sessions>, Refused> {
    let sessions = state.sign_ins().list().await?.iter().map(session_of).collect::<Result<_, _>>()?;
    Ok(Json(Sessions { sessions }))
}

pub(super) async fn end_session(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<SessionEnded>, Refused> {
    Ok(Json(state.sign_ins().end(&id).await?))
}

pub(super) async fn reset(State(state): State<ApiState>) -> Result<Json<IdentityReset>, Refused> {
    let reset = state.identity().reset().await?;
    Ok(Json(IdentityReset { deleted_at_issuer: reset.deleted, problem: reset.problem }))
}

/// A session as it is shown.
///
/// # Errors
/// `keeper_failed` if the keeper knows a role that there is not.
pub(crate) fn session_of(session: &merlon_wire::identity::Session) -> Result<Session, Refused> {
    let role: Role = session.role.parse().map_err(|why: String| Refused::new(ProblemCode::KeeperFailed, why))?;
    Ok(Session {
        id: session.id.clone(),
        subject: session.subject.clone(),
        name: session.name.clone(),
        label: session.label.clone(),
        role,
        bound: session.bound,
        created: Timestamp(session.created_us),
        refreshed: Timestamp(session.refreshed_us),
        expires: Timestamp(session.expires_us),
    })
}

/// Tokens; the gate adds `Cache-Control: no-store`.
fn tokens(signed_in: SignedIn, nonce: Option<&str>) -> Response {
    let mut response = ([(PRAGMA, "no-cache")], Json(signed_in)).into_response();
    if let Some(nonce) = nonce.and_then(|nonce| HeaderValue::from_str(nonce).ok()) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    response
}
