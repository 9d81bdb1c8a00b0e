//! What the instance does in its own name: its access token (RFC 6749, 4.4), and what a hub of ours serves for instances:
//! a report that it lives, and the end of a session.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::Method;
use merlon_sandbox::secret::SecretBuf;
use merlon_wire::identity::Credential;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Identity;
use super::answers;
use super::error::IdentityError;
use super::http::{Answer, Call};
use super::ladder::CLIENT_CREDENTIALS;
use super::registration::{JSON, Remembered, bearer};
use super::requests::refused;
use super::setup::unpoisoned;
use super::url::Endpoint;

/// The life of a token of which the server does not say it.
const DEFAULT_LIFE: u32 = 300;

impl Identity {
    /// Ends a session at a hub of ours, by the `sid` of its tokens.
    ///
    /// # Errors
    /// [`IdentityError`]; [`IdentityError::Unavailable`] at any other server: there the token itself must be revoked.
    pub(crate) async fn end_session_at_hub(&self, sid: &str) -> Result<(), IdentityError> {
        let server = self.server().await?;
        let place = server.instance.as_ref().ok_or_else(|| {
            IdentityError::Unavailable("the authorization server ends no session by its id; revoke it there".into())
        })?;
        if sid.is_empty() || !sid.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
            return Err(IdentityError::Unavailable("the session has no id that the authorization server knows".into()));
        }
        let place = format!("{}/sessions/{sid}", place.as_str());
        let place = Endpoint::parse(&place).map_err(|error| IdentityError::Misbehaved(error.to_string()))?;
        let answer = self.in_own_name(Method::DELETE, &place, None).await?;
        match refused(&answer) {
            // Gone already.
            Some(IdentityError::Refused(error)) if error.status == 404 => Ok(()),
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Tells a hub of ours that the instance lives, and which version it is. True: somebody wants it to have other
    /// credentials, which its registration now gives.
    ///
    /// # Errors
    /// [`IdentityError`]; [`IdentityError::Deleted`] among them.
    pub(super) async fn report(&self, place: &Endpoint) -> Result<bool, IdentityError> {
        #[derive(Deserialize)]
        struct Known {
            #[serde(default)]
            rotate: bool,
        }
        let body = format!(r#"{{"version":"{}"}}"#, env!("CARGO_PKG_VERSION"));
        let answer = self.in_own_name(Method::PUT, place, Some(&body)).await?;
        match refused(&answer) {
            Some(error) => Err(error),
            None => answers::json::<Known>(&answer.body, "an answer to the report").map(|known| known.rotate),
        }
    }

    /// Gets the instance an access token of its own if it has none, or one that ends soon. How long until the next is due;
    /// none where the server grants none: then it does without.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(super) async fn keep_own_token(&self) -> Result<Option<Duration>, IdentityError> {
        let Some(client) = self.snapshot().client.clone() else { return Ok(None) };
        if !Remembered::of(&client).has_grant(CLIENT_CREDENTIALS)
            || !self.server().await?.offers_grant(CLIENT_CREDENTIALS)
        {
            return Ok(None);
        }
        let due = *unpoisoned(&self.0.own_token_due);
        if let Some(due) = due.and_then(|due| due.checked_duration_since(Instant::now())) {
            return Ok(Some(due));
        }
        match self.renew_own_token().await {
            Ok(next) => Ok(Some(next)),
            // It was in the registration, or the server did not say, and is not granted after all.
            Err(IdentityError::Refused(error))
                if matches!(
                    error.error.as_str(),
                    "unauthorized_client" | "unsupported_grant_type" | "invalid_scope"
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn renew_own_token(&self) -> Result<Duration, IdentityError> {
        let server = self.server().await?;
        let mut params = vec![("grant_type", CLIENT_CREDENTIALS)];
        if server.is_hub() {
            params.push(("scope", "instance"));
        }
        let tokens = self.token_request(&params, None).await?;
        let life = Duration::from_secs(tokens.expires_in.unwrap_or(DEFAULT_LIFE).max(1).into());
        let expires = SystemTime::now() + life;
        let expires_us = expires.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let keeper = self.0.links.keeper().await?;
        keeper
            .store_access_token(tokens.access_token.as_bytes(), i64::try_from(expires_us).unwrap_or(i64::MAX))
            .await?;
        let next = life * 4 / 5;
        *unpoisoned(&self.0.own_token_due) = Some(Instant::now() + next);
        Ok(next)
    }

    /// The next request in the instance's own name gets a new token.
    pub(super) fn forget_own_token(&self) {
        *unpoisoned(&self.0.own_token_due) = None;
    }

    /// A request with the instance's own token. One that the server does not take any more is replaced once: that says
    /// whether the instance itself is known.
    async fn in_own_name(&self, method: Method, place: &Endpoint, body: Option<&str>) -> Result<Answer, IdentityError> {
        let answer = self.with_own_token(method.clone(), place, body).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        self.renew_own_token().await?;
        self.with_own_token(method, place, body).await
    }

    async fn with_own_token(
        &self,
        method: Method,
        place: &Endpoint,
        body: Option<&str>,
    ) -> Result<Answer, IdentityError> {
        // What the server said of the client counts, too, before its token does.
        self.client()?;
        let token = match self.own_token().await? {
            Some(token) => token,
            None => {
                self.renew_own_token().await?;
                self.own_token().await?.ok_or_else(|| IdentityError::Unavailable("the instance has no token".into()))?
            }
        };
        let body = body.map(|body| (JSON, Zeroizing::new(body.as_bytes().to_vec())));
        let authorization = Some(bearer(&token));
        self.0.http.send(Call { method, endpoint: place, authorization, proof: None, body }).await
    }

    async fn own_token(&self) -> Result<Option<SecretBuf>, IdentityError> {
        Ok(self.0.links.keeper().await?.credential(Credential::AccessToken).await?)
    }
}
