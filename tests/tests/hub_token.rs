//! The token endpoint: forms (rows A), client authentication (rows K), client credentials (rows CC), the tokens (rows J).

use std::thread;

use merlon_jose::{Jwks, access_token};
use merlon_tests::hub::{Answer, Hub, basic};
use merlon_tests::jwt::{self, Key};
use serde_json::json;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const ASSERTION: (&str, &str) = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

/// Asks for a token by HTTP Basic, with more parameters.
fn ask(hub: &Hub, (id, secret): &(String, String), more: &[(&str, &str)]) -> Answer {
    let mut parameters = vec![GRANT];
    parameters.extend(more);
    hub.form("/token", &[("Authorization", &basic(id, secret))], &parameters)
}

fn assert_refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, answer.error()), (status, error), "{}", answer.text);
    assert_eq!(answer.field("content-type"), Some("application/json"));
}

#[test]
fn a3_a4_a5_a6_the_form_is_strict_and_no_stricter() {
    let hub = Hub::new();
    let client = hub.confidential();
    let fields = |kind| [("Authorization", basic(&client.0, &client.1)), ("Content-Type", String::from(kind))];
    let send = |kind, body: &str| {
        let fields = fields(kind);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        hub.request("POST", "/token", &fields, body.as_bytes())
    };
    const FORM: &str = "application/x-www-form-urlencoded";
    assert_eq!(send(FORM, "grant_type=client_credentials&scope=&color=blue").status, 200);
    assert_eq!(send("application/x-www-form-urlencoded; charset=UTF-8", "grant_type=client_credentials").status, 200);
    for (kind, body) in [
        (FORM, "grant_type=client_credentials&grant_type=client_credentials"),
        (FORM, "grant_type=client_credentials&color=1&color=2"),
        (FORM, "grant_type="),
        (FORM, "grant_type=%ff"),
        ("application/json", "{\"grant_type\":\"client_credentials\"}"),
        ("text/plain", "grant_type=client_credentials"),
    ] {
        assert_refused(&send(kind, body), 400, "invalid_request");
    }
    let long = format!("grant_type=client_credentials&x={}", "a".repeat(70_000));
    assert_refused(&send(FORM, &long), 413, "invalid_request");
    assert_eq!(hub.get("/token?grant_type=client_credentials").status, 405);
}

#[test]
fn a11_k6_cc2_a_success_is_complete_short_lived_and_kept_by_nobody() {
    let hub = Hub::new();
    let client = hub.confidential();
    assert!(client.1.len() >= 43, "256 bits");
    let answer = ask(&hub, &client, &[]);
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    assert_eq!(answer.field("pragma"), Some("no-cache"));
    assert_eq!(answer.json["token_type"], "Bearer");
    assert_eq!(answer.json["expires_in"], 600);
    assert!(answer.json["access_token"].is_string());
    assert!(answer.json.get("refresh_token").is_none());
}

#[test]
fn cc3_j1_j2_j7_the_token_says_all_and_whom_it_is_for() {
    let hub = Hub::new();
    let client = hub.confidential();
    let answer = ask(&hub, &client, &[("scope", "flows:read")]);
    let token = answer.json["access_token"].as_str().unwrap();
    let (header, claims) = jwt::read(token);
    assert_eq!((&header["typ"], &header["alg"]), (&"at+jwt".into(), &"ES256".into()));
    assert_eq!(claims["sub"], client.0.as_str(), "the client itself");
    assert!(client.0.starts_with("cli_"), "which no account's id can equal");
    for (name, value) in [("iss", &hub.issuer), ("aud", &hub.issuer), ("client_id", &client.0)] {
        assert_eq!(claims[name], value.as_str(), "{name}");
    }
    assert_eq!(claims["scope"], "flows:read");
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() >= 26));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 600);
    // Whoever has the keys of the hub takes it.
    let keys = Jwks::parse(hub.get("/jwks").text.as_bytes()).unwrap();
    let expect = access_token::Expect { issuer: &hub.issuer, audience: Some(&hub.issuer), now: jwt::now(), leeway: 5 };
    assert_eq!(access_token::verify(token, &keys, &expect).unwrap().subject, client.0);
    // A resource that is not the hub is not to be had this way.
    assert_eq!(ask(&hub, &client, &[("resource", &hub.issuer)]).status, 200);
    assert_refused(&ask(&hub, &client, &[("resource", "https://else.example")]), 400, "invalid_target");
    assert_ne!(ask(&hub, &client, &[]).json["access_token"], token);
}

