//! Sessions of those who signed in, as requests show them. For every request the keeper is asked whether the session
//! stands, so that one that was ended here is dead at once; the authorization server is asked again after
//! `identity.recheck_seconds`, so that one that was ended there is dead within that time. While the server cannot be
//! reached, the word that it gave in the token holds, up to the token's end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::{Duration, Instant};

use merlon_api::{IdentityState, ProblemCode, Role};
use merlon_wire::identity::{Session, SessionState};
use merlon_wire::keeper::EndSession;
use tokio::sync::Mutex;

use super::bearer::{Credential, Scheme};
use super::known::{self, Known, LEEWAY, Tokens};
use super::principal::{Principal, Scopes, Via, role_of};
use super::proofs::{Asked, Proofs};
use crate::api::Refused;
use crate::identity::{Identity, IdentityError};
use crate::links::Links;

/// How long a request waits for the authorization server's word on its session; the word counts for the next one, too.
const WORD: Duration = Duration::from_secs(5);
/// Sessions whose last question is remembered; more than the keeper has.
const REMEMBERED: usize = 1024;

/// When the server was last asked about a session; whoever finds it too long ago asks while others wait.
type Asking = Arc<Mutex<Option<Instant>>>;

/// Clones share it.
#[derive(Clone)]
pub(crate) struct Sessions(Arc<Inner>);

struct Inner {
    links: Links,
    identity: Identity,
    tokens: Tokens,
    proofs: Proofs,
    asked: SyncMutex<HashMap<String, Asking>>,
}

impl Sessions {
    pub(crate) fn new(links: Links, identity: Identity) -> Self {
        let tokens = Tokens::new(identity.clone());
        Self(Arc::new(Inner { links, identity, tokens, proofs: Proofs::default(), asked: SyncMutex::default() }))
    }

    /// No issuer is configured: there are local tokens and no others.
    pub(crate) fn are_off(&self) -> bool {
        self.0.identity.snapshot().issuer.is_none()
    }

    /// Who shows this token with this request?
    ///
    /// # Errors
    /// See [`Sessions::stands`]; `proof_invalid`.
    pub(crate) async fn principal(&self, shown: Credential<'_>, asked: &Asked<'_>) -> Result<Principal, Refused> {
        let known = self.known(shown.token).await?;
        match (&known.key_thumbprint, shown.scheme) {
            (Some(thumbprint), Scheme::Dpop) => {
                // The session first: only those who have one may fill the memory of proofs.
                let principal = self.judge(shown.token, &known).await?;
                self.0.proofs.check(asked, shown.token, thumbprint, known::now())?;
                Ok(principal)
            }
            (None, Scheme::Bearer) => self.judge(shown.token, &known).await,
            (Some(_), Scheme::Bearer) => Err(Refused::new(
                ProblemCode::ProofInvalid,
                "the token is bound to a key: send it as `Authorization: DPoP TOKEN`, with a proof in the `DPoP` header",
            )),
            (None, Scheme::Dpop) => Err(Refused::new(
                ProblemCode::ProofInvalid,
                "the token is not bound to a key: send it as `Authorization: Bearer TOKEN`",
            )),
        }
    }

    /// Does the session behind this token stand? Of a request whose proof was checked already.
    ///
    /// # Errors
    /// `token_expired`, `token_invalid`, `token_unknown`, `session_revoked`, `not_shared`, `instance_deleted`, and what
    /// keeps keeper and server from being asked.
    pub(crate) async fn stands(&self, token: &str) -> Result<(), Refused> {
        let known = self.known(token).await?;
        self.judge(token, &known).await.map(drop)
    }

    /// What a token says, whether its session stands or not.
    ///
    /// # Errors
    /// As [`Sessions::stands`].
    pub(crate) async fn known(&self, token: &str) -> Result<Arc<Known>, Refused> {
        let snapshot = self.0.identity.snapshot();
        if let (IdentityState::Deleted, Some(issuer)) = (snapshot.state, &snapshot.issuer) {
            return Err(IdentityError::Deleted { issuer: issuer.clone() }.into());
        }
        self.0.tokens.known(token).await
    }

