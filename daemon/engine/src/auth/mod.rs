//! Who asks: the identity behind a request, and whether the request was meant for this instance.
//!
//! Over the Unix socket identity is the socket: whoever may open it is owner. Over TCP it is an access token, which the
//! keeper verifies for every single request; nothing is remembered here, so that a revoked token is dead at once. This
//! module decides nothing about what an identity may do (the table of endpoints does), and never logs or shows a token.

mod bearer;
mod site;

use std::time::Duration;

use axum::http::HeaderMap;
use merlon_api::{ProblemCode, Role};
use merlon_sandbox::secret::SecretBuf;
use merlon_wire::keeper::{LockState, Refusal, Status};
use merlon_wire::link::KeeperError;

use crate::api::{Arrival, Refused};
use crate::links::Links;

pub(crate) use site::Sites;

/// How long a request that could do without the keeper waits for its word.
const WORD: Duration = Duration::from_secs(1);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// What they may do.
    pub(crate) role: Role,
    /// How they showed it.
    pub(crate) via: Via,
}

/// How an identity was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// By opening the Unix socket.
    UnixSocket,
    /// By an access token.
    Token {
        /// Its public id.
        id: String,
        /// As its maker named it.
        label: String,
    },
}

/// Who sends this request?
///
/// # Errors
/// `token_missing`, `token_malformed`, `token_unknown`, `rate_limited`, `locked`, `keeper_unreachable`, `keeper_failed`.
pub(crate) async fn identify(arrival: &Arrival, headers: &HeaderMap, links: &Links) -> Result<Principal, Refused> {
    match arrival {
        // The socket has said who it is. Without a keeper, what needs none goes on; a locked one stops everything.
        Arrival::Unix => match locked(links).await {
            Some(refused) => Err(refused),
            None => Ok(Principal { role: Role::Owner, via: Via::UnixSocket }),
        },
        Arrival::Tcp { .. } => match bearer::token(headers) {
            Ok(token) => verify(token, links).await,
            Err(refused) => Err(locked(links).await.unwrap_or(refused)),
        },
    }
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
async fn locked(links: &Links) -> Option<Refused> {
    match keeper_status(links).await?.state {
        LockState::Unlocked => None,
        LockState::Locked => Some(KeeperError::Refused(Refusal::Locked).into()),
        LockState::Opening => Some(Refused::new(
            ProblemCode::Locked,
            "the keeper still tries the keyslots that open by themselves; if none does, run `merlon unlock`",
        )),
    }
}

async fn verify(token: &[u8], links: &Links) -> Result<Principal, Refused> {
    let Some(identity) = links.keeper().await?.verify_token(token).await? else {
        return Err(Refused::new(
            ProblemCode::TokenUnknown,
            "this instance does not know the token: it was revoked, or belongs to another instance; \
             `merlon token list` on the host shows those that stand",
        ));
    };
    let role = identity.role.parse().map_err(|why: String| Refused::new(ProblemCode::KeeperFailed, why))?;
    Ok(Principal { role, via: Via::Token { id: identity.id, label: identity.label } })
}

/// What a long-lived answer holds to show its identity again from time to time: the token, in secret memory.
pub(crate) struct Standing(Option<SecretBuf>);

impl Standing {
    /// Of a request that was identified already.
    ///
    /// # Errors
    /// `token_missing`, `token_malformed`, and `internal` where there is no secret memory.
    pub(crate) fn of(arrival: &Arrival, headers: &HeaderMap) -> Result<Self, Refused> {
        if *arrival == Arrival::Unix {
            return Ok(Self(None));
        }
        let token = bearer::token(headers)?;
        let mut held = SecretBuf::with_capacity(token.len())
            .map_err(|error| Refused::new(ProblemCode::Internal, format!("no secret memory for the token: {error}")))?;
        held.set_len(token.len());
        held.as_mut_slice().copy_from_slice(token);
        Ok(Self(Some(held)))
    }

    /// Does the identity stand? What is under way needs no keeper to go on, so only its clear word ends it.
    ///
    /// # Errors
    /// Why it ended: `token_unknown`, `rate_limited`, or `locked`.
    pub(crate) async fn check(&self, links: &Links) -> Result<(), Refused> {
        let Some(token) = &self.0 else {
            return locked(links).await.map_or(Ok(()), Err);
        };
        if !is_there(links) {
            return Ok(());
        }
        match tokio::time::timeout(WORD, verify(token.as_slice(), links)).await {
            Ok(Err(refused)) if ends(refused.code()) => Err(refused),
            _ => Ok(()),
        }
    }
}

/// The keeper limits the rate of tokens that it does not know and of no others, so this too is its word on the token: who
/// holds a revoked one must not keep a stream by a flood of wrong ones.
fn ends(code: ProblemCode) -> bool {
    matches!(code, ProblemCode::TokenUnknown | ProblemCode::RateLimited | ProblemCode::Locked)
}
