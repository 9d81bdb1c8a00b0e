//! What an authorization server answers, read with care: members that nobody here knows are ignored (RFC 6749, 5.1; RFC
//! 8414, 2), those that are needed are bounded. What carries a token has no `Debug` and is wiped.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::{IdentityError, OAuthError};

/// Seconds between two polls where the server names none (RFC 8628, 3.2).
const DEFAULT_INTERVAL: u32 = 5;
/// The longest pause that a server may ask for.
const MAX_INTERVAL: u32 = 300;
/// The longest text of an error.
const MAX_ERROR: usize = 300;

/// How a token is used (RFC 6749, 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    Dpop,
}

impl TokenType {
    /// The scheme for `Authorization`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// A token answer (RFC 6749, 5.1).
pub(crate) struct Tokens {
    /// `access_token`
    pub(crate) access_token: Zeroizing<String>,
    /// `token_type`; one that is unknown was refused (RFC 6749, 7.1).
    pub(crate) token_type: TokenType,
    /// `expires_in`, if the server says it.
    pub(crate) expires_in: Option<u32>,
    /// `refresh_token`; none: the one that was used goes on to hold (RFC 6749, 6).
    pub(crate) refresh_token: Option<Zeroizing<String>>,
    /// `DPoP-Nonce` of the answer: the one for the next proof (RFC 9449, 8.2).
    pub(crate) nonce: Option<String>,
}

/// A device authorization answer (RFC 8628, 3.2).
pub(crate) struct DeviceAuthorization {
    /// `device_code`
    pub(crate) device_code: Zeroizing<String>,
    /// `user_code`
    pub(crate) user_code: String,
    /// `verification_uri`
    pub(crate) verification_uri: String,
    /// `verification_uri_complete`
    pub(crate) verification_uri_complete: Option<String>,
    /// `expires_in`, seconds.
    pub(crate) expires_in: u32,
    /// `interval`, seconds; 5 where the server names none.
    pub(crate) interval: u32,
}

/// An introspection answer (RFC 7662, 2.2). Without `active` there is none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Introspection {
    /// `active`
    pub(crate) active: bool,
    /// `scope`
    pub(crate) scope: Option<String>,
    /// `client_id`
    pub(crate) client_id: Option<String>,
    /// `username`
    pub(crate) username: Option<String>,
    /// `token_type`
    pub(crate) token_type: Option<String>,
    /// `exp`, seconds since 1970-01-01 UTC.
    pub(crate) exp: Option<u64>,
    /// `sub`
    pub(crate) sub: Option<String>,
    /// `aud`
    pub(crate) aud: Option<Audience>,
    /// `iss`
    pub(crate) iss: Option<String>,
    /// `sid`
    pub(crate) sid: Option<String>,
    /// `cnf` (RFC 9449, 6.2).
    pub(crate) cnf: Option<Confirmation>,
}

/// `aud`: one or many (RFC 7519, 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    /// One.
    One(String),
    /// Many.
    Many(Vec<String>),
}

impl Audience {
    /// Is this one of them?
    pub(crate) fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => many.iter().any(|one| one == audience),
        }
    }
}

/// `cnf` (RFC 7800).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Confirmation {
    /// `jkt` (RFC 9449, 6.1).
    pub(crate) jkt: Option<String>,
}

#[derive(Deserialize)]
struct RawTokens {
    access_token: String,
    token_type: String,
    expires_in: Option<Number>,
    refresh_token: Option<String>,
}

#[derive(Deserialize)]
struct RawDevice {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: Number,
    interval: Option<Number>,
}

/// A number of seconds; some servers send it as text or with a fraction.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Real(f64),
    Text(String),
}

