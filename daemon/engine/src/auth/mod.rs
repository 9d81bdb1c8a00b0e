//! Who asks: the identity behind a request, and whether the request was meant for this instance.
//!
//! Over the Unix socket identity is the socket: whoever may open it is owner. Over TCP it is an access token: a local one,
//! which the keeper verifies, or one of the authorization server, which is verified here and whose session the keeper
//! knows. For either the keeper is asked with every single request, so that what was revoked is dead at once. This
//! module decides nothing about what an identity may do (the table of endpoints does), and never logs or shows a token.
//!
//! | module | does |
//! |---|---|
//! | `bearer`, `proofs` | what credentials a request has, and whether its proof of possession holds |
//! | `known` | what a token of the authorization server says |
//! | `sessions` | whether the session behind it stands |
//! | `principal` | role and scopes |
//! | `site` | was the request meant for this instance? |

mod bearer;
mod known;
mod principal;
mod proofs;
mod sessions;
mod site;

use std::time::Duration;

use axum::http::{HeaderMap, Method, Uri};
use merlon_api::{ProblemCode, Role};
use merlon_sandbox::secret::SecretBuf;
use merlon_wire::identity::{SessionKey, SessionState};
use merlon_wire::keeper::{LockState, Refusal, Status};
use merlon_wire::link::KeeperError;

use crate::api::{Arrival, Refused};
use crate::links::Links;

pub(crate) use known::{Known, now};
pub(crate) use principal::{Principal, Scopes, Via};
pub(crate) use proofs::one as one_proof;
pub(crate) use sessions::{Sessions, ended, not_shared};
pub(crate) use site::Sites;

use bearer::{Credential, Scheme};
use proofs::Asked;

/// What local tokens begin with; such a one is never shown to an authorization server.
const LOCAL: &str = "merlon_";

/// How long a request that could do without the keeper waits for its word.
const WORD: Duration = Duration::from_secs(1);

