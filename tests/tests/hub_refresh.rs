//! The refresh grant (RFC 6749, 6; RFC 9700, 4.14.2), as any client sees it.

use std::thread;

use merlon_tests::browser::{PASSWORD, first_account};
use merlon_tests::hub::{Hub, Options};
use merlon_tests::jwt::claims;
use merlon_tests::registered::{DEVICE, Registered, instance_metadata, other_metadata};
use serde_json::{Value, json};

fn access(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap()
}

fn refresh(tokens: &Value) -> &str {
    tokens["refresh_token"].as_str().unwrap()
}

/// Without the time in which a lost answer is given again.
fn strict() -> Hub {
    Hub::with(&Options { config: "[hub]\nrefresh_grace_seconds = 0\n".into(), ..Options::default() })
}

#[test]
fn f1_a_refresh_token_is_its_clients_who_authenticates() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let (client, other) = (Registered::instance(&hub), Registered::new(&hub, &other_metadata()));
    let tokens = client.sign_in(&mut alice);
    let stolen = other.refresh(refresh(&tokens));
    assert_eq!((stolen.status, stolen.error()), (400, "invalid_grant"));
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh(&tokens)), ("client_id", client.id())];
    let anonymous = hub.form("/token", &[], &form);
    assert_eq!((anonymous.status, anonymous.error()), (401, "invalid_client"));
    assert_eq!(client.refresh(refresh(&tokens)).status, 200, "neither of them used it up");
}

#[test]
fn f2_f4_scopes_never_grow_and_a_narrow_token_leaves_the_grant_as_it_is() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let begun = client.begin(&[("merlon_claim", "1"), ("scope", "flows:read replay")]);
    merlon_tests::browser::approve_device(&mut alice, begun["user_code"].as_str().unwrap());
    let tokens = client.poll(&begun).json;
    let ask = |token: &str, scope: &str| {
        client.form("/token", &[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)])
    };
    for wider in ["flows:read replay config", "openid", "hub"] {
        let answer = ask(refresh(&tokens), wider);
        assert_eq!((answer.status, answer.error()), (400, "invalid_scope"), "{wider}");
    }
    let narrow = ask(refresh(&tokens), "replay").json;
    assert_eq!((&narrow["scope"], &claims(access(&narrow))["scope"]), (&json!("replay"), &json!("replay")));
    let full = client.refresh(refresh(&narrow)).json;
    assert_eq!(full["scope"], tokens["scope"]);
    assert_eq!(claims(access(&full))["sid"], claims(access(&tokens))["sid"]);
}

#[test]
fn f5_public_clients_get_another_refresh_token_each_time() {
    let hub = strict();
    let mut alice = first_account(&hub, "alice");
    let mut metadata = other_metadata();
    metadata["token_endpoint_auth_method"] = "none".into();
    metadata["grant_types"] = json!([DEVICE, "refresh_token"]);
    let client = Registered::new(&hub, &metadata);
    let first = client.sign_in(&mut alice);
    let second = client.refresh(refresh(&first)).json;
    assert_ne!(refresh(&first), refresh(&second));
    assert!(refresh(&second).starts_with("mhr_") && refresh(&second).len() == 47);
    assert_eq!(client.refresh(refresh(&first)).error(), "invalid_grant");
}

#[test]
fn f6_reuse_ends_the_newest_refresh_token_and_all_access_tokens() {
    let hub = strict();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let first = client.sign_in(&mut alice);
    let second = client.refresh(refresh(&first)).json;
    assert_eq!(client.introspect(access(&first))["active"], true);
    let reused = client.refresh(refresh(&first));
    assert_eq!((reused.status, reused.error()), (400, "invalid_grant"));
    for tokens in [&first, &second] {
        assert_eq!(client.introspect(access(tokens)), json!({ "active": false }));
        assert_eq!(client.refresh(refresh(tokens)).error(), "invalid_grant");
    }
    assert!(alice.get("/audit").text().contains("a refresh token was used twice"));
}

