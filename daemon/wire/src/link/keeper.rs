//! Asking the keeper: one function per request. Frames, both ways, are in secret memory.

use std::os::fd::OwnedFd;

use merlon_sandbox::secret::{Secret, SecretError};

use super::call::{Buffer, Caller};
use super::{AsyncLink, Driver, Limits, LinkError};
use crate::keeper::{PUBLIC_KEY_LEN, Project, Refusal, Request, Response, Status, TokenIdentity};
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

fn broken(what: &'static str) -> LinkError {
    LinkError::Protocol { role: Role::Keeper, what }
}
