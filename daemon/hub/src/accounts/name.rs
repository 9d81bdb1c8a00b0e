//! Names of accounts: few characters of ASCII, so that no two of them look alike. Pure.

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account name has 2 to 32 of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit")]
pub(crate) struct NotAName;

/// A name as it is stored: lower case.
///
/// # Errors
/// [`NotAName`].
pub(crate) fn parse(text: &str) -> Result<String, NotAName> {
    let name = text.trim().to_ascii_lowercase();
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = (2..=32).contains(&name.len())
        && name.bytes().all(|c| plain(c) || matches!(c, b'.' | b'_' | b'-'))
        && name.bytes().next().is_some_and(plain);
    if fits { Ok(name) } else { Err(NotAName) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_plain_and_lower_case() {
        assert_eq!(parse(" Alice.B-2 ").unwrap(), "alice.b-2");
        for bad in ["", "a", "-a", ".ab", "a b", "älice", "a\u{202e}b", "admin\0", &"a".repeat(33)] {
            assert_eq!(parse(bad), Err(NotAName), "{bad:?}");
        }
    }
}
