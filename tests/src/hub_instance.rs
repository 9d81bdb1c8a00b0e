//! A client that registered at a hub as an instance does, with a secret: what the hub sees of an instance, without one.

use serde_json::{Value, json};

use crate::browser::{Browser, approve_device};
use crate::hub::{Answer, Hub, basic};

/// The grant of a device code.
pub const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A registered instance, as the hub knows it.
pub struct Instance<'a> {
    hub: &'a Hub,
    /// `client_id`
    pub id: String,
    /// `client_secret`
    pub secret: String,
    /// `registration_access_token`
    pub management: String,
}

impl<'a> Instance<'a> {
    /// Registers it under this name.
    #[must_use]
    pub fn new(hub: &'a Hub, name: &str) -> Self {
        Self::with(hub, name, &[])
    }

    /// Registers it, with more header fields.
    #[must_use]
    pub fn with(hub: &'a Hub, name: &str, fields: &[(&str, &str)]) -> Self {
        let scope =
            "flows:read flows:write intercept replay config secrets:admin instance:admin instance offline_access";
        let metadata = json!({
            "client_name": name, "software_id": "merlon", "software_version": "0.1.0",
            "grant_types": ["client_credentials", DEVICE, "refresh_token"], "response_types": [], "redirect_uris": [],
            "token_endpoint_auth_method": "client_secret_basic", "scope": scope,
        });
        let answer = hub.json("POST", "/register", fields, &metadata);
        assert_eq!(answer.status, 201, "{}", answer.text);
        let text = |name: &str| answer.json[name].as_str().unwrap().to_owned();
        Self {
            hub,
            id: text("client_id"),
            secret: text("client_secret"),
            management: text("registration_access_token"),
        }
    }

    /// A form that it sends, authenticated by its secret.
    #[must_use]
    pub fn form(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        self.hub.form(path, &[("Authorization", &basic(&self.id, &self.secret))], parameters)
    }

    /// Begins a device authorization: device code and user code.
    #[must_use]
    pub fn begin(&self, parameters: &[(&str, &str)]) -> (String, String) {
        let answer = self.form("/device_authorization", parameters);
        assert_eq!(answer.status, 200, "{}", answer.text);
        (answer.json["device_code"].as_str().unwrap().into(), answer.json["user_code"].as_str().unwrap().into())
    }

    /// Polls for the tokens of a device authorization.
    #[must_use]
    pub fn poll(&self, device_code: &str) -> Answer {
        self.form("/token", &[("grant_type", DEVICE), ("device_code", device_code)])
    }

    /// Claims the instance for whoever is signed in in this browser; the tokens of that.
    pub fn claim(&self, browser: &mut Browser) -> Value {
        let (device, user) = self.begin(&[("merlon_claim", "1"), ("merlon_label", "merlon on laptop")]);
        let page = approve_device(browser, &user);
        assert!(page.text().contains("Approved"), "{}", page.text());
        let tokens = self.poll(&device);
        assert_eq!(tokens.status, 200, "{}", tokens.text);
        tokens.json
    }

    /// Its own access token.
    #[must_use]
    pub fn own_token(&self) -> String {
        let answer = self.form("/token", &[("grant_type", "client_credentials"), ("scope", "instance")]);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json["access_token"].as_str().unwrap().to_owned()
    }

    /// Uses the refresh token of these tokens.
    #[must_use]
    pub fn refresh(&self, tokens: &Value) -> Answer {
        let token = tokens["refresh_token"].as_str().unwrap();
        self.form("/token", &[("grant_type", "refresh_token"), ("refresh_token", token)])
    }
}