#[test]
fn j3_rs256_is_there_for_who_wants_it() {
    let hub = Hub::new();
    let client = hub.register(&json!({
        "grant_types": ["client_credentials"], "access_token_signed_response_alg": "RS256",
    }));
    let pair = (client["client_id"].as_str().unwrap().into(), client["client_secret"].as_str().unwrap().into());
    let answer = ask(&hub, &pair, &[]);
    let token = answer.json["access_token"].as_str().unwrap();
    assert_eq!(jwt::read(token).0["alg"], "RS256");
    let keys = Jwks::parse(hub.get("/jwks").text.as_bytes()).unwrap();
    let expect = access_token::Expect { issuer: &hub.issuer, audience: Some(&hub.issuer), now: jwt::now(), leeway: 5 };
    access_token::verify(token, &keys, &expect).unwrap();
}

#[test]
fn k2_k4_basic_is_decoded_once_and_a_failure_names_the_scheme() {
    let hub = Hub::new();
    let (id, secret) = hub.confidential();
    // Every character of both may be encoded (RFC 6749, 2.3.1), and `+` is a blank.
    let every = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let field = |pair: String| format!("bAsIc {}", data_encoding::BASE64.encode(pair.as_bytes()));
    let send = |field: &str| hub.form("/token", &[("Authorization", field)], &[GRANT]);
    assert_eq!(send(&field(format!("{}:{}", every(&id), every(&secret)))).status, 200);
    for wrong in [
        field(format!("{id}:{secret}x")),
        field(format!("{id}:{}", secret.to_lowercase())),
        field(format!("{id}:%25{secret}")),
        field(format!("{id}:+{secret}")),
        field(format!("nobody:{secret}")),
        field(id.clone()),
        "Basic %%%".to_owned(),
        "Bearer abc".to_owned(),
    ] {
        let refused = send(&wrong);
        assert_refused(&refused, 401, "invalid_client");
        assert!(refused.field("www-authenticate").is_some_and(|value| value.starts_with("Basic ")), "{wrong}");
    }
}

#[test]
fn k3_k13_one_method_and_the_one_that_was_registered() {
    let hub = Hub::new();
    let (id, secret) = hub.confidential();
    let field = basic(&id, &secret);
    let posted = [GRANT, ("client_id", id.as_str()), ("client_secret", secret.as_str())];
    assert_refused(&hub.form("/token", &[("Authorization", &field)], &posted), 400, "invalid_request");
    let another = [GRANT, ("client_id", "another")];
    assert_refused(&hub.form("/token", &[("Authorization", &field)], &another), 400, "invalid_request");
    let asserted = [GRANT, ASSERTION, ("client_assertion", "a.b.c")];
    assert_refused(&hub.form("/token", &[("Authorization", &field)], &asserted), 400, "invalid_request");
    // A secret for Basic is not taken in the form.
    assert_refused(&hub.form("/token", &[], &posted), 401, "invalid_client");
    assert_refused(&hub.form("/token", &[], &[GRANT, ("client_id", &id)]), 401, "invalid_client");
    assert_refused(&hub.form("/token", &[], &[GRANT]), 401, "invalid_client");
    // And the other way round.
    let post = hub.register(&json!({
        "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_post",
    }));
    let (id, secret) = (post["client_id"].as_str().unwrap(), post["client_secret"].as_str().unwrap());
    let posted = [GRANT, ("client_id", id), ("client_secret", secret)];
    assert_eq!(hub.form("/token", &[], &posted).status, 200);
    assert_refused(&hub.form("/token", &[("Authorization", &basic(id, secret))], &[GRANT]), 401, "invalid_client");
}

