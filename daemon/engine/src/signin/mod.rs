//! Signing in through the instance (RFC 8628, 6749): it asks its authorization server in the client's place, hands what
//! comes of it to the client once, and remembers with the keeper that the session stands.
//!
//! It must not write a token of a person anywhere, keep one longer than its request, or answer anybody who cannot show
//! the verifier of the sign-in. A poll relays one poll: nothing goes on by itself, and a client that has gone leaves
//! nothing behind but an entry that expires.
//!
//! | module | does |
//! |---|---|
//! | `limits`, `pending` | how many may begin, and when each may poll (pure) |
//! | `tokens` | what is done with tokens that came |
//! | `ending` | refresh, sign-out, the end of a session |

mod ending;
mod limits;
mod pending;
mod tokens;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use merlon_api::{IdentityState, ProblemCode, Scope, SignInStarted, SignedIn, StartSignIn};
use merlon_sandbox::secret::SecretBuf;
use merlon_wire::identity::MAX_NAME;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::Refused;
use crate::auth::Sessions;
use crate::identity::{DEVICE_GRANT, Identity, IdentityError, OAuthError, Server, Snapshot};
use crate::links::Links;

use limits::Limits;
use pending::{Outcome, SignIn, Table, Turn};

/// Requests of strangers at once that are relayed to the authorization server, with what the keeper is asked before.
const RELAYS: usize = 16;
/// How long one waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// The longest life of a device code that is waited for.
const MAX_LIFE: u32 = 3600;

/// Clones share it.
#[derive(Clone)]
pub(crate) struct SignIns(Arc<Inner>);

struct Inner {
    links: Links,
    identity: Identity,
    sessions: Sessions,
    limits: Mutex<Limits>,
    pending: Mutex<Table>,
    relays: Arc<Semaphore>,
}

/// What a poll gave.
pub(crate) enum Polled {
    /// Nobody has approved yet; seconds to wait.
    Pending(u32),
    /// Tokens, and the nonce for the next proof.
    Tokens(Box<SignedIn>, Option<String>),
}

impl SignIns {
    pub(crate) fn new(links: Links, identity: Identity, sessions: Sessions) -> Self {
        Self(Arc::new(Inner {
            links,
            identity,
            sessions,
            limits: Mutex::new(Limits::new(Instant::now())),
            pending: Mutex::default(),
            relays: Arc::new(Semaphore::new(RELAYS)),
        }))
    }

    /// Begins: a claim code is checked first where nobody owns the instance, then the server is asked for codes.
    ///
    /// # Errors
    /// `claim_code_needed`, `claim_code_wrong`, `rate_limited`, `busy`, and why the server could not be asked.
    pub(crate) async fn start(&self, address: Option<IpAddr>, asked: StartSignIn) -> Result<SignInStarted, Refused> {
        let inner = &self.0;
        let challenge = challenge(&asked.challenge)?;
        let label = label(&asked.label)?;
        inner.limits().begin(address, Instant::now()).map_err(too_often)?;
        inner.pending().room(address, Instant::now()).map_err(|_| full())?;
        let _relay = inner.relay().await?;
        let server = inner.identity.server().await?;
        let snapshot = inner.identity.snapshot();
        let claim_code = match snapshot.state {
            IdentityState::Unclaimed => Some(inner.claim_code(asked.claim_code).await?),
            _ => None,
        };
        let scope = inner.scope(&server, asked.scopes.as_deref());
        let mut params = vec![("scope", scope.as_str())];
        if server.is_hub() {
            params.push(("merlon_label", &label));
            if claim_code.is_some() {
                params.push(("merlon_claim", "1"));
            }
        }
        params.extend(inner.resource(&server));
        let given = inner.identity.device_authorization(&params).await.map_err(|error| inner.refused(error))?;
        let life = given.expires_in.min(MAX_LIFE);
        let sign_in = SignIn { device_code: secret(given.device_code.as_bytes())?, claim_code, label };
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| Refused::new(ProblemCode::Internal, "no random bytes"))?;
        let id = format!("sgn_{}", HEXLOWER.encode(&id));
        let times = (Duration::from_secs(life.into()), Duration::from_secs(given.interval.into()));
        inner.pending().insert(id.clone(), challenge, address, times, sign_in, Instant::now()).map_err(|_| full())?;
        Ok(SignInStarted {
            id,
            user_code: given.user_code,
            verification_uri: given.verification_uri,
            verification_uri_complete: given.verification_uri_complete,
            expires_in: life,
            interval: given.interval,
        })
    }

    /// Has somebody approved? `proof` is passed on to the server's token endpoint.
    ///
    /// # Errors
    /// `no_such_sign_in`, `sign_in_expired`, `sign_in_denied`, `wrong_account`, `not_shared`, `proof_invalid`,
    /// `proof_nonce`, and why the server could not be asked.
    pub(crate) async fn poll(&self, id: &str, verifier: &str, proof: Option<String>) -> Result<Polled, Refused> {
        let turn = self.0.pending().turn(id, verifier, Instant::now());
        let sign_in = match turn {
            Turn::None => {
                return Err(Refused::new(
                    ProblemCode::NoSuchSignIn,
                    "there is no such sign-in, it is over, or this is not its verifier; begin again",
                ));
            }
            Turn::Expired => return Err(expired()),
            Turn::Wait(seconds) => return Ok(Polled::Pending(seconds)),
            Turn::Ask(sign_in) => sign_in,
        };
        // A client that goes away must not leave half of this undone: the server has given tokens, or has not.
        let (this, id) = (self.clone(), id.to_owned());
        let (answer, answered) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let polled = this.0.relayed(&id, &sign_in, proof.as_deref()).await;
            if let Err(Ok(Polled::Tokens(signed_in, _))) = answer.send(polled) {
                // Nobody is there to take them.
                this.0.undo(&signed_in).await;
            }
        });
        answered.await.map_err(|_| Refused::new(ProblemCode::Internal, "a poll came to no end"))?
    }
}

