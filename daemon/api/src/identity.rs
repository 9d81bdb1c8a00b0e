//! Signing in at an instance: its identity at an authorization server, the relayed device flow (RFC 8628), sessions.
//!
//! The client polls, the instance relays each poll: it keeps no token and no task of its own. What a client is given to
//! know (`id`) yields nothing without the verifier that only it has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Role, Scope, Timestamp};

/// How far the instance is with its authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityState {
    /// No authorization server is configured: local tokens only.
    Local,
    /// It is configured, and the instance is not registered with it yet; it tries again by itself.
    Unregistered,
    /// Registered, and nobody owns the instance: the first sign-in needs the claim code.
    Unclaimed,
    /// Registered, and owned.
    Claimed,
    /// The authorization server does not know the instance any more: `merlon identity reset`.
    Deleted,
}

/// What anybody may know before signing in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityInfo {
    /// How far it is.
    pub state: IdentityState,
    /// The authorization server; null for `local`.
    pub issuer: Option<String>,
    /// The server's token endpoint, for `htu` of a proof; null as long as it is unknown.
    pub token_endpoint: Option<String>,
    /// Algorithms of proofs that the server takes (RFC 9449, 5.1); empty: it offers no DPoP.
    pub dpop_algorithms: Vec<String>,
    /// Why signing in does not work at present, and what to do; null if it does.
    pub problem: Option<String>,
}

/// A sign-in to begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartSignIn {
    /// base64url (no padding) of the SHA-256 of a verifier: 43 to 128 characters of A-Z, a-z, 0-9, `-._~` (as RFC 7636).
    #[schemars(length(equal = 43))]
    pub challenge: String,
    /// What the client is, for lists of sessions: `merlon on laptop`. At most 128 bytes.
    #[schemars(length(max = 128))]
    pub label: String,
    /// Scopes that are wanted; null: all that the role gives.
    #[serde(default)]
    pub scopes: Option<Vec<Scope>>,
    /// The claim code, for an instance that nobody owns.
    #[serde(default)]
    pub claim_code: Option<String>,
}

/// A sign-in that has begun: show `user_code` and `verification_uri`, then poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignInStarted {
    /// Names the sign-in in later requests; worth nothing without the verifier.
    pub id: String,
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it.
    pub verification_uri_complete: Option<String>,
    /// Seconds until it is too late.
    pub expires_in: u32,
    /// Seconds between two polls.
    pub interval: u32,
}

/// A poll of a sign-in. A proof (`DPoP` header, for the server's token endpoint) binds the tokens to its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PollSignIn {
    /// What the challenge was made of.
    pub verifier: String,
}

/// Nobody has approved or denied yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignInPending {
    /// Seconds to wait before the next poll; may have grown.
    pub interval: u32,
}

/// Tokens, given to the client once. The instance keeps none of them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedIn {
    /// For `Authorization`.
    pub access_token: String,
    /// `Bearer` or `DPoP`: the scheme for `Authorization`.
    pub token_type: String,
    /// Seconds that the access token lives.
    pub expires_in: u32,
    /// For the next access token; null: sign in again then.
    pub refresh_token: Option<String>,
    /// The session that has begun or goes on.
    pub session: Session,
    /// What it may do.
    pub scopes: Vec<Scope>,
}

/// A refresh. A proof as for [`PollSignIn`] where the session is bound.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The newest refresh token of the session.
    pub refresh_token: String,
}

/// A sign-out: the session ends here and at the authorization server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignOut {
    /// The newest refresh token, or where there is none the access token.
    pub token: String,
}

/// What became of a sign-out or of the end of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEnded {
    /// The authorization server has revoked it, too; if not, its tokens are refused here only.
    pub revoked_at_issuer: bool,
    /// Why not, and what to do; null if it has.
    pub problem: Option<String>,
}

/// Somebody who signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// `ses_` and 12 hex digits.
    pub id: String,
    /// Who, as the authorization server names them.
    pub subject: String,
    /// Who, for people; may be empty.
    pub name: String,
    /// What they use, as it said of itself.
    pub label: String,
    /// What they are here.
    pub role: Role,
    /// Its tokens are bound to a key of the client (RFC 9449).
    pub bound: bool,
    /// Began.
    pub created: Timestamp,
    /// Last sign-in or refresh.
    pub refreshed: Timestamp,
    /// When it ends unless it is refreshed.
    pub expires: Timestamp,
}

/// All sessions that stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sessions {
    /// In the order of their beginning.
    pub sessions: Vec<Session>,
}

/// How an identity was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// By opening the Unix socket.
    UnixSocket,
    /// By a local token.
    LocalToken,
    /// By signing in.
    Session,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhoAmI {
    /// How it was shown.
    pub kind: IdentityKind,
    /// The role.
    pub role: Role,
    /// What the request's credentials permit: at most what the role does.
    pub scopes: Vec<Scope>,
    /// The label of a local token, or the person's name.
    pub name: Option<String>,
    /// The session, if there is one.
    pub session: Option<Session>,
    /// The authorization server of the session.
    pub issuer: Option<String>,
}

/// What became of a reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityReset {
    /// The old registration was deleted at the authorization server.
    pub deleted_at_issuer: bool,
    /// Why not, and what to do; null if it was, or if there was none.
    pub problem: Option<String>,
}
