//! The refresh grant (RFC 6749, 6): the next access token and the next refresh token, for one that was not used before.

use super::{TokenRequest, TokenResponse, person};
use crate::clock::{self, SECOND};
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::scope::Scopes;
use crate::store::refresh::{self, Refresh, Refreshed};

/// Refreshes, or says why not.
pub(super) async fn grant(request: TokenRequest) -> Result<TokenResponse, OAuthError> {
    let asked = request.form.get("scope");
    let scope = person::scope(asked)?;
    if asked.is_some_and(|text| !Scopes::knows_all(text)) {
        return Err(wider());
    }
    let ask = Refresh {
        token: request.form.require("refresh_token")?.to_owned(),
        client: request.client.id.clone(),
        scope,
        thumbprint: request.thumbprint.clone(),
        grace_us: i64::from(request.app.hub().refresh_grace_seconds) * SECOND,
        idle_us: person::idle_us(&request),
        now_us: clock::now_us(),
    };
    let mut token = None;
    for _ in 0..person::TRIES {
        let signed = token.as_ref().map(|(signed, _)| signed).cloned();
        match refresh::refresh(request.app.store(), ask.clone(), signed).await? {
            Refreshed::Sign(issue) => token = Some(person::sign(&request, issue).await?),
            Refreshed::Done { next } => {
                let token = token.ok_or_else(person::unsettled)?;
                return Ok(person::answer(&request, token, next));
            }
            Refreshed::Unknown => {
                return Err(OAuthError::grant("the refresh token is none of this client, has expired, or was revoked"));
            }
            Refreshed::Reused => {
                return Err(OAuthError::grant("the refresh token was used before; its whole grant has been revoked"));
            }
            Refreshed::OtherKey => {
                return Err(OAuthError::grant("the grant is bound to a key; send a DPoP proof by that key"));
            }
            Refreshed::Wider => return Err(wider()),
            Refreshed::Denied(why) => return Err(OAuthError::grant(why)),
        }
    }
    Err(person::unsettled())
}

fn wider() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidScope, "more is asked for than was granted")
}
