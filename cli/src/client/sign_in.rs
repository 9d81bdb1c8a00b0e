//! The API's calls around signing in: what one may ask before one is anybody, and what sessions there are.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use merlon_api::{
    IdentityInfo, IdentityReset, PollSignIn, Refresh, SessionEnded, Sessions, SignInPending, SignInStarted, SignOut,
    SignedIn, StartSignIn, WhoAmI,
};
use merlon_jose::proof::ProofKey;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::{Ask, Client, MAX_PROBLEM, With, credentials};
use crate::error::CliError;

/// The answer to a poll.
pub(crate) enum Polled {
    /// Nobody has decided; ask again after so many seconds.
    Pending(u32),
    /// Tokens.
    SignedIn(Box<SignedIn>),
}

impl Client {
    pub(crate) async fn identity(&mut self) -> Result<IdentityInfo, CliError> {
        self.json(Ask { with: With::Nothing, ..Ask::get("/api/v1/identity") }).await
    }

    pub(crate) async fn start_sign_in(&mut self, start: &StartSignIn) -> Result<SignInStarted, CliError> {
        self.json(Ask { with: With::Nothing, ..Ask::post("/api/v1/sign-ins", start)? }).await
    }

    /// One poll. With a key and the server's token endpoint, the tokens are bound to the key.
    pub(crate) async fn poll_sign_in(
        &mut self,
        id: &str,
        poll: &PollSignIn,
        bound: Option<(&Arc<ProofKey>, &str)>,
    ) -> Result<Polled, CliError> {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            return Err(self.strange("the name of the sign-in has foreign characters"));
        }
        let with = match bound {
            Some((key, url)) => With::Proof(credentials::Proof { key: Arc::clone(key), url: url.to_owned() }),
            None => With::Nothing,
        };
        let response = self.send(Ask { with, ..Ask::post(format!("/api/v1/sign-ins/{id}/poll"), poll)? }).await?;
        let status = response.status();
        let body = Zeroizing::new(self.streamed(response).collect(MAX_PROBLEM).await?);
        match status {
            StatusCode::ACCEPTED => Ok(Polled::Pending(self.read::<SignInPending>(&body)?.interval)),
            _ => Ok(Polled::SignedIn(Box::new(self.read(&body)?))),
        }
    }

    /// New tokens for a refresh token. A broken connection is no answer: the same question is asked once more, because
    /// its answer may have been lost.
    pub(super) async fn refreshed(&mut self, token: &str, with: With) -> Result<SignedIn, CliError> {
        let refresh = Refresh { refresh_token: token.to_owned() };
        let ask = |with| Ask::post("/api/v1/sign-ins/refresh", &refresh).map(|ask| Ask { with, ..ask });
        let again = match &with {
            With::Proof(proof) => With::Proof(proof.clone()),
            _ => With::Nothing,
        };
        let body = match self.whole(ask(with)?).await {
            Err(error) if error.lost => self.whole(ask(again)?).await?,
            answer => answer?,
        };
        self.read(&Zeroizing::new(body))
    }

    pub(crate) async fn sign_out(&mut self, token: &str) -> Result<SessionEnded, CliError> {
        let ask = Ask::post("/api/v1/sign-out", &SignOut { token: token.to_owned() })?;
        self.json(Ask { with: With::Nothing, ..ask }).await
    }

    pub(crate) async fn who_am_i(&mut self) -> Result<WhoAmI, CliError> {
        self.json(Ask::get("/api/v1/whoami")).await
    }

    pub(crate) async fn sessions(&mut self) -> Result<Sessions, CliError> {
        self.json(Ask::get("/api/v1/sessions")).await
    }

    pub(crate) async fn end_session(&mut self, id: &str) -> Result<SessionEnded, CliError> {
        self.json(Ask { method: Method::DELETE, ..Ask::get(format!("/api/v1/sessions/{id}")) }).await
    }

    pub(crate) async fn reset_identity(&mut self) -> Result<IdentityReset, CliError> {
        self.json(Ask { method: Method::POST, ..Ask::get("/api/v1/identity/reset") }).await
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, CliError> {
        serde_json::from_slice(body).map_err(|e| self.strange(&e.to_string()))
    }
}
