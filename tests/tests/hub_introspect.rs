//! Introspection (RFC 7662) and revocation (RFC 7009), as any client sees them.

use data_encoding::BASE64URL_NOPAD;
use merlon_tests::browser::{first_account, invited_account};
use merlon_tests::hub::{Hub, basic};
use merlon_tests::jwt::{Key, claims, now, unique};
use merlon_tests::registered::{DEVICE, Registered, other_metadata};
use serde_json::{Value, json};

fn access(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap()
}

fn refresh(tokens: &Value) -> &str {
    tokens["refresh_token"].as_str().unwrap()
}

#[test]
fn i1_i5_whoever_asks_authenticates() {
    let hub = Hub::new();
    let client = Registered::instance(&hub);
    let nobody = hub.form("/introspect", &[], &[("token", "x")]);
    assert_eq!((nobody.status, nobody.error()), (401, "invalid_client"));
    let wrong = basic(client.id(), "wrong");
    let wrong = hub.form("/introspect", &[("Authorization", &wrong)], &[("token", "x")]);
    assert_eq!((wrong.status, wrong.error()), (401, "invalid_client"));
    assert!(wrong.field("www-authenticate").unwrap().starts_with("Basic"));
    let mut metadata = other_metadata();
    metadata["token_endpoint_auth_method"] = "none".into();
    metadata["grant_types"] = json!([DEVICE]);
    let public = Registered::new(&hub, &metadata);
    assert_eq!(public.form("/introspect", &[("token", "x")]).status, 401, "its id is no proof of who it is");
    assert_eq!(client.form("/introspect", &[]).error(), "invalid_request");
    assert_eq!(hub.get("/introspect?token=x").status, 405);
}

#[test]
fn i2_i6_a_token_that_stands_is_told_whatever_the_hint() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let tokens = client.sign_in(&mut alice);
    let said = claims(access(&tokens));
    for hint in ["", "access_token", "refresh_token", "saml"] {
        let ask = |token: &str| client.form("/introspect", &[("token", token), ("token_type_hint", hint)]).json;
        let about = ask(access(&tokens));
        assert_eq!(about["active"], true);
        for name in ["iss", "sub", "client_id", "scope", "exp", "iat", "aud", "jti", "sid", "roles"] {
            assert_eq!(about[name], said[name], "{name}");
        }
        assert_eq!((&about["username"], &about["token_type"]), (&json!("alice"), &json!("Bearer")));
        let about = ask(refresh(&tokens));
        assert_eq!((&about["active"], &about["sid"], &about["sub"]), (&json!(true), &said["sid"], &said["sub"]));
    }
    let own = client.form("/token", &[("grant_type", "client_credentials")]).json;
    let about = client.introspect(access(&own));
    assert_eq!((&about["sub"], &about["active"]), (&json!(client.id()), &json!(true)));
    assert!(about.get("username").is_none() && about.get("roles").is_none() && about.get("sid").is_none());
}

#[test]
fn i3_of_every_other_token_nothing_is_told() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let (client, other) = (Registered::instance(&hub), Registered::new(&hub, &other_metadata()));
    let tokens = client.sign_in(&mut alice);
    let inactive = json!({ "active": false });
    for token in
        ["x", "mhr_x", "a.b.c", "mhp_x", client.text("registration_access_token"), client.text("client_secret")]
    {
        assert_eq!(client.introspect(token), inactive, "{token}");
    }
    assert_eq!(other.introspect(access(&tokens)), inactive, "another client's");
    assert_eq!(other.introspect(refresh(&tokens)), inactive);
    let rotated = client.refresh(refresh(&tokens)).json;
    assert_eq!(client.introspect(refresh(&tokens)), inactive, "rotated");
    assert_eq!(client.form("/revoke", &[("token", access(&rotated))]).status, 200);
    assert_eq!(client.introspect(access(&rotated)), inactive, "revoked");
}

