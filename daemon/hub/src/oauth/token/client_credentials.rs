//! Client credentials (RFC 6749, 4.4): a client for itself, at the hub's own API. Never a refresh token.

use super::issue::{AccessToken, Issued, token_type};
use super::{TokenRequest, TokenResponse};
use crate::clients::{AuthMethod, Client, Kind};
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::store::grants::{self, ClientGrant};

/// What an instance may do for itself.
const INSTANCE: &str = "instance";

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

/// What is granted of what is asked; all that the client may have if it asks for nothing.
fn scope(client: &Client, asked: Option<&str>) -> Result<String, OAuthError> {
    let registered = if client.kind == Kind::Instance { INSTANCE } else { client.metadata.scope.as_str() };
    let of_people = ["offline_access", "hub"];
    let mut granted: Vec<&str> = Vec::new();
    for one in registered.split(' ').filter(|one| !one.is_empty() && !of_people.contains(one)) {
        if asked.is_none_or(|asked| asked.split(' ').any(|wanted| wanted == one)) {
            granted.push(one);
        }
    }
    if granted.is_empty() && asked.is_some() {
        return Err(OAuthError::new(ErrorCode::InvalidScope, "the client may have none of these scopes"));
    }
    Ok(granted.join(" "))
}
