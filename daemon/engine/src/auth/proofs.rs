//! Proofs of possession that come with requests (RFC 9449, 7): checked against the request and the token, and taken once.
//!
//! What was taken is remembered in bounded memory. Should there ever be more than fits, the oldest is forgotten together
//! with the time at which it was made, and proofs from then or before are refused: memory is bounded and nothing can be
//! replayed, at the price that slow clients make a new proof.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderMap;
use merlon_api::ProblemCode;
use merlon_jose::proof::{self, PAST, Proof, ProofExpect};

use crate::api::Refused;

/// The most proofs that are remembered; each takes some 48 bytes.
const REMEMBERED: usize = 65_536;

/// The proofs that were taken.
#[derive(Default)]
pub(super) struct Proofs(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// When it was made, and a hash of key and id.
    taken: BTreeSet<(u64, [u8; 32])>,
    /// What was made at this second or before is not taken any more.
    refused_until: u64,
}

/// A request, as its proof must name it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The method.
    pub(crate) method: &'a str,
    /// The URL as the client wrote it.
    pub(crate) url: &'a str,
    /// All header fields.
    pub(crate) headers: &'a HeaderMap,
}

impl Proofs {
    /// Is there one proof that holds for this request and this token, by the key that the token is bound to?
    ///
    /// # Errors
    /// `proof_invalid`.
    pub(super) fn check(&self, asked: &Asked<'_>, token: &str, thumbprint: &str, now: u64) -> Result<(), Refused> {
        let header = one(asked.headers)?.ok_or_else(|| invalid("the token is bound to a key; send a `DPoP` header"))?;
        let expect = ProofExpect { method: asked.method, url: asked.url, now, access_token: Some(token), nonce: None };
        let proof = proof::verify(header, &expect).map_err(|error| invalid(&error.to_string()))?;
        if proof.thumbprint != thumbprint {
            return Err(invalid("the proof was made by another key than the token is bound to"));
        }
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take(&proof, now, REMEMBERED) {
            true => Ok(()),
            false => Err(invalid("the proof was used before; make one for each request")),
        }
    }
}

impl Seen {
    /// Notes it; false if it was taken before, or may have been.
    fn take(&mut self, proof: &Proof, now: u64, most: usize) -> bool {
        while self.taken.first().is_some_and(|(made, _)| made.saturating_add(PAST) < now) {
            self.taken.pop_first();
        }
        if proof.iat <= self.refused_until {
            return false;
        }
        let id = [proof.thumbprint.as_bytes(), b".", proof.jti.as_bytes()].concat();
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &id).as_ref());
        if !self.taken.insert((proof.iat, hash)) {
            return false;
        }
        while self.taken.len() > most {
            if let Some((made, _)) = self.taken.pop_first() {
                self.refused_until = self.refused_until.max(made);
            }
        }
        true
    }
}

/// The value of the one `DPoP` header, if there is one (RFC 9449, 4.3: not more than one).
///
/// # Errors
/// `proof_invalid` for two, and for one that is no text.
pub(crate) fn one(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut values = headers.get_all("dpop").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) if text.len() <= proof::MAX_PROOF => Ok(Some(text)),
            _ => Err(invalid("the `DPoP` header is no proof")),
        },
        (Some(_), Some(_)) => Err(invalid("there is more than one `DPoP` header; send one")),
    }
}

fn invalid(why: &str) -> Refused {
    Refused::new(ProblemCode::ProofInvalid, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(jti: &str, iat: u64) -> Proof {
        Proof { thumbprint: "t".into(), jti: jti.into(), iat, nonce: None }
    }

    #[test]
    fn a_proof_is_taken_once_and_forgotten_when_it_is_too_old_anyway() {
        let mut seen = Seen::default();
        assert!(seen.take(&proof("a", 1000), 1000, 8));
        assert!(!seen.take(&proof("a", 1000), 1000, 8));
        assert!(seen.take(&Proof { thumbprint: "u".into(), ..proof("a", 1000) }, 1000, 8));
        assert!(seen.take(&proof("b", 1400), 1400, 8));
        assert_eq!(seen.taken.len(), 1);
    }

    #[test]
    fn beyond_the_bound_old_proofs_are_refused_rather_than_forgotten() {
        let mut seen = Seen::default();
        for at in 0..20 {
            assert!(seen.take(&proof("x", 1000 + at), 1019, 8));
        }
        assert_eq!(seen.taken.len(), 8);
        for at in 0..20 {
            assert!(!seen.take(&proof("x", 1000 + at), 1019, 8), "{at}");
        }
        assert!(seen.take(&proof("y", 1020), 1020, 8));
    }
}
