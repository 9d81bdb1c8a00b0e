//! What is known of an access token of somebody who signed in: verified here by the server's keys if it is a JWT (RFC
//! 9068, 4), else by asking the server (RFC 7662). What was found is remembered by the token's hash, so that a request
//! costs no signature check; never longer than the token lives. Whether the session stands is not judged here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use merlon_api::ProblemCode;
use merlon_jose::access_token::{self, AccessToken, Expect};
use merlon_jose::{Jwks, TokenError};
use merlon_wire::identity::SessionKey;
use quick_cache::sync::Cache;

use crate::api::Refused;
use crate::identity::{Identity, IdentityError, Introspection, Snapshot};

/// Tokens that are remembered.
const REMEMBERED: usize = 1024;
/// How much the clocks of server and instance may differ, in seconds.
pub(super) const LEEWAY: u64 = 30;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// `iss`
    pub(crate) issuer: String,
    /// `sub`
    pub(crate) subject: String,
    /// For people; may be empty.
    pub(crate) name: String,
    /// `scope`
    pub(crate) scope: String,
    /// `roles`
    pub(crate) roles: Vec<String>,
    /// `sid`
    pub(crate) session: Option<String>,
    /// The key that it is bound to.
    pub(crate) key_thumbprint: Option<String>,
    /// `exp`, seconds since 1970-01-01 UTC; none if the server does not say.
    pub(crate) expires: Option<u64>,
    /// When the server was asked; none for a JWT.
    pub(crate) asked: Option<Instant>,
}

impl Known {
    /// What the keeper knows the session by.
    pub(crate) fn session_key<'a>(&'a self, token: &'a str) -> SessionKey<'a> {
        match &self.session {
            Some(sid) => SessionKey::Sid(sid),
            None => SessionKey::Token(token.as_bytes()),
        }
    }
}

/// The server's keys: as they were read, and as they are used.
type Keys = (Arc<[u8]>, Arc<Jwks>);

/// Verifies and remembers.
pub(super) struct Tokens {
    identity: Identity,
    known: Cache<[u8; 32], Arc<Known>>,
    keys: Mutex<Option<Keys>>,
}

