//! The one place that turns a failure into an HTTP problem (RFC 9457).
//!
//! It must not let a secret through: details are sentences of ours, never what a client sent or a key's bytes.

use axum::http::header::{ALLOW, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use merlon_api::{Problem, ProblemCode, Scope, problem};
use merlon_wire::keeper::Refusal;
use merlon_wire::link::KeeperError;

use crate::identity::IdentityError;
use crate::rotation::ProjectError;

/// Seconds after which a client that was refused for a bound may come again.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// A request that is not served.
#[derive(Debug)]
pub(crate) struct Refused {
    code: ProblemCode,
    problem: Box<Problem>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refused {
    /// With its own words.
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let header = match code {
            ProblemCode::TokenMissing => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            ProblemCode::AuthorizationInvalid => {
                Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_request\"")))
            }
            ProblemCode::TokenMalformed
            | ProblemCode::TokenUnknown
            | ProblemCode::TokenExpired
            | ProblemCode::TokenInvalid
            | ProblemCode::SessionRevoked => {
                Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\"")))
            }
            // RFC 9449, 7.1.
            ProblemCode::ProofInvalid => {
                let challenge = "DPoP error=\"invalid_dpop_proof\", algs=\"ES256 RS256 EdDSA\"";
                Some((WWW_AUTHENTICATE, HeaderValue::from_static(challenge)))
            }
            ProblemCode::RateLimited | ProblemCode::Busy => Some((RETRY_AFTER, RETRY_SECONDS)),
            _ => None,
        };
        Self { code, problem: Box::new(Problem::new(code, detail)), header }
    }

    /// For want of a scope.
    pub(crate) fn scope(scope: Scope, role: merlon_api::Role) -> Self {
        let detail = match role.holds(scope) {
            false => format!(
                "this needs the scope `{scope}`, which the role `{role}` does not hold; ask an owner for another role"
            ),
            true => format!(
                "this needs the scope `{scope}`, which the role `{role}` holds and this token does not; sign in with it"
            ),
        };
        let mut refused = Self::new(ProblemCode::ScopeMissing, detail);
        refused.problem.scope = Some(scope);
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
        refused.header = HeaderValue::from_str(&challenge).ok().map(|value| (WWW_AUTHENTICATE, value));
        refused
    }

    /// Tells after how many seconds to come again.
    pub(crate) fn after(mut self, seconds: u32) -> Self {
        self.header = Some((RETRY_AFTER, seconds.into()));
        self
    }

    /// For a proof that needs a nonce of the authorization server (RFC 9449, 8).
    pub(crate) fn nonce(nonce: Option<&str>) -> Self {
        let mut refused = Self::new(
            ProblemCode::ProofNonce,
            "the authorization server wants the nonce of the `DPoP-Nonce` header in the proof; send the request again",
        );
        let value = nonce.and_then(|nonce| HeaderValue::from_str(nonce).ok());
        refused.header = value.map(|value| (HeaderName::from_static("dpop-nonce"), value));
        refused
    }

    /// For a query that does not parse; `position` in bytes.
    pub(crate) fn query(detail: impl Into<String>, position: usize) -> Self {
        let mut refused = Self::new(ProblemCode::InvalidQuery, detail);
        refused.problem.position = u32::try_from(position).ok();
        refused
    }

    /// For a range behind the end of what has `size` bytes.
    pub(crate) fn range(size: u64) -> Self {
        let mut refused = Self::new(
            ProblemCode::RangeNotSatisfiable,
            format!("the body has {size} bytes stored; ask for a range within"),
        );
        refused.header = HeaderValue::from_str(&format!("bytes */{size}")).ok().map(|value| (CONTENT_RANGE, value));
        refused
    }

    /// For a method that the path does not serve.
    pub(crate) fn method(allowed: &str) -> Self {
        let mut refused = Self::new(ProblemCode::MethodNotAllowed, format!("this path serves {allowed}"));
        refused.header = HeaderValue::from_str(allowed).ok().map(|value| (ALLOW, value));
        refused
    }

    /// Its code.
    pub(crate) fn code(&self) -> ProblemCode {
        self.code
    }

    /// As sent.
    pub(crate) fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl From<KeeperError> for Refused {
    fn from(error: KeeperError) -> Self {
        let code = match &error {
            KeeperError::Refused(Refusal::Locked) => ProblemCode::Locked,
            KeeperError::Refused(Refusal::RateLimited) => ProblemCode::RateLimited,
            KeeperError::Refused(Refusal::BadProjectName(_)) => ProblemCode::BadProjectName,
            KeeperError::Refused(Refusal::NoSuchProject) => ProblemCode::NoSuchProject,
            KeeperError::Refused(Refusal::TooManyProjects) => ProblemCode::TooManyProjects,
            KeeperError::Refused(Refusal::NotRegistered) => ProblemCode::SignInUnavailable,
            KeeperError::Refused(Refusal::BadClaimCode) => ProblemCode::ClaimCodeWrong,
            KeeperError::Refused(Refusal::Claimed) => ProblemCode::WrongAccount,
            KeeperError::Refused(Refusal::NoSession) => ProblemCode::SessionRevoked,
            KeeperError::Refused(
                Refusal::Storage(_) | Refusal::BadHost(_) | Refusal::BadPublicKey | Refusal::OutOfBounds(_),
            ) => ProblemCode::KeeperFailed,
            KeeperError::Link(_) => ProblemCode::KeeperUnreachable,
            KeeperError::Memory(_) => ProblemCode::KeeperFailed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<IdentityError> for Refused {
    fn from(error: IdentityError) -> Self {
        let refused = Self::new(error.code(), error.to_string());
        match error {
            IdentityError::Unreachable { retry_after: Some(seconds), .. } => refused.after(seconds),
            _ => refused,
        }
    }
}

impl From<ProjectError> for Refused {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::Keeper(error) => error.into(),
            ProjectError::Store(error) => error.into(),
            ProjectError::Task(_) => Self::new(ProblemCode::Internal, "a thread of the store failed"),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem is strings and numbers: it always has a JSON form.
        let body = serde_json::to_vec(&self.problem).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, problem::MEDIA_TYPE)], body).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