/// Who sends this request?
///
/// # Errors
/// `token_missing`, `token_malformed`, `authorization_invalid`, `token_unknown`, `rate_limited`, `locked`,
/// `keeper_unreachable`, `keeper_failed`; for sessions what [`Sessions::principal`] says.
pub(crate) async fn identify(
    arrival: &Arrival,
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
    links: &Links,
    sessions: &Sessions,
) -> Result<Principal, Refused> {
    let Arrival::Tcp { tls, .. } = arrival else {
        // The socket has said who it is. Without a keeper, what needs none goes on; a locked one stops everything.
        return match locked(links).await {
            Some(refused) => Err(refused),
            None => Ok(Principal::whole(Role::Owner, Via::UnixSocket)),
        };
    };
    let shown = match bearer::credential(uri, headers) {
        Ok(shown) => shown,
        Err(refused) => return Err(locked(links).await.unwrap_or(refused)),
    };
    if is_local(shown, links, sessions).await? {
        return verify(shown.token, links).await;
    }
    let scheme = if *tls { "https" } else { "http" };
    let host = headers.get(axum::http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let url = format!("{scheme}://{host}{}", uri.path());
    sessions.principal(shown, &Asked { method: method.as_str(), url: &url, headers }).await
}

/// Is this a token of the keeper's own? JWTs and bound tokens never are; of others the keeper says whether a session
/// belongs to them.
async fn is_local(shown: Credential<'_>, links: &Links, sessions: &Sessions) -> Result<bool, Refused> {
    if sessions.are_off() || shown.token.starts_with(LOCAL) {
        return Ok(true);
    }
    if shown.scheme == Scheme::Dpop || merlon_jose::access_token::is_jwt(shown.token) {
        return Ok(false);
    }
    let state = links.keeper().await?.check_session(SessionKey::Token(shown.token.as_bytes())).await?;
    Ok(state == SessionState::Unknown)
}

/// What the keeper says of itself, if it is there and says something soon.
pub(crate) async fn keeper_status(links: &Links) -> Option<Status> {
    if !is_there(links) {
        return None;
    }
    let ask = async { links.keeper().await?.status().await };
    tokio::time::timeout(WORD, ask).await.ok()?.ok()
}

fn is_there(links: &Links) -> bool {
    let [(_, keeper), _] = links.peers();
    keeper.is_some()
}

/// Why nobody is served, if the keeper is there and not open.
pub(crate) async fn locked(links: &Links) -> Option<Refused> {
    match keeper_status(links).await?.state {
        LockState::Unlocked => None,
        LockState::Locked => Some(KeeperError::Refused(Refusal::Locked).into()),
        LockState::Opening => Some(Refused::new(
            ProblemCode::Locked,
            "the keeper still tries the keyslots that open by themselves; if none does, run `merlon unlock`",
        )),
    }
}

async fn verify(token: &str, links: &Links) -> Result<Principal, Refused> {
    let Some(identity) = links.keeper().await?.verify_token(token.as_bytes()).await? else {
        return Err(Refused::new(
            ProblemCode::TokenUnknown,
            "this instance does not know the token: it was revoked, or belongs to another instance; \
             `merlon token list` on the host shows those that stand",
        ));
    };
    let role = identity.role.parse().map_err(|why: String| Refused::new(ProblemCode::KeeperFailed, why))?;
    Ok(Principal::whole(role, Via::Token { id: identity.id, label: identity.label }))
}

/// What a long-lived answer holds to show its identity again from time to time: the token, in secret memory.
pub(crate) enum Standing {
    /// The Unix socket.
    Socket,
    /// A local token.
    Local(SecretBuf),
    /// A token of a session. Its end is the end of the answer, too: who refreshed it asks again.
    Session(SecretBuf),
}

impl Standing {
    /// Of a request that was identified already, as this one.
    ///
    /// # Errors
    /// `token_missing`, `token_malformed`, and `internal` where there is no secret memory.
    pub(crate) fn of(principal: &Principal, uri: &Uri, headers: &HeaderMap) -> Result<Self, Refused> {
        let held = || {
            let token = bearer::credential(uri, headers)?.token;
            SecretBuf::from_slice(token.as_bytes()).map_err(|error| {
                Refused::new(ProblemCode::Internal, format!("no secret memory for the token: {error}"))
            })
        };
        Ok(match principal.via {
            Via::UnixSocket => Self::Socket,
            Via::Token { .. } => Self::Local(held()?),
            Via::Session(_) => Self::Session(held()?),
        })
    }

    /// Does the identity stand? What is under way needs no keeper to go on, so only a clear word ends it.
    ///
    /// # Errors
    /// Why it ended.
    pub(crate) async fn check(&self, links: &Links, sessions: &Sessions) -> Result<(), Refused> {
        let token = match self {
            Self::Socket => return locked(links).await.map_or(Ok(()), Err),
            Self::Local(token) | Self::Session(token) => std::str::from_utf8(token.as_slice()).unwrap_or_default(),
        };
        if !is_there(links) {
            return Ok(());
        }
        let word = match self {
            // The authorization server is asked, too; that has its own limit of time.
            Self::Session(_) => sessions.stands(token).await,
            _ => match tokio::time::timeout(WORD, verify(token, links)).await {
                Ok(word) => word.map(drop),
                Err(_) => Ok(()),
            },
        };
        match word {
            Err(refused) if ends(refused.code()) => Err(refused),
            _ => Ok(()),
        }
    }
}

/// The keeper limits the rate of tokens that it does not know and of no others, so this too is its word on the token: who
/// holds a revoked one must not keep a stream by a flood of wrong ones.
fn ends(code: ProblemCode) -> bool {
    matches!(
        code,
        ProblemCode::TokenUnknown
            | ProblemCode::RateLimited
            | ProblemCode::Locked
            | ProblemCode::TokenExpired
            | ProblemCode::TokenInvalid
            | ProblemCode::SessionRevoked
            | ProblemCode::NotShared
            | ProblemCode::InstanceDeleted
    )
}
