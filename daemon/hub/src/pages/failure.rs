//! A page in place of the one that was asked for, saying why. It never repeats what was sent.

use std::borrow::Cow;

use axum::http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::page;
use crate::accounts::password::PasswordError;
use crate::limits::TooMany;
use crate::random::NoRandomness;
use crate::store::StoreError;

/// Why a page is not shown, or a form not taken.
#[derive(Debug)]
pub(crate) struct PageError {
    status: StatusCode,
    text: Cow<'static, str>,
    retry: Option<u64>,
    elsewhere: Option<String>,
    cookie: Option<String>,
}

impl PageError {
    /// With its own words: whole sentences.
    pub(crate) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), retry: None, elsewhere: None, cookie: None }
    }

    /// Not there, or not for this account: both look alike.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such page, or it is not yours to see.")
    }

    /// The CSRF token does not fit.
    pub(crate) fn stale_form() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "This form is out of date, or your browser keeps no cookies. Go back, load the page again, and send it once more.",
        )
    }

    /// Sends the browser to another page instead (A8: 303, never 307); `location` is whole.
    pub(crate) fn go(location: String) -> Self {
        Self { elsewhere: Some(location), ..Self::new(StatusCode::SEE_OTHER, "") }
    }

    /// With a cookie to be set.
    pub(super) fn with_cookie(self, cookie: String) -> Self {
        Self { cookie: Some(cookie), ..self }
    }

    /// The words, for a page that shows them beside its form.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        let busy = matches!(error, StoreError::Busy | StoreError::Closed);
        if !busy {
            crate::log::error(format_args!("{error}"));
        }
        let text = if error.is_full() {
            "The hub has no space left on its disk. Nothing was changed."
        } else if busy {
            "The hub is very busy at this moment. Nothing was changed; please try again."
        } else {
            "The hub could not use its database; its log says why. Nothing was changed."
        };
        let status =
            if busy || error.is_full() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
        Self { retry: Some(2), ..Self::new(status, text) }
    }
}

impl From<NoRandomness> for PageError {
    fn from(error: NoRandomness) -> Self {
        crate::log::error(format_args!("{error}"));
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The hub could not make a secret; its log says why.")
    }
}

impl From<PasswordError> for PageError {
    fn from(error: PasswordError) -> Self {
        if matches!(error, PasswordError::Busy) {
            return Self {
                retry: Some(3),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Too many people sign in at this moment. Please try again in a few seconds.",
                )
            };
        }
        crate::log::error(format_args!("{error}"));
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The hub could not check a password; its log says why.")
    }
}

impl From<TooMany> for PageError {
    fn from(TooMany { after }: TooMany) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        let text = format!("Too many tries. Please wait {seconds} seconds and try again.");
        Self { retry: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, text) }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if let Some(location) = self.elsewhere {
            let mut response = (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response();
            if let Some(cookie) = self.cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            return response;
        }
        let mut response = page::failure(self.status, &self.text);
        if let Some(seconds) = self.retry {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
