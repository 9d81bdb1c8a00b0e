//! Proof key for code exchange (RFC 7636), S256 alone: `plain` would hand the proof to whoever sees the request. Pure.

use aws_lc_rs::{constant_time, digest};
use data_encoding::BASE64URL_NOPAD;

/// A code challenge: the SHA-256 of a verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge(String);

impl Challenge {
    /// Reads a challenge, 43 characters of base64url.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let decoded = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        (decoded.len() == digest::SHA256_OUTPUT_LEN).then(|| Self(text.to_owned()))
    }

    /// As it is stored.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Is `verifier` what the stored `challenge` was made of? Its form (43 to 128 unreserved characters) is checked, too.
pub(crate) fn verify(challenge: &str, verifier: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
        return false;
    }
    let digest = digest::digest(&digest::SHA256, verifier.as_bytes());
    let made = BASE64URL_NOPAD.encode(digest.as_ref());
    constant_time::verify_slices_are_equal(made.as_bytes(), challenge.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_rfc_holds_and_nothing_else_does() {
        let challenge = Challenge::parse(CHALLENGE).unwrap();
        assert!(verify(challenge.as_str(), VERIFIER));
        assert!(!verify(challenge.as_str(), CHALLENGE), "plain");
        assert!(!verify(challenge.as_str(), &VERIFIER[..42]));
        assert!(!verify(challenge.as_str(), &format!("{VERIFIER}!")));
        assert!(!verify(challenge.as_str(), ""));
    }

    #[test]
    fn a_challenge_is_a_digest() {
        for text in ["", &CHALLENGE[..42], &format!("{CHALLENGE}="), &format!("{}+", &CHALLENGE[..42]), VERIFIER] {
            let fits = text == VERIFIER; // it has the form of one, too
            assert_eq!(Challenge::parse(text).is_some(), fits, "{text}");
        }
    }
}
