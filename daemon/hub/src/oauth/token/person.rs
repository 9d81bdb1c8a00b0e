//! What the grants of people have in common: a grant to begin, a token to sign, an answer. Who gets what is decided by
//! the store, in the transaction that records it; see [`crate::store::issue`].

use super::issue::token_type;
use super::{AccessToken, Issued, TokenRequest, TokenResponse};
use crate::clock::SECOND;
use crate::oauth::error::OAuthError;
use crate::oauth::scope::Scopes;
use crate::random;
use crate::store::issue::{Issue, Signed, Start};
use crate::store::refresh::PREFIX;

/// How often a decision may change while the keeper signs, before the client is asked to come again.
pub(super) const TRIES: usize = 4;

/// A grant to begin, and its first refresh token.
pub(super) fn start(request: &TokenRequest) -> Result<(Start, String), OAuthError> {
    let refresh = random::secret(PREFIX)?;
    let start = Start {
        grant: random::id("grt_")?,
        refresh: random::hash(refresh.as_bytes()),
        chain_key: random::bytes()?,
        thumbprint: request.thumbprint.clone(),
        idle_us: idle_us(request),
    };
    Ok((start, refresh))
}

/// How long a grant stands without use.
pub(super) fn idle_us(request: &TokenRequest) -> i64 {
    i64::from(request.app.hub().refresh_idle_days) * 24 * 3600 * SECOND
}

/// A token that says this, not yet to be given out.
pub(super) async fn sign(request: &TokenRequest, issue: Issue) -> Result<(Signed, String), OAuthError> {
    let issued = Issued::now(&request.app)?;
    let scope = issue.scope.to_string();
    let token = AccessToken {
        client: &request.client,
        subject: &issue.account,
        audience: &issue.audience,
        scope: &scope,
        session: Some(&issue.grant),
        role: issue.role.map(|role| role.as_str()),
        name: Some(&issue.name),
        thumbprint: request.thumbprint.as_deref(),
    };
    let text = issued.sign(&request.app, &token).await?;
    Ok((Signed { issue, issued }, text))
}

/// The answer, once the token is recorded.
pub(super) fn answer(
    request: &TokenRequest,
    (signed, access_token): (Signed, String),
    refresh_token: String,
) -> TokenResponse {
    TokenResponse {
        access_token,
        token_type: token_type(request.thumbprint.as_deref()),
        expires_in: signed.issued.lifetime,
        refresh_token: signed.issue.refresh.then_some(refresh_token),
        scope: signed.issue.scope.to_string(),
    }
}

/// What can be asked for by these names.
pub(super) fn scope(text: Option<&str>) -> Result<Option<Scopes>, OAuthError> {
    let wrong = |error: crate::oauth::scope::NotScopes| {
        OAuthError::new(crate::oauth::error::ErrorCode::InvalidScope, error.to_string())
    };
    text.map(Scopes::parse).transpose().map_err(wrong)
}

/// The decision changed again and again while the keeper signed.
pub(super) fn unsettled() -> OAuthError {
    OAuthError::unavailable("what is granted changed while it was signed; try again")
}
