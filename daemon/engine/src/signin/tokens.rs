//! What is done with tokens that the server gave: they are verified like any that a stranger shows, the instance is
//! claimed where that was asked for, the keeper notes the session, and the client gets them. Where one step fails the
//! tokens are revoked: nobody has them then.

use merlon_api::{ProblemCode, SignedIn};
use merlon_wire::identity::{MAX_NAME, Owner, SessionKey, SessionStart};
use merlon_wire::keeper::{EndSession, Refusal};
use merlon_wire::link::KeeperError;

use super::pending::SignIn;
use super::{Inner, is_owned, wrong_account};
use crate::api::{Refused, session_of};
use crate::auth::{Known, Scopes, now};
use crate::identity::{TokenType, Tokens};

/// How long a session is remembered that nobody refreshes, where the server does not say how long the refresh token
/// lives: what our hub gives by default.
const IDLE_SECONDS: u64 = 30 * 24 * 3600;
/// The shortest time, however much the clocks differ: a session that has ended already cannot begin.
const SHORTEST_SECONDS: u64 = 60;
/// The longest time that is believed.
const LONGEST_SECONDS: u64 = 400 * 24 * 3600;

impl Inner {
    /// A session begins.
    pub(super) async fn begin(&self, tokens: Tokens, sign_in: &SignIn) -> Result<SignedIn, Refused> {
        match self.try_begin(&tokens, sign_in).await {
            Ok(signed_in) => Ok(signed_in),
            Err(refused) => {
                self.give_back(&tokens).await;
                Err(refused)
            }
        }
    }

    async fn try_begin(&self, tokens: &Tokens, sign_in: &SignIn) -> Result<SignedIn, Refused> {
        let known = self.read(tokens).await?;
        if let Some(code) = &sign_in.claim_code {
            self.claim(code.as_slice(), &known).await?;
        }
        let expires = self.end_of(tokens, &known).await;
        let keeper = self.links.keeper().await?;
        let (role, scopes) = self.sessions.rights(&known)?;
        let refresh = tokens.refresh_token.as_ref().map(|token| SessionKey::Token(token.as_bytes()));
        let start = start(&known, tokens, refresh, &sign_in.label, role.as_str(), expires);
        let session = keeper.begin_session(start).await?;
        self.sessions.spoken_for(&session.id).await;
        signed_in(tokens, None, &known, &session, scopes)
    }

    /// The session goes on with these tokens instead of those that `used` belongs to.
    pub(super) async fn go_on(&self, tokens: Tokens, used: &str, label: &str) -> Result<SignedIn, Refused> {
        let known = self.read(&tokens).await?;
        let (role, scopes) = match self.sessions.rights(&known) {
            Ok(rights) => rights,
            Err(refused) => {
                // The role was taken away: there is nothing that the session could go on with.
                self.links.keeper().await?.end_session(EndSession::Key(SessionKey::Token(used.as_bytes()))).await?;
                self.give_back(&tokens).await;
                return Err(refused);
            }
        };
        let expires = self.end_of(&tokens, &known).await;
        let keeper = self.links.keeper().await?;
        // None means that the old one goes on to hold (RFC 6749, 6).
        let newest = tokens.refresh_token.as_ref().map_or(used, |token| token.as_str());
        let refresh = Some(SessionKey::Token(newest.as_bytes()));
        let start = start(&known, &tokens, refresh, label, role.as_str(), expires);
        let session = match keeper.refresh_session(SessionKey::Token(used.as_bytes()), start).await {
            Ok(session) => session,
            Err(error) => {
                if matches!(error, KeeperError::Refused(Refusal::NoSession)) {
                    self.give_back(&tokens).await;
                }
                return Err(error.into());
            }
        };
        self.sessions.spoken_for(&session.id).await;
        signed_in(&tokens, Some(used), &known, &session, scopes)
    }

    /// Nobody took what was signed in: the session ends, here and at the server.
    pub(super) async fn undo(&self, signed_in: &SignedIn) {
        if let Ok(keeper) = self.links.keeper().await {
            // Without a keeper it lives on as one that nobody has a token of.
            let _ = keeper.end_session(EndSession::Id(&signed_in.session.id)).await;
        }
        self.sessions.forget(&signed_in.session.id);
        let _ = self.identity.revoke(signed_in.refresh_token.as_ref().unwrap_or(&signed_in.access_token)).await;
    }

