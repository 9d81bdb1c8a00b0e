//! Proofs of possession at the token endpoint (rows Q of the authorization server).

use merlon_tests::hub::{Answer, Hub, basic};
use merlon_tests::jwt::{self, Key};
use serde_json::{Value, json};

/// A hub with a client, a key of the client's, and the newest nonce.
struct Bed {
    hub: Hub,
    field: String,
    key: Key,
    nonce: String,
}

impl Bed {
    fn new() -> Self {
        let hub = Hub::new();
        let (id, secret) = hub.confidential();
        let field = basic(&id, &secret);
        let mut bed = Self { hub, field, key: Key::new(), nonce: String::new() };
        let refused = bed.send(&[&bed.proof(|_, _| {})]);
        bed.nonce = refused.field("dpop-nonce").unwrap_or_else(|| panic!("{refused:?}")).to_owned();
        bed
    }

    /// A proof that holds, but for what is changed of its header and claims.
    fn proof(&self, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let mut header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.jwk() });
        let mut claims = json!({
            "jti": jwt::unique(), "htm": "POST", "htu": format!("{}/token", self.hub.issuer), "iat": jwt::now(),
            "nonce": self.nonce,
        });
        change(&mut header, &mut claims);
        self.key.sign(&header, &claims)
    }

    fn send(&self, proofs: &[&str]) -> Answer {
        let mut fields = vec![("Authorization", self.field.as_str())];
        fields.extend(proofs.iter().map(|proof| ("DPoP", *proof)));
        self.hub.form("/token", &fields, &[("grant_type", "client_credentials")])
    }

    fn refuses(&self, what: &str, proofs: &[&str]) {
        let answer = self.send(proofs);
        assert_eq!((answer.status, answer.error()), (400, "invalid_dpop_proof"), "{what}: {}", answer.text);
    }
}

#[test]
fn q1_a_proof_is_one_field_well_formed_by_a_public_key_of_a_known_kind() {
    let bed = Bed::new();
    let good = bed.proof(|_, _| {});
    bed.refuses("two fields", &[&good, &bed.proof(|_, _| {})]);
    bed.refuses("nonsense", &["nonsense"]);
    bed.refuses("no type", &[&bed.proof(|header, _| header["typ"] = json!("JWT"))]);
    bed.refuses("no algorithm", &[&bed.proof(|header, _| header["alg"] = json!("none"))]);
    bed.refuses("a secret algorithm", &[&bed.proof(|header, _| header["alg"] = json!("HS256"))]);
    bed.refuses("no key", &[&bed.proof(|header, _| drop(header.as_object_mut().unwrap().remove("jwk")))]);
    bed.refuses("a private key", &[&bed.proof(|header, _| header["jwk"]["d"] = header["jwk"]["x"].clone())]);
    bed.refuses("another key", &[&bed.proof(|header, _| header["jwk"] = Key::new().jwk())]);
    assert_eq!(bed.send(&[&good]).status, 200);
}

#[test]
fn q2_a_proof_is_for_this_request_of_now_and_for_once() {
    let bed = Bed::new();
    let wrong = |name: &str, value: Value| bed.proof(|_, claims| claims[name] = value);
    bed.refuses("another method", &[&wrong("htm", json!("GET"))]);
    bed.refuses("another URL", &[&wrong("htu", json!("https://else.example/token"))]);
    bed.refuses("another endpoint", &[&wrong("htu", json!(format!("{}/register", bed.hub.issuer)))]);
    bed.refuses("long ago", &[&wrong("iat", json!(jwt::now() - 3600))]);
    bed.refuses("later", &[&wrong("iat", json!(jwt::now() + 3600))]);
    bed.refuses("no id", &[&wrong("jti", json!(""))]);
    let with_query = wrong("htu", json!(format!("{}/token?a=b#c", bed.hub.issuer)));
    assert_eq!(bed.send(&[&with_query]).status, 200, "query and fragment don't count");
    bed.refuses("a second time", &[&with_query]);
}

#[test]
fn q4_the_token_is_bound_to_the_key_and_introspection_says_so() {
    let bed = Bed::new();
    let answer = bed.send(&[&bed.proof(|_, _| {})]);
    assert_eq!((answer.status, &answer.json["token_type"]), (200, &"DPoP".into()), "{}", answer.text);
    let token = answer.json["access_token"].as_str().unwrap();
    assert_eq!(jwt::read(token).1["cnf"]["jkt"], bed.key.thumbprint());
    let told = bed.hub.form("/introspect", &[("Authorization", &bed.field)], &[("token", token)]);
    assert_eq!(told.json["active"], true, "{}", told.text);
    assert_eq!(told.json["cnf"]["jkt"], bed.key.thumbprint());
    assert_eq!(told.json["token_type"], "DPoP");
    let plain = bed.send(&[]);
    assert_eq!(plain.json["token_type"], "Bearer");
    assert!(jwt::read(plain.json["access_token"].as_str().unwrap()).1.get("cnf").is_none());
}

#[test]
fn q5_a_nonce_is_wanted_and_given_with_every_answer() {
    let bed = Bed::new();
    for old in [json!(null), json!(""), json!("made-up"), json!(format!("{}x", bed.nonce))] {
        let refused = bed.send(&[&bed.proof(|_, claims| claims["nonce"] = old)]);
        assert_eq!((refused.status, refused.error()), (400, "use_dpop_nonce"), "{}", refused.text);
        assert!(refused.field("dpop-nonce").is_some_and(|nonce| !nonce.is_empty()));
    }
    let taken = bed.send(&[&bed.proof(|_, _| {})]);
    assert_eq!(taken.status, 200);
    assert!(taken.field("dpop-nonce").is_some());
    assert!(bed.send(&["nonsense"]).field("dpop-nonce").is_some());
    assert!(bed.send(&[]).field("dpop-nonce").is_none(), "nobody asked");
}

#[test]
fn q8_a_client_that_registered_it_gets_no_token_without_a_proof() {
    let bed = Bed::new();
    let client = bed.hub.register(&json!({
        "grant_types": ["client_credentials"], "dpop_bound_access_tokens": true,
    }));
    let field = basic(client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let ask = |more: &[(&str, &str)]| {
        let fields = [&[("Authorization", field.as_str())], more].concat();
        bed.hub.form("/token", &fields, &[("grant_type", "client_credentials")])
    };
    let refused = ask(&[]);
    assert_eq!((refused.status, refused.error()), (400, "invalid_dpop_proof"), "{}", refused.text);
    let bound = ask(&[("DPoP", &bed.proof(|_, _| {}))]);
    assert_eq!(bound.json["token_type"], "DPoP", "{}", bound.text);
}
