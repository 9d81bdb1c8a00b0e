//! Asking the keeper: one function per request. Frames, both ways, are in secret memory.

use std::os::fd::OwnedFd;

use merlon_sandbox::secret::{Secret, SecretBuf, SecretError};

use super::call::{Buffer, Caller};
use super::{AsyncLink, Driver, Limits, LinkError};
use crate::hub::{Claims, SigningKey};
use crate::identity::{Credential, Identity, Owner, Registration, Session, SessionKey, SessionStart, SessionState};
use crate::keeper::{EndSession, PUBLIC_KEY_LEN, Project, Refusal, Request, Response, Status, TokenIdentity};
use crate::{Frame, Role};

/// Why the keeper gave nothing: its word, none from it, or no place to put it.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The keeper understood and refused.
    #[error(transparent)]
    Refused(Refusal),
    /// The keeper could not be asked.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A key came and there was no secret memory for it.
    #[error("no secret memory for a key: {0}")]
    Memory(SecretError),
}

/// Work of a rotation: a project with the key that it has and the one that it is to have.
pub struct Rekeying {
    /// The project.
    pub id: u64,
    /// The key that its files have, unless they have the next one already.
    pub key: Secret<32>,
    /// The key that they are to have.
    pub next: Secret<32>,
}

/// What a reader makes of an answer that is not refused: the value, or none if it answers another request.
type Read<T> = fn(Response<'_>) -> Option<Result<T, SecretError>>;

/// The asking side of the keeper's link. Clones share it.
#[derive(Clone)]
pub struct KeeperClient(Caller);

impl KeeperClient {
    /// A client over a link whose greeting has been received. Its [`Driver`] must be run.
    ///
    /// # Errors
    /// [`LinkError::Memory`] if there is no secret memory for frames.
    pub fn new(link: AsyncLink, limits: Limits) -> Result<(Self, Driver), LinkError> {
        let (caller, driver) = Caller::new(link, Role::Keeper, limits, Buffer::secret()?, Buffer::secret()?);
        Ok((Self(caller), driver))
    }

    /// State, keyslots and memory of the keeper; answered while locked, too.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn status(&self) -> Result<Status, KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Status(status) => Some(Ok(status)),
            _ => None,
        };
        self.ask(Request::Status, read).await
    }

    /// The CA certificate, DER.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn ca_certificate(&self) -> Result<Vec<u8>, KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::CaCertificate(der) => Some(Ok(der.to_vec())),
            _ => None,
        };
        self.ask(Request::CaCertificate, read).await
    }

    /// A leaf certificate, DER, for one host and the engine's public key.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn issue_leaf(&self, host: &str, public_key: &[u8; PUBLIC_KEY_LEN]) -> Result<Vec<u8>, KeeperError> {
        self.ask(Request::IssueLeaf { host, public_key }, read_leaf).await
    }

    /// The certificate, DER, of the API's own listener.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn issue_api_leaf(&self, public_key: &[u8; PUBLIC_KEY_LEN]) -> Result<Vec<u8>, KeeperError> {
        self.ask(Request::IssueApiLeaf { public_key }, read_leaf).await
    }

    /// All projects, without keys.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn list_projects(&self) -> Result<Vec<Project>, KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Projects(projects) => Some(Ok(projects)),
            _ => None,
        };
        self.ask(Request::ListProjects, read).await
    }

    /// A new project with a random key of its own.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn create_project(&self, name: &str) -> Result<Project, KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Project(project) => Some(Ok(project)),
            _ => None,
        };
        self.ask(Request::CreateProject { name }, read).await
    }

    /// The key of a project, straight from the frame into secret memory of its own.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn project_key(&self, id: u64) -> Result<Secret<32>, KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::ProjectKey(key) if key.len() == 32 => Some(Secret::init(|place| place.copy_from_slice(key))),
            _ => None,
        };
        self.ask(Request::ProjectKey { id }, read).await
    }

    /// Forgets a project's key for good.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn delete_project(&self, id: u64) -> Result<(), KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Done => Some(Ok(())),
            _ => None,
        };
        self.ask(Request::DeleteProject { id }, read).await
    }

    /// How many projects wait for a new key, and the first of them behind id `after`.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn next_rekey(&self, after: u64) -> Result<(u32, Option<Rekeying>), KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Rekey { waiting, project: None } => Some(Ok((waiting, None))),
            Response::Rekey { waiting, project: Some(project) }
                if [project.key.len(), project.next.len()] == [32; 2] =>
            {
                let secret = |bytes: &[u8]| Secret::init(|place| place.copy_from_slice(bytes));
                let keys = secret(project.key).and_then(|key| Ok((key, secret(project.next)?)));
                Some(keys.map(|(key, next)| (waiting, Some(Rekeying { id: project.id, key, next }))))
            }
            _ => None,
        };
        self.ask(Request::NextRekey { after }, read).await
    }

    /// The project's files are under their new key.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn rekeyed(&self, id: u64) -> Result<(), KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Done => Some(Ok(())),
            _ => None,
        };
        self.ask(Request::Rekeyed { id }, read).await
    }

    /// Is this the password of this proxy user?
    ///
    /// # Errors
    /// [`KeeperError`]; [`Refusal::RateLimited`] after too many failed tries.
    pub async fn verify_proxy_user(&self, user: &str, password: &[u8]) -> Result<bool, KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Verified(verdict) => Some(Ok(verdict)),
            _ => None,
        };
        self.ask(Request::VerifyProxyUser { user, password }, read).await
    }

    /// Whose access token is this? None: nobody's.
    ///
    /// # Errors
    /// [`KeeperError`]; [`Refusal::RateLimited`] after too many failed tries.
    pub async fn verify_token(&self, token: &[u8]) -> Result<Option<TokenIdentity>, KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Token(identity) => Some(Ok(identity)),
            _ => None,
        };
        self.ask(Request::VerifyToken { token }, read).await
    }

    /// Tells of a listener that others than this host can reach, for the audit log.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn tell_override(&self, address: &str) -> Result<(), KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Done => Some(Ok(())),
            _ => None,
        };
        self.ask(Request::Override { address }, read).await
    }

    /// How far the instance is with its authorization server.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn identity(&self) -> Result<Identity, KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Identity(identity) => Some(Ok(identity)),
            _ => None,
        };
        self.ask(Request::Identity, read).await
    }

    /// A client assertion of the registered client, addressed to its issuer. Good for one request.
    ///
    /// # Errors
    /// [`KeeperError`]; [`Refusal::NotRegistered`].
    pub async fn sign_assertion(&self) -> Result<String, KeeperError> {
        self.ask(Request::SignAssertion, read_jwt).await
    }

    /// A proof of possession of the instance's own key for one request; `nonce` may be empty.
    ///
    /// # Errors
    /// [`KeeperError`]; [`Refusal::OutOfBounds`] for a method or URL that it does not sign for.
    pub async fn sign_proof(&self, method: &str, url: &str, nonce: &str) -> Result<String, KeeperError> {
        self.ask(Request::SignProof { method, url, nonce }, read_jwt).await
    }

    /// Keeps what a registration gave, or a later change of it.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn store_registration(&self, registration: Registration<'_>) -> Result<(), KeeperError> {
        self.ask(Request::StoreRegistration(registration), read_done).await
    }

    /// One secret of the registered client, straight into secret memory of its own.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn credential(&self, which: Credential) -> Result<Option<SecretBuf>, KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Credential(None) => Some(Ok(None)),
            Response::Credential(Some(secret)) => Some(SecretBuf::with_capacity(secret.len()).map(|mut held| {
                held.set_len(secret.len());
                held.as_mut_slice().copy_from_slice(secret);
                Some(held)
            })),
            _ => None,
        };
        self.ask(Request::Credential(which), read).await
    }

    /// Keeps the instance's own access token.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn store_access_token(&self, token: &[u8], expires_us: i64) -> Result<(), KeeperError> {
        self.ask(Request::StoreAccessToken { token, expires_us }, read_done).await
    }

    /// Is this the claim code? Changes nothing.
    ///
    /// # Errors
    /// [`KeeperError`]; [`Refusal::RateLimited`], [`Refusal::Claimed`].
    pub async fn check_claim_code(&self, code: &[u8]) -> Result<bool, KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Verified(verdict) => Some(Ok(verdict)),
            _ => None,
        };
        self.ask(Request::CheckClaimCode { code }, read).await
    }

    /// Ties the instance to an account; uses the code up.
    ///
    /// # Errors
    /// [`KeeperError`]; [`Refusal::BadClaimCode`], [`Refusal::RateLimited`], [`Refusal::Claimed`].
    pub async fn claim(&self, code: &[u8], owner: Owner) -> Result<(), KeeperError> {
        self.ask(Request::Claim { code, owner }, read_done).await
    }

    /// Forgets client, owner, sessions and the instance's own key.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn reset_identity(&self) -> Result<(), KeeperError> {
        self.ask(Request::ResetIdentity, read_done).await
    }

    /// Somebody signed in.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn begin_session(&self, session: SessionStart<'_>) -> Result<Session, KeeperError> {
        self.ask(Request::BeginSession(session), read_session).await
    }

    /// The session behind `used` has other tokens now.
    ///
    /// # Errors
    /// [`KeeperError`]; [`Refusal::NoSession`].
    pub async fn refresh_session(&self, used: SessionKey<'_>, now: SessionStart<'_>) -> Result<Session, KeeperError> {
        self.ask(Request::RefreshSession { used, now }, read_session).await
    }

    /// What is known of the session behind a token.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn check_session(&self, key: SessionKey<'_>) -> Result<SessionState, KeeperError> {
        self.ask(Request::CheckSession(key), read_session_state).await
    }

    /// How many sessions live, and those behind the first `after` as far as they fit an answer.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn list_sessions(&self, after: u32) -> Result<(u32, Vec<Session>), KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::Sessions { total, sessions } => Some(Ok((total, sessions))),
            _ => None,
        };
        self.ask(Request::ListSessions { after }, read).await
    }

    /// Ends a session; says what it was.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn end_session(&self, which: EndSession<'_>) -> Result<SessionState, KeeperError> {
        self.ask(Request::EndSession(which), read_session_state).await
    }

    /// Signed access tokens in the order of the claims, at most [`crate::hub::MAX_TOKENS`]; of a hub's keeper only.
    ///
    /// # Errors
    /// [`KeeperError`]; [`Refusal::OutOfBounds`].
    pub async fn sign_access_tokens(&self, claims: Vec<Claims<'_>>) -> Result<Vec<String>, KeeperError> {
        let read: Read<_> = |answer| match answer {
            Response::AccessTokens(tokens) => Some(Ok(tokens.into_iter().map(str::to_owned).collect())),
            _ => None,
        };
        self.ask(Request::SignAccessTokens(claims), read).await
    }

    /// All signing keys; of a hub's keeper only.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, KeeperError> {
        self.ask(Request::SigningKeys, read_signing_keys).await
    }

    /// Rotates the signing keys by one step and gives all of them; of a hub's keeper only.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn rotate_signing_keys(&self) -> Result<Vec<SigningKey>, KeeperError> {
        self.ask(Request::RotateSigningKeys, read_signing_keys).await
    }

    /// Completes once the link is of no further use.
    pub async fn closed(&self) {
        self.0.closed().await;
    }

    /// The link is of no further use.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Ends the link: the driver ends, calls under way fail.
    pub fn hang_up(&self) {
        self.0.hang_up();
    }

    async fn ask<T: Send + 'static>(&self, request: Request<'_>, read: Read<T>) -> Result<T, KeeperError> {
        let answer = self.0.call(request, move |frame, descriptor: Option<OwnedFd>| {
            if descriptor.is_some() {
                return Err(broken("a descriptor, which it never sends"));
            }
            let Frame { body, .. } = crate::decode::<Frame<Response<'_>>>(frame)?;
            match body {
                Response::Refused(refusal) => Ok(Err(KeeperError::Refused(refusal))),
                body => match read(body) {
                    Some(value) => Ok(value.map_err(KeeperError::Memory)),
                    None => Err(broken("an answer to another request")),
                },
            }
        });
        answer.await?
    }
}

