//! Errors of the OAuth endpoints, as RFC 6749 (5.2) and those after it have them.

use std::borrow::Cow;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::registration::Unfit;
use crate::keys::SignError;
use crate::limits::TooMany;
use crate::random::NoRandomness;
use crate::store::StoreError;

/// `DPoP-Nonce` (RFC 9449, 8).
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The registered codes that the hub answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    /// RFC 6749, 5.2
    InvalidRequest,
    /// RFC 6749, 5.2
    InvalidClient,
    /// RFC 6749, 5.2
    InvalidGrant,
    /// RFC 6749, 5.2
    UnauthorizedClient,
    /// RFC 6749, 5.2
    UnsupportedGrantType,
    /// RFC 6749, 5.2
    InvalidScope,
    /// RFC 8707, 2
    InvalidTarget,
    /// RFC 6749, 4.1.2.1
    AccessDenied,
    /// RFC 6749, 4.1.2.1
    UnsupportedResponseType,
    /// RFC 6749, 4.1.2.1; also for limits.
    TemporarilyUnavailable,
    /// RFC 6749, 4.1.2.1
    ServerError,
    /// RFC 8628, 3.5
    AuthorizationPending,
    /// RFC 8628, 3.5
    SlowDown,
    /// RFC 8628, 3.5
    ExpiredToken,
    /// RFC 7009, 2.2.1
    UnsupportedTokenType,
    /// RFC 7591, 3.2.2
    InvalidRedirectUri,
    /// RFC 7591, 3.2.2
    InvalidClientMetadata,
    /// RFC 7591, 3.2.2
    InvalidSoftwareStatement,
    /// RFC 7591, 3.2.2
    UnapprovedSoftwareStatement,
    /// RFC 6750, 3.1
    InvalidToken,
    /// RFC 6750, 3.1
    InsufficientScope,
    /// RFC 9449, 5
    InvalidDpopProof,
    /// RFC 9449, 8
    UseDpopNonce,
}

impl ErrorCode {
    /// As sent.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidSoftwareStatement => "invalid_software_statement",
            Self::UnapprovedSoftwareStatement => "unapproved_software_statement",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope => StatusCode::FORBIDDEN,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// An error answer. The description is for developers; it never repeats what a client sent.
#[derive(Clone, Debug)]
pub(crate) struct OAuthError {
    pub(crate) code: ErrorCode,
    pub(crate) description: Cow<'static, str>,
    status: StatusCode,
    /// Apart, so that a result with this error stays small.
    headers: Box<HeaderMap>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'static str,
    error_description: &'a str,
}

impl OAuthError {
    /// An error with the status that its RFC gives it.
    pub(crate) fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: description.into(), status: code.status(), headers: Box::default() }
    }

    /// `invalid_request`
    pub(crate) fn request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// `invalid_grant`
    pub(crate) fn grant(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidGrant, description)
    }

    /// `invalid_client`. `basic`: it used the `Authorization` field, so the answer names the scheme (RFC 6749, 5.2).
    pub(crate) fn client(basic: bool) -> Self {
        let error =
            Self::new(ErrorCode::InvalidClient, "the client is unknown, or did not authenticate as it registered");
        if basic { error.with(WWW_AUTHENTICATE, "Basic realm=\"merlon-hub\", charset=\"UTF-8\"") } else { error }
    }

    /// Something that passes: 503 with `Retry-After`.
    pub(crate) fn unavailable(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::TemporarilyUnavailable, description).with(RETRY_AFTER, "2")
    }

    /// With another status.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With a header field. One that no field can hold is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Closed => Self::unavailable(error.to_string()),
            error => {
                crate::log::error(format_args!("{error}"));
                if error.is_full() {
                    Self::unavailable("the hub has no space left on its disk")
                } else {
                    Self::new(ErrorCode::ServerError, "the hub could not use its database; its log says why")
                }
            }
        }
    }
}

impl From<Unfit> for OAuthError {
    fn from(unfit: Unfit) -> Self {
        let code = match &unfit {
            Unfit::RedirectUri(_) => ErrorCode::InvalidRedirectUri,
            Unfit::Metadata(_) => ErrorCode::InvalidClientMetadata,
            Unfit::Statement => ErrorCode::InvalidSoftwareStatement,
            Unfit::Unapproved => ErrorCode::UnapprovedSoftwareStatement,
        };
        Self::new(code, unfit.to_string())
    }
}

impl From<SignError> for OAuthError {
    fn from(error: SignError) -> Self {
        if let SignError::Keeper(error) = &error {
            crate::log::warn(format_args!("the keeper signed nothing: {error}"));
        }
        Self::unavailable("the hub's keeper cannot sign at the moment")
    }
}

impl From<NoRandomness> for OAuthError {
    fn from(error: NoRandomness) -> Self {
        crate::log::error(format_args!("{error}"));
        Self::new(ErrorCode::ServerError, "the hub could not make a secret; its log says why")
    }
}

impl From<TooMany> for OAuthError {
    fn from(TooMany { after }: TooMany) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        Self::new(ErrorCode::TemporarilyUnavailable, format!("too many tries; try again in {seconds} s"))
            .status(StatusCode::TOO_MANY_REQUESTS)
            .with(RETRY_AFTER, &seconds.to_string())
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        // RFC 6749, 5.2: no quotation marks, no backslash, nothing but printable ASCII.
        let allowed = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        let description: String = self.description.chars().map(|c| if allowed(c) { c } else { '\'' }).collect();
        let body = Body { error: self.code.as_str(), error_description: &description };
        let mut response = (self.status, Json(body)).into_response();
        response.headers_mut().extend(*self.headers);
        no_store(response)
    }
}

/// An answer that holds a secret, or may (RFC 6749, 5.1).
pub(crate) fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
