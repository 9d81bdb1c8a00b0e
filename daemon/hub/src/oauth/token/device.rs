//! The grant of a device authorization (RFC 8628, 3.4 and 3.5), asked for again and again until somebody decides.

use super::{TokenRequest, TokenResponse, person};
use crate::clock;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::random;
use crate::store::device_poll::{self, Poll, Polled};

/// Answers one poll.
pub(super) async fn grant(request: TokenRequest) -> Result<TokenResponse, OAuthError> {
    let code = request.form.require("device_code")?;
    let (start, refresh_token) = person::start(&request)?;
    let poll = Poll {
        hash: random::hash(code.as_bytes()),
        client: request.client.id.clone(),
        start,
        issuer: request.app.issuer().as_str().to_owned(),
        now_us: clock::now_us(),
    };
    let mut token = None;
    for _ in 0..person::TRIES {
        let signed = token.as_ref().map(|(signed, _)| signed).cloned();
        match device_poll::poll(request.app.store(), poll.clone(), signed).await? {
            Polled::Sign(issue) => token = Some(person::sign(&request, issue).await?),
            Polled::Granted => {
                let token = token.ok_or_else(person::unsettled)?;
                return Ok(person::answer(&request, token, refresh_token));
            }
            Polled::Pending => return wait(ErrorCode::AuthorizationPending, "nobody has decided yet"),
            Polled::SlowDown => return wait(ErrorCode::SlowDown, "too early; wait 5 seconds more between two polls"),
            Polled::Denied(why) => return wait(ErrorCode::AccessDenied, why),
            Polled::Expired => return wait(ErrorCode::ExpiredToken, "the device code has expired; begin again"),
            Polled::Unknown => return Err(OAuthError::grant("the device code is none of this client, or long past")),
            Polled::Replayed => {
                return Err(OAuthError::grant("the device code was used before; what it gave has been revoked"));
            }
        }
    }
    Err(person::unsettled())
}

fn wait(code: ErrorCode, why: &'static str) -> Result<TokenResponse, OAuthError> {
    Err(OAuthError::new(code, why))
}