impl Number {
    fn seconds(&self) -> Option<u32> {
        match self {
            Self::Whole(whole) => Some(u32::try_from(*whole).unwrap_or(u32::MAX)),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates for floats")]
            Self::Real(real) => (*real >= 0.0).then_some(*real as u32),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}

/// Reads a token answer.
///
/// # Errors
/// [`IdentityError::Misbehaved`] for what is none, or has a token type that is unknown (RFC 6749, 7.1).
pub(crate) fn tokens(body: &[u8], nonce: Option<String>) -> Result<Tokens, IdentityError> {
    let raw: RawTokens = json(body, "a token answer")?;
    // Compared without case (RFC 6749, 5.1).
    let token_type = match () {
        () if raw.token_type.eq_ignore_ascii_case("bearer") => TokenType::Bearer,
        () if raw.token_type.eq_ignore_ascii_case("dpop") => TokenType::Dpop,
        () => {
            return Err(IdentityError::Misbehaved(format!(
                "its token is of the type `{}`, of which nothing is known here",
                printable(&raw.token_type)
            )));
        }
    };
    if !is_token(&raw.access_token) || raw.refresh_token.as_deref().is_some_and(|token| !is_token(token)) {
        return Err(IdentityError::Misbehaved("its token is no text that can stand in a header".into()));
    }
    Ok(Tokens {
        access_token: Zeroizing::new(raw.access_token),
        token_type,
        expires_in: raw.expires_in.as_ref().and_then(Number::seconds),
        refresh_token: raw.refresh_token.map(Zeroizing::new),
        nonce,
    })
}

/// Reads a device authorization answer.
///
/// # Errors
/// [`IdentityError::Misbehaved`] for what is none.
pub(crate) fn device(body: &[u8]) -> Result<DeviceAuthorization, IdentityError> {
    let raw: RawDevice = json(body, "a device authorization answer")?;
    let is_page = |text: &str| {
        text.len() <= 2048
            && (text.starts_with("https://") || text.starts_with("http://"))
            && text.bytes().all(|b| b.is_ascii_graphic())
    };
    if !is_page(&raw.verification_uri)
        || raw.device_code.is_empty()
        || raw.user_code.is_empty()
        || raw.user_code.len() > 128
        || raw.user_code.chars().any(char::is_control)
    {
        return Err(IdentityError::Misbehaved(
            "its device authorization answer has members that cannot be shown".into(),
        ));
    }
    let expires_in = raw.expires_in.seconds().filter(|seconds| *seconds > 0);
    let interval = raw.interval.as_ref().and_then(Number::seconds).unwrap_or(DEFAULT_INTERVAL);
    Ok(DeviceAuthorization {
        device_code: Zeroizing::new(raw.device_code),
        user_code: raw.user_code,
        verification_uri: raw.verification_uri,
        verification_uri_complete: raw.verification_uri_complete.filter(|uri| is_page(uri)),
        expires_in: expires_in
            .ok_or_else(|| IdentityError::Misbehaved("its device code has no life (`expires_in`)".into()))?,
        interval: interval.clamp(1, MAX_INTERVAL),
    })
}

/// Reads an introspection answer.
///
/// # Errors
/// [`IdentityError::Misbehaved`] for what is none.
pub(crate) fn introspection(body: &[u8]) -> Result<Introspection, IdentityError> {
    json(body, "an introspection answer")
}

/// Reads an error. A body that is none gives one without a code: the status alone counts then.
pub(crate) fn refusal(status: u16, body: &[u8], nonce: Option<String>) -> OAuthError {
    #[derive(Default, Deserialize)]
    struct Raw {
        #[serde(default)]
        error: String,
        #[serde(default)]
        error_description: String,
    }
    let raw: Raw = serde_json::from_slice(body).unwrap_or_default();
    OAuthError { status, error: printable(&raw.error), description: printable(&raw.error_description), nonce }
}

pub(super) fn json<'a, T: Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T, IdentityError> {
    // The parser's own words could quote a token.
    serde_json::from_slice(body).map_err(|error| {
        IdentityError::Misbehaved(format!(
            "{what} was expected, what came is none (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

/// A token as it may stand in a header or a form (RFC 6749, A.12 and A.17).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
}

/// Printable ASCII of bounded length, whatever a server sent (RFC 6749, 5.2).
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(MAX_ERROR).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T>(result: Result<T, IdentityError>) -> String {
        result.err().map(|error| error.to_string()).expect("it is refused")
    }

    #[test]
    fn k11_unknown_members_are_ignored_and_the_token_type_is_compared_without_case() {
        for (given, meant) in [("bearer", TokenType::Bearer), ("BEARER", TokenType::Bearer), ("dPoP", TokenType::Dpop)]
        {
            let body = format!(r#"{{"access_token":"a","token_type":"{given}","x":[{{}}],"expires_in":"600"}}"#);
            let tokens = tokens(body.as_bytes(), None).ok().unwrap();
            assert_eq!((tokens.token_type, tokens.expires_in), (meant, Some(600)));
        }
    }

    #[test]
    fn k12_a_token_of_an_unknown_type_is_refused() {
        let text = refused(tokens(br#"{"access_token":"secret","token_type":"mac"}"#, None));
        assert!(text.contains("`mac`") && !text.contains("secret"), "{text}");
        assert!(tokens(br#"{"access_token":"a"}"#, None).is_err());
        assert!(tokens(b"{\"access_token\":\"a\\nb\",\"token_type\":\"Bearer\"}", None).is_err());
    }

    #[test]
    fn d3_no_interval_means_five_seconds() {
        let body = |more: &str| {
            format!(r#"{{"device_code":"d","user_code":"U","verification_uri":"https://h/d","expires_in":600{more}}}"#)
        };
        assert_eq!(device(body("").as_bytes()).ok().unwrap().interval, 5);
        assert_eq!(device(body(r#","interval":9"#).as_bytes()).ok().unwrap().interval, 9);
        assert_eq!(device(body(r#","interval":99999"#).as_bytes()).ok().unwrap().interval, MAX_INTERVAL);
        assert!(
            device(br#"{"device_code":"d","user_code":"U","verification_uri":"javascript:x","expires_in":1}"#).is_err()
        );
    }

    #[test]
    fn no_error_quotes_a_token() {
        let text = refused(tokens(br#"{"access_token":"secret","token_type":"Bearer""#, None));
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn what_a_server_says_is_cut_and_printable() {
        let long = "x".repeat(5000);
        let body = format!(r#"{{"error":"a\u001b[2Jb","error_description":"{long}"}}"#);
        let refusal = refusal(400, body.as_bytes(), None);
        assert_eq!((refusal.error.as_str(), refusal.description.len()), ("a[2Jb", MAX_ERROR));
        assert_eq!(super::refusal(502, b"<html>", None).error, "");
    }

    #[test]
    fn whatever_becomes_of_an_answer_nothing_unfit_is_taken_from_it() {
        let sample = br#"{"access_token":"a","token_type":"Bearer","expires_in":6e2,"refresh_token":"r","device_code":"d","user_code":"U","verification_uri":"https://h/d","active":true,"aud":["a"],"error":"e"}"#;
        for place in 0..sample.len() {
            for byte in 0..=u8::MAX {
                let mut body = sample.to_vec();
                body[place] = byte;
                if let Ok(tokens) = tokens(&body, None) {
                    assert!(tokens.access_token.bytes().all(|b| (0x20..=0x7e).contains(&b)));
                }
                if let Ok(device) = device(&body) {
                    assert!(device.verification_uri.starts_with("http") && device.expires_in > 0);
                    assert!(!device.user_code.chars().any(char::is_control));
                }
                drop(introspection(&body));
                assert!(refusal(400, &body, None).error.bytes().all(|b| (0x20..=0x7e).contains(&b)));
            }
            assert!(tokens(&sample[..place], None).is_err());
        }
    }

    #[test]
    fn an_introspection_answer_needs_active() {
        assert!(introspection(br#"{"sub":"x"}"#).is_err());
        let answer = introspection(br#"{"active":true,"aud":["a","b"],"new":1}"#).unwrap();
        assert!(answer.aud.unwrap().contains("b"));
    }
}