#[test]
fn i4_signature_issuer_and_time_are_checked() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let tokens = client.sign_in(&mut alice);
    let token = access(&tokens);
    let inactive = json!({ "active": false });
    let (head, rest) = token.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let mut said = claims(token);
    said["scope"] = "instance:admin".into();
    let forged = BASE64URL_NOPAD.encode(said.to_string().as_bytes());
    assert_eq!(client.introspect(&format!("{head}.{forged}.{signature}")), inactive);
    let none = BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"at+jwt"}"#);
    assert_eq!(client.introspect(&format!("{none}.{body}.")), inactive);
    let header: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(head.as_bytes()).unwrap()).unwrap();
    assert_eq!(client.introspect(&Key::new().sign(&header, &claims(token))), inactive, "by a key of nobody");
    let mut old = claims(token);
    (old["exp"], old["jti"]) = (json!(now() - 1), json!(unique()));
    assert_eq!(client.introspect(&Key::new().sign(&header, &old)), inactive);
    assert_eq!(client.introspect(token)["active"], true);
}

#[test]
fn what_a_person_is_now_is_told_and_not_what_it_was() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let mut bob = invited_account(&mut alice, "bob");
    let client = Registered::instance(&hub);
    drop(client.sign_in(&mut alice));
    let page = alice.get(&format!("/instances/{}", client.id()));
    let share = |role| [("account", "bob"), ("name", "bob"), ("role", role)];
    let path = format!("/instances/{}/share", client.id());
    let page = alice.submit(&page, &path, &share("operator"));
    assert_eq!(page.status, 200, "{}", page.text());
    let begun = client.begin(&[]);
    merlon_tests::browser::approve_device(&mut bob, begun["user_code"].as_str().unwrap());
    let tokens = client.poll(&begun).json;
    let about = client.introspect(access(&tokens));
    assert_eq!(about["roles"], json!(["operator"]), "{tokens} {about}");
    assert!(!about["scope"].as_str().unwrap().contains("instance:admin"));
    alice.submit(&page, &path, &share("viewer"));
    let after = client.introspect(access(&tokens));
    let refreshed = client.refresh(refresh(&tokens));
    // A change of role ends what was granted before, or is told at once; the old role is told in no case.
    assert!(after == json!({ "active": false }) || after["roles"] == json!(["viewer"]), "{after}");
    assert!(refreshed.status == 400 || refreshed.json["scope"] == "flows:read offline_access", "{}", refreshed.text);
}

#[test]
fn x1_x4_x7_tokens_are_revoked_whatever_the_hint_and_a_refresh_token_takes_all_along() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let inactive = json!({ "active": false });
    for hint in ["access_token", "refresh_token", "saml"] {
        let tokens = client.sign_in(&mut alice);
        let revoke = |token: &str| client.form("/revoke", &[("token", token), ("token_type_hint", hint)]).status;
        assert_eq!(revoke(access(&tokens)), 200);
        assert_eq!(client.introspect(access(&tokens)), inactive);
        let next = client.refresh(refresh(&tokens)).json;
        assert_eq!(client.introspect(access(&next))["active"], true, "the session goes on");
        assert_eq!(revoke(refresh(&next)), 200);
        assert_eq!(client.introspect(access(&next)), inactive);
        assert_eq!(client.refresh(refresh(&next)).error(), "invalid_grant");
    }
}

#[test]
fn x2_another_clients_token_lives_on() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let (client, other) = (Registered::instance(&hub), Registered::new(&hub, &other_metadata()));
    let tokens = client.sign_in(&mut alice);
    for token in [access(&tokens), refresh(&tokens)] {
        let answer = other.form("/revoke", &[("token", token)]);
        assert_eq!((answer.status, answer.error()), (400, "invalid_grant"));
        assert_eq!(hub.form("/revoke", &[], &[("token", token)]).status, 401);
    }
    assert_eq!(client.introspect(access(&tokens))["active"], true);
    assert_eq!(client.refresh(refresh(&tokens)).status, 200);
}

#[test]
fn x3_x5_what_is_gone_is_gone_and_what_is_no_token_of_here_is_told() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let tokens = client.sign_in(&mut alice);
    for _ in 0..2 {
        let answer = client.form("/revoke", &[("token", refresh(&tokens))]);
        assert_eq!((answer.status, answer.text.as_str(), answer.field("cache-control")), (200, "", Some("no-store")));
    }
    assert_eq!(client.form("/revoke", &[("token", "unknown")]).status, 200);
    assert_eq!(client.form("/revoke", &[]).error(), "invalid_request");
    let elsewhere = client.form("/revoke", &[("token", client.text("registration_access_token"))]);
    assert_eq!((elsewhere.status, elsewhere.error()), (400, "unsupported_token_type"));
}
