//! The `recovery` slot: 256 random bits, printed once, which alone decrypt the instance.
//!
//! Printed in the modhex alphabet (letters that sit in the same place on most keyboards) as eight groups of eight and
//! a ninth group, a checksum that tells a typing error from a wrong key.

use merlon_sandbox::secret::{Secret, SecretBuf};

use super::{Material, Opens, Place};
use crate::crypto::{self, CryptoError};
use crate::slots::slot::{Kind, SlotError};

const ALPHABET: &[u8; 16] = b"cbdefghijklnrtuv";
const GROUP: usize = 8;
const KEY_LETTERS: usize = 64;
const CHECK_BYTES: usize = 4;
const LETTERS: usize = KEY_LETTERS + 2 * CHECK_BYTES;
const PRINTED: usize = LETTERS + LETTERS / GROUP - 1;
const CHECK_LABEL: &[u8] = b"merlon v1 recovery check";

/// Parameters: none. Whether the key was typed back is kept beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecoverySlot {
    /// The key was typed back.
    pub(crate) confirmed: bool,
}

impl Opens for RecoverySlot {
    fn kind(&self) -> Kind {
        Kind::Recovery
    }

    fn material(&self, _: Place<'_>, from: Material<'_>) -> Result<Secret<32>, SlotError> {
        parse(from.typed)
    }

    fn parameters(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn detail(&self) -> String {
        if self.confirmed { "typed back" } else { "not typed back yet" }.to_owned()
    }
}

/// The key as it is printed.
pub(crate) fn print(key: &Secret<32>) -> Result<SecretBuf, CryptoError> {
    let mut text = SecretBuf::with_capacity(PRINTED)?;
    text.set_len(PRINTED);
    let check = check_of(key);
    let mut bytes = key.expose().iter().chain(&check);
    let mut high = true;
    let mut byte = 0;
    for (at, letter) in text.as_mut_slice().iter_mut().enumerate() {
        if at % (GROUP + 1) == GROUP {
            *letter = b'-';
            continue;
        }
        if high {
            byte = bytes.next().copied().unwrap_or_default();
        }
        *letter = ALPHABET[usize::from(if high { byte >> 4 } else { byte & 15 })];
        high = !high;
    }
    Ok(text)
}

/// The key as it was typed: any case, with or without dashes and blanks.
pub(crate) fn parse(typed: &[u8]) -> Result<Secret<32>, SlotError> {
    let mut key = Secret::<32>::zeroed()?;
    let mut check = [0u8; CHECK_BYTES];
    let mut letters = 0;
    for letter in typed.iter().filter(|letter| !letter.is_ascii_whitespace() && **letter != b'-') {
        let lower = letter.to_ascii_lowercase();
        let value = ALPHABET.iter().position(|known| *known == lower).ok_or(SlotError::Typo)?;
        let value = u8::try_from(value).expect("the alphabet has 16 letters");
        let byte = match letters / 2 {
            at @ 0..32 => &mut key.expose_mut()[at],
            at @ 32..36 => &mut check[at - 32],
            _ => return Err(SlotError::Typo),
        };
        *byte |= if letters % 2 == 0 { value << 4 } else { value };
        letters += 1;
    }
    if letters == LETTERS && crypto::equal(&check, &check_of(&key)) { Ok(key) } else { Err(SlotError::Typo) }
}

fn check_of(key: &Secret<32>) -> [u8; CHECK_BYTES] {
    let mac = crypto::mac(key, CHECK_LABEL);
    [mac[0], mac[1], mac[2], mac[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_key_is_read_in_any_case_with_or_without_dashes() {
        let key = Secret::random().unwrap();
        let text = print(&key).unwrap();
        let text = std::str::from_utf8(text.as_slice()).unwrap();
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [8; 9]);
        for typed in
            [text.to_owned(), text.to_uppercase(), text.replace('-', ""), format!(" {}\n", text.replace('-', " "))]
        {
            assert!(parse(typed.as_bytes()).unwrap().ct_eq(&key), "{}", typed.len());
        }
    }

    #[test]
    fn every_single_typing_error_is_told_from_a_wrong_key() {
        let text = print(&Secret::random().unwrap()).unwrap();
        let text = text.as_slice().to_vec();
        for at in 0..text.len() {
            if text[at] == b'-' {
                continue;
            }
            let mut typed = text.clone();
            typed[at] = if typed[at] == b'c' { b'b' } else { b'c' };
            assert!(matches!(parse(&typed), Err(SlotError::Typo)), "letter {at}");
            typed[at] = b'x';
            assert!(matches!(parse(&typed), Err(SlotError::Typo)), "letter {at}");
            typed.remove(at);
            assert!(matches!(parse(&typed), Err(SlotError::Typo)), "letter {at}");
        }
        for typed in [&b""[..], b"-", &[text.clone(), b"c".to_vec()].concat(), &[0xff; 80]] {
            assert!(matches!(parse(typed), Err(SlotError::Typo)));
        }
    }
}