#[test]
fn k5_guessing_ends_soon_and_locks_nobody_else_out() {
    let hub = Hub::new();
    let (guessed, other) = (hub.confidential(), hub.confidential());
    let wrong = (guessed.0.clone(), "x".repeat(43));
    let statuses: Vec<u16> = (0..40).map(|_| ask(&hub, &wrong, &[]).status).collect();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(statuses[0] == 401 && refused >= 15, "{statuses:?}");
    let limited = ask(&hub, &guessed, &[]);
    assert_eq!(limited.status, 429, "the right secret tells a guesser nothing");
    assert!(limited.field("retry-after").is_some_and(|seconds| seconds.parse::<u64>().unwrap() >= 1));
    assert_eq!(ask(&hub, &other, &[]).status, 200);
}

#[test]
fn k7_errors_are_400_and_json_in_plain_ascii() {
    let hub = Hub::new();
    let client = hub.confidential();
    let refused = ask(&hub, &client, &[("scope", "flows:read \u{e9}\"\\")]);
    assert_refused(&refused, 400, "invalid_scope");
    assert_eq!(refused.field("cache-control"), Some("no-store"));
    let description = refused.json["error_description"].as_str().unwrap();
    assert!(description.bytes().all(|c| matches!(c, b' '..=b'~') && c != b'"' && c != b'\\'), "{description}");
}

#[test]
fn k8_k14_an_unknown_grant_and_one_that_was_not_registered_differ() {
    let hub = Hub::new();
    let (id, secret) = hub.confidential();
    let field = basic(&id, &secret);
    for unknown in ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "x"] {
        let answer = hub.form(
            "/token",
            &[("Authorization", &field)],
            &[("grant_type", unknown), ("username", "a"), ("password", "b")],
        );
        assert_refused(&answer, 400, "unsupported_grant_type");
    }
    for other in ["refresh_token", "authorization_code", "urn:ietf:params:oauth:grant-type:device_code"] {
        let parameters = [("grant_type", other), ("refresh_token", "x"), ("code", "x"), ("device_code", "x")];
        assert_refused(&hub.form("/token", &[("Authorization", &field)], &parameters), 400, "unauthorized_client");
    }
}

#[test]
fn k9_k10_the_answer_says_what_was_granted() {
    let hub = Hub::new();
    let client = hub.confidential();
    let granted = |scope: &str| ask(&hub, &client, &[("scope", scope)]).json["scope"].clone();
    assert_eq!(granted("flows:read"), "flows:read");
    assert_eq!(granted("flows:read intercept never-heard-of"), "flows:read");
    assert_eq!(ask(&hub, &client, &[]).json["scope"], "flows:read flows:write", "all that it registered");
    for none in ["never-heard-of", "intercept", "instance", "hub offline_access"] {
        assert_refused(&ask(&hub, &client, &[("scope", none)]), 400, "invalid_scope");
    }
    // Of an instance it is always its own one.
    let instance = hub.register(&json!({
        "client_name": "lab", "software_id": "merlon", "software_version": "0.1.0",
        "grant_types": ["client_credentials"], "scope": "flows:read instance offline_access",
    }));
    let text = |name: &str| instance[name].as_str().unwrap().to_owned();
    let instance = (text("client_id"), text("client_secret"));
    assert_eq!(ask(&hub, &instance, &[]).json["scope"], "instance");
    assert_refused(&ask(&hub, &instance, &[("scope", "flows:read")]), 400, "invalid_scope");
}

#[test]
fn cc1_a_public_client_gets_no_token_for_itself() {
    let hub = Hub::new();
    // It cannot even register the grant.
    let metadata = json!({ "grant_types": ["client_credentials"], "token_endpoint_auth_method": "none" });
    let answer = hub.json("POST", "/register", &[], &metadata);
    if answer.status == 201 {
        let id = answer.json["client_id"].as_str().unwrap();
        let token = hub.form("/token", &[], &[GRANT, ("client_id", id)]);
        assert_refused(&token, 400, "unauthorized_client");
    } else {
        assert_refused(&answer, 400, "invalid_client_metadata");
    }
}

