//! The device authorization endpoint (RFC 8628, 3.1 and 3.2) and its grant (3.4 and 3.5), as any client sees them.

use std::thread;

use merlon_tests::browser::{approve_device, deny_device, first_account, invited_account};
use merlon_tests::hub::{Hub, Options};
use merlon_tests::jwt::{Key, claims};
use merlon_tests::registered::{DEVICE, Registered, instance_metadata, other_metadata};
use serde_json::{Value, json};

fn code(begun: &Value) -> &str {
    begun["user_code"].as_str().unwrap()
}

#[test]
fn d1_confidential_clients_authenticate_and_public_ones_say_who_they_are() {
    let hub = Hub::new();
    let client = Registered::instance(&hub);
    let named = hub.form("/device_authorization", &[], &[("client_id", client.id())]);
    assert_eq!((named.status, named.error()), (401, "invalid_client"));
    assert_eq!(hub.form("/device_authorization", &[], &[]).status, 401);
    let mut metadata = other_metadata();
    metadata["token_endpoint_auth_method"] = "none".into();
    metadata["grant_types"] = json!([DEVICE]);
    let public = Registered::new(&hub, &metadata);
    assert!(public.information.get("client_secret").is_none());
    assert_eq!(public.form("/device_authorization", &[]).status, 200);
    let mut instance = instance_metadata();
    instance["token_endpoint_auth_method"] = "none".into();
    instance["grant_types"] = json!([DEVICE]);
    assert_eq!(hub.json("POST", "/register", &[], &instance).error(), "invalid_client_metadata");
}

#[test]
fn d2_d4_d5_d6_the_answer_has_two_codes_where_to_go_and_how_long() {
    let hub = Hub::with(&Options {
        config: "[hub]\ndevice_seconds = 90\ndevice_interval = 7\n".into(),
        ..Options::default()
    });
    let client = Registered::instance(&hub);
    let answer = client.form("/device_authorization", &[]);
    assert_eq!(
        (answer.status, answer.field("cache-control"), answer.field("pragma")),
        (200, Some("no-store"), Some("no-cache"))
    );
    let told = &answer.json;
    assert_eq!((&told["expires_in"], &told["interval"]), (&json!(90), &json!(7)));
    assert_eq!(told["verification_uri"], format!("{}/device", hub.issuer));
    let user = code(told);
    assert_eq!(told["verification_uri_complete"], format!("{}/device?user_code={user}", hub.issuer));
    assert!(user.len() == 9 && user.as_bytes()[4] == b'-');
    assert!(user.replace('-', "").bytes().all(|b| b"BCDFGHJKLMNPQRSTVWXZ".contains(&b)), "{user}");
    let device = told["device_code"].as_str().unwrap();
    assert!(device.len() >= 43 && !device.contains(user));
    assert!(device.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "no form encoding can hurt it");
    // Typed without case and punctuation.
    let mut alice = first_account(&hub, "alice");
    let typed = alice.get(&format!("/device?user_code={}", user.replace('-', "").to_lowercase()));
    assert_eq!(typed.status, 200, "{}", typed.text());
    assert!(typed.text().contains(user));
    assert!(!typed.body.contains(device), "the device code is shown to nobody");
}

#[test]
fn d7_k8_a_client_without_the_grant_is_refused() {
    let hub = Hub::new();
    let client = Registered::new(&hub, &json!({ "grant_types": ["client_credentials"] }));
    let answer = client.form("/device_authorization", &[]);
    assert_eq!((answer.status, answer.error()), (400, "unauthorized_client"));
    let begun = json!({ "device_code": "x" });
    assert_eq!(client.poll(&begun).error(), "unauthorized_client");
}

#[test]
fn scopes_are_those_that_are_registered_known_and_given_by_the_role() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let wrong = client.form("/device_authorization", &[("scope", "openid profile")]);
    assert_eq!((wrong.status, wrong.error()), (400, "invalid_scope"));
    assert_eq!(client.form("/device_authorization", &[("scope", "a\"b")]).error(), "invalid_scope");
    assert_eq!(client.form("/device_authorization", &[("resource", "https://else.example")]).error(), "invalid_target");
    let begun = client.begin(&[("merlon_claim", "1"), ("scope", "flows:read replay openid")]);
    approve_device(&mut alice, code(&begun));
    let tokens = client.poll(&begun).json;
    assert_eq!(tokens["scope"], "flows:read replay offline_access");
    let claims = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!(claims["scope"], tokens["scope"]);
    assert_eq!(claims["roles"], json!(["owner"]));
    assert_eq!(claims["preferred_username"], "alice");
    assert_eq!(claims["aud"], format!("urn:merlon:instance:{}", client.id()));
    assert!(claims["sid"].as_str().unwrap().starts_with("grt_"));
}

#[test]
fn p2_p3_p6_a_code_is_its_clients_and_waits_until_somebody_decides() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let (client, other) = (Registered::instance(&hub), Registered::new(&hub, &other_metadata()));
    let begun = client.begin(&[("merlon_claim", "1")]);
    let stolen = other.poll(&begun);
    assert_eq!((stolen.status, stolen.error()), (400, "invalid_grant"));
    let anonymous = hub.form(
        "/token",
        &[],
        &[("grant_type", DEVICE), ("client_id", client.id()), ("device_code", begun["device_code"].as_str().unwrap())],
    );
    assert_eq!((anonymous.status, anonymous.error()), (401, "invalid_client"));
    let first = client.poll(&begun);
    assert_eq!((first.status, first.error()), (400, "authorization_pending"));
    deny_device(&mut alice, code(&begun));
    let denied = client.poll(&begun);
    assert_eq!((denied.status, denied.error()), (400, "access_denied"));
    assert_eq!(client.poll(&json!({ "device_code": "unknown" })).error(), "invalid_grant");
    assert_eq!(client.form("/token", &[("grant_type", DEVICE)]).error(), "invalid_request");
}

