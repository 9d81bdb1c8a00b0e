//! A client that is registered at a hub, and what any OAuth client does with that.

use serde_json::{Value, json};

use crate::browser::{Browser, approve_device};
use crate::hub::{Answer, Hub, basic};
use crate::jwt::Key;

/// The device grant (RFC 8628).
pub const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A registered client that authenticates by HTTP Basic, or not at all if it got no secret.
pub struct Registered<'a> {
    hub: &'a Hub,
    /// What the registration was answered.
    pub information: Value,
}

impl<'a> Registered<'a> {
    /// Registers this metadata.
    #[must_use]
    pub fn new(hub: &'a Hub, metadata: &Value) -> Self {
        let answer = hub.json("POST", "/register", &[], metadata);
        assert_eq!(answer.status, 201, "{}", answer.text);
        Self { hub, information: answer.json }
    }

    /// One that registered before, at a hub that was started again.
    #[must_use]
    pub fn again(hub: &'a Hub, information: Value) -> Self {
        Self { hub, information }
    }

    /// Registers as an instance does.
    #[must_use]
    pub fn instance(hub: &'a Hub) -> Self {
        Self::new(hub, &instance_metadata())
    }

    /// A member of what it was told.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.information[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.information))
    }

    /// `client_id`
    #[must_use]
    pub fn id(&self) -> &str {
        self.text("client_id")
    }

    /// A form that it sends, authenticated.
    #[must_use]
    pub fn form(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        self.form_with(path, &[], parameters)
    }

    /// The same with more header fields.
    #[must_use]
    pub fn form_with(&self, path: &str, fields: &[(&str, &str)], parameters: &[(&str, &str)]) -> Answer {
        let Some(secret) = self.information["client_secret"].as_str() else {
            let mut all = vec![("client_id", self.id())];
            all.extend(parameters);
            return self.hub.form(path, fields, &all);
        };
        let authorization = basic(self.id(), secret);
        let mut all = vec![("Authorization", authorization.as_str())];
        all.extend(fields);
        self.hub.form(path, &all, parameters)
    }

    /// Begins a device authorization.
    #[must_use]
    pub fn begin(&self, parameters: &[(&str, &str)]) -> Value {
        let answer = self.form("/device_authorization", parameters);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json
    }

    /// Polls with the code of such a beginning.
    #[must_use]
    pub fn poll(&self, begun: &Value) -> Answer {
        self.form("/token", &[("grant_type", DEVICE), ("device_code", begun["device_code"].as_str().unwrap())])
    }

    /// Signs in whoever is signed in in this browser; an instance is claimed by that.
    #[must_use]
    pub fn sign_in(&self, browser: &mut Browser) -> Value {
        let begun = self.begin(&[("merlon_claim", "1")]);
        approve_device(browser, begun["user_code"].as_str().unwrap());
        let answer = self.poll(&begun);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json
    }

    /// Refreshes.
    #[must_use]
    pub fn refresh(&self, token: &str) -> Answer {
        self.form("/token", &[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    /// The nonce that the token endpoint wants in proofs (RFC 9449, 8): told to whoever sends one without.
    #[must_use]
    pub fn nonce(&self, key: &Key) -> String {
        let proof = key.proof("POST", &format!("{}/token", self.hub.issuer), None);
        let answer = self.form_with("/token", &[("DPoP", &proof)], &[("grant_type", DEVICE), ("device_code", "none")]);
        answer.field("dpop-nonce").unwrap_or_else(|| panic!("no nonce: {}", answer.text)).to_owned()
    }

    /// Introspects a token.
    #[must_use]
    pub fn introspect(&self, token: &str) -> Value {
        let answer = self.form("/introspect", &[("token", token)]);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json
    }

    /// A request to its own configuration endpoint.
    #[must_use]
    pub fn manage(&self, method: &str, token: &str, body: &Value) -> Answer {
        let path = format!("/register/{}", self.id());
        manage(self.hub, method, &path, token, body)
    }
}

/// A request to a configuration endpoint with this registration access token.
#[must_use]
pub fn manage(hub: &Hub, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}");
    if body.is_null() {
        hub.request(method, path, &[("Authorization", &bearer)], b"")
    } else {
        hub.json(method, path, &[("Authorization", &bearer)], body)
    }
}

/// Metadata of an instance that takes a secret.
#[must_use]
pub fn instance_metadata() -> Value {
    json!({
        "client_name": "lab on host", "software_id": "merlon", "software_version": "0.1.0",
        "grant_types": ["client_credentials", DEVICE, "refresh_token"], "response_types": [], "redirect_uris": [],
    })
}

/// Metadata of any other client with the device grant.
#[must_use]
pub fn other_metadata() -> Value {
    json!({ "client_name": "tool", "grant_types": ["client_credentials", DEVICE, "refresh_token"] })
}
