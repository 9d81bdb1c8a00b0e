//! Client credentials (RFC 6749, 4.4): a client for itself, at the hub's own API. Never a refresh token.

use super::issue::{AccessToken, Issued, token_type};
use super::{TokenRequest, TokenResponse};
use crate::clients::{AuthMethod, Client, Kind};
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::scope::Scopes;
use crate::store::grants::{self, ClientGrant};

/// Grants, or says why not.
pub(super) async fn grant(request: TokenRequest) -> Result<TokenResponse, OAuthError> {
    let TokenRequest { app, client, form, thumbprint, .. } = request;
    if client.auth == AuthMethod::None {
        let text = "this grant is for clients that authenticate";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, text));
    }
    let audience = app.issuer().as_str();
    if form.get("resource").is_some_and(|resource| resource != audience) {
        let text = "a token of this grant is for the hub itself; leave resource out";
        return Err(OAuthError::new(ErrorCode::InvalidTarget, text));
    }
    let scope = scope(&client, form.get("scope"))?;
    let issued = Issued::now(&app)?;
    let token = AccessToken {
        client: &client,
        subject: &client.id,
        audience,
        scope: &scope,
        session: None,
        role: None,
        name: None,
        thumbprint: thumbprint.as_deref(),
    };
    let grant = ClientGrant {
        client: client.id.clone(),
        scope: scope.clone(),
        audience: audience.to_owned(),
        thumbprint: thumbprint.clone(),
    };
    // The one takes the keeper's time, the other the disk's. A token that is not recorded goes to nobody.
    let (signed, recorded) =
        tokio::join!(issued.sign(&app, &token), grants::for_client(app.store(), grant, issued.clone()));
    if !recorded? {
        return Err(OAuthError::client(false));
    }
    Ok(TokenResponse {
        access_token: signed?,
        token_type: token_type(thumbprint.as_deref()),
        expires_in: issued.lifetime,
        refresh_token: None,
        scope,
    })
}

/// What is granted of what is asked; all that the client may have if it asks for nothing. What is only for people (a
/// refresh token, the dashboard) is in neither.
fn scope(client: &Client, asked: Option<&str>) -> Result<String, OAuthError> {
    let may = match client.kind {
        Kind::Instance => Scopes::INSTANCE,
        Kind::Other | Kind::Dashboard => Scopes::stored(&client.metadata.scope).and(Scopes::API),
    };
    let invalid = |text| OAuthError::new(ErrorCode::InvalidScope, text);
    let Some(asked) = asked else { return Ok(may.to_string()) };
    let asked = Scopes::parse(asked).map_err(|_| invalid("this is no list of scopes"))?;
    let granted = may.and(asked);
    if granted.is_empty() { Err(invalid("the client may have none of these scopes")) } else { Ok(granted.to_string()) }
}
