//! Heads and bodies as they passed. They are hostile bytes, so nothing about the answer follows the origin's wishes: the
//! type is always `application/octet-stream`, always an attachment, never sniffed, in a sandbox without any right.

use std::io;
use std::ops::Range;

use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, IF_RANGE,
    RANGE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::input::Id;
use super::pieces::{self, Source};
use super::range::{Wanted, wanted};
use super::{ApiState, Refused};
use crate::flow::{FlowId, Side};

/// Bytes read from the store at a time.
const PIECE: u64 = 256 * 1024;

pub(super) async fn request_head(State(state): State<ApiState>, Id(id): Id) -> Result<Response, Refused> {
    let (_, detail) = state.detail(id).await?;
    Ok(attachment(StatusCode::OK, &format!("flow-{id}-request-head"), detail.request_head.into()))
}

pub(super) async fn response_head(State(state): State<ApiState>, Id(id): Id) -> Result<Response, Refused> {
    let (_, detail) = state.detail(id).await?;
    Ok(attachment(StatusCode::OK, &format!("flow-{id}-response-head"), detail.response_head.into()))
}

pub(super) async fn request_body(state: State<ApiState>, id: Id, headers: HeaderMap) -> Result<Response, Refused> {
    body(state, id, Side::Request, &headers).await
}

pub(super) async fn response_body(state: State<ApiState>, id: Id, headers: HeaderMap) -> Result<Response, Refused> {
    body(state, id, Side::Response, &headers).await
}

async fn body(State(state): State<ApiState>, Id(id): Id, side: Side, headers: &HeaderMap) -> Result<Response, Refused> {
    let (project, detail) = state.detail(id).await?;
    let (name, size) = match side {
        Side::Request => ("request", detail.request_body_stored),
        Side::Response => ("response", detail.response_body_stored),
    };
    // No validator is ever given out, so none in `If-Range` can match, and then all is sent.
    let range = headers.get(RANGE).filter(|_| !headers.contains_key(IF_RANGE)).and_then(|value| value.to_str().ok());
    let (status, rest) = match wanted(range, size) {
        Wanted::All => (StatusCode::OK, 0..size),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Beyond => return Err(Refused::range(size)),
    };
    let length = rest.end - rest.start;
    let content_range = format!("bytes {}-{}/{size}", rest.start, rest.end.saturating_sub(1));
    let stored = Stored { state, project, id: id_of(id), side, rest };
    let mut response = attachment(status, &format!("flow-{id}-{name}-body"), pieces::body(stored));
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, length.into());
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = HeaderValue::from_str(&content_range)
    {
        headers.insert(CONTENT_RANGE, value);
    }
    Ok(response)
}

fn attachment(status: StatusCode, name: &str, body: axum::body::Body) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"),
    );
    // The name is made of digits and letters of ours.
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}.bin\""));
    headers.insert(CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    response
}

/// The id as the store counts.
pub(super) fn id_of(id: u64) -> FlowId {
    // `Id` lets no larger number in.
    FlowId(i64::try_from(id).unwrap_or(i64::MAX))
}

/// A stored body from one place to another, read piece by piece.
struct Stored {
    state: ApiState,
    project: u64,
    id: FlowId,
    side: Side,
    rest: Range<u64>,
}

impl Source for Stored {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (id, side) = (self.id, self.side);
        let piece = self.rest.start..self.rest.end.min(self.rest.start + PIECE);
        let read = self.state.read(self.project, move |store| store.body(id, side, piece)).await;
        let bytes = read.map_err(|refused| io::Error::other(refused.problem().to_string()))?.unwrap_or_default();
        if bytes.is_empty() {
            return Err(io::Error::other("the body ends before its stored size"));
        }
        self.rest.start += bytes.len() as u64;
        Ok(Some((bytes.into(), self)))
    }
}
