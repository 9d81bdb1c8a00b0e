//! Nonces for proofs of possession (RFC 9449, 8): the hub keeps none. Each is a span of time under a MAC whose key lives as
//! long as the process; it is taken in its own span and in the next.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use data_encoding::BASE64URL_NOPAD;
use merlon_sandbox::secret::ct_eq;

use crate::clock::SECOND;
use crate::random::{self, NoRandomness};

/// A span of time.
const SPAN: i64 = 150 * SECOND;

/// Makes nonces and knows them again.
pub(crate) struct Nonces(Key);

impl Nonces {
    /// With a key of its own.
    ///
    /// # Errors
    /// [`NoRandomness`]
    pub(crate) fn new() -> Result<Self, NoRandomness> {
        Ok(Self(Key::new(HMAC_SHA256, &random::bytes::<32>()?)))
    }

    /// The nonce of this time.
    pub(crate) fn current(&self, now_us: i64) -> String {
        self.of(now_us / SPAN)
    }

    /// Was it given out not long ago?
    pub(crate) fn knows(&self, nonce: &str, now_us: i64) -> bool {
        let span = now_us / SPAN;
        [span, span - 1].into_iter().any(|span| ct_eq(self.of(span).as_bytes(), nonce.as_bytes()))
    }

    fn of(&self, span: i64) -> String {
        let tag = sign(&self.0, &span.to_be_bytes());
        BASE64URL_NOPAD.encode(&tag.as_ref()[..18])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q5_a_nonce_is_taken_in_its_span_and_the_next_and_only_by_who_made_it() {
        let nonces = Nonces::new().unwrap();
        let nonce = nonces.current(10 * SPAN);
        assert_eq!(nonce.len(), 24);
        for (now_us, known) in [(10 * SPAN, true), (12 * SPAN - 1, true), (12 * SPAN, false), (9 * SPAN, false)] {
            assert_eq!(nonces.knows(&nonce, now_us), known, "{now_us}");
        }
        assert!(!nonces.knows("", 10 * SPAN));
        assert!(!Nonces::new().unwrap().knows(&nonce, 10 * SPAN));
    }
}
