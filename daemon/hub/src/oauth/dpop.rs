//! Proofs of possession at the hub's endpoints (RFC 9449): one header, for this request, seen once.

use axum::http::{HeaderMap, HeaderName};
use merlon_jose::proof::{self, ProofExpect};

use super::error::{ErrorCode, OAuthError};
use crate::app::App;
use crate::clock::{self, SECOND};
use crate::random;
use crate::store::seen;

/// `DPoP`
const HEADER: HeaderName = HeaderName::from_static("dpop");

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
    let mut fields = headers.get_all(HEADER).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    let wrong = |text: String| OAuthError::new(ErrorCode::InvalidDpopProof, text);
    if fields.next().is_some() {
        return Err(wrong("there is more than one DPoP field".to_owned()));
    }
    let field = field.to_str().map_err(|_| wrong("the DPoP field is no text".to_owned()))?;
    let now = clock::seconds(clock::now_us());
    let expect = ProofExpect { method, url, now, access_token: None, nonce: None };
    let proof = proof::verify(field, &expect).map_err(|error| wrong(error.to_string()))?;
    let seen_as = random::hash(format!("proof {} {}", proof.thumbprint, proof.jti).as_bytes());
    let until = i64::try_from(proof.remember_until()).unwrap_or(i64::MAX / SECOND).saturating_mul(SECOND);
    if !seen::first_time(app.store(), seen_as, until).await? {
        return Err(wrong("this proof was used before; make one for each request".to_owned()));
    }
    Ok(Some(proof.thumbprint))
}
