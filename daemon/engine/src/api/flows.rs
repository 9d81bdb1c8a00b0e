//! Lists, counts and details of flows.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use merlon_api::{CountQuery, DEFAULT_LIMIT, FlowCount, FlowDetail, FlowPage, FlowsQuery, MAX_LIMIT, ProblemCode};

use super::input::{Id, Parameters};
use super::{ApiState, Refused, convert};
use crate::flow::FlowId;
use crate::query::{self, Ast};
use crate::store::ListAsk;

pub(super) async fn list(
    State(state): State<ApiState>,
    Parameters(asked): Parameters<FlowsQuery>,
) -> Result<Json<FlowPage>, Refused> {
    let wrong = |why: String| Refused::new(ProblemCode::InvalidParameter, why);
    if asked.before.is_some() && asked.after.is_some() {
        return Err(wrong("`before` and `after` exclude each other; give one of them".into()));
    }
    let limit = asked.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(wrong(format!("`limit` is 1 to {MAX_LIMIT}")));
    }
    let ask = ListAsk {
        query: parse(asked.query.as_deref())?,
        before: asked.before.map(FlowId),
        after: asked.after.map(FlowId),
        limit,
    };
    let project = state.project()?;
    let page = state.read(project, move |store| store.list(&ask)).await?;
    Ok(Json(FlowPage { flows: page.flows.iter().map(convert::flow).collect(), next: page.next.map(|FlowId(id)| id) }))
}

pub(super) async fn count(
    State(state): State<ApiState>,
    Parameters(asked): Parameters<CountQuery>,
) -> Result<Json<FlowCount>, Refused> {
    let query = parse(asked.query.as_deref())?;
    let project = state.project()?;
    let count = state.read(project, move |store| store.count(query.as_ref())).await?;
    Ok(Json(FlowCount { count }))
}

pub(super) async fn read(State(state): State<ApiState>, Id(id): Id) -> Result<Json<FlowDetail>, Refused> {
    let (_, detail) = state.detail(id).await?;
    Ok(Json(convert::detail(&detail)))
}

/// The text of a query as a tree; none for no or an empty text.
pub(super) fn parse(text: Option<&str>) -> Result<Option<Ast>, Refused> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    query::parse(text, now_us()).map(Some).map_err(|error| Refused::query(error.message, error.position))
}

/// Microseconds since 1970-01-01 UTC.
pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
