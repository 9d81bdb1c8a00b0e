//! Clients of the authorization server, as they registered (RFC 7591) and as the hub has come to know them. Plain types;
//! [`crate::store::clients`] reads and writes them.

use serde::{Deserialize, Serialize};

use crate::random::Hash;

/// What made the registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A Merlon instance.
    Instance,
    /// Anything else.
    Other,
    /// The hub's own dashboard.
    Dashboard,
}

impl Kind {
    /// As in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Other => "other",
            Self::Dashboard => "dashboard",
        }
    }

    /// From the database.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Instance, Self::Other, Self::Dashboard].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How a client authenticates (RFC 7591, 2: `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthMethod {
    /// The secret in an `Authorization: Basic` field.
    ClientSecretBasic,
    /// The secret in the form.
    ClientSecretPost,
    /// A signed assertion (RFC 7523).
    PrivateKeyJwt,
    /// Not at all: a public client.
    None,
}

impl AuthMethod {
    /// Every method, as the metadata lists them.
    pub(crate) const ALL: [Self; 4] =
        [Self::ClientSecretBasic, Self::ClientSecretPost, Self::PrivateKeyJwt, Self::None];

    /// As registered.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::None => "none",
        }
    }

    /// From a registration or the database.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }
}

/// Metadata as registered, defaults filled in (RFC 7591, 2). Kept as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Metadata {
    /// `client_name`: self-asserted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_name: Option<String>,
    /// `client_uri`: self-asserted, never fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_uri: Option<String>,
    /// `redirect_uris`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) redirect_uris: Vec<String>,
    /// `grant_types`
    pub(crate) grant_types: Vec<String>,
    /// `response_types`
    pub(crate) response_types: Vec<String>,
    /// `scope`: what it may ask for, space-separated.
    pub(crate) scope: String,
    /// `jwks`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jwks: Option<serde_json::Value>,
    /// `software_id`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) software_id: Option<String>,
    /// `software_version`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) software_version: Option<String>,
    /// `access_token_signed_response_alg`: `ES256` (none given) or `RS256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_token_signed_response_alg: Option<String>,
    /// `dpop_bound_access_tokens` (RFC 9449, 5.2)
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) dpop_bound_access_tokens: bool,
}

/// A registered client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// `client_id`
    pub(crate) id: String,
    /// What made it.
    pub(crate) kind: Kind,
    /// As registered.
    pub(crate) metadata: Metadata,
    /// The one method that it may use.
    pub(crate) auth: AuthMethod,
    /// Hash of its secret, if it has one.
    pub(crate) secret: Option<Hash>,
    /// Thumbprint of the key whose possession was proved at registration.
    pub(crate) thumbprint: Option<String>,
    /// The account that claimed it.
    pub(crate) owner: Option<String>,
    /// What runs there, as it said last.
    pub(crate) version: String,
    /// Registered. Microseconds since 1970-01-01 UTC.
    pub(crate) created_us: i64,
}

impl Client {
    /// It registered this grant.
    pub(crate) fn may(&self, grant_type: &str) -> bool {
        self.metadata.grant_types.iter().any(|registered| registered == grant_type)
    }
}
