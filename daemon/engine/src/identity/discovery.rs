//! What the authorization server says of itself (RFC 8414): read once an hour, believed only if it names the issuer that
//! was asked, byte for byte, and only as far as its endpoints are fit to be asked.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::answers;
use super::error::IdentityError;
use super::http::{Call, Http};
use super::url::{Endpoint, Issuer};

/// How long a document is used.
pub(super) const FRESH: Duration = Duration::from_secs(3600);

/// How a client may authenticate at the token endpoint (RFC 8414, 2: absent means `client_secret_basic`).
const DEFAULT_METHODS: &str = "client_secret_basic";

/// What the engine needs of a server's metadata.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// `token_endpoint`
    pub(crate) token: Endpoint,
    /// `device_authorization_endpoint` (RFC 8628, 4).
    pub(crate) device: Option<Endpoint>,
    /// `registration_endpoint`
    pub(crate) registration: Option<Endpoint>,
    /// `introspection_endpoint`
    pub(crate) introspection: Option<Endpoint>,
    /// `revocation_endpoint`
    pub(crate) revocation: Option<Endpoint>,
    /// `jwks_uri`
    pub(crate) jwks: Option<Endpoint>,
    /// `merlon_instance_endpoint`: the server is a hub of ours.
    pub(crate) instance: Option<Endpoint>,
    /// `token_endpoint_auth_methods_supported`
    pub(crate) auth_methods: Vec<String>,
    /// `token_endpoint_auth_signing_alg_values_supported`
    pub(crate) auth_algorithms: Option<Vec<String>>,
    /// `grant_types_supported`, if the server says.
    pub(crate) grant_types: Option<Vec<String>>,
    /// `scopes_supported`, if the server says.
    pub(crate) scopes: Option<Vec<String>>,
    /// `dpop_signing_alg_values_supported` (RFC 9449, 5.1); empty: it offers no DPoP.
    pub(crate) dpop_algorithms: Vec<String>,
    /// Was read.
    pub(super) read: Instant,
}

impl Server {
    /// It is a hub of ours.
    pub(crate) fn is_hub(&self) -> bool {
        self.instance.is_some()
    }

    /// Does it say that it serves this grant? One that says nothing may.
    pub(crate) fn offers_grant(&self, grant: &str) -> bool {
        self.grant_types.as_ref().is_none_or(|grants| grants.iter().any(|one| one == grant))
    }

    /// Does it take client assertions with keys like ours (RFC 7523)?
    pub(super) fn takes_assertions(&self) -> bool {
        self.auth_methods.iter().any(|method| method == "private_key_jwt")
            && self.auth_algorithms.as_ref().is_none_or(|algorithms| algorithms.iter().any(|one| one == "ES256"))
    }
}

/// Members that nobody here knows are ignored (RFC 8414, 2).
#[derive(Deserialize)]
struct Document {
    issuer: String,
    token_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    registration_endpoint: Option<String>,
    introspection_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    jwks_uri: Option<String>,
    merlon_instance_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    grant_types_supported: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
    dpop_signing_alg_values_supported: Option<Vec<String>>,
}

/// Asks the server what it is.
///
/// # Errors
/// [`IdentityError::Unreachable`], [`IdentityError::Misbehaved`].
pub(super) async fn discover(http: &Http, issuer: &Issuer) -> Result<Server, IdentityError> {
    let places = issuer.metadata().map_err(|error| IdentityError::Misbehaved(error.to_string()))?;
    let mut status = 0;
    for place in &places {
        let answer = http.send(Call::get(place)).await?;
        match answer.status {
            200 => return read(&answer.body, issuer),
            500.. => {
                let what = format!("{}: it answers with status {}", place.as_str(), answer.status);
                return Err(IdentityError::Unreachable { what, retry_after: answer.retry_after });
            }
            // Not there, or not for us: the other place may do.
            other => status = other,
        }
    }
    let [first, second] = places;
    Err(IdentityError::Misbehaved(format!(
        "there is no metadata at {} or {} (status {status}); identity.issuer must be the issuer of an authorization server",
        first.as_str(),
        second.as_str()
    )))
}

