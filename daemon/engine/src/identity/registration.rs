//! From no client to one: registers with the server (RFC 7591), or takes over the client that the operator configured.
//!
//! The order is safe at any kill: the keeper has the instance's own key first; what the server gave is kept in one
//! transaction before anything is done with it. A registration whose answer was lost is replaced by the next one, which
//! proves by the same key that it is of the same instance (at a hub of ours; other servers sweep what is never used).

use axum::http::Method;
use merlon_sandbox::secret::SecretBuf;
use merlon_wire::identity::{Client, ClientAuth, Identity as Kept, MAX_ID, MAX_NAME, Owner, Registration};
use merlon_wire::link::KeeperError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Identity;
use super::answers::{self, printable};
use super::discovery::Server;
use super::error::IdentityError;
use super::http::{Answer, Call};
use super::ladder::{self, Rung, Wanted};
use super::requests::refused;
use super::setup::unpoisoned;
use super::url::Endpoint;
use crate::log;

const VERSION: &str = env!("CARGO_PKG_VERSION");
pub(super) const JSON: &str = "application/json";

/// What a hub of ours is asked for: its scopes, and those of an instance.
const HUB_SCOPE: &str =
    "flows:read flows:write intercept replay config secrets:admin instance:admin instance offline_access";

/// The longest metadata that are kept; the keeper takes 8 KiB.
const MAX_KEPT: usize = 6 << 10;

/// What a server must not be sent again (RFC 7592, 2.2), or is kept elsewhere.
const NOT_METADATA: [&str; 6] = [
    "client_secret",
    "client_secret_expires_at",
    "client_id_issued_at",
    "registration_access_token",
    "registration_client_uri",
    "merlon_owner",
];

/// The engine's own part of a registration, as the keeper keeps it.
#[derive(Serialize, Deserialize)]
pub(super) struct Remembered {
    /// The name that was configured when it was last sent.
    pub(super) name: String,
    /// The version that was last sent.
    pub(super) version: String,
    /// The client was made by hand: it is never changed or deleted from here.
    pub(super) by_hand: bool,
    /// What the server returned (RFC 7591, 3.2.1), without what is secret or kept elsewhere.
    pub(super) metadata: Map<String, Value>,
}

impl Remembered {
    /// Of a client. One that cannot be read is like one of which nothing was returned.
    pub(super) fn of(client: &Client) -> Self {
        serde_json::from_str(&client.metadata).unwrap_or_else(|_| Self {
            name: String::new(),
            version: String::new(),
            by_hand: true,
            metadata: Map::new(),
        })
    }

    /// Was this grant registered? A server that does not say which were may serve it.
    pub(super) fn has_grant(&self, grant: &str) -> bool {
        match self.metadata.get("grant_types") {
            Some(Value::Array(grants)) => grants.iter().any(|one| one == grant),
            _ => true,
        }
    }

    fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An answer with a client in it, to a registration, a read or a change.
pub(super) struct Registered {
    client: Client,
    secret: Zeroizing<String>,
    token: Zeroizing<String>,
    owner: Option<Owner>,
}

impl Registered {
    /// What the server returned of metadata.
    pub(super) fn metadata(&self) -> Map<String, Value> {
        Remembered::of(&self.client).metadata
    }

    /// The same, with name and version as they were last sent.
    pub(super) fn sent_as(mut self, before: &Remembered) -> Self {
        let name = before.name.clone();
        let now = Remembered { name, version: before.version.clone(), by_hand: false, metadata: self.metadata() };
        self.client.metadata = now.to_text();
        self
    }
}

#[derive(Deserialize)]
struct RawOwner {
    sub: String,
    #[serde(default)]
    name: String,
}

impl Identity {
    /// Registers, or takes over the configured client. The caller has the turn.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(super) async fn register(&self, kept: &Kept) -> Result<(), IdentityError> {
        let server = self.server().await?;
        match &self.config().client_id {
            Some(client_id) => self.take_over(&server, client_id).await,
            None => self.register_anew(&server, kept).await,
        }
    }