#[test]
fn k15_an_assertion_is_the_clients_for_this_hub_and_for_once() {
    let hub = Hub::new();
    let key = Key::new();
    let client = hub.register(&json!({
        "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt",
        "jwks": { "keys": [key.jwk()] },
    }));
    let id = client["client_id"].as_str().unwrap();
    assert!(client.get("client_secret").is_none());
    let header = json!({ "alg": "ES256", "typ": "JWT" });
    let claims = || {
        let now = jwt::now();
        json!({ "iss": id, "sub": id, "aud": hub.issuer, "jti": jwt::unique(), "iat": now, "exp": now + 60 })
    };
    let send = |jwt: &str| hub.form("/token", &[], &[GRANT, ASSERTION, ("client_assertion", jwt)]);
    let good = key.sign(&header, &claims());
    let answer = send(&good);
    assert_eq!(answer.status, 200, "{}\n{}", answer.text, hub.log());
    assert_refused(&send(&good), 401, "invalid_client");
    let mut token_endpoint = claims();
    token_endpoint["aud"] = json!([format!("{}/token", hub.issuer)]);
    assert_eq!(send(&key.sign(&header, &token_endpoint)).status, 200);
    let changed = |name: &str, value: serde_json::Value| {
        let mut claims = claims();
        claims[name] = value;
        key.sign(&header, &claims)
    };
    let now = jwt::now();
    for (what, wrong) in [
        ("another's", changed("iss", json!("cli_other"))),
        ("for another server", changed("aud", json!("https://else.example"))),
        ("expired", changed("exp", json!(now - 3600))),
        ("for ever", changed("exp", json!(now + 1_000_000))),
        ("without end", changed("exp", json!(null))),
        ("without an id", changed("jti", json!(null))),
        ("by another key", Key::new().sign(&header, &claims())),
        ("by none", format!("{}.", key.sign(&json!({ "alg": "none" }), &claims()).rsplit_once('.').unwrap().0)),
    ] {
        assert_refused(&send(&wrong), 401, "invalid_client");
        assert!(!wrong.is_empty(), "{what}");
    }
    let other = [GRANT, ("client_assertion_type", "x"), ("client_assertion", "a.b.c")];
    assert_refused(&hub.form("/token", &[], &other), 400, "invalid_request");
    // The secret of nobody.
    assert_refused(&hub.form("/token", &[], &[GRANT, ("client_id", id)]), 401, "invalid_client");
}

#[test]
fn many_at_once_each_get_a_token_of_their_own() {
    let hub = Hub::new();
    let client = hub.confidential();
    let tokens: Vec<String> = thread::scope(|scope| {
        let asking: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..10)
                        .map(|_| ask(&hub, &client, &[]).json["access_token"].as_str().unwrap().to_owned())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        asking.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let different: std::collections::BTreeSet<&String> = tokens.iter().collect();
    assert_eq!((tokens.len(), different.len()), (80, 80));
}

#[test]
fn without_its_keeper_the_hub_asks_to_come_again_and_goes_on_with_the_next_one() {
    let hub = Hub::new();
    let client = hub.confidential();
    let keeper = hub.process("merlon-keeper");
    merlon_tests::process::signal(keeper, nix::sys::signal::Signal::SIGKILL);
    // Whoever asks meanwhile waits a moment, or is told when to ask again.
    merlon_tests::instance::wait_for("a token", || {
        let answer = ask(&hub, &client, &[]);
        if answer.status == 503 {
            assert!(answer.field("retry-after").is_some(), "{:?}", answer.fields);
        }
        (answer.status == 200).then_some(())
    });
    assert_ne!(hub.process("merlon-keeper"), keeper);
}
