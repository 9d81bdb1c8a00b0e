//! The `Authorization` header as RFC 6750 has it. Pure: says what was sent, never whose it is.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use merlon_api::ProblemCode;

use crate::api::Refused;

/// The longest token worth asking about, in bytes. Those of the keeper are far shorter.
const MAX_TOKEN: usize = 256;

/// The one token of a request.
///
/// # Errors
/// `token_missing`, or `token_malformed` with what is wrong (never with what was sent).
pub(crate) fn token(headers: &HeaderMap) -> Result<&[u8], Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(Refused::new(
            ProblemCode::TokenMissing,
            "send `Authorization: Bearer TOKEN`; `merlon token create` on the host makes a token",
        ));
    };
    let malformed = |what: &str| Err(Refused::new(ProblemCode::TokenMalformed, what));
    if values.next().is_some() {
        return malformed("there is more than one `Authorization` header; send one");
    }
    let value = value.as_bytes();
    let Some((scheme, token)) = value.iter().position(|b| *b == b' ').map(|at| (&value[..at], &value[at + 1..])) else {
        return malformed("`Authorization` holds one word; write `Bearer`, a space, and the token");
    };
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return malformed("this instance takes the scheme `Bearer` only");
    }
    let known = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    if token.is_empty() || token.len() > MAX_TOKEN || !token.iter().all(known) {
        return malformed("what follows `Bearer` is no access token of an instance; check that it was copied whole");
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(values: &[&str]) -> Result<String, ProblemCode> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        token(&headers).map(|token| String::from_utf8(token.to_vec()).unwrap()).map_err(|refused| refused.code())
    }

    #[test]
    fn one_bearer_token_is_taken_in_any_case() {
        assert_eq!(ask(&["Bearer abc.DEF-1_~+/="]), Ok("abc.DEF-1_~+/=".into()));
        assert_eq!(ask(&["bEARER x"]), Ok("x".into()));
    }

    #[test]
    fn nothing_and_nonsense_are_told_apart() {
        assert_eq!(ask(&[]), Err(ProblemCode::TokenMissing));
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN + 1));
        for wrong in ["Bearer", "Bearer ", "Bearer  x", "Bearer a b", "Basic abc", "x", "", "Bearer é", &long] {
            assert_eq!(ask(&[wrong]), Err(ProblemCode::TokenMalformed), "{wrong}");
        }
        assert_eq!(ask(&["Bearer a", "Bearer b"]), Err(ProblemCode::TokenMalformed));
    }
}
