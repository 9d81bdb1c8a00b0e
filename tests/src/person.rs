//! Somebody who signs in at an instance, by its HTTP API as any client would: one request on a connection of its own
//! each, plain HTTP, so that every byte of the head is the test's.

use std::net::SocketAddr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::client::Client;
use crate::instance::{Instance, Options, wait_for};

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Fields of the head: names in lower case, and values.
    pub fields: Vec<(String, String)>,
    /// Body; null if it is no JSON.
    pub json: Value,
}

impl Answer {
    /// The value of a field; empty if there is none.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// Status and problem code.
    #[must_use]
    pub fn code(&self) -> (u16, &str) {
        (self.status, self.json["code"].as_str().unwrap_or_default())
    }
}

/// How to start an instance that signs people in at this issuer, with an API without TLS.
#[must_use]
pub fn options(issuer: &str, identity: &str) -> Options {
    Options {
        config: format!("[api]\ntls = false\n\n[identity]\nissuer = '{issuer}'\n{identity}\n"),
        ..Options::default()
    }
}

/// The API's address.
#[must_use]
pub fn address(instance: &Instance) -> SocketAddr {
    instance.ready.api.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

/// Sends one request to the API.
#[must_use]
pub fn ask(instance: &Instance, method: &str, path: &str, fields: &[(&str, &str)], body: &Value) -> Answer {
    let address = address(instance);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    if !body.is_empty() {
        head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    let mut client = Client::connect(address);
    client.send(format!("{head}\r\n{body}").as_bytes());
    let answer = client.answer();
    let lines = answer.head.lines().skip(1).filter_map(|line| line.split_once(": "));
    Answer {
        status: answer.status,
        fields: lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        json: serde_json::from_slice(&answer.body).unwrap_or(Value::Null),
    }
}

/// `GET` with a token.
#[must_use]
pub fn get(instance: &Instance, path: &str, token: &str) -> Answer {
    ask(instance, "GET", path, &[("Authorization", &format!("Bearer {token}"))], &Value::Null)
}

/// Waits until the instance is registered, so that one can sign in.
pub fn wait_registered(instance: &Instance) {
    wait_for("the registration", || {
        let info = ask(instance, "GET", "/api/v1/identity", &[], &Value::Null).json;
        matches!(info["state"].as_str(), Some("unclaimed" | "claimed")).then_some(())
    });
}

/// The claim code, as the owner of the host reads it.
#[must_use]
pub fn claim_code(instance: &Instance) -> String {
    instance.cli_ok(&["claim-code"]).trim().to_owned()
}

/// A sign-in that has begun.
#[derive(Debug)]
pub struct SignIn {
    /// Its id.
    pub id: String,
    /// What only the client knows.
    pub verifier: String,
    /// What the instance answered.
    pub started: Value,
}

impl SignIn {
    /// Begins; `more` is merged into the request.
    ///
    /// # Errors
    /// The instance's refusal.
    pub fn start(instance: &Instance, more: &Value) -> Result<Self, Answer> {
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random).unwrap();
        let verifier = BASE64URL_NOPAD.encode(&random);
        let challenge = BASE64URL_NOPAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref());
        let mut asked = json!({ "challenge": challenge, "label": "a test" });
        for (name, value) in more.as_object().into_iter().flatten() {
            asked[name] = value.clone();
        }
        let answer = ask(instance, "POST", "/api/v1/sign-ins", &[], &asked);
        if answer.status != 201 {
            return Err(answer);
        }
        let id = answer.json["id"].as_str().unwrap().to_owned();
        Ok(Self { id, verifier, started: answer.json })
    }

    /// One poll.
    #[must_use]
    pub fn poll(&self, instance: &Instance, fields: &[(&str, &str)]) -> Answer {
        let path = format!("/api/v1/sign-ins/{}/poll", self.id);
        ask(instance, "POST", &path, fields, &json!({ "verifier": self.verifier }))
    }

    /// Polls until the answer is another than "wait"; the instance keeps the interval.
    #[must_use]
    pub fn finish(&self, instance: &Instance) -> Answer {
        wait_for("the end of the sign-in", || Some(self.poll(instance, &[])).filter(|answer| answer.status != 202))
    }
}

/// The next tokens for a refresh token.
#[must_use]
pub fn refresh(instance: &Instance, token: &str) -> Answer {
    ask(instance, "POST", "/api/v1/sign-ins/refresh", &[], &json!({ "refresh_token": token }))
}

/// A member that is text.
#[must_use]
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {value}"))
}

/// A key that tokens are bound to (RFC 9449), made by the bare library of ciphers.
pub struct ProofKey(EcdsaKeyPair);

impl Default for ProofKey {
    fn default() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }
}

impl ProofKey {
    fn jwk(&self) -> (String, String) {
        let point = self.0.public_key().as_ref();
        (BASE64URL_NOPAD.encode(&point[1..33]), BASE64URL_NOPAD.encode(&point[33..]))
    }

    /// Its thumbprint (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let (x, y) = self.jwk();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        BASE64URL_NOPAD.encode(digest(&SHA256, canonical.as_bytes()).as_ref())
    }

    /// A proof; `more` is merged into its claims.
    #[must_use]
    pub fn proof(&self, method: &str, url: &str, token: Option<&str>, more: &Value) -> String {
        let mut id = [0; 12];
        aws_lc_rs::rand::fill(&mut id).unwrap();
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let mut claims = json!({ "jti": BASE64URL_NOPAD.encode(&id), "htm": method, "htu": url, "iat": now });
        if let Some(token) = token {
            claims["ath"] = BASE64URL_NOPAD.encode(digest(&SHA256, token.as_bytes()).as_ref()).into();
        }
        for (name, value) in more.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        let (x, y) = self.jwk();
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}