impl Tokens {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, known: Cache::new(REMEMBERED), keys: Mutex::default() }
    }

    /// What this token says, if it is one of our issuer for this instance, and its time has not passed.
    ///
    /// # Errors
    /// `token_expired`, `token_invalid`, `clock_wrong`, `instance_deleted`, `sign_in_unavailable`, `hub_unreachable` …
    pub(super) async fn known(&self, token: &str) -> Result<Arc<Known>, Refused> {
        let hash = hash(token);
        let recheck = Duration::from_secs(self.identity.config().recheck_seconds.into());
        if let Some(known) = self.known.get(&hash) {
            if known.expires.is_some_and(|expires| now() >= expires.saturating_add(LEEWAY)) {
                self.known.remove(&hash);
                return Err(self.expired(0));
            }
            let same = self.identity.snapshot().issuer.as_ref() == Some(&known.issuer);
            if same && known.asked.is_none_or(|asked| asked.elapsed() < recheck) {
                return Ok(known);
            }
            match self.look(token).await {
                // An answer that cannot be had leaves what was known, up to the token's end.
                Err(refused) if refused.code() == ProblemCode::HubUnreachable && same && known.expires.is_some() => {
                    return Ok(known);
                }
                Err(refused) => {
                    self.known.remove(&hash);
                    // It had been good, and its time has not passed.
                    let revoked = refused.code() == ProblemCode::TokenExpired && known.expires.is_some();
                    return Err(if revoked { revoked_there() } else { refused });
                }
                Ok(known) => return Ok(self.remember(hash, known)),
            }
        }
        let known = self.look(token).await?;
        Ok(self.remember(hash, known))
    }

    fn remember(&self, hash: [u8; 32], known: Known) -> Arc<Known> {
        let known = Arc::new(known);
        self.known.insert(hash, Arc::clone(&known));
        known
    }

    async fn look(&self, token: &str) -> Result<Known, Refused> {
        let server = self.identity.server().await?;
        let snapshot = self.identity.snapshot();
        if access_token::is_jwt(token) {
            match self.verified(token, &snapshot).await {
                // Servers without RFC 9068 have JWTs of their own, which only they can read.
                Err(Failed::Token(TokenError::Type | TokenError::Missing(_)))
                    if !server.is_hub() && server.introspection.is_some() => {}
                Err(Failed::Token(error)) => return Err(self.refused(&error)),
                Err(Failed::Refused(refused)) => return Err(refused),
                Ok(token) => return Ok(of_jwt(token)),
            }
        }
        if server.introspection.is_none() {
            return Err(Refused::new(
                ProblemCode::TokenInvalid,
                "the token is no JWT of the form of RFC 9068, and the authorization server offers no introspection, so \
                 nobody can say whose it is",
            ));
        }
        let answer = self.identity.introspect(token).await?;
        of_answer(answer, &snapshot, self.identity.config().resource.as_deref())
    }

    async fn verified(&self, token: &str, snapshot: &Snapshot) -> Result<AccessToken, Failed> {
        let config = self.identity.config();
        let unavailable = || {
            let words = snapshot.problem.clone().unwrap_or_else(|| "the instance is not registered yet".into());
            Failed::Refused(Refused::new(ProblemCode::SignInUnavailable, words))
        };
        let issuer = snapshot.issuer.as_deref().ok_or_else(unavailable)?;
        let audience = snapshot.audience(config.resource.as_deref()).ok_or_else(unavailable)?;
        let expect = Expect { issuer, audience: Some(&audience), now: now(), leeway: LEEWAY };
        match access_token::verify(token, &*self.keys(false).await?, &expect) {
            // Keys are rotated: one look at those of today, which the identity limits in rate.
            Err(TokenError::UnknownKey { .. }) => Ok(access_token::verify(token, &*self.keys(true).await?, &expect)?),
            other => Ok(other?),
        }
    }

    async fn keys(&self, again: bool) -> Result<Arc<Jwks>, Failed> {
        let document = self.identity.jwks(again).await.map_err(Refused::from)?;
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, parsed)) = &*keys
            && Arc::ptr_eq(read, &document)
        {
            return Ok(Arc::clone(parsed));
        }
        let parsed = Jwks::parse(&document).map_err(|error| {
            Refused::new(ProblemCode::IssuerRefused, format!("the authorization server's keys cannot be used: {error}"))
        })?;
        let parsed = Arc::new(parsed);
        *keys = Some((document, Arc::clone(&parsed)));
        Ok(parsed)
    }

    fn refused(&self, error: &TokenError) -> Refused {
        match error {
            TokenError::Expired { by } => self.expired(*by),
            TokenError::NotYetValid { by } => Refused::new(
                ProblemCode::ClockWrong,
                format!(
                    "the token is valid only {} minutes from now by this host's clock, so that clock is behind the one of \
                     the authorization server (`timedatectl` shows it)",
                    by.div_ceil(60)
                ),
            ),
            other => Refused::new(ProblemCode::TokenInvalid, other.to_string()),
        }
    }

    /// A token whose end has passed: by a clock that is right, or by one that is ahead.
    fn expired(&self, by: u64) -> Refused {
        match self.identity.clock_minutes() {
            Some(minutes) if minutes > 0 && by < minutes.unsigned_abs() * 60 => {
                IdentityError::ClockWrong { minutes }.into()
            }
            _ => Refused::new(ProblemCode::TokenExpired, "the access token has expired; refresh it, or sign in again"),
        }
    }
}

/// Why a JWT is not taken.
enum Failed {
    Token(TokenError),
    Refused(Refused),
}