    /// What somebody with this token is here and may do.
    ///
    /// # Errors
    /// `not_shared`.
    pub(crate) fn rights(&self, known: &Known) -> Result<(Role, Scopes), Refused> {
        let snapshot = self.0.identity.snapshot();
        let is_hub = snapshot.server.as_ref().is_some_and(|server| server.is_hub());
        let owner = snapshot.owner.as_ref();
        let account = (known.issuer.as_str(), known.subject.as_str());
        let role = role_of(is_hub, &known.roles, account, owner, self.0.identity.config()).ok_or_else(not_shared)?;
        let named = Scopes::named(&known.scope);
        // A server that has never heard of these scopes cannot narrow by them.
        let whole = !is_hub && named.is_empty();
        Ok((role, if whole { Scopes::of(role) } else { named.and(Scopes::of(role)) }))
    }

    async fn judge(&self, token: &str, known: &Known) -> Result<Principal, Refused> {
        let session = match self.0.links.keeper().await?.check_session(known.session_key(token)).await? {
            SessionState::Live(session) => session,
            SessionState::Ended => return Err(ended()),
            SessionState::Unknown => {
                return Err(Refused::new(
                    ProblemCode::TokenUnknown,
                    "the token is good, and no session of this instance belongs to it; sign in again",
                ));
            }
        };
        self.recheck(&session, token, known).await?;
        let (role, scopes) = self.rights(known)?;
        Ok(Principal { role, scopes, via: Via::Session(Box::new(session)) })
    }

    /// Asks the server whether the token still holds, if it is time.
    async fn recheck(&self, session: &Session, token: &str, known: &Known) -> Result<(), Refused> {
        let interval = Duration::from_secs(self.0.identity.config().recheck_seconds.into());
        // Of an opaque token the server was just asked.
        if known.asked.is_some_and(|asked| asked.elapsed() < interval) {
            return Ok(());
        }
        let entry = self.entry(&session.id);
        let mut last = entry.lock().await;
        if last.is_some_and(|at| at.elapsed() < interval) {
            return Ok(());
        }
        match tokio::time::timeout(WORD, self.0.identity.introspect(token)).await {
            Ok(Ok(answer)) if !answer.active => {
                // A token at its end is not active either, and that says nothing of its session.
                if known.expires.is_some_and(|expires| known::now() + LEEWAY >= expires) {
                    return Err(Refused::new(ProblemCode::TokenExpired, "the access token has expired; refresh it"));
                }
                drop(last);
                self.forget(&session.id);
                self.0.links.keeper().await?.end_session(EndSession::Id(&session.id)).await?;
                return Err(known::revoked_there());
            }
            Ok(Err(error @ IdentityError::Deleted { .. })) => return Err(error.into()),
            // Active, or no word of any use: asked again after the interval.
            _ => *last = Some(Instant::now()),
        }
        Ok(())
    }

    /// The server has just spoken for this session: it was begun or refreshed.
    pub(crate) async fn spoken_for(&self, session: &str) {
        *self.entry(session).lock().await = Some(Instant::now());
    }

    /// The server is to be asked with the next request of this session, or the session is over.
    pub(crate) fn forget(&self, session: &str) {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
    }

    fn entry(&self, session: &str) -> Asking {
        let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= REMEMBERED && !asked.contains_key(session) {
            // Those that nobody waits for; of a session that goes on the server is merely asked once more.
            asked.retain(|_, entry| Arc::strong_count(entry) > 1);
        }
        Arc::clone(asked.entry(session.to_owned()).or_default())
    }
}

pub(crate) fn ended() -> Refused {
    Refused::new(ProblemCode::SessionRevoked, "the session was ended on this instance; sign in again")
}

pub(crate) fn not_shared() -> Refused {
    Refused::new(
        ProblemCode::NotShared,
        "this account has no role at this instance; its owner can share it at the hub, or at another server by \
         `[identity] members` in the configuration",
    )
}
