//! The credentials of a request as RFC 6750 and RFC 9449 have them: the `Authorization` header and nothing else. A token
//! in a query or a form is never read (RFC 9700, 4.3.2). Pure: says what was sent, never whose it is.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Uri};
use merlon_api::ProblemCode;

use crate::api::Refused;

/// The longest token worth asking about, in bytes: JWTs of a hub are under 2 KiB, some servers' are longer.
const MAX_TOKEN: usize = merlon_jose::MAX_TOKEN;

/// How a token is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Whoever has it may use it (RFC 6750).
    Bearer,
    /// With a proof of possession (RFC 9449, 7.1).
    Dpop,
}

/// The one token of a request.
#[derive(Clone, Copy)]
pub(crate) struct Credential<'a> {
    /// As what it was shown.
    pub(crate) scheme: Scheme,
    /// The token.
    pub(crate) token: &'a str,
}

/// The one token of a request.
///
/// # Errors
/// `token_missing`; `authorization_invalid` where there are two or none in the header; `token_malformed` with what is
/// wrong (never with what was sent).
pub(crate) fn credential<'a>(uri: &Uri, headers: &'a HeaderMap) -> Result<Credential<'a>, Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(Refused::new(
            ProblemCode::TokenMissing,
            "send `Authorization: Bearer TOKEN`; `merlon login` gets one by signing in, `merlon token create` on the host \
             makes a local one",
        ));
    };
    let invalid = |what: &str| Err(Refused::new(ProblemCode::AuthorizationInvalid, what));
    let malformed = |what: &str| Err(Refused::new(ProblemCode::TokenMalformed, what));
    if values.next().is_some() {
        return invalid("there is more than one `Authorization` header; send one");
    }
    // One method for each request (RFC 6750, 2): this one is not taken at all, and two are a mistake of the client.
    if has_parameter(uri, "access_token") {
        return invalid("the token stands in the URL, too, where logs keep it; send the `Authorization` header alone");
    }
    let value = value.as_bytes();
    let Some((scheme, token)) = value.iter().position(|b| *b == b' ').map(|at| (&value[..at], &value[at + 1..])) else {
        return invalid("`Authorization` holds one word; write `Bearer`, a space, and the token");
    };
    let scheme = match scheme {
        scheme if scheme.eq_ignore_ascii_case(b"Bearer") => Scheme::Bearer,
        scheme if scheme.eq_ignore_ascii_case(b"DPoP") => Scheme::Dpop,
        _ => return malformed("this instance takes the schemes `Bearer` and `DPoP` only"),
    };
    let known = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    match std::str::from_utf8(token) {
        Ok(text) if !token.is_empty() && token.len() <= MAX_TOKEN && token.iter().all(known) => {
            Ok(Credential { scheme, token: text })
        }
        _ => malformed("what follows the scheme is no access token; check that it was copied whole"),
    }
}

/// Has the query this parameter, however it is spelled in percent-encoding?
fn has_parameter(uri: &Uri, name: &str) -> bool {
    let plain = |text: &str| {
        let mut bytes = text.bytes();
        let mut out = Vec::with_capacity(text.len());
        while let Some(byte) = bytes.next() {
            let hex = |digit: Option<u8>| char::from(digit?).to_digit(16);
            out.push(match byte {
                b'%' => match (hex(bytes.next()), hex(bytes.next())) {
                    (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or(b'%'),
                    _ => b'%',
                },
                other => other,
            });
        }
        out
    };
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name)).any(|key| plain(key) == name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask_at(uri: &str, values: &[&str]) -> Result<(Scheme, String), ProblemCode> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        credential(&uri.parse().unwrap(), &headers)
            .map(|shown| (shown.scheme, shown.token.to_owned()))
            .map_err(|refused| refused.code())
    }

    fn ask(values: &[&str]) -> Result<(Scheme, String), ProblemCode> {
        ask_at("/api/v1/flows?query=x", values)
    }

    #[test]
    fn one_token_is_taken_in_any_case_of_its_scheme() {
        assert_eq!(ask(&["Bearer abc.DEF-1_~+/="]), Ok((Scheme::Bearer, "abc.DEF-1_~+/=".into())));
        assert_eq!(ask(&["bEARER x"]), Ok((Scheme::Bearer, "x".into())));
        assert_eq!(ask(&["dpop x"]), Ok((Scheme::Dpop, "x".into())));
    }

    #[test]
    fn nothing_and_nonsense_are_told_apart() {
        assert_eq!(ask(&[]), Err(ProblemCode::TokenMissing));
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN + 1));
        for wrong in ["Bearer ", "Bearer  x", "Bearer a b", "Basic abc", "Bearer é", &long] {
            assert_eq!(ask(&[wrong]), Err(ProblemCode::TokenMalformed), "{wrong}");
        }
        for wrong in ["Bearer", "x", ""] {
            assert_eq!(ask(&[wrong]), Err(ProblemCode::AuthorizationInvalid), "{wrong}");
        }
    }

    #[test]
    fn s4_two_credentials_are_a_mistake() {
        assert_eq!(ask(&["Bearer a", "Bearer b"]), Err(ProblemCode::AuthorizationInvalid));
        assert_eq!(ask(&["Bearer a", "DPoP a"]), Err(ProblemCode::AuthorizationInvalid));
        for uri in ["/x?access_token=a", "/x?q=1&access_token", "/x?%61ccess_token=a", "/x?access%5ftoken=a"] {
            assert_eq!(ask_at(uri, &["Bearer a"]), Err(ProblemCode::AuthorizationInvalid), "{uri}");
        }
        assert!(ask_at("/x?access_tokens=a&x=access_token&%zz", &["Bearer a"]).is_ok());
    }

    #[test]
    fn s3_a_token_in_the_url_is_no_token() {
        assert_eq!(ask_at("/x?access_token=a", &[]), Err(ProblemCode::TokenMissing));
    }
}