impl Inner {
    fn pending(&self) -> MutexGuard<'_, Table> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn relay(&self) -> Result<OwnedSemaphorePermit, Refused> {
        match tokio::time::timeout(TURN, Arc::clone(&self.relays).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Refused::new(ProblemCode::Busy, "too many requests wait for the authorization server; try again")),
        }
    }

    /// The claim code, if it is the one.
    async fn claim_code(&self, code: Option<String>) -> Result<SecretBuf, Refused> {
        let code = code.map(zeroize::Zeroizing::new).ok_or_else(|| {
            Refused::new(
                ProblemCode::ClaimCodeNeeded,
                "nobody owns this instance yet; `merlon claim-code` on its host shows the code that the first sign-in needs",
            )
        })?;
        match self.links.keeper().await?.check_claim_code(code.as_bytes()).await? {
            true => secret(code.as_bytes()),
            false => Err(Refused::new(
                ProblemCode::ClaimCodeWrong,
                "this is not the claim code; `merlon claim-code` on the host shows it",
            )),
        }
    }

    /// What is asked for: at a hub of ours the scopes that are wanted, all by default; elsewhere what is configured, and
    /// of ours those that the server knows.
    fn scope(&self, server: &Server, wanted: Option<&[Scope]>) -> String {
        let wanted = wanted.unwrap_or(&Scope::ALL).iter().map(|scope| scope.as_str());
        let mut words: Vec<&str> = Vec::new();
        if server.is_hub() {
            words.extend(wanted);
        } else {
            words.extend(self.identity.config().scope.split(' ').filter(|word| !word.is_empty()));
            let known = server.scopes.as_deref().unwrap_or_default();
            words.extend(wanted.filter(|name| known.iter().any(|scope| scope == name)));
        }
        words.join(" ")
    }

    /// `resource` (RFC 8707, 2), where one is configured.
    fn resource(&self, server: &Server) -> Option<(&'static str, &str)> {
        let resource = self.identity.config().resource.as_deref().filter(|_| !server.is_hub())?;
        Some(("resource", resource))
    }

    /// One poll at the server, and what comes of it.
    async fn relayed(&self, id: &str, sign_in: &SignIn, proof: Option<&str>) -> Result<Polled, Refused> {
        let (outcome, polled) = match self.ask(sign_in, proof).await {
            Ok(polled) => (Outcome::Over, Ok(polled)),
            Err(Asked { outcome, refused }) => (outcome, Err(refused)),
        };
        let seconds = self.pending().settle(id, outcome, Instant::now());
        match polled {
            Err(None) => Ok(Polled::Pending(seconds)),
            Err(Some(refused)) => Err(refused),
            Ok(polled) => Ok(polled),
        }
    }

    async fn ask(&self, sign_in: &SignIn, proof: Option<&str>) -> Result<Polled, Asked> {
        let over = |refused: Refused| Asked { outcome: Outcome::Over, refused: Some(refused) };
        let again = |refused: Refused| Asked { outcome: Outcome::NoAnswer, refused: Some(refused) };
        let _relay = self.relay().await.map_err(again)?;
        let code = std::str::from_utf8(sign_in.device_code.as_slice()).unwrap_or_default();
        let mut params = vec![("grant_type", DEVICE_GRANT), ("device_code", code)];
        let server = self.identity.server().await.map_err(|error| again(error.into()))?;
        params.extend(self.resource(&server));
        let mut tokens = match self.identity.token_request(&params, proof).await {
            Ok(tokens) => tokens,
            Err(error) => return Err(self.judge(error)),
        };
        let nonce = tokens.nonce.take();
        let signed_in = self.begin(tokens, sign_in).await.map_err(over)?;
        Ok(Polled::Tokens(Box::new(signed_in), nonce))
    }

    /// What an error of the token endpoint means for a sign-in (RFC 8628, 3.5).
    fn judge(&self, error: IdentityError) -> Asked {
        let outcome = |outcome, refused| Asked { outcome, refused };
        let IdentityError::Refused(refused) = &error else {
            // The keeper's absence is none of the server's words either.
            let lasts = matches!(error, IdentityError::Unreachable { .. } | IdentityError::Keeper(_));
            let so = if lasts { Outcome::NoAnswer } else { Outcome::Over };
            return outcome(so, Some(self.refused(error)));
        };
        let problem = |code, detail: &str| Some(Refused::new(code, detail));
        match refused.error.as_str() {
            "authorization_pending" => outcome(Outcome::Pending, None),
            "slow_down" => outcome(Outcome::SlowDown, None),
            "expired_token" => outcome(Outcome::Over, Some(expired())),
            "access_denied" => outcome(Outcome::Over, Some(denied(refused))),
            "use_dpop_nonce" => outcome(Outcome::Again, Some(Refused::nonce(refused.nonce.as_deref()))),
            "invalid_dpop_proof" => outcome(Outcome::Again, problem(ProblemCode::ProofInvalid, &refused.to_string())),
            // Any other error ends it.
            _ => outcome(Outcome::Over, Some(self.refused(error))),
        }
    }

    /// As the API tells it; where the clocks differ that may be why, and is said.
    fn refused(&self, error: IdentityError) -> Refused {
        match (&error, self.identity.clock_minutes()) {
            (IdentityError::Refused(refused), Some(minutes)) if refused.error == "invalid_client" => {
                IdentityError::ClockWrong { minutes }.into()
            }
            _ => error.into(),
        }
    }
}

