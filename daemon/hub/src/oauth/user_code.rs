//! User codes (RFC 8628, 6.1): eight of twenty consonants, so that no word arises and no letter is taken for another.
//! Pure. How often one may be wrong is decided where codes are typed in.

use aws_lc_rs::rand;

/// What a code is made of.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters of a code: 20^8, some 34 bits.
const LENGTH: usize = 8;
/// The longest text that is looked at.
const MAX_TYPED: usize = 64;

/// A user code, without hyphen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserCode(String);

impl UserCode {
    /// A random one.
    ///
    /// # Errors
    /// If the kernel gives no random numbers.
    pub(crate) fn random() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut code = String::with_capacity(LENGTH);
        while code.len() < LENGTH {
            let mut bytes = [0; 2 * LENGTH];
            rand::fill(&mut bytes)?;
            // 240 is the last multiple of 20: each letter is as likely as any other.
            let letters = bytes.iter().filter(|b| **b < 240).map(|b| char::from(LETTERS[usize::from(b % 20)]));
            code.extend(letters.take(LENGTH - code.len()));
        }
        Ok(Self(code))
    }

    /// What somebody typed: case and everything that is neither letter nor digit do not count.
    pub(crate) fn typed(text: &str) -> Option<Self> {
        if text.len() > MAX_TYPED {
            return None;
        }
        let code: String = text.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_uppercase()).collect();
        (code.len() == LENGTH && code.bytes().all(|b| LETTERS.contains(&b))).then_some(Self(code))
    }

    /// As it is stored and compared.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is shown: `BCDF-GHJK`.
    pub(crate) fn shown(&self) -> String {
        format!("{}-{}", &self.0[..LENGTH / 2], &self.0[LENGTH / 2..])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn random_codes_use_all_letters_and_differ() {
        let codes: HashSet<String> = (0..500).map(|_| UserCode::random().unwrap().0).collect();
        assert_eq!(codes.len(), 500);
        let letters: HashSet<u8> = codes.iter().flat_map(|code| code.bytes()).collect();
        assert_eq!(letters, LETTERS.iter().copied().collect());
        assert!(codes.iter().all(|code| code.len() == LENGTH));
    }

    #[test]
    fn typing_is_forgiven_what_is_no_letter() {
        let code = UserCode::typed("BCDFGHJK").unwrap();
        for text in ["bcdf-ghjk", " BCDF GHJK\n", "b.c.d.f.g.h.j.k", "bCdF–gHjK"] {
            assert_eq!(UserCode::typed(text).as_ref(), Some(&code), "{text:?}");
        }
        assert_eq!(code.shown(), "BCDF-GHJK");
        for text in ["", "BCDFGHJ", "BCDFGHJKL", "BCDFGHJA", "BCDFGHJ1", "BCDFGHJÄ", &"-".repeat(65)] {
            assert_eq!(UserCode::typed(text), None, "{text:?}");
        }
    }
}
