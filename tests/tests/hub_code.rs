//! The authorization endpoint and its codes (RFC 6749, 4.1; RFC 7636), with a browser.

use std::thread;

use data_encoding::BASE64URL_NOPAD;
use merlon_tests::browser::{Browser, Page, first_account};
use merlon_tests::hub::{Answer, Hub, encode};
use merlon_tests::jwt::{Key, claims};
use merlon_tests::registered::Registered;
use serde_json::{Value, json};

const REDIRECT: &str = "https://app.example/cb?kept=1";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn challenge() -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes());
    BASE64URL_NOPAD.encode(digest.as_ref())
}

/// A public client, as applications in browsers and on desks are.
fn public(hub: &Hub) -> Registered<'_> {
    let metadata = json!({
        "client_name": "app", "redirect_uris": [REDIRECT, "http://127.0.0.1/cb", "https://app.example/other"],
        "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none",
    });
    Registered::new(hub, &metadata)
}

/// The address of the endpoint with these parameters besides the usual ones; one without a value is left out.
fn address(client: &Registered<'_>, changed: &[(&str, &str)]) -> String {
    let challenge = challenge();
    let usual = [
        ("response_type", "code"),
        ("client_id", client.id()),
        ("redirect_uri", REDIRECT),
        ("state", "a state & more"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let kept = usual.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    let pairs = kept.chain(changed).filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", encode(value))).collect();
    format!("/authorize?{}", pairs.join("&"))
}

/// Consents, and follows nothing: the answer to the form.
fn consent(browser: &mut Browser, page: &Page, decision: &str) -> Page {
    assert_eq!(page.status, 200, "{}", page.text());
    let form = page.form("/authorize");
    let mut fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.push(("decision", decision));
    browser.post_only("/authorize", &fields)
}

/// A parameter of the address that a page leads to.
fn parameter(page: &Page, name: &str) -> Option<String> {
    let location = page.header("location")?;
    let query = location.split_once('?')?.1;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
    Some(value.replace('+', " ").replace("%26", "&").replace("%3A", ":").replace("%2F", "/"))
}

fn code(browser: &mut Browser, client: &Registered<'_>, changed: &[(&str, &str)]) -> String {
    let page = browser.get(&address(client, changed));
    parameter(&consent(browser, &page, "approve"), "code").unwrap()
}

fn redeem(client: &Registered<'_>, code: &str, changed: &[(&str, &str)]) -> Answer {
    let usual =
        [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT), ("code_verifier", VERIFIER)];
    let kept = usual.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    let all: Vec<(&str, &str)> = kept.chain(changed).copied().filter(|(_, value)| !value.is_empty()).collect();
    client.form("/token", &all)
}

#[test]
fn somebody_who_consents_sends_a_code_to_the_application() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = public(&hub);
    let page = alice.get(&address(&client, &[]));
    assert!(
        page.text().contains("app") && page.text().contains("https://app.example") && page.text().contains("alice")
    );
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    let answer = consent(&mut alice, &page, "approve");
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").unwrap().starts_with("https://app.example/cb?kept=1&code="));
    assert_eq!(parameter(&answer, "state").as_deref(), Some("a state & more"));
    assert_eq!(parameter(&answer, "iss").as_deref(), Some(hub.issuer.as_str()));
    let tokens = redeem(&client, &parameter(&answer, "code").unwrap(), &[]);
    assert_eq!((tokens.status, tokens.field("cache-control")), (200, Some("no-store")), "{}", tokens.text);
    let said = claims(tokens.json["access_token"].as_str().unwrap());
    assert_eq!((&said["preferred_username"], &said["client_id"]), (&json!("alice"), &json!(client.id())));
    assert_eq!(client.refresh(tokens.json["refresh_token"].as_str().unwrap()).status, 200);
}

#[test]
fn nobody_is_asked_before_signing_in_and_a_refusal_goes_back() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = public(&hub);
    let mut nobody = Browser::new(&hub.issuer);
    let page = nobody.get(&address(&client, &[]));
    assert!(page.path.starts_with("/sign-in?next=%2Fauthorize%3F"), "{}", page.path);
    let page = alice.get(&address(&client, &[]));
    let refused = consent(&mut alice, &page, "deny");
    assert_eq!(parameter(&refused, "error").as_deref(), Some("access_denied"));
    assert!(parameter(&refused, "code").is_none());
    // The form of another browser is not taken.
    let form = page.form("/authorize");
    let mut fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.push(("decision", "approve"));
    assert_eq!(nobody.post_only("/authorize", &fields).status, 403);
}

