//! `Authorization: Bearer` as RFC 6750 has it, for the hub's own endpoints. Says what was sent, never whose it is.

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};

use super::error::{ErrorCode, OAuthError};

/// The longest token that is looked at, in bytes.
const MAX: usize = 8 * 1024;

/// The token of a request; none if it has no `Authorization` field.
///
/// # Errors
/// `invalid_request` for two fields, [`refused`] for another scheme or what is no token.
pub(crate) fn token(headers: &HeaderMap) -> Result<Option<&str>, OAuthError> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(OAuthError::request("there is more than one Authorization field"));
    }
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    match field.to_str().ok().and_then(|text| text.split_once(' ')) {
        Some((scheme, token))
            if scheme.eq_ignore_ascii_case("bearer")
                && !token.is_empty()
                && token.len() <= MAX
                && token.bytes().all(known) =>
        {
            Ok(Some(token))
        }
        _ => Err(refused("send Authorization: Bearer, a space, and the token")),
    }
}

/// There is no token where one is needed: 401, without an error code in the field (RFC 6750, 3.1).
pub(crate) fn missing(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidToken, description).with(WWW_AUTHENTICATE, "Bearer realm=\"merlon-hub\"")
}

/// The token is none that opens this.
pub(crate) fn refused(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidToken, description)
        .with(WWW_AUTHENTICATE, "Bearer realm=\"merlon-hub\", error=\"invalid_token\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(fields: &[&str]) -> Result<Option<String>, &'static str> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(AUTHORIZATION, field.parse().unwrap());
        }
        token(&headers).map(|token| token.map(str::to_owned)).map_err(|error| error.code.as_str())
    }

    #[test]
    fn one_token_is_taken_and_the_rest_is_told_apart() {
        assert_eq!(ask(&[]), Ok(None));
        assert_eq!(ask(&["bEARER a.B-_~+/="]), Ok(Some("a.B-_~+/=".into())));
        assert_eq!(ask(&["Bearer a", "Bearer a"]), Err("invalid_request"));
        for wrong in ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "DPoP x"] {
            assert_eq!(ask(&[wrong]), Err("invalid_token"), "{wrong}");
        }
    }
}
