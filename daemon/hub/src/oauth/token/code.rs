//! The grant of an authorization code (RFC 6749, 4.1.3) with its verifier (RFC 7636, 4.5).

use super::{TokenRequest, TokenResponse, person};
use crate::clock;
use crate::oauth::error::OAuthError;
use crate::random;
use crate::store::codes::{self, Redeem, Redeemed};

/// Redeems a code, or says why not.
pub(super) async fn grant(request: TokenRequest) -> Result<TokenResponse, OAuthError> {
    let code = request.form.require("code")?;
    let (start, refresh_token) = person::start(&request)?;
    let redeem = Redeem {
        hash: random::hash(code.as_bytes()),
        client: request.client.id.clone(),
        redirect_uri: request.form.require("redirect_uri")?.to_owned(),
        verifier: request.form.require("code_verifier")?.to_owned(),
        start,
        label: request.client.metadata.client_name.clone().unwrap_or_default(),
        issuer: request.app.issuer().as_str().to_owned(),
        now_us: clock::now_us(),
    };
    let mut token = None;
    for _ in 0..person::TRIES {
        let signed = token.as_ref().map(|(signed, _)| signed).cloned();
        match codes::redeem(request.app.store(), redeem.clone(), signed).await? {
            Redeemed::Sign(issue) => token = Some(person::sign(&request, issue).await?),
            Redeemed::Granted => {
                let token = token.ok_or_else(person::unsettled)?;
                return Ok(person::answer(&request, token, refresh_token));
            }
            Redeemed::Unknown => {
                let text = "the code is none of this client, has expired, or was for another redirect_uri";
                return Err(OAuthError::grant(text));
            }
            Redeemed::Verifier => return Err(OAuthError::grant("code_verifier is not that of the code_challenge")),
            Redeemed::OtherKey => {
                return Err(OAuthError::grant("the code is bound to a key; send a DPoP proof by that key"));
            }
            Redeemed::Replayed => {
                return Err(OAuthError::grant("the code was used before; what it gave has been revoked"));
            }
        }
    }
    Err(person::unsettled())
}