    async fn register_anew(&self, server: &Server, kept: &Kept) -> Result<(), IdentityError> {
        let endpoint = server.registration.as_ref().ok_or_else(|| {
            IdentityError::Unavailable(
                "the authorization server has no registration endpoint (RFC 7591); make a client there by hand and set \
                 identity.client_id and identity.client_secret_file"
                    .into(),
            )
        })?;
        let setup = &self.0.setup;
        let scope = if server.is_hub() { HUB_SCOPE } else { setup.config.scope.as_str() };
        let wanted = Wanted { name: &setup.name, version: VERSION, scope, key: &kept.public_key };
        let mut rung = Rung::first(server);
        loop {
            let asked = rung.metadata(&wanted);
            let answer = self.post_registration(server, endpoint, &asked).await?;
            match refused(&answer) {
                None => {
                    let found = self.read_registered(&answer, asked, None)?;
                    if let Some(why) = unusable(&found, &rung) {
                        return Err(IdentityError::Misbehaved(why));
                    }
                    return self.keep(found).await;
                }
                Some(IdentityError::Refused(error)) if matches!(error.status, 401 | 403) => {
                    let hint = match &*unpoisoned(&setup.registration_key) {
                        Some(_) => "is the registration key expired, or used up?",
                        None if setup.config.registration_key_file.is_some() => {
                            "the registration key was used and forgotten; start the instance again to have it read"
                        }
                        None => "set identity.registration_key_file to a file with a registration key",
                    };
                    return Err(IdentityError::Unavailable(format!("{error}; {hint}")));
                }
                Some(IdentityError::Refused(error)) => match rung.next(&error, server) {
                    Some(next) => {
                        log::info(format_args!("{error}; the registration is tried again with less"));
                        rung = next;
                    }
                    None => return Err(error.into()),
                },
                Some(error) => return Err(error),
            }
        }
    }

    async fn post_registration(
        &self,
        server: &Server,
        endpoint: &Endpoint,
        metadata: &Map<String, Value>,
    ) -> Result<Answer, IdentityError> {
        // Only a hub of ours asks for it, and knows what to do with it.
        let proof = match server.is_hub() {
            true => Some(self.0.links.keeper().await?.sign_proof("POST", endpoint.as_str(), "").await?),
            false => None,
        };
        let authorization = unpoisoned(&self.0.setup.registration_key).as_ref().map(bearer);
        let body = Some((JSON, Zeroizing::new(serde_json::to_vec(metadata).unwrap_or_default())));
        let call = Call { method: Method::POST, endpoint, authorization, proof: proof.as_deref(), body };
        self.0.http.send(call).await
    }

    /// Reads an answer with a client (RFC 7591, 3.2.1; RFC 7592, 3). What it holds counts, not what was asked; what it
    /// lacks is as in `asked`, or as before: some servers return credentials only when they are new.
    ///
    /// # Errors
    /// [`IdentityError::Misbehaved`].
    pub(super) fn read_registered(
        &self,
        answer: &Answer,
        asked: Map<String, Value>,
        before: Option<(&Client, Credentials)>,
    ) -> Result<Registered, IdentityError> {
        let mut returned: Map<String, Value> = answers::json(&answer.body, "a registration")?;
        let mut text = |name: &str| match returned.remove(name) {
            Some(Value::String(text)) => Some(Zeroizing::new(text)),
            _ => None,
        };
        let asked_of = self.0.setup.issuer.as_ref().ok_or_else(super::local)?;
        let issuer = asked_of.as_str().to_owned();
        let (old_client, old) = before.unzip();
        let old = old.unwrap_or_default();
        let client_id = match (text("client_id"), old_client) {
            (Some(id), _) => id.to_string(),
            (None, Some(client)) => client.client_id.clone(),
            (None, None) => return Err(IdentityError::Misbehaved("the registration has no `client_id`".into())),
        };
        if client_id.is_empty() || client_id.len() > MAX_ID || client_id.chars().any(char::is_control) {
            return Err(IdentityError::Misbehaved("the registration has a `client_id` that cannot be used".into()));
        }
        let secret = text("client_secret").unwrap_or(old.secret);
        let token = text("registration_access_token").unwrap_or(old.token);
        let management = match text("registration_client_uri") {
            Some(uri) => Endpoint::of(asked_of, &uri).map(|_| uri.to_string()).map(Some).map_err(|error| {
                IdentityError::Misbehaved(format!("`registration_client_uri` of the registration: {error}"))
            })?,
            None => old_client.and_then(|client| client.management.clone()),
        };
        let owner = returned.remove("merlon_owner").and_then(|owner| serde_json::from_value::<RawOwner>(owner).ok());
        let owner = owner.filter(|owner| !owner.sub.is_empty() && owner.sub.len() <= MAX_ID).map(|owner| Owner {
            issuer: issuer.clone(),
            subject: owner.sub,
            name: cut(&owner.name),
        });
        let mut metadata = asked;
        metadata.extend(returned);
        metadata
            .retain(|name, value| !NOT_METADATA.contains(&name.as_str()) && name != "client_id" && !value.is_null());
        let method =
            metadata.get("token_endpoint_auth_method").and_then(Value::as_str).unwrap_or("client_secret_basic");
        let auth = ladder::auth(method).ok_or_else(|| {
            IdentityError::Misbehaved(format!(
                "it registered the instance with the authentication method `{}`, which the instance does not have",
                printable(method)
            ))
        })?;
        let setup = &self.0.setup;
        let mut remembered =
            Remembered { name: setup.name.clone(), version: VERSION.to_owned(), by_hand: false, metadata };
        if remembered.to_text().len() > MAX_KEPT {
            // Too much to send back: then it is what was asked for that is sent when something changes.
            remembered.metadata.retain(|name, _| KNOWN.contains(&name.as_str()));
        }
        let client = Client { issuer, client_id, auth, management, metadata: remembered.to_text() };
        Ok(Registered { client, secret, token, owner })
    }

