//! The instance as a whole: health, state, description, CA certificate, help.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use data_encoding::BASE64;
use merlon_api::{Health, Keys, NAME, Process, Status};
use merlon_wire::keeper::LockState;

use super::{ApiState, Arrival, Refused, convert};
use crate::auth::keeper_status;
use crate::query;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn health(State(state): State<ApiState>, Extension(arrival): Extension<Arrival>) -> Json<Health> {
    // Whoever asks often waits for a turn, as everybody who asks the keeper does; without one nothing is ready.
    let keeper = match state.turn_to_ask(&arrival).await {
        Ok(_turn) => keeper_status(state.links()).await,
        Err(_) => None,
    };
    let ready = keeper.is_some_and(|keeper| is_ready(&state, &keeper));
    Json(Health { name: NAME.to_owned(), version: VERSION.to_owned(), ready })
}

/// Unlocked, and flows are recorded.
fn is_ready(state: &ApiState, keeper: &merlon_wire::keeper::Status) -> bool {
    keeper.state == LockState::Unlocked && state.store().current().is_some()
}

pub(super) async fn openapi() -> Json<serde_json::Value> {
    Json(merlon_api::openapi())
}

pub(super) async fn status(State(state): State<ApiState>) -> Json<Status> {
    let keeper = keeper_status(state.links()).await;
    let facts = state.facts();
    let stats = state.store().stats();
    let current = state.store().current();
    let mut warnings = facts.warnings.clone();
    match &keeper {
        // Among them: recovery unconfirmed.
        Some(keeper) => warnings.extend(keeper.warnings.iter().cloned()),
        None => warnings.push(
            "The keeper is away: new hosts cannot be intercepted and tokens not verified until it is back.".into(),
        ),
    }
    if stats.unrecorded > 0 {
        warnings.push(format!("{} flows passed and were not recorded since the start.", stats.unrecorded));
    }
    let identity = state.identity().snapshot();
    if let Some(problem) = &identity.problem {
        warnings.push(format!("Nobody can sign in through the authorization server at present: {problem}"));
    }
    let [(keeper_role, keeper_hello), (dialer_role, dialer_hello)] = state.links().peers();
    let engine = Process {
        name: "merlond".to_owned(),
        connected: true,
        pid: Some(std::process::id()),
        sandbox: Some(convert::sandbox(&facts.sandbox)),
    };
    Json(Status {
        name: NAME.to_owned(),
        version: VERSION.to_owned(),
        instance: keeper.as_ref().map(|keeper| keeper.instance.clone()),
        ready: keeper.as_ref().is_some_and(|keeper| is_ready(&state, keeper)),
        locked: keeper.as_ref().is_some_and(|keeper| keeper.state != LockState::Unlocked),
        keys: keeper.map(|keeper| Keys {
            opened_by: keeper.opened_by,
            keyslots: keeper.slots,
            recovery_confirmed: keeper.recovery_confirmed,
            secret_memory: keeper.secret_memory,
        }),
        warnings,
        project: current.map(|project| merlon_api::OpenProject { id: project.id, name: project.name }),
        recorder: convert::recorder(&stats),
        listeners: facts.listeners.clone(),
        processes: vec![
            engine,
            convert::peer(keeper_role.program(), keeper_hello),
            convert::peer(dialer_role.program(), dialer_hello),
        ],
        identity: Some(convert::identity(&identity)),
    })
}

pub(super) async fn ca_certificate(State(state): State<ApiState>) -> Result<Response, Refused> {
    // An instance has one CA for ever, so its certificate is asked for once.
    let pem = match state.ca_pem().get() {
        Some(pem) => pem.clone(),
        None => {
            let der = state.links().keeper().await?.ca_certificate().await?;
            state.ca_pem().get_or_init(|| pem(&der)).clone()
        }
    };
    Ok(([(CONTENT_TYPE, "application/x-pem-file")], pem).into_response())
}

pub(super) async fn query_help() -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], query::HELP).into_response()
}

/// A certificate as RFC 7468 writes it.
fn pem(der: &[u8]) -> String {
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    // 48 bytes make the 64 characters of a line.
    for line in der.chunks(48) {
        BASE64.encode_append(line, &mut pem);
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}
