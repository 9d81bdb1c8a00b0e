//! What the engine may ask of the keeper, and what it answers. This is the whole list: the keeper has no other entry.
//!
//! The engine is assumed hostile. Nothing here signs bytes that the engine chose: a leaf is built by the keeper from a
//! host name and a public key. No request returns the master key or the CA key.

use serde::{Deserialize, Serialize};

use crate::hub::{Claims, SigningKey};
use crate::identity::{Credential, Identity, Owner, Registration, Session, SessionKey, SessionStart, SessionState};

/// A public key on P-256 as an uncompressed point (SEC 1, 2.3.3): `0x04 || X || Y`.
pub const PUBLIC_KEY_LEN: usize = 65;
/// The longest host name (RFC 1035, 2.3.4).
pub const MAX_HOST: usize = 253;
/// The longest name of a project, in bytes.
pub const MAX_PROJECT_NAME: usize = 100;
/// The most projects of an instance.
pub const MAX_PROJECTS: usize = 200;

/// A request on the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// State, keyslots and sandbox of the keeper. Answered while locked.
    Status,
    /// The CA certificate.
    CaCertificate,
    /// A leaf certificate for one host (DNS name or IP address, never a wildcard) and the engine's public key.
    IssueLeaf {
        /// DNS name, or IPv4 or IPv6 address without brackets.
        host: &'a str,
        /// Uncompressed P-256 point, [`PUBLIC_KEY_LEN`] bytes.
        public_key: &'a [u8],
    },
    /// The certificate of the API listener: `localhost`, the loopback addresses, the host's name.
    IssueApiLeaf {
        /// Uncompressed P-256 point, [`PUBLIC_KEY_LEN`] bytes.
        public_key: &'a [u8],
    },
    /// All projects, without keys.
    ListProjects,
    /// A new project with a random key of its own.
    CreateProject {
        /// 1 to [`MAX_PROJECT_NAME`] bytes, no control characters, unique.
        name: &'a str,
    },
    /// The key of a project, to open it. Remembered as the project to open at the next start.
    ProjectKey {
        /// As in [`Project`].
        id: u64,
    },
    /// Forgets a project's key for good: what it encrypted can never be read again.
    DeleteProject {
        /// As in [`Project`].
        id: u64,
    },
    /// The next project, by id, that waits for a new key.
    NextRekey {
        /// Projects up to this id are passed over; 0 for none.
        after: u64,
    },
    /// The project's files are under their new key: the old one is forgotten. Done already is no error.
    Rekeyed {
        /// As in [`Project`].
        id: u64,
    },
    /// Is this the password of this proxy user? Limited in rate.
    VerifyProxyUser {
        /// User name.
        user: &'a str,
        /// Password.
        password: &'a [u8],
    },
    /// Whose access token is this? Limited in rate.
    VerifyToken {
        /// The token as the client sent it.
        token: &'a [u8],
    },
    /// The engine listens where others than this host can reach it, as the configuration permits: for the audit log.
    /// Taken while locked.
    Override {
        /// IP address and port.
        address: &'a str,
    },
    /// How far the instance is with its authorization server.
    Identity,
    /// A client assertion (RFC 7523, 3) of the registered client with the instance's own key: `iss` and `sub` are its
    /// id, `aud` is its issuer.
    SignAssertion,
    /// A proof of possession of the instance's own key (RFC 9449, 4.2), for one request.
    SignProof {
        /// `htm`: `POST`, `GET`, `PUT` or `DELETE`.
        method: &'a str,
        /// `htu`: https, or http on loopback; without query and fragment.
        url: &'a str,
        /// `nonce`; empty: none.
        nonce: &'a str,
    },
    /// Keeps what a registration gave, or a later change of it, in one transaction.
    StoreRegistration(Registration<'a>),
    /// One secret of the registered client.
    Credential(Credential),
    /// Keeps the instance's own access token; forgotten with the registration.
    StoreAccessToken {
        /// The token.
        token: &'a [u8],
        /// Its end. Microseconds since 1970-01-01 UTC.
        expires_us: i64,
    },
    /// Is this the claim code? Limited in rate. Changes nothing.
    CheckClaimCode {
        /// As typed; case, blanks and hyphens don't count.
        code: &'a [u8],
    },
    /// Ties the instance to an account; the code is used up by it. The same owner once more is no error.
    Claim {
        /// As in [`Request::CheckClaimCode`].
        code: &'a [u8],
        /// Who.
        owner: Owner,
    },
    /// Forgets client, owner, sessions and the instance's own key, in one transaction; there is a new claim code.
    ResetIdentity,
    /// Somebody signed in.
    BeginSession(SessionStart<'a>),
    /// The session behind this refresh token (or `sid`) has other tokens now. Refused if it ended or is unknown.
    RefreshSession {
        /// What the refresh token that was used is known by.
        used: SessionKey<'a>,
        /// What the session is now; its issuer and subject must be the same.
        now: SessionStart<'a>,
    },
    /// What is known of the session behind this token.
    CheckSession(SessionKey<'a>),
    /// All live sessions behind session number `after` (0 for none) in the order of their beginning: as many as fit.
    ListSessions {
        /// Sessions to pass over.
        after: u32,
    },
    /// Ends a session, by its public id or by a token of it.
    EndSession(EndSession<'a>),
    /// Hub: signs access tokens. All or none.
    SignAccessTokens(Vec<Claims<'a>>),
    /// Hub: all signing keys. Makes those that are missing.
    SigningKeys,
    /// Hub: next becomes current, current becomes previous, previous is forgotten, and there is a new next, for each
    /// algorithm.
    RotateSigningKeys,
}

/// Which session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndSession<'a> {
    /// By its public id.
    Id(&'a str),
    /// By its access or refresh token, or their `sid`.
    Key(SessionKey<'a>),
}

/// An answer on the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response<'a> {
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::CaCertificate`]: DER (RFC 5280).
    CaCertificate(&'a [u8]),
    /// To [`Request::IssueLeaf`] and [`Request::IssueApiLeaf`]: DER of the leaf.
    Leaf(&'a [u8]),
    /// To [`Request::ListProjects`].
    Projects(Vec<Project>),
    /// To [`Request::CreateProject`].
    Project(Project),
    /// To [`Request::ProjectKey`]: 32 bytes.
    ProjectKey(&'a [u8]),
    /// To [`Request::NextRekey`].
    Rekey {
        /// Projects that wait for a new key, all together.
        waiting: u32,
        /// The one to be dealt with; none if there is none after the id given.
        project: Option<Rekey<'a>>,
    },
    /// To [`Request::DeleteProject`], [`Request::Rekeyed`], [`Request::Override`], and to what stores, claims or resets.
    Done,
    /// To [`Request::VerifyProxyUser`] and [`Request::CheckClaimCode`].
    Verified(bool),
    /// To [`Request::VerifyToken`]: none if there is no such token, or it was revoked.
    Token(Option<TokenIdentity>),
    /// To [`Request::Identity`].
    Identity(Identity),
    /// To [`Request::SignAssertion`] and [`Request::SignProof`]: a JWT.
    Jwt(&'a str),
    /// To [`Request::Credential`]: none if there is none, or it has expired.
    Credential(Option<&'a [u8]>),
    /// To [`Request::BeginSession`] and [`Request::RefreshSession`].
    Session(Session),
    /// To [`Request::CheckSession`] and [`Request::EndSession`] (as it was before it ended).
    SessionState(SessionState),
    /// To [`Request::ListSessions`].
    Sessions {
        /// All live sessions together.
        total: u32,
        /// Those that fit.
        sessions: Vec<Session>,
    },
    /// To [`Request::SignAccessTokens`]: JWTs, in the order of the claims.
    AccessTokens(Vec<&'a str>),
    /// To [`Request::SigningKeys`] and [`Request::RotateSigningKeys`].
    SigningKeys(Vec<SigningKey>),
    /// The request was understood and refused.
    Refused(Refusal),
}

/// Why the keeper refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No keyslot has opened yet.
    #[error("the instance is locked; run `merlon unlock` on its host")]
    Locked,
    /// The name cannot stand in a certificate.
    #[error("no certificate can be issued for this host: {0}")]
    BadHost(String),
    /// The key is no point on P-256.
    #[error("the public key is not a point on P-256")]
    BadPublicKey,
    /// The name of a project is empty, too long, taken, or has control characters.
    #[error("the project's name cannot be used: {0}")]
    BadProjectName(String),
    /// There is no such project.
    #[error("there is no project with this id; `merlon project list` shows them")]
    NoSuchProject,
    /// Too many projects.
    #[error("an instance holds at most {MAX_PROJECTS} projects; delete one first")]
    TooManyProjects,
    /// Too many failed tries.
    #[error("too many failed tries; try again in a second")]
    RateLimited,
    /// No client is registered or configured.
    #[error("this instance is not registered with an authorization server yet")]
    NotRegistered,
    /// The claim code is wrong, or was used.
    #[error("this is not the claim code; `merlon claim-code` on the host shows it")]
    BadClaimCode,
    /// Somebody else owns the instance.
    #[error("the instance has an owner already")]
    Claimed,
    /// The session was ended, or there is none.
    #[error("the session has ended; sign in again")]
    NoSession,
    /// What was to be kept or signed is out of its bounds, and which.
    #[error("the keeper does not take this: {0}")]
    OutOfBounds(String),
    /// A file of the keeper could not be read or written: which, why, and what to do.
    #[error("the keeper could not use its files: {0}")]
    Storage(String),
}

/// Whether the master key is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockState {
    /// No keyslot has opened; waiting for `merlon unlock`.
    Locked,
    /// The master key is in secret memory.
    Unlocked,
    /// None has opened yet: after a start those that open by themselves are still tried. A TPM may take long.
    Opening,
}

/// State of the keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Locked or not, or not yet known.
    pub state: LockState,
    /// The kind of the slot that opened it (`tpm2`, `pkcs11`, `credential`, `file`, `passphrase`, `recovery`), if open.
    pub opened_by: Option<String>,
    /// The kinds of all slots, in the order in which they are tried.
    pub slots: Vec<String>,
    /// A recovery slot was typed back.
    pub recovery_confirmed: bool,
    /// Where keys are held: `memfd_secret` or `locked`.
    pub secret_memory: String,
    /// What was found damaged and mended, or needs the operator; whole sentences.
    pub warnings: Vec<String>,
    /// The project opened last, to be opened at start.
    pub last_project: Option<u64>,
    /// 16 random bytes that name this instance for ever, in hex.
    pub instance: String,
}

/// A project, without its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Never used again after deletion.
    pub id: u64,
    /// As the user named it.
    pub name: String,
    /// Microseconds since 1970-01-01 UTC.
    pub created_us: i64,
}

/// A project that waits for a new key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekey<'a> {
    /// As in [`Project`].
    pub id: u64,
    /// The key that its files have; 32 bytes. After a kill they may have the next one already.
    pub key: &'a [u8],
    /// The key that they are to have; 32 bytes.
    pub next: &'a [u8],
}

/// What an access token stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenIdentity {
    /// Public id, for logs and revocation.
    pub id: String,
    /// `viewer`, `operator` or `owner`.
    pub role: String,
    /// As the user named it.
    pub label: String,
}
