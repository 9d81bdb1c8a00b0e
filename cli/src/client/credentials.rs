//! What a request shows of who sends it: a local token, or a session's access token with a proof of possession.
//!
//! Owns the refresh: when it is due, that it happens once however many `merlon` run, and that what came of it is kept
//! before it is used.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use merlon_api::ProblemCode;
use merlon_jose::proof::{ProofKey, ToProve};
use zeroize::Zeroizing;

use super::{Ask, Client, With};
use crate::error::{CliError, Exit};
use crate::session::{Store, Stored, now};
use crate::target::Target;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// The longest nonce that is sent back.
const MAX_NONCE: usize = 256;

/// Who asks.
pub(crate) enum Credentials {
    /// Nobody, or whoever the socket says.
    Nobody,
    /// Whoever has this local token: the value of the `Authorization` header.
    Token(HeaderValue),
    /// Somebody who has signed in.
    Session(Box<Held>),
}

/// A session in use.
pub(crate) struct Held {
    store: Store,
    stored: Stored,
    key: Option<Arc<ProofKey>>,
}

/// A proof to be made for a server behind the instance.
#[derive(Clone)]
pub(super) struct Proof {
    pub(super) key: Arc<ProofKey>,
    /// The server's endpoint.
    pub(super) url: String,
}

/// The newest nonce of each server.
#[derive(Default)]
pub(super) struct Nonces {
    instance: Option<String>,
    issuer: Option<String>,
}

impl Credentials {
    /// # Errors
    /// The session's key cannot be used.
    pub(crate) fn session(store: Store, stored: Stored) -> Result<Self, CliError> {
        let key = stored.key()?.map(Arc::new);
        Ok(Self::Session(Box::new(Held { store, stored, key })))
    }
}

impl Nonces {
    pub(super) fn learn(&mut self, with: &With, headers: &HeaderMap) {
        let nonce = headers.get(DPOP_NONCE).and_then(|value| value.to_str().ok());
        let Some(nonce) = nonce.filter(|nonce| nonce.len() <= MAX_NONCE) else { return };
        match with {
            With::Own => self.instance = Some(nonce.to_owned()),
            With::Proof(_) => self.issuer = Some(nonce.to_owned()),
            With::Nothing => {}
        }
    }
}

impl Client {
    pub(super) fn has_session(&self) -> bool {
        matches!(self.credentials, Credentials::Session(_))
    }

    /// The headers that say who asks.
    pub(super) fn shown(&self, ask: &Ask<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, CliError> {
        match (&ask.with, &self.credentials) {
            (With::Nothing, _) | (With::Own, Credentials::Nobody) => Ok(Vec::new()),
            (With::Own, Credentials::Token(token)) => Ok(vec![(AUTHORIZATION, token.clone())]),
            (With::Own, Credentials::Session(held)) => {
                let token = held.stored.access_token();
                let (scheme, key) = match &held.key {
                    Some(key) if held.stored.token_type.eq_ignore_ascii_case("DPoP") => ("DPoP", Some(key)),
                    _ => ("Bearer", None),
                };
                let value = Zeroizing::new(format!("{scheme} {token}"));
                let mut value = HeaderValue::from_str(&value)
                    .map_err(|e| CliError::failed("the session's token cannot be sent").because(e))?;
                value.set_sensitive(true);
                let mut headers = vec![(AUTHORIZATION, value)];
                if let (Some(key), Target::Remote(remote)) = (key, &self.target) {
                    let url = format!("{}{}", remote.url(), ask.path);
                    let what = ToProve {
                        method: ask.method.as_str(),
                        url: &url,
                        now: now(),
                        access_token: Some(token),
                        nonce: self.nonces.instance.as_deref(),
                    };
                    headers.push((DPOP, proof(key, &what)?));
                }
                Ok(headers)
            }
            (With::Proof(Proof { key, url }), _) => {
                let nonce = self.nonces.issuer.as_deref();
                let what = ToProve { method: "POST", url, now: now(), access_token: None, nonce };
                Ok(vec![(DPOP, proof(key, &what)?)])
            }
        }
    }

    /// Gets a new access token if the one at hand is about to expire.
    pub(super) async fn refresh_early(&mut self) -> Result<(), CliError> {
        let Credentials::Session(held) = &self.credentials else { return Ok(()) };
        if !held.stored.expires_soon() {
            return Ok(());
        }
        let still_good = !held.stored.has_expired();
        match self.refresh().await {
            // The authorization server is away: the token that there is will do for its last seconds.
            Err(error) if still_good && matches!(error.exit, Exit::Failed | Exit::Unreachable) => Ok(()),
            done => done,
        }
    }

    /// Gets a new access token, unless another `merlon` has got one meanwhile.
    pub(super) async fn refresh(&mut self) -> Result<(), CliError> {
        let Credentials::Session(held) = &self.credentials else { return Ok(()) };
        let (store, url) = (held.store.clone(), held.stored.reach.url.clone());
        let stale = Zeroizing::new(held.stored.access_token().to_owned());
        let lock = store.lock(&url).await?;
        let ended = |why: &str| CliError::new(Exit::SignIn, "the session has ended").because(why).hint("merlon login");
        let Some(mut newest) = store.load(&url).await? else {
            return Err(ended("it was signed out on this machine"));
        };
        if newest.access_token() == stale.as_str() || newest.expires_soon() {
            let Some(token) = newest.refresh_token().map(|token| Zeroizing::new(token.to_owned())) else {
                return Err(ended("its access token has expired, and the authorization server gave no refresh token"));
            };
            let key = newest.key()?.map(Arc::new);
            let with = match (key, &newest.token_endpoint) {
                (Some(key), Some(endpoint)) => With::Proof(Proof { key, url: endpoint.clone() }),
                _ => With::Nothing,
            };
            // Boxed, because a refresh is a request, too; one of a kind that never leads to another refresh.
            match Box::pin(self.refreshed(&token, with)).await {
                Ok(tokens) => {
                    newest.refreshed(tokens);
                    store.save(&lock, &newest).await?;
                }
                Err(error) => {
                    if error.problem == Some(ProblemCode::SessionRevoked) {
                        store.forget(&lock).await?;
                    }
                    return Err(error);
                }
            }
        }
        self.credentials = Credentials::session(store, newest)?;
        Ok(())
    }
}

fn proof(key: &ProofKey, what: &ToProve<'_>) -> Result<HeaderValue, CliError> {
    let failed = |e: String| CliError::failed("no proof of possession could be made").because(e);
    let text = key.prove(what).map_err(|e| failed(e.to_string()))?;
    HeaderValue::from_str(&text).map_err(|e| failed(e.to_string()))
}