impl From<TokenError> for Failed {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

fn of_jwt(token: AccessToken) -> Known {
    Known {
        issuer: token.issuer,
        subject: token.subject,
        name: token.name.unwrap_or_default(),
        scope: token.scope,
        roles: token.roles,
        session: token.session,
        key_thumbprint: token.key_thumbprint,
        expires: Some(token.expires),
        asked: None,
    }
}

/// What an introspection says, if the token is active, ours, and for this instance.
fn of_answer(answer: Introspection, snapshot: &Snapshot, resource: Option<&str>) -> Result<Known, Refused> {
    let invalid = |why: &str| Refused::new(ProblemCode::TokenInvalid, why);
    if !answer.active {
        return Err(Refused::new(
            ProblemCode::TokenExpired,
            "the authorization server says that the access token is not valid any more; refresh it, or sign in again",
        ));
    }
    let (Some(issuer), Some(client)) = (&snapshot.issuer, &snapshot.client) else {
        return Err(Refused::new(ProblemCode::SignInUnavailable, "the instance is not registered yet"));
    };
    if answer.client_id.as_ref() != Some(&client.client_id) {
        return Err(invalid("the token was issued to another client than this instance"));
    }
    if answer.iss.as_ref().is_some_and(|iss| iss != issuer) {
        return Err(invalid("the token was issued by another issuer"));
    }
    if let (Some(resource), Some(aud)) = (resource, &answer.aud)
        && !aud.contains(resource)
    {
        return Err(invalid("the token was issued for another audience"));
    }
    if answer.exp.is_some_and(|exp| now() >= exp.saturating_add(LEEWAY)) {
        return Err(Refused::new(
            ProblemCode::TokenExpired,
            "the access token has expired; refresh it, or sign in again",
        ));
    }
    let key_thumbprint = match answer.cnf {
        None => None,
        Some(cnf) => Some(cnf.jkt.ok_or_else(|| invalid("the token is bound in a way that is not understood"))?),
    };
    Ok(Known {
        issuer: issuer.clone(),
        subject: answer.sub.filter(|sub| !sub.is_empty()).ok_or_else(|| invalid("nobody says whose the token is"))?,
        name: answer.username.unwrap_or_default(),
        scope: answer.scope.unwrap_or_default(),
        roles: Vec::new(),
        session: answer.sid,
        key_thumbprint,
        expires: answer.exp,
        asked: Some(Instant::now()),
    })
}

pub(super) fn revoked_there() -> Refused {
    Refused::new(ProblemCode::SessionRevoked, "the session was ended at the authorization server; sign in again")
}

/// Seconds since 1970-01-01 UTC.
pub(crate) fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use merlon_api::IdentityState;
    use merlon_wire::identity::{Client, ClientAuth};

    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            state: IdentityState::Claimed,
            issuer: Some("https://as.example".into()),
            server: None,
            client: Some(Client {
                issuer: "https://as.example".into(),
                client_id: "c1".into(),
                auth: ClientAuth::SecretBasic,
                management: None,
                metadata: String::new(),
            }),
            owner: None,
            problem: None,
        }
    }

    fn of(json: &str, resource: Option<&str>) -> Result<Known, ProblemCode> {
        let answer = serde_json::from_str(json).unwrap();
        of_answer(answer, &snapshot(), resource).map_err(|refused| refused.code())
    }

    #[test]
    fn i7_an_introspected_token_is_known_up_to_its_end_and_only_if_it_is_ours() {
        let good = format!(r#"{{"active":true,"client_id":"c1","sub":"ada","exp":{},"scope":"openid"}}"#, now() + 60);
        let known = of(&good, None).unwrap();
        assert_eq!((known.subject.as_str(), known.session.is_some()), ("ada", false));
        assert_eq!(known.expires, Some(now() + 60));
        for (json, code) in [
            (r#"{"active":false}"#.to_owned(), ProblemCode::TokenExpired),
            (good.replace("c1", "c2"), ProblemCode::TokenInvalid),
            (good.replace(r#""client_id":"c1","#, ""), ProblemCode::TokenInvalid),
            (good.replace(r#""sub":"ada","#, ""), ProblemCode::TokenInvalid),
            (good.replace(r#""sub""#, r#""iss":"https://other","sub""#), ProblemCode::TokenInvalid),
            (good.replace(r#""sub""#, r#""cnf":{"x5t#S256":"x"},"sub""#), ProblemCode::TokenInvalid),
            (r#"{"active":true,"client_id":"c1","sub":"ada","exp":100}"#.to_owned(), ProblemCode::TokenExpired),
        ] {
            assert_eq!(of(&json, None), Err(code), "{json}");
        }
        let with_audience = good.replace(r#""sub""#, r#""aud":["a","b"],"sub""#);
        assert!(of(&with_audience, Some("b")).is_ok());
        assert_eq!(of(&with_audience, Some("c")), Err(ProblemCode::TokenInvalid));
    }
}