fn read(body: &[u8], issuer: &Issuer) -> Result<Server, IdentityError> {
    let document: Document = answers::json(body, "its metadata")?;
    if document.issuer != issuer.as_str() {
        return Err(IdentityError::Misbehaved(format!(
            "its metadata are those of the issuer `{}`, not of `{}`; identity.issuer must be written exactly as the server does",
            answers::printable(&document.issuer),
            issuer.as_str()
        )));
    }
    let endpoint = |name: &str, text: Option<String>| match text {
        None => Ok(None),
        Some(text) => Endpoint::of(issuer, &text)
            .map(Some)
            .map_err(|error| IdentityError::Misbehaved(format!("`{name}` of its metadata: {error}"))),
    };
    let missing = || IdentityError::Misbehaved("its metadata name no `token_endpoint`".into());
    Ok(Server {
        token: endpoint("token_endpoint", document.token_endpoint)?.ok_or_else(missing)?,
        device: endpoint("device_authorization_endpoint", document.device_authorization_endpoint)?,
        registration: endpoint("registration_endpoint", document.registration_endpoint)?,
        introspection: endpoint("introspection_endpoint", document.introspection_endpoint)?,
        revocation: endpoint("revocation_endpoint", document.revocation_endpoint)?,
        jwks: endpoint("jwks_uri", document.jwks_uri)?,
        instance: endpoint("merlon_instance_endpoint", document.merlon_instance_endpoint)?,
        auth_methods: document
            .token_endpoint_auth_methods_supported
            .unwrap_or_else(|| vec![DEFAULT_METHODS.to_owned()]),
        auth_algorithms: document.token_endpoint_auth_signing_alg_values_supported,
        grant_types: document.grant_types_supported,
        scopes: document.scopes_supported,
        dpop_algorithms: document.dpop_signing_alg_values_supported.unwrap_or_default(),
        read: Instant::now(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(issuer: &str, body: &str) -> Result<Server, String> {
        read(body.as_bytes(), &Issuer::parse(issuer).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn m5_the_issuer_must_be_the_one_that_was_asked_byte_for_byte() {
        let body = r#"{"issuer":"https://h","token_endpoint":"https://h/t"}"#;
        assert!(read_as("https://h", body).is_ok());
        for other in ["https://h/", "https://H", "https://h:443"] {
            let why = read_as(other, body).unwrap_err();
            assert!(why.contains("`https://h`") && why.contains(other), "{why}");
        }
    }

    #[test]
    fn m11_unknown_members_are_ignored() {
        let server = read_as("https://h", r#"{"issuer":"https://h","token_endpoint":"https://h/t","x":{"y":[1]}}"#);
        let server = server.unwrap();
        assert_eq!(server.auth_methods, ["client_secret_basic"]);
        assert!(!server.is_hub() && !server.takes_assertions() && server.offers_grant("any"));
    }

    #[test]
    fn a2_an_endpoint_that_is_plain_http_elsewhere_is_refused() {
        let why = read_as("https://h", r#"{"issuer":"https://h","token_endpoint":"http://h/t"}"#).unwrap_err();
        assert!(why.contains("token_endpoint") && why.contains("plain http"), "{why}");
        assert!(read_as("https://h", r#"{"issuer":"https://h"}"#).unwrap_err().contains("token_endpoint"));
    }

    #[test]
    fn assertions_are_for_servers_that_take_our_algorithm() {
        let body = |algorithm: &str| {
            format!(
                r#"{{"issuer":"https://h","token_endpoint":"https://h/t",
                "token_endpoint_auth_methods_supported":["private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported":["{algorithm}"]}}"#
            )
        };
        assert!(read_as("https://h", &body("ES256")).unwrap().takes_assertions());
        assert!(!read_as("https://h", &body("PS512")).unwrap().takes_assertions());
    }
}
