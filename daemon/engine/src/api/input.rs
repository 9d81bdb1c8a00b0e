//! What requests bring along, parsed once: path ids, query parameters, JSON bodies. Whatever is not known is refused.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use merlon_api::{MAX_BODY, ProblemCode};
use serde::de::DeserializeOwned;

use super::Refused;

/// How long a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// The `{id}` of the path.
pub(super) struct Id(pub(super) u64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| bad_id())?;
        let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
        // The store counts in 63 bits.
        let id = id.parse().ok().filter(|id| plain && *id <= i64::MAX.unsigned_abs());
        id.map(Self).ok_or_else(bad_id)
    }
}

fn bad_id() -> Refused {
    Refused::new(ProblemCode::InvalidParameter, "the id in the path is a whole number, 0 or more")
}

/// Query parameters of this shape. A parameter without a value is as if it were not there.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let wrong = |why: String| Refused::new(ProblemCode::InvalidParameter, why);
        let given = parts.uri.query().unwrap_or_default().split('&');
        let with_value: Vec<_> =
            given.filter(|pair| pair.split_once('=').is_some_and(|(_, v)| !v.is_empty())).collect();
        let uri: Uri =
            format!("/?{}", with_value.join("&")).parse().map_err(|_| wrong("the parameters cannot be read".into()))?;
        Query::try_from_uri(&uri).map(|Query(value)| Self(value)).map_err(|rejection| wrong(rejection.body_text()))
    }
}

/// A JSON body of this shape.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        if !is_json(request.headers()) {
            // A page of another site can send a form or plain text without asking first, but no JSON.
            return Err(Refused::new(ProblemCode::NotJson, "send `Content-Type: application/json`"));
        }
        let body = read(request.into_body()).await?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| Refused::new(ProblemCode::InvalidBody, format!("the body does not fit: {error}")))
    }
}

/// Refuses a request that announces a body which no endpoint takes.
pub(super) fn judge_length(headers: &HeaderMap) -> Result<(), Refused> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) { Err(too_large()) } else { Ok(()) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

async fn read(body: Body) -> Result<bytes::Bytes, Refused> {
    match tokio::time::timeout(BODY_LIMIT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refused::new(ProblemCode::InvalidBody, "the body broke off")),
        Err(_) => {
            let seconds = BODY_LIMIT.as_secs();
            Err(Refused::new(ProblemCode::RequestTimeout, format!("the body did not arrive within {seconds} s")))
        }
    }
}

fn too_large() -> Refused {
    Refused::new(ProblemCode::BodyTooLarge, format!("a body has at most {} KiB", MAX_BODY / 1024))
}