/// A poll without tokens.
struct Asked {
    outcome: Outcome,
    /// None: wait.
    refused: Option<Refused>,
}

/// Somebody, or the server, said no; a hub of ours says why.
fn denied(error: &OAuthError) -> Refused {
    if error.description.starts_with("wrong_account") {
        return wrong_account();
    }
    if error.description.starts_with("not_shared") {
        return crate::auth::not_shared();
    }
    if error.description.starts_with("scope_missing") {
        return Refused::new(
            ProblemCode::ScopeMissing,
            "of the scopes that were asked for, none was approved that the role at this instance holds; ask for others",
        );
    }
    Refused::new(ProblemCode::SignInDenied, "the sign-in was denied at the authorization server")
}

fn wrong_account() -> Refused {
    Refused::new(
        ProblemCode::WrongAccount,
        "the instance is tied to another account; sign in with that one, or have its owner share the instance",
    )
}

fn expired() -> Refused {
    Refused::new(ProblemCode::SignInExpired, "nobody approved in time; begin again")
}

fn full() -> Refused {
    Refused::new(ProblemCode::Busy, "too many sign-ins are under way; try again later")
}

fn too_often(wait: Duration) -> Refused {
    let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    let detail = format!("too many sign-ins were begun; try again in {seconds} seconds");
    Refused::new(ProblemCode::RateLimited, detail).after(seconds)
}

/// The SHA-256 that a challenge is.
fn challenge(text: &str) -> Result<[u8; 32], Refused> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        Refused::new(ProblemCode::InvalidBody, "`challenge` is the base64url of a SHA-256: 43 characters, no padding")
    })
}

/// A label that can be shown.
fn label(text: &str) -> Result<String, Refused> {
    let text = text.trim();
    match text.len() <= MAX_NAME && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(Refused::new(
            ProblemCode::InvalidBody,
            format!("`label` has at most {MAX_NAME} bytes and no control characters"),
        )),
    }
}

fn secret(bytes: &[u8]) -> Result<SecretBuf, Refused> {
    SecretBuf::from_slice(bytes)
        .map_err(|error| Refused::new(ProblemCode::Internal, format!("no secret memory for a code: {error}")))
}

/// The owner of the instance, if this is its issuer.
fn is_owned(snapshot: &Snapshot) -> bool {
    snapshot.owner.is_some()
}