#[test]
fn p4_too_fast_is_slow_down_but_a_decision_is_told_at_once() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let begun = client.begin(&[("merlon_claim", "1")]);
    assert_eq!(client.poll(&begun).error(), "authorization_pending", "the first is never too early");
    for _ in 0..3 {
        let early = client.poll(&begun);
        assert_eq!((early.status, early.error()), (400, "slow_down"));
    }
    approve_device(&mut alice, code(&begun));
    assert_eq!(client.poll(&begun).status, 200);
}

#[test]
fn p10_a_code_works_once_and_a_replay_revokes_what_it_gave() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let begun = client.begin(&[("merlon_claim", "1")]);
    approve_device(&mut alice, code(&begun));
    let tokens = client.poll(&begun).json;
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(client.introspect(access)["active"], true);
    assert_eq!(client.poll(&begun).error(), "invalid_grant");
    assert_eq!(client.introspect(access), json!({ "active": false }));
    assert_eq!(client.refresh(tokens["refresh_token"].as_str().unwrap()).error(), "invalid_grant");
}

#[test]
fn p10_of_many_polls_at_once_one_wins() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let begun = client.begin(&[("merlon_claim", "1")]);
    approve_device(&mut alice, code(&begun));
    let won = thread::scope(|scope| {
        let polls: Vec<_> = (0..16).map(|_| scope.spawn(|| client.poll(&begun))).collect();
        let answers: Vec<_> = polls.into_iter().map(|poll| poll.join().unwrap()).collect();
        assert!(answers.iter().all(|answer| answer.status == 200 || answer.error() == "invalid_grant"));
        answers.iter().filter(|answer| answer.status == 200).count()
    });
    assert_eq!(won, 1);
}

#[test]
fn p11_who_is_locked_or_has_no_role_gets_nothing_and_is_told_why() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let mut bob = invited_account(&mut alice, "bob");
    let client = Registered::instance(&hub);
    drop(client.sign_in(&mut alice));
    let begun = client.begin(&[]);
    approve_device(&mut bob, code(&begun));
    let answer = client.poll(&begun);
    assert_eq!(answer.error(), "access_denied");
    assert!(answer.json["error_description"].as_str().unwrap().starts_with("not_shared"), "{}", answer.text);
    let late = client.begin(&[("merlon_claim", "1")]);
    approve_device(&mut bob, code(&late));
    let answer = client.poll(&late);
    assert_eq!(answer.error(), "access_denied");
    assert!(answer.json["error_description"].as_str().unwrap().starts_with("wrong_account"), "{}", answer.text);
}

#[test]
fn a_sign_in_with_a_proof_is_bound_to_its_key_for_good() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let (key, thief) = (Key::new(), Key::new());
    let url = format!("{}/token", hub.issuer);
    let begun = client.begin(&[("merlon_claim", "1")]);
    approve_device(&mut alice, code(&begun));
    let device = begun["device_code"].as_str().unwrap();
    let nonce = client.nonce(&key);
    let proof = key.proof("POST", &url, Some(&nonce));
    let answer = client.form_with("/token", &[("DPoP", &proof)], &[("grant_type", DEVICE), ("device_code", device)]);
    assert_eq!((answer.status, &answer.json["token_type"]), (200, &json!("DPoP")), "{}", answer.text);
    assert_eq!(claims(answer.json["access_token"].as_str().unwrap())["cnf"]["jkt"], key.thumbprint());
    let refresh = answer.json["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(client.form("/token", &form).error(), "invalid_grant", "without a proof");
    let stolen = client.form_with("/token", &[("DPoP", &thief.proof("POST", &url, Some(&nonce)))], &form);
    assert_eq!(stolen.error(), "invalid_grant", "by another key");
    let own = client.form_with("/token", &[("DPoP", &key.proof("POST", &url, Some(&nonce)))], &form);
    assert_eq!(own.status, 200, "{}", own.text);
    let about = client.introspect(own.json["access_token"].as_str().unwrap());
    assert_eq!((&about["token_type"], &about["cnf"]["jkt"]), (&json!("DPoP"), &json!(key.thumbprint())));
}

#[test]
fn device_authorizations_are_limited_by_place() {
    let hub = Hub::new();
    let client = Registered::instance(&hub);
    let statuses: Vec<u16> = (0..60).map(|_| client.form("/device_authorization", &[]).status).collect();
    assert!(statuses[..30].iter().all(|status| *status == 200), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[test]
fn a_kill_loses_no_request_that_waits_and_no_approval_and_gives_nothing_twice() {
    let mut hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let (information, begun) = {
        let client = Registered::instance(&hub);
        (client.information.clone(), client.begin(&[("merlon_claim", "1")]))
    };
    hub.kill();
    hub.restart(&Options::default());
    approve_device(&mut alice, code(&begun));
    hub.kill();
    hub.restart(&Options::default());
    let tokens = {
        let client = Registered::again(&hub, information.clone());
        let answer = client.poll(&begun);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json
    };
    hub.kill();
    hub.restart(&Options::default());
    let client = Registered::again(&hub, information);
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(client.introspect(access)["active"], true, "what was given is kept");
    assert_eq!(client.poll(&begun).error(), "invalid_grant", "and not given again");
    assert_eq!(client.introspect(access), json!({ "active": false }));
}
