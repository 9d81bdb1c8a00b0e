//! Codes that make an account (setup code, invitations): 140 random bits in letters and digits that can be read out.

use data_encoding::BASE32_NOPAD;

use crate::random::{self, Hash, NoRandomness};

/// Characters between two hyphens.
const GROUP: usize = 4;
/// Random bytes; beyond them the text is cut to whole groups.
const LENGTH: usize = 28;

/// A code, as it is shown: `ABCD-EF23-…`.
///
/// # Errors
/// If the system gives no random numbers.
pub(crate) fn random() -> Result<String, NoRandomness> {
    let text = BASE32_NOPAD.encode(&random::bytes::<18>()?);
    let groups: Vec<&str> = (0..LENGTH / GROUP).map(|n| &text[n * GROUP..(n + 1) * GROUP]).collect();
    Ok(groups.join("-"))
}

/// What is kept of a code, and what a typed one is compared by: case, spaces and hyphens do not count.
pub(crate) fn hash(typed: &str) -> Hash {
    let plain: String = typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    random::hash(plain.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_seven_groups_and_is_typed_in_any_manner() {
        let code = random().unwrap();
        assert_eq!(code.len(), 34);
        assert!(code.split('-').all(|group| group.len() == 4));
        assert_ne!(random().unwrap(), code);
        assert_eq!(hash(&code), hash(&format!(" {} ", code.to_lowercase().replace('-', " "))));
        assert_ne!(hash(&code), hash(&code[1..]));
    }
}