    /// Hands a client to the keeper, in one transaction, and knows it from then on.
    ///
    /// # Errors
    /// [`IdentityError::Keeper`].
    pub(super) async fn keep(&self, found: Registered) -> Result<(), IdentityError> {
        let Registered { client, secret, token, owner } = found;
        let registration =
            Registration { client, secret: secret.as_bytes(), registration_token: token.as_bytes(), owner };
        self.0.links.keeper().await?.store_registration(registration).await?;
        self.forget_deleted();
        self.synchronize().await
    }

    /// The client that the operator configured.
    async fn take_over(&self, server: &Server, client_id: &str) -> Result<(), IdentityError> {
        let setup = &self.0.setup;
        let secret = unpoisoned(&setup.client_secret).as_ref().map(|secret| SecretBuf::from_slice(secret.as_slice()));
        let secret = secret.transpose().map_err(KeeperError::Memory)?;
        let auth = if secret.is_some() { ladder::with_secret(server) } else { ClientAuth::PrivateKeyJwt };
        let remembered =
            Remembered { name: setup.name.clone(), version: VERSION.to_owned(), by_hand: true, metadata: Map::new() };
        let issuer = setup.issuer.as_ref().map(|issuer| issuer.as_str().to_owned()).unwrap_or_default();
        let client =
            Client { issuer, client_id: client_id.to_owned(), auth, management: None, metadata: remembered.to_text() };
        let secret = secret.as_ref().map_or(&[][..], SecretBuf::as_slice);
        let registration = Registration { client, secret, registration_token: &[], owner: None };
        self.0.links.keeper().await?.store_registration(registration).await?;
        self.synchronize().await
    }
}

/// The credentials that stood before.
#[derive(Default)]
pub(super) struct Credentials {
    pub(super) secret: Zeroizing<String>,
    pub(super) token: Zeroizing<String>,
}

/// What an instance sends.
const KNOWN: [&str; 10] = [
    "client_name",
    "grant_types",
    "response_types",
    "redirect_uris",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "jwks",
    "scope",
    "software_id",
    "software_version",
];

/// Why a registration is of no use, if it is.
fn unusable(found: &Registered, rung: &Rung) -> Option<String> {
    let needs_secret = found.client.auth != ClientAuth::PrivateKeyJwt;
    if needs_secret && found.secret.is_empty() {
        return Some("the registration has no `client_secret`, and the server wants one".into());
    }
    if !needs_secret && rung.auth != ClientAuth::PrivateKeyJwt {
        return Some("it registered the instance with a key that it was not given".into());
    }
    let remembered = Remembered::of(&found.client);
    if !remembered.has_grant(ladder::DEVICE_GRANT) {
        log::warn(format_args!(
            "the authorization server did not grant device authorization: nobody can sign in by it"
        ));
    }
    None
}

/// `Authorization` with a token out of secret memory.
pub(super) fn bearer(token: &SecretBuf) -> Zeroizing<String> {
    let mut value = Zeroizing::new(String::with_capacity(7 + token.len()));
    value.push_str("Bearer ");
    // Printable ASCII, as it was read or kept.
    value.push_str(std::str::from_utf8(token.as_slice()).unwrap_or_default());
    value
}

/// A name for people, as long as the keeper takes.
pub(super) fn cut(name: &str) -> String {
    let mut short = String::new();
    for c in name.chars().filter(|c| !c.is_control()) {
        if short.len() + c.len_utf8() > MAX_NAME {
            break;
        }
        short.push(c);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_asked_for_every_scope_of_the_api() {
        let asked: Vec<&str> = HUB_SCOPE.split(' ').collect();
        assert_eq!(asked[..7], merlon_api::Scope::ALL.map(merlon_api::Scope::as_str));
        assert_eq!(asked[7..], ["instance", "offline_access"]);
    }
}