#[test]
fn z1_z2_z7_only_registered_addresses_are_ever_led_to() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = public(&hub);
    for wrong in [
        "https://app.example/cb",
        "https://app.example/cb?kept=1&more",
        "https://app.example/other/",
        "https://evil.example/cb?kept=1",
        "https://app.example.evil.example/cb?kept=1",
        "http://127.0.0.1:80/else",
        "http://localhost/cb",
        "javascript:alert(1)",
        "//evil.example",
        "",
    ] {
        let page = alice.get_only(&address(&client, &[("redirect_uri", wrong)]));
        assert_eq!((page.status, page.header("location")), (400, None), "{wrong}");
    }
    for (name, value) in [("client_id", "cli_unknown"), ("client_id", "")] {
        let page = alice.get_only(&address(&client, &[(name, value)]));
        assert_eq!((page.status, page.header("location")), (400, None), "{name}={value}");
    }
    let doubled = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", address(&client, &[]));
    assert_eq!(alice.get_only(&doubled).status, 400);
    let loopback = "http://127.0.0.1:53117/cb";
    let page = alice.get(&address(&client, &[("redirect_uri", loopback)]));
    assert!(
        consent(&mut alice, &page, "approve").header("location").unwrap().starts_with(&format!("{loopback}?code="))
    );
}

#[test]
fn z3_z5_z9_there_is_code_with_s256_and_nothing_else() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = public(&hub);
    for (changed, error) in [
        ([("code_challenge_method", "plain")], "invalid_request"),
        ([("code_challenge_method", "")], "invalid_request"),
        ([("code_challenge", "")], "invalid_request"),
        ([("code_challenge", "short")], "invalid_request"),
        ([("response_type", "")], "invalid_request"),
        ([("response_type", "token")], "unsupported_response_type"),
        ([("response_type", "code id_token")], "unsupported_response_type"),
        ([("scope", "hub")], "invalid_scope"),
        ([("resource", "https://else.example")], "invalid_target"),
    ] {
        let page = alice.get_only(&address(&client, &changed));
        assert_eq!(page.status, 303, "{changed:?}");
        assert_eq!(parameter(&page, "error").as_deref(), Some(error), "{changed:?}");
        assert_eq!(parameter(&page, "state").as_deref(), Some("a state & more"));
        assert_eq!(parameter(&page, "iss").as_deref(), Some(hub.issuer.as_str()));
    }
    let code = code(&mut alice, &client, &[]);
    assert_eq!(redeem(&client, &code, &[("code_verifier", "")]).error(), "invalid_request");
    assert_eq!(redeem(&client, &code, &[("code_verifier", &challenge())]).error(), "invalid_grant");
    assert_eq!(redeem(&client, &code, &[]).status, 200);
}

#[test]
fn z6_a_code_is_bound_and_works_once() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let (client, other) = (public(&hub), public(&hub));
    let code = code(&mut alice, &client, &[]);
    assert_eq!(redeem(&other, &code, &[]).error(), "invalid_grant");
    assert_eq!(redeem(&client, &code, &[("redirect_uri", "https://app.example/other")]).error(), "invalid_grant");
    assert_eq!(redeem(&client, &code, &[("redirect_uri", "")]).error(), "invalid_request");
    let tokens = redeem(&client, &code, &[]).json;
    assert_eq!(redeem(&client, &code, &[]).error(), "invalid_grant");
    assert_eq!(
        client.refresh(tokens["refresh_token"].as_str().unwrap()).error(),
        "invalid_grant",
        "revoked by the replay"
    );
}

#[test]
fn z6_of_many_redemptions_at_once_one_wins() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = public(&hub);
    let code = code(&mut alice, &client, &[]);
    let won = thread::scope(|scope| {
        let tasks: Vec<_> = (0..16).map(|_| scope.spawn(|| redeem(&client, &code, &[]).status)).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).filter(|status| *status == 200).count()
    });
    assert_eq!(won, 1);
}

#[test]
fn a_code_may_be_bound_to_a_key() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = public(&hub);
    let key = Key::new();
    let nonce = client.nonce(&key);
    let code = code(&mut alice, &client, &[("dpop_jkt", &key.thumbprint())]);
    assert_eq!(redeem(&client, &code, &[]).error(), "invalid_grant");
    let proof = key.proof("POST", &format!("{}/token", hub.issuer), Some(&nonce));
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let tokens = client.form_with("/token", &[("DPoP", &proof)], &form);
    assert_eq!((tokens.status, &tokens.json["token_type"]), (200, &Value::from("DPoP")), "{}", tokens.text);
}
