//! The strict form that OAuth endpoints take (RFC 6749, appendix B): urlencoded UTF-8, no parameter twice, one without a
//! value as if it were not there, unknown ones ignored.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::error::OAuthError;
use super::urlencoded;

/// The most bytes of a body.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// A form. An extractor.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Parses a body.
    ///
    /// # Errors
    /// `invalid_request`, saying which rule it breaks.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        urlencoded::parse(body).map(Self).map_err(|malformed| OAuthError::request(malformed.to_string()))
    }

    /// The value of a parameter; none if it is absent or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(given, value)| given == name && !value.is_empty())?;
        Some(value)
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// `invalid_request`, naming it.
    pub(crate) fn require(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::request(format!("the parameter {name} is missing")))
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = OAuthError;

    async fn from_request(request: Request, _: &S) -> Result<Self, OAuthError> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
        let utf8 = parameters.is_empty() || parameters.to_ascii_lowercase().contains("utf-8");
        if !kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") || !utf8 {
            return Err(OAuthError::request("send Content-Type: application/x-www-form-urlencoded, in UTF-8"));
        }
        Self::parse(&read(request.into_body(), MAX_BODY).await?)
    }
}

/// A whole body, bounded in size and time.
///
/// # Errors
/// `invalid_request` with the status that fits.
pub(crate) async fn read(body: Body, most: usize) -> Result<bytes::Bytes, OAuthError> {
    match tokio::time::timeout(BODY_LIMIT, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("a body has at most {} KiB", most / 1024);
            Err(OAuthError::request(text).status(StatusCode::PAYLOAD_TOO_LARGE))
        }
        Ok(Err(_)) => Err(OAuthError::request("the body broke off")),
        Err(_) => {
            let text = format!("the body did not arrive within {} s", BODY_LIMIT.as_secs());
            Err(OAuthError::request(text).status(StatusCode::REQUEST_TIMEOUT))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &[u8]) -> String {
        match Form::parse(body) {
            Ok(_) => panic!("it was taken"),
            Err(error) => {
                assert_eq!(error.code.as_str(), "invalid_request");
                error.description.into_owned()
            }
        }
    }

    #[test]
    fn a3_a4_an_empty_value_is_no_value_and_unknown_parameters_are_ignored() {
        let form = Form::parse(b"scope=&grant_type=client_credentials&color=blue&&flag").unwrap();
        assert_eq!(form.get("scope"), None);
        assert_eq!(form.get("flag"), None);
        assert_eq!(form.get("grant_type"), Some("client_credentials"));
        assert!(form.require("scope").is_err());
    }

    #[test]
    fn a5_a_parameter_that_is_there_twice_is_refused_whatever_its_values() {
        assert!(refused(b"a=1&a=1").contains("twice"));
        assert!(refused(b"a=&a=1").contains("twice"));
        assert!(refused(b"%61=1&a=2").contains("twice"));
        let many: Vec<String> = (0..65).map(|n| format!("p{n}=1")).collect();
        assert!(refused(many.join("&").as_bytes()).contains("too many"));
    }

    #[test]
    fn a6_names_and_values_are_urlencoded_utf8() {
        let form = Form::parse("a=1+2%2b3%C3%A9é".as_bytes()).unwrap();
        assert_eq!(form.get("a"), Some("1 2+3éé"));
        for bad in [&b"a=%"[..], b"a=%1", b"a=%zz", b"a=%ff", b"a=\xff", b"%e9=1"] {
            assert!(refused(bad).contains("UTF-8"));
        }
    }
}