    async fn give_back(&self, tokens: &Tokens) {
        // What cannot be revoked now ends by itself; no client has it.
        let _ = self.identity.revoke(tokens.refresh_token.as_ref().unwrap_or(&tokens.access_token)).await;
    }

    /// The tokens as a request would show them.
    async fn read(&self, tokens: &Tokens) -> Result<Known, Refused> {
        let known = self.sessions.known(&tokens.access_token).await?;
        if known.key_thumbprint.is_some() != (tokens.token_type == TokenType::Dpop) {
            return Err(Refused::new(
                ProblemCode::IssuerRefused,
                "the authorization server's token is not bound as its type says",
            ));
        }
        Ok(Known::clone(&known))
    }

    /// Ties the instance to whoever signed in.
    async fn claim(&self, code: &[u8], known: &Known) -> Result<(), Refused> {
        let owner =
            Owner { issuer: known.issuer.clone(), subject: known.subject.clone(), name: cut(&known.name).to_owned() };
        let claimed = self.links.keeper().await?.claim(code, owner).await;
        // Whoever owns it now: it is read anew.
        self.identity.synchronize().await?;
        match claimed {
            Ok(()) => Ok(()),
            Err(KeeperError::Refused(Refusal::Claimed | Refusal::BadClaimCode))
                if is_owned(&self.identity.snapshot()) =>
            {
                // Somebody else was faster. Who has a role of another kind may go on.
                self.sessions.rights(known).map(drop).map_err(|_| wrong_account())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// When the session ends unless it is refreshed. Seconds since 1970-01-01 UTC.
    async fn end_of(&self, tokens: &Tokens, known: &Known) -> u64 {
        let now = now();
        let Some(refresh) = &tokens.refresh_token else {
            let end = known.expires.unwrap_or(now + u64::from(tokens.expires_in.unwrap_or(3600)));
            return end.max(now + SHORTEST_SECONDS);
        };
        match self.identity.introspect(refresh).await {
            Ok(answer) if answer.active => answer.exp.unwrap_or(now + IDLE_SECONDS),
            _ => now + IDLE_SECONDS,
        }
        .clamp(now + SHORTEST_SECONDS, now + LONGEST_SECONDS)
    }
}

fn start<'a>(
    known: &'a Known,
    tokens: &'a Tokens,
    refresh: Option<SessionKey<'a>>,
    label: &'a str,
    role: &'a str,
    expires: u64,
) -> SessionStart<'a> {
    SessionStart {
        access: known.session_key(&tokens.access_token),
        refresh,
        issuer: &known.issuer,
        subject: &known.subject,
        name: cut(&known.name),
        label,
        role,
        bound: known.key_thumbprint.is_some(),
        expires_us: i64::try_from(expires.saturating_mul(1_000_000)).unwrap_or(i64::MAX),
    }
}

/// As the client gets it. `used` is the refresh token that goes on to hold where no new one came.
fn signed_in(
    tokens: &Tokens,
    used: Option<&str>,
    known: &Known,
    session: &merlon_wire::identity::Session,
    scopes: Scopes,
) -> Result<SignedIn, Refused> {
    let lives = known.expires.map(|expires| u32::try_from(expires.saturating_sub(now())).unwrap_or(u32::MAX));
    Ok(SignedIn {
        access_token: tokens.access_token.to_string(),
        token_type: tokens.token_type.as_str().to_owned(),
        expires_in: tokens.expires_in.or(lives).unwrap_or(60),
        refresh_token: tokens.refresh_token.as_ref().map(|token| token.to_string()).or(used.map(str::to_owned)),
        session: session_of(session)?,
        scopes: scopes.to_vec(),
    })
}

/// A name no longer than the keeper takes.
fn cut(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(cut("ada"), "ada");
        let long = format!("{}é", "x".repeat(MAX_NAME - 1));
        assert_eq!(cut(&long).len(), MAX_NAME - 1);
    }
}