#[test]
fn f7_a_lost_answer_is_given_again_until_its_token_is_used() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let first = client.sign_in(&mut alice);
    let lost = client.refresh(refresh(&first)).json;
    let again = client.refresh(refresh(&first)).json;
    assert_eq!(refresh(&lost), refresh(&again));
    assert_ne!(access(&lost), access(&again));
    assert_eq!(client.refresh(refresh(&again)).status, 200);
    assert_eq!(client.refresh(refresh(&first)).error(), "invalid_grant", "it is reuse now");
    assert_eq!(client.introspect(access(&again)), json!({ "active": false }));
}

#[test]
fn f7_of_refreshes_at_the_same_time_all_get_the_one_successor() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let first = client.sign_in(&mut alice);
    let answers = thread::scope(|scope| {
        let tasks: Vec<_> = (0..16).map(|_| scope.spawn(|| client.refresh(refresh(&first)))).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert!(answers.iter().all(|answer| refresh(&answer.json) == refresh(&answers[0].json)));
    assert_eq!(client.refresh(refresh(&answers[0].json)).status, 200);
}

#[test]
fn f7_without_that_time_of_two_at_once_one_wins_and_the_other_ends_the_grant() {
    let hub = strict();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let first = client.sign_in(&mut alice);
    let won = thread::scope(|scope| {
        let tasks: Vec<_> = (0..8).map(|_| scope.spawn(|| client.refresh(refresh(&first)).status)).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).filter(|status| *status == 200).count()
    });
    assert!(won <= 1, "{won} won");
}

#[test]
fn f8_a_new_password_and_a_sign_out_end_the_grant() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let first = client.sign_in(&mut alice);
    let page = alice.get("/account");
    let fields = [
        ("current", PASSWORD),
        ("password", "another battery staple, horse"),
        ("again", "another battery staple, horse"),
    ];
    let page = alice.submit(&page, "/account/password", &fields);
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(client.introspect(access(&first)), json!({ "active": false }));
    assert_eq!(client.refresh(refresh(&first)).error(), "invalid_grant");
    let second = client.sign_in(&mut alice);
    assert_eq!(client.form("/revoke", &[("token", refresh(&second))]).status, 200);
    assert_eq!(client.refresh(refresh(&second)).error(), "invalid_grant");
}

#[test]
fn a_refresh_token_comes_only_to_who_registered_and_asked_for_it() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let mut metadata = other_metadata();
    metadata["grant_types"] = json!([DEVICE]);
    let without = Registered::new(&hub, &metadata).sign_in(&mut alice);
    assert!(without.get("refresh_token").is_none(), "{without}");
    let other = Registered::new(&hub, &other_metadata());
    let begun = other.begin(&[("scope", "flows:read")]);
    merlon_tests::browser::approve_device(&mut alice, begun["user_code"].as_str().unwrap());
    assert!(other.poll(&begun).json.get("refresh_token").is_none());
    let mut metadata = instance_metadata();
    metadata["scope"] = "flows:read".into();
    let narrow = Registered::new(&hub, &metadata).sign_in(&mut alice);
    assert_eq!(narrow["scope"], "flows:read");
}

#[test]
fn what_was_refreshed_survives_a_kill() {
    let mut hub = strict();
    let mut alice = first_account(&hub, "alice");
    let (information, second) = {
        let client = Registered::instance(&hub);
        let first = client.sign_in(&mut alice);
        (client.information.clone(), client.refresh(refresh(&first)).json)
    };
    hub.kill();
    hub.restart(&Options { config: "[hub]\nrefresh_grace_seconds = 0\n".into(), ..Options::default() });
    let client = Registered::again(&hub, information);
    assert_eq!(client.introspect(access(&second))["active"], true);
    let third = client.refresh(refresh(&second));
    assert_eq!(third.status, 200, "{}", third.text);
}
