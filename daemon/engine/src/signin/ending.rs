//! Sessions after their beginning: refreshed, listed, and ended, by whoever has a token of theirs or by the owner. A
//! token that no session of this instance belongs to is not relayed: the authorization server is not asked by strangers.

use merlon_api::{ProblemCode, SessionEnded, SignedIn};
use merlon_jose::access_token;
use merlon_wire::identity::{Session, SessionKey, SessionState};
use merlon_wire::keeper::EndSession;

use super::{Inner, SignIns, denied};
use crate::api::Refused;
use crate::auth::ended;
use crate::identity::IdentityError;

impl SignIns {
    /// New tokens for a refresh token, and the nonce for the next proof.
    ///
    /// # Errors
    /// `session_revoked`, `not_shared`, `proof_invalid`, `proof_nonce`, and why the server could not be asked.
    pub(crate) async fn refresh(
        &self,
        token: zeroize::Zeroizing<String>,
        proof: Option<String>,
    ) -> Result<(SignedIn, Option<String>), Refused> {
        let relay = self.0.relay().await?;
        let session = match self.0.links.keeper().await?.check_session(SessionKey::Token(token.as_bytes())).await? {
            SessionState::Live(session) => session,
            SessionState::Ended => return Err(ended()),
            SessionState::Unknown => {
                return Err(Refused::new(
                    ProblemCode::SessionRevoked,
                    "this instance knows no session by this refresh token: it is too old, or of another instance; \
                     sign in again",
                ));
            }
        };
        // To its end, also if the client goes away: what the server has changed the keeper must know.
        let this = self.clone();
        let task = tokio::spawn(async move {
            let _relay = relay;
            this.0.refreshed(&token, proof.as_deref(), &session).await
        });
        task.await.map_err(|_| Refused::new(ProblemCode::Internal, "a refresh came to no end"))?
    }

    /// Ends the session that a token belongs to, here and then at the server.
    ///
    /// # Errors
    /// Why the keeper could not be asked. An unknown token is none.
    pub(crate) async fn sign_out(&self, token: zeroize::Zeroizing<String>) -> Result<SessionEnded, Refused> {
        let _relay = self.0.relay().await?;
        let known = match access_token::is_jwt(&token) {
            true => self.0.sessions.known(&token).await.ok(),
            false => None,
        };
        let key = known.as_ref().map_or(SessionKey::Token(token.as_bytes()), |known| known.session_key(&token));
        match self.0.links.keeper().await?.end_session(EndSession::Key(key)).await? {
            SessionState::Unknown => Ok(SessionEnded {
                revoked_at_issuer: false,
                problem: Some("this instance knows no session by this token; there was nothing to end".into()),
            }),
            state => {
                if let SessionState::Live(session) = &state {
                    self.0.sessions.forget(&session.id);
                }
                Ok(told(self.0.identity.revoke(&token).await))
            }
        }
    }

    /// Ends a session by its public id, here and at a hub of ours.
    ///
    /// # Errors
    /// `no_such_session`, and why the keeper could not be asked.
    pub(crate) async fn end(&self, id: &str) -> Result<SessionEnded, Refused> {
        let _relay = self.0.relay().await?;
        let SessionState::Live(session) = self.0.links.keeper().await?.end_session(EndSession::Id(id)).await? else {
            return Err(Refused::new(ProblemCode::NoSuchSession, "no session that stands has this id"));
        };
        self.0.sessions.forget(&session.id);
        let at_hub = self.0.identity.snapshot().server.as_ref().is_some_and(|server| server.is_hub());
        match &session.sid {
            Some(sid) if at_hub => Ok(told(self.0.identity.end_session_at_hub(sid).await)),
            _ => Ok(SessionEnded {
                revoked_at_issuer: false,
                problem: Some(
                    "the instance keeps no tokens and cannot revoke them at this authorization server; they are refused \
                     here"
                        .into(),
                ),
            }),
        }
    }

    /// All sessions that stand.
    ///
    /// # Errors
    /// Why the keeper could not be asked.
    pub(crate) async fn list(&self) -> Result<Vec<Session>, Refused> {
        let keeper = self.0.links.keeper().await?;
        let mut sessions: Vec<Session> = Vec::new();
        loop {
            let after = u32::try_from(sessions.len()).unwrap_or(u32::MAX);
            let (total, more) = keeper.list_sessions(after).await?;
            if more.is_empty() {
                return Ok(sessions);
            }
            sessions.extend(more);
            if sessions.len() >= total as usize {
                return Ok(sessions);
            }
        }
    }
}

impl Inner {
    async fn refreshed(
        &self,
        token: &str,
        proof: Option<&str>,
        session: &Session,
    ) -> Result<(SignedIn, Option<String>), Refused> {
        let server = self.identity.server().await?;
        let mut params = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
        params.extend(self.resource(&server));
        let mut tokens = match self.identity.token_request(&params, proof).await {
            Ok(tokens) => tokens,
            Err(IdentityError::Refused(error)) => {
                return Err(match error.error.as_str() {
                    "use_dpop_nonce" => Refused::nonce(error.nonce.as_deref()),
                    "invalid_dpop_proof" => Refused::new(ProblemCode::ProofInvalid, error.to_string()),
                    "invalid_grant" => {
                        // It was revoked, or used twice, which a server takes for theft: whether the session stands is
                        // asked with its next request.
                        self.sessions.forget(&session.id);
                        Refused::new(
                            ProblemCode::SessionRevoked,
                            "the authorization server does not take the refresh token any more: the session was ended \
                             there, or the token was used before; sign in again",
                        )
                    }
                    "access_denied" => {
                        // The account has no role here any more.
                        let key = EndSession::Key(SessionKey::Token(token.as_bytes()));
                        self.links.keeper().await?.end_session(key).await?;
                        denied(&error)
                    }
                    _ => self.refused(IdentityError::Refused(error)),
                });
            }
            Err(error) => return Err(self.refused(error)),
        };
        let nonce = tokens.nonce.take();
        Ok((self.go_on(tokens, token, &session.label).await?, nonce))
    }
}

/// What became of it at the server.
fn told(revoked: Result<(), IdentityError>) -> SessionEnded {
    match revoked {
        Ok(()) => SessionEnded { revoked_at_issuer: true, problem: None },
        Err(error) => SessionEnded {
            revoked_at_issuer: false,
            problem: Some(format!("the tokens are refused here; the authorization server could not be told: {error}")),
        },
    }
}
