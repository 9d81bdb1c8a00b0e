//! Access tokens, as the hub's keeper signs them. Requests that come at the same time go to it together. The hub never
//! holds a signing key; here are only the public ones.

mod rotation;

use std::sync::Arc;
use std::time::Duration;

use merlon_jose::{Jwk, Jwks};
use merlon_wire::hub::{Algorithm, Claims, MAX_TOKENS, SigningKey};
use merlon_wire::link::{KeeperError, Links};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

pub(crate) use rotation::care;

/// Tokens that may wait for the keeper, and for how long.
const WAITING: usize = 1024;
const LIMIT: Duration = Duration::from_secs(5);

/// An access token to be; as [`Claims`], which say what each field is, but owned.
#[derive(Clone, Debug)]
pub(crate) struct TokenClaims {
    pub(crate) algorithm: Algorithm,
    pub(crate) subject: String,
    pub(crate) audience: String,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) id: String,
    pub(crate) issued: u64,
    pub(crate) lifetime: u32,
    pub(crate) session: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) key_thumbprint: Option<String>,
}

/// Why there is no token.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SignError {
    /// More wait than the keeper can sign for in good time.
    #[error("too many requests wait for the hub's keeper; try again in a moment")]
    Busy,
    /// The keeper is away, locked, or refuses.
    #[error("the hub's keeper signs nothing: {0}")]
    Keeper(Arc<KeeperError>),
}

/// The public keys: as the keeper has them, as they are served, and as they verify.
pub(crate) struct Published {
    keys: Vec<SigningKey>,
    jwks: Arc<str>,
    verifiers: Arc<Jwks>,
}

impl Published {
    /// These keys. One that is not what its algorithm says is left out.
    pub(crate) fn new(keys: Vec<SigningKey>) -> Self {
        let verifiers: Jwks = keys.iter().filter_map(jwk).collect();
        let set = serde_json::json!({ "keys": verifiers.keys().iter().map(Jwk::to_json).collect::<Vec<_>>() });
        Self { keys, jwks: set.to_string().into(), verifiers: Arc::new(verifiers) }
    }
}

fn jwk(key: &SigningKey) -> Option<Jwk> {
    let id = Some(key.id.clone());
    match key.algorithm {
        Algorithm::Es256 => Jwk::from_p256_point(&key.public_key, id).ok(),
        Algorithm::Rs256 => Jwk::from_rsa_der(&key.public_key, id).ok(),
    }
}

struct Waiting {
    claims: TokenClaims,
    answer: oneshot::Sender<Result<String, SignError>>,
}

/// The way to the keeper's signatures, and its public keys. Clones share it.
#[derive(Clone)]
pub(crate) struct Keys {
    waiting: mpsc::Sender<Waiting>,
    published: watch::Receiver<Published>,
}

impl Keys {
    /// Starts the task that collects requests; it ends with the last clone. `published` has the keeper's public keys.
    pub(crate) fn start(links: Links, issuer: Arc<str>, published: watch::Receiver<Published>) -> Self {
        let (waiting, queue) = mpsc::channel(WAITING);
        tokio::spawn(collect(links, issuer, queue));
        Self { waiting, published }
    }

    /// Signs one token.
    ///
    /// # Errors
    /// [`SignError`].
    pub(crate) async fn sign(&self, claims: TokenClaims) -> Result<String, SignError> {
        let (answer, answered) = oneshot::channel();
        self.waiting.try_send(Waiting { claims, answer }).map_err(|_| SignError::Busy)?;
        match timeout(LIMIT, answered).await {
            Ok(Ok(signed)) => signed,
            _ => Err(SignError::Busy),
        }
    }

    /// All public keys as a JWK Set, the next ones included.
    pub(crate) fn jwks(&self) -> Arc<str> {
        self.published.borrow().jwks.clone()
    }

    /// The same, to verify with.
    pub(crate) fn verifiers(&self) -> Arc<Jwks> {
        self.published.borrow().verifiers.clone()
    }
}

/// Takes what waits, as many as one request holds, and asks the keeper; while that is answered the next ones collect.
async fn collect(links: Links, issuer: Arc<str>, mut queue: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(MAX_TOKENS);
    while queue.recv_many(&mut batch, MAX_TOKENS).await > 0 {
        sign(&links, &issuer, std::mem::take(&mut batch)).await;
    }
}

/// One request. If the keeper refuses it, each token is asked for alone: one that is out of bounds takes no others along.
async fn sign(links: &Links, issuer: &str, batch: Vec<Waiting>) {
    let claims = batch.iter().map(|waiting| waiting.claims.claims(issuer)).collect();
    let signed = async { links.keeper().await?.sign_access_tokens(claims).await };
    match signed.await {
        Ok(tokens) => {
            for (waiting, token) in batch.into_iter().zip(tokens) {
                drop(waiting.answer.send(Ok(token)));
            }
        }
        Err(KeeperError::Refused(_)) if batch.len() > 1 => {
            for waiting in batch {
                Box::pin(sign(links, issuer, vec![waiting])).await;
            }
        }
        Err(error) => {
            let error = SignError::Keeper(Arc::new(error));
            for waiting in batch {
                drop(waiting.answer.send(Err(error.clone())));
            }
        }
    }
}

impl TokenClaims {
    fn claims<'a>(&'a self, issuer: &'a str) -> Claims<'a> {
        Claims {
            algorithm: self.algorithm,
            issuer,
            subject: &self.subject,
            audience: &self.audience,
            client_id: &self.client_id,
            scope: &self.scope,
            id: &self.id,
            issued: self.issued,
            lifetime: self.lifetime,
            session: self.session.as_deref(),
            role: self.role.as_deref(),
            name: self.name.as_deref(),
            key_thumbprint: self.key_thumbprint.as_deref(),
        }
    }
}
