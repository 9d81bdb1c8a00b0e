//! Proofs of possession at the hub's endpoints (RFC 9449): one header, for this request, seen once. The token endpoint
//! wants a nonce of the hub's in them, so that none can be made in advance.

use axum::http::{HeaderMap, HeaderName};
use merlon_jose::proof::{self, Proof, ProofExpect};

use super::error::{DPOP_NONCE, ErrorCode, OAuthError};
use crate::app::App;
use crate::clock::{self, SECOND};
use crate::random;
use crate::store::seen;

/// `DPoP`
const HEADER: HeaderName = HeaderName::from_static("dpop");

/// The request has a proof, whatever it is worth.
pub(crate) fn is_there(headers: &HeaderMap) -> bool {
    headers.contains_key(HEADER)
}

/// The thumbprint of the key that a request proves; none if it has no proof. `url` is the endpoint's own.
///
/// # Errors
/// `invalid_dpop_proof`, saying what is wrong with it.
pub(crate) async fn proof(
    app: &App,
    headers: &HeaderMap,
    method: &str,
    url: &str,
) -> Result<Option<String>, OAuthError> {
    match read(headers, method, url)? {
        Some(proof) => once(app, proof).await.map(Some),
        None => Ok(None),
    }
}

/// As [`proof`], with a nonce.
///
/// # Errors
/// `use_dpop_nonce` with the nonce that is wanted, besides.
pub(crate) async fn proof_with_nonce(
    app: &App,
    headers: &HeaderMap,
    method: &str,
    url: &str,
) -> Result<Option<String>, OAuthError> {
    let Some(proof) = read(headers, method, url)? else { return Ok(None) };
    let now_us = clock::now_us();
    if !proof.nonce.as_ref().is_some_and(|nonce| app.nonces().knows(nonce, now_us)) {
        let text = "make the proof again, with the nonce of DPoP-Nonce";
        return Err(OAuthError::new(ErrorCode::UseDpopNonce, text).with(DPOP_NONCE, &app.nonces().current(now_us)));
    }
    once(app, proof).await.map(Some)
}

fn wrong(text: String) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidDpopProof, text)
}

fn read(headers: &HeaderMap, method: &str, url: &str) -> Result<Option<Proof>, OAuthError> {
    let mut fields = headers.get_all(HEADER).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(wrong("there is more than one DPoP field".to_owned()));
    }
    let field = field.to_str().map_err(|_| wrong("the DPoP field is no text".to_owned()))?;
    let now = clock::seconds(clock::now_us());
    let expect = ProofExpect { method, url, now, access_token: None, nonce: None };
    proof::verify(field, &expect).map(Some).map_err(|error| wrong(error.to_string()))
}

async fn once(app: &App, proof: Proof) -> Result<String, OAuthError> {
    let seen_as = random::hash(format!("proof {} {}", proof.thumbprint, proof.jti).as_bytes());
    let until = i64::try_from(proof.remember_until()).unwrap_or(i64::MAX / SECOND).saturating_mul(SECOND);
    if !seen::first_time(app.store(), seen_as, until).await? {
        return Err(wrong("this proof was used before; make one for each request".to_owned()));
    }
    Ok(proof.thumbprint)
}