fn read_leaf(answer: Response<'_>) -> Option<Result<Vec<u8>, SecretError>> {
    match answer {
        Response::Leaf(der) => Some(Ok(der.to_vec())),
        _ => None,
    }
}

fn read_done(answer: Response<'_>) -> Option<Result<(), SecretError>> {
    matches!(answer, Response::Done).then_some(Ok(()))
}

fn read_jwt(answer: Response<'_>) -> Option<Result<String, SecretError>> {
    match answer {
        Response::Jwt(jwt) => Some(Ok(jwt.to_owned())),
        _ => None,
    }
}

fn read_session(answer: Response<'_>) -> Option<Result<Session, SecretError>> {
    match answer {
        Response::Session(session) => Some(Ok(session)),
        _ => None,
    }
}

fn read_session_state(answer: Response<'_>) -> Option<Result<SessionState, SecretError>> {
    match answer {
        Response::SessionState(state) => Some(Ok(state)),
        _ => None,
    }
}

fn read_signing_keys(answer: Response<'_>) -> Option<Result<Vec<SigningKey>, SecretError>> {
    match answer {
        Response::SigningKeys(keys) => Some(Ok(keys)),
        _ => None,
    }
}

fn broken(what: &'static str) -> LinkError {
    LinkError::Protocol { role: Role::Keeper, what }
}
