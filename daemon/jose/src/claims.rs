//! Claims that several kinds of tokens have (RFC 7519, 4.1): their shapes and how time is judged.

use serde::{Deserialize, Deserializer};

use crate::TokenError;

/// The longest text in a claim that is kept, in bytes.
pub(crate) const MAX_TEXT: usize = 2048;
/// The most audiences of a token.
const MAX_AUDIENCES: usize = 32;

/// `aud`: one or several.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    pub(crate) fn into_vec(self) -> Result<Vec<String>, TokenError> {
        let all = match self {
            Self::One(one) => vec![one],
            Self::Several(several) => several,
        };
        match all.len() > MAX_AUDIENCES {
            true => Err(TokenError::Malformed("it has too many audiences")),
            false => Ok(all),
        }
    }
}

/// `NumericDate`: seconds, perhaps with a fraction, which is dropped.
pub(crate) fn date<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(input)? else { return Ok(None) };
    let whole = number.as_u64().or_else(|| {
        let seconds = number.as_f64().filter(|seconds| (0.0..1e15).contains(seconds))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the bounds just checked")]
        Some(seconds as u64)
    });
    whole.map(Some).ok_or_else(|| serde::de::Error::custom("no date"))
}

/// A text that is not empty and not overlong.
pub(crate) fn text(value: Option<String>, name: &'static str) -> Result<String, TokenError> {
    let value = value.filter(|value| !value.is_empty()).ok_or(TokenError::Missing(name))?;
    match value.len() > MAX_TEXT {
        true => Err(TokenError::Malformed("a claim is too long")),
        false => Ok(value),
    }
}

/// Is it the time of a token with this end and these beginnings?
pub(crate) fn judge_time(expires: u64, beginnings: [Option<u64>; 2], now: u64, leeway: u64) -> Result<(), TokenError> {
    if let Some(by) =
        beginnings.into_iter().flatten().max().and_then(|at| at.checked_sub(now)).filter(|by| *by > leeway)
    {
        return Err(TokenError::NotYetValid { by });
    }
    // At the second of `exp` it must not be accepted any more (RFC 7519, 4.1.4).
    match now.checked_sub(expires) {
        Some(by) if by >= leeway => Err(TokenError::Expired { by }),
        _ => Ok(()),
    }
}
