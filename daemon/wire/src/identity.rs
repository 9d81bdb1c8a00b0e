//! What engine and keeper say to each other about the instance's identity at its authorization server, about its owner,
//! and about the sessions of those who signed in. Parts of [`crate::keeper::Request`] and its answers.
//!
//! No token of a user ever passes here: a session is known by the `sid` of its tokens, or by their keyed hash.

use serde::{Deserialize, Serialize};

use crate::keeper::PUBLIC_KEY_LEN;

/// The longest issuer or other URL, in bytes.
pub const MAX_URL: usize = 512;
/// The longest client id, subject or session id, in bytes.
pub const MAX_ID: usize = 255;
/// The longest client secret, registration access token or instance access token, in bytes.
pub const MAX_CREDENTIAL: usize = 8 * 1024;
/// The longest name of a person or label of a client, in bytes. Longer ones are cut by the engine.
pub const MAX_NAME: usize = 128;
/// The most sessions of an instance; the one used longest ago goes first.
pub const MAX_SESSIONS: u32 = 256;

/// How far the instance is with its authorization server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The instance's own key for client assertions and proofs, P-256, uncompressed. Made at the first question and
    /// again by a reset.
    pub public_key: [[u8; PUBLIC_KEY_HALF]; 2],
    /// The client that was registered or configured; none before.
    pub client: Option<Client>,
    /// Who owns the instance; none: it is unclaimed.
    pub owner: Option<Owner>,
    /// There is a claim code to be used, because there is no owner.
    pub claim_code: bool,
}

/// X and Y of an uncompressed P-256 point, without the leading `0x04`.
pub const PUBLIC_KEY_HALF: usize = (PUBLIC_KEY_LEN - 1) / 2;

/// A client at an authorization server, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The issuer (RFC 8414), byte for byte.
    pub issuer: String,
    /// `client_id`
    pub client_id: String,
    /// How it authenticates.
    pub auth: ClientAuth,
    /// Where it manages its registration (RFC 7592), if it can.
    pub management: Option<String>,
    /// What the server returned at registration and the engine needs again; JSON of the engine's own.
    pub metadata: String,
}

/// How a client authenticates at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientAuth {
    /// `private_key_jwt`, with the instance's own key (RFC 7523).
    PrivateKeyJwt,
    /// `client_secret_basic`
    SecretBasic,
    /// `client_secret_post`
    SecretPost,
}

/// An account that owns the instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The issuer that knows the account.
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// For people; may be empty.
    pub name: String,
}

/// What a registration, or a later answer of the configuration endpoint, gave. Replaces everything about the client in
/// one transaction: what is not here is forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration<'a> {
    /// The client.
    pub client: Client,
    /// `client_secret`; empty: none.
    pub secret: &'a [u8],
    /// `registration_access_token`; empty: none.
    pub registration_token: &'a [u8],
    /// Who owns the instance, where the server says so at registration (a registration key).
    pub owner: Option<Owner>,
}

/// Which secret of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// `client_secret`
    ClientSecret,
    /// `registration_access_token`
    RegistrationToken,
    /// The instance's own access token (client credentials).
    AccessToken,
}

/// What identifies the tokens of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionKey<'a> {
    /// The `sid` claim of the hub's tokens: one for the whole session.
    Sid(&'a str),
    /// A token itself, where it has no `sid`. The keeper keeps a keyed hash and forgets the token.
    Token(&'a [u8]),
}

/// A session that begins, or goes on with other tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStart<'a> {
    /// What access tokens of the session are known by.
    pub access: SessionKey<'a>,
    /// What its refresh token is known by; none if there is none.
    pub refresh: Option<SessionKey<'a>>,
    /// Issuer.
    pub issuer: &'a str,
    /// `sub`
    pub subject: &'a str,
    /// The person, for people.
    pub name: &'a str,
    /// What they use, for people (`merlon on laptop`); as the client said.
    pub label: &'a str,
    /// `viewer`, `operator` or `owner`.
    pub role: &'a str,
    /// The session's tokens are bound to a key (RFC 9449).
    pub bound: bool,
    /// When the refresh token, or without one the access token, ends. Microseconds since 1970-01-01 UTC.
    pub expires_us: i64,
}

/// A session, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Public id: `ses_` and 12 hex digits.
    pub id: String,
    /// The `sid` of its tokens, if they have one.
    pub sid: Option<String>,
    /// As in [`SessionStart`].
    pub issuer: String,
    /// As in [`SessionStart`].
    pub subject: String,
    /// As in [`SessionStart`].
    pub name: String,
    /// As in [`SessionStart`].
    pub label: String,
    /// As in [`SessionStart`].
    pub role: String,
    /// As in [`SessionStart`].
    pub bound: bool,
    /// Began. Microseconds since 1970-01-01 UTC.
    pub created_us: i64,
    /// Last sign-in or refresh.
    pub refreshed_us: i64,
    /// As in [`SessionStart`].
    pub expires_us: i64,
}

/// What the keeper knows of the session behind a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionState {
    /// It stands.
    Live(Session),
    /// It was ended here: revoked, or signed out. Remembered until its tokens would have expired.
    Ended,
    /// None of this instance.
    Unknown,
}
