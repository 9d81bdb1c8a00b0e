//! Urlencoded parameters as OAuth has them (RFC 6749, appendix B), read strictly. Pure.

/// The most parameters.
const MAX_PARAMETERS: usize = 64;

/// Why bytes are no parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// Whichever of two was meant, nobody can say (RFC 6749, 3.2).
    #[error("a parameter is there twice")]
    Twice,
    /// More than any request needs.
    #[error("there are too many parameters")]
    TooMany,
    /// A `%` without two digits behind it, or what is no UTF-8.
    #[error("a parameter is not urlencoded UTF-8")]
    Encoding,
}

/// Names and values, in their order.
///
/// # Errors
/// [`Malformed`].
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let cut = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let name = decode(&pair[..cut])?;
        let value = decode(pair.get(cut + 1..).unwrap_or_default())?;
        if parameters.iter().any(|(before, _)| *before == name) {
            return Err(Malformed::Twice);
        }
        if parameters.len() == MAX_PARAMETERS {
            return Err(Malformed::TooMany);
        }
        parameters.push((name, value));
    }
    Ok(parameters)
}

/// Undoes the encoding of one name or value: `+` and `%XX`.
///
/// # Errors
/// [`Malformed::Encoding`].
pub(crate) fn decode(encoded: &[u8]) -> Result<String, Malformed> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let (digits, after) = rest.split_at_checked(2).ok_or(Malformed::Encoding)?;
                rest = after;
                let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let both = digit(digits[0]).zip(digit(digits[1])).ok_or(Malformed::Encoding)?;
                both.0 << 4 | both.1
            }
            plain => *plain,
        });
    }
    String::from_utf8(bytes).map_err(|_| Malformed::Encoding)
}
