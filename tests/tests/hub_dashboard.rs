//! The hub's dashboard: instances, sessions, keys and tokens; and the hub's own API.

use merlon_tests::browser::{Page, approve_device, first_account, invited_account};
use merlon_tests::hub::{Hub, Options};
use merlon_tests::hub_instance::{DEVICE, Instance};
use serde_json::{Value, json};

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// What is shown once on the page that makes a key or token.
fn secret(page: &Page) -> String {
    let text = page.body.split("class=\"secret\">").nth(1).unwrap_or_else(|| panic!("no secret: {}", page.text()));
    text.split('<').next().unwrap().to_owned()
}

#[test]
fn a_person_may_approve_less_than_was_asked_for() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let instance = Instance::new(&hub, "lab");
    instance.claim(&mut alice);
    let (device, user) = instance.begin(&[("scope", "flows:read replay config")]);
    let page = alice.get(&format!("/device?user_code={user}"));
    let csrf = page.form("/device").iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    let fields = [
        ("csrf", csrf.as_str()),
        ("user_code", user.as_str()),
        ("decision", "approve"),
        ("scope", "flows:read"),
        ("scope", "instance:admin"),
    ];
    assert!(alice.post("/device", &fields).text().contains("Approved"));
    let tokens = instance.poll(&device);
    assert_eq!(tokens.json["scope"], "flows:read offline_access", "{}", tokens.text);
}

#[test]
fn an_instance_is_renamed_shared_and_deleted_by_its_owner_alone() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let mut bob = invited_account(&mut alice, "bob");
    let instance = Instance::new(&hub, "lab");
    instance.claim(&mut alice);
    let path = format!("/instances/{}", instance.id);
    assert_eq!(bob.get(&path).status, 404, "not his to see");

    let (device, user) = instance.begin(&[]);
    let text = bob.get(&format!("/device?user_code={user}")).text();
    assert!(text.contains("not shared with you") && text.contains("Owner alice"), "{text}");
    approve_device(&mut bob, &user);
    let answer = instance.poll(&device);
    assert_eq!(answer.error(), "access_denied");
    assert!(answer.json["error_description"].as_str().unwrap().contains("not_shared"), "{}", answer.text);

    let page = alice.get(&path);
    let refused = alice.submit(&page, &format!("{path}/share"), &[("name", "nobody"), ("role", "viewer")]);
    assert!(refused.status == 422 && refused.text().contains("No other account of this hub has that name."));
    let page = alice.submit(&page, &format!("{path}/share"), &[("name", "bob"), ("role", "viewer")]);
    assert!(page.text().contains("It is shared.") && page.text().contains("bob viewer"), "{}", page.text());
    let page = alice.submit(&page, &format!("{path}/rename"), &[("name", "The <lab>")]);
    assert!(page.text().contains("The <lab>") && page.text().contains("Calls itself lab"), "{}", page.text());

    let seen = bob.get("/");
    assert!(seen.text().contains("The <lab>") && seen.text().contains("alice viewer"), "{}", seen.text());
    let (device, user) = instance.begin(&[]);
    approve_device(&mut bob, &user);
    let tokens = instance.poll(&device);
    assert_eq!(tokens.json["scope"], "flows:read offline_access", "a viewer reads: {}", tokens.text);
    let csrf = bob.get("/").form("/sign-out").iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    for act in ["rename", "share", "unshare", "rotate", "delete"] {
        let fields = [("csrf", csrf.as_str()), ("name", "bob"), ("role", "owner"), ("account", "x")];
        assert_eq!(bob.post(&format!("{path}/{act}"), &fields).status, 404, "{act}");
    }
    let page = alice.get(&path);
    assert!(page.text().contains("bob lab"), "his session is the owner's to see: {}", page.text());
    let page = alice.submit(&page, &format!("{path}/unshare"), &[]);
    assert!(page.text().contains("shared with that account no more"));
    assert_eq!(instance.refresh(&tokens.json).error(), "invalid_grant", "his session has ended");
    assert_eq!(bob.get(&path).status, 404);

    let trail = alice.get("/audit").text();
    for event in ["instance-renamed", "instance-shared", "instance-unshared", "device-approved"] {
        assert!(trail.contains(event), "{event}: {trail}");
    }
    let page = alice.submit(&page, &format!("{path}/delete"), &[]);
    assert!(page.text().contains("It is deleted.") && page.text().contains("None yet"), "{}", page.text());
    assert_eq!(instance.form("/token", &[("grant_type", "client_credentials")]).error(), "invalid_client");
    assert!(alice.get("/audit").text().contains("instance-deleted"));
}

#[test]
fn sessions_are_listed_and_ended_by_their_holder_and_by_the_owner_of_the_instance() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let mut bob = invited_account(&mut alice, "bob");
    let instance = Instance::new(&hub, "lab");
    let tokens = instance.claim(&mut alice);
    let page = alice.get("/sessions");
    assert!(page.text().contains("lab merlon on laptop"), "{}", page.text());
    let id = page.form("/sessions/end").iter().find(|(name, _)| name == "id").unwrap().1.clone();
    let csrf = bob.get("/").form("/sign-out").iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    let _ = bob.post("/sessions/end", &[("csrf", &csrf), ("id", &id)]);
    let tokens = instance.refresh(&tokens);
    assert_eq!(tokens.status, 200, "another account ended nothing: {}", tokens.text);
    let page = alice.submit(&page, "/sessions/end", &[]);
    assert!(page.text().contains("The session has ended."));
    assert_eq!(instance.refresh(&tokens.json).error(), "invalid_grant");

    // A session of a member, by the owner.
    let path = format!("/instances/{}", instance.id);
    let page = alice.get(&path);
    let _ = alice.submit(&page, &format!("{path}/share"), &[("name", "bob"), ("role", "operator")]);
    let (device, user) = instance.begin(&[]);
    approve_device(&mut bob, &user);
    let tokens = instance.poll(&device);
    let page = alice.get(&path);
    let page = alice.submit(&page, "/sessions/end", &[]);
    assert_eq!(page.path, format!("{path}?done=ended"));
    assert_eq!(instance.refresh(&tokens.json).error(), "invalid_grant");
    assert!(bob.get("/audit").text().contains("session-ended"), "bob is told");
}

#[test]
fn a_registration_key_is_shown_once_and_claims_without_a_human() {
    let config = "[hub]\nregistration = \"key\"\n";
    let hub = Hub::with(&Options { config: config.to_owned(), ..Options::default() });
    let mut alice = first_account(&hub, "alice");
    let page = alice.get("/keys");
    let page = alice.submit(&page, "/keys", &[("label", "rack 7"), ("days", "7")]);
    let key = secret(&page);
    assert!(key.starts_with("mhk_"));
    let page = alice.get("/keys");
    assert!(!page.body.contains(&key) && page.text().contains("rack 7 once 0"), "{}", page.text());
    let instance = Instance::with(&hub, "headless", &[("Authorization", &bearer(&key))]);
    assert!(alice.get("/").text().contains("headless"), "it is hers at once");
    assert!(!alice.get("/keys").text().contains("rack 7"), "used up");
    let metadata = json!({"client_name": "x", "grant_types": ["client_credentials"], "response_types": []});
    let again = hub.json("POST", "/register", &[("Authorization", &bearer(&key))], &metadata);
    assert_eq!(again.status, 401, "{}", again.text);

    let page = alice.get("/keys");
    let key = secret(&alice.submit(&page, "/keys", &[("label", "rack 8"), ("days", "7"), ("many", "yes")]));
    for name in ["more", "still more"] {
        let _ = Instance::with(&hub, name, &[("Authorization", &bearer(&key))]);
    }
    let page = alice.get("/keys");
    assert!(page.text().contains("rack 8 many times 2"), "{}", page.text());
    let page = alice.submit(&page, "/keys/revoke", &[]);
    assert!(page.text().contains("It is revoked.") && !page.text().contains("rack 8"));
    let refused = hub.json("POST", "/register", &[("Authorization", &bearer(&key))], &metadata);
    assert_eq!(refused.status, 401);
    assert_eq!(instance.form("/token", &[("grant_type", "client_credentials")]).status, 200, "what it made stays");
    for (label, days) in [("", "7"), ("x", "0"), ("x", "366"), ("x", "never")] {
        assert_eq!(alice.submit(&page, "/keys", &[("label", label), ("days", days)]).status, 422);
    }
}

#[test]
fn a_personal_token_approves_within_its_scopes_and_claims_nothing() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let instance = Instance::new(&hub, "lab");
    let page = alice.get("/tokens");
    assert_eq!(
        alice.post("/tokens", &[("csrf", &page.form("/tokens")[0].1), ("label", "x"), ("days", "7")]).status,
        422
    );
    let made = alice.submit(&page, "/tokens", &[("label", "nightly"), ("days", "30"), ("scope", "flows:read")]);
    let token = secret(&made);
    assert!(token.starts_with("mhp_") && !alice.get("/tokens").body.contains(&token));
    let auth = bearer(&token);
    let auth = [("Authorization", auth.as_str())];

    let (_, user) = instance.begin(&[("merlon_claim", "1")]);
    let shown = hub.request("GET", &format!("/api/device?user_code={user}"), &auth, b"");
    assert_eq!((shown.status, &shown.json["claim"]), (200, &json!(true)), "{}", shown.text);
    let decide = |user: &str, decision: &str| json!({"user_code": user, "decision": decision});
    let refused = hub.json("POST", "/api/device", &auth, &decide(&user, "approve"));
    assert_eq!((refused.status, refused.error()), (403, "access_denied"), "a script claims nothing");
    instance.claim(&mut alice);

    let (device, user) = instance.begin(&[("merlon_label", "cron")]);
    let shown = hub.request("GET", &format!("/api/device?user_code={user}"), &auth, b"");
    assert_eq!(shown.json["scope"], "flows:read");
    assert_eq!((&shown.json["role"], &shown.json["label"]), (&json!("owner"), &json!("cron")));
    assert_eq!(hub.json("POST", "/api/device", &auth, &decide(&user, "approve")).status, 204);
    let tokens = instance.poll(&device);
    assert_eq!(tokens.json["scope"], "flows:read offline_access", "{}", tokens.text);

    let (_, user) = instance.begin(&[("scope", "config")]);
    let refused = hub.json("POST", "/api/device", &auth, &decide(&user, "approve"));
    assert_eq!((refused.status, refused.error()), (403, "insufficient_scope"));
    assert!(refused.field("www-authenticate").unwrap().contains("insufficient_scope"));
    assert_eq!(hub.json("POST", "/api/device", &auth, &decide(&user, "deny")).status, 204);
    assert_eq!(hub.json("POST", "/api/device", &auth, &decide(&user, "deny")).status, 404, "decided once");
    for bad in [json!({"user_code": user}), json!({"user_code": user, "decision": "maybe"}), json!("x")] {
        assert_eq!(hub.json("POST", "/api/device", &auth, &bad).status, 400);
    }

    let page = alice.get("/tokens");
    assert!(page.text().contains("nightly flows:read"), "{}", page.text());
    let _ = alice.submit(&page, "/tokens/revoke", &[]);
    let dead = hub.request("GET", "/api/device?user_code=BCDF-GHJK", &auth, b"");
    assert_eq!((dead.status, dead.error()), (401, "invalid_token"));
}

#[test]
fn s1_s2_s3_the_hubs_own_api_answers_as_rfc_6750_says() {
    let hub = Hub::new();
    let instance = Instance::new(&hub, "lab");
    let token = instance.own_token();
    let body = json!({"version": "0.1.0"});
    for (method, path) in [
        ("PUT", "/api/instance"),
        ("DELETE", "/api/instance/sessions/grt_x"),
        ("GET", "/api/device?user_code=x"),
        ("POST", "/api/device"),
    ] {
        let missing = hub.json(method, path, &[], &body);
        assert_eq!(missing.status, 401, "{path}");
        let challenge = missing.field("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer") && !challenge.contains("error"), "{challenge}");
        for wrong in ["Bearer x", "Bearer mhp_x", "Bearer ", "Basic eDp4"] {
            let refused = hub.json(method, path, &[("Authorization", wrong)], &body);
            assert_eq!((refused.status, refused.error()), (401, "invalid_token"), "{path} {wrong}");
            assert!(refused.field("www-authenticate").unwrap().contains("error=\"invalid_token\""));
        }
        let auth = bearer(&token);
        let twice = hub.json(method, path, &[("Authorization", &auth), ("Authorization", &auth)], &body);
        assert_eq!((twice.status, twice.error()), (400, "invalid_request"), "{path}");
    }
    let query = hub.json("PUT", &format!("/api/instance?access_token={token}"), &[], &body);
    assert_eq!(query.status, 401, "never from the query");
}

#[test]
fn credentials_that_are_rotated_come_with_the_next_replacement_and_once_more_if_that_answer_was_lost() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let mut instance = Instance::new(&hub, "lab");
    let tokens = instance.claim(&mut alice);
    let path = format!("/instances/{}", instance.id);
    let page = alice.get(&path);
    let _ = alice.submit(&page, &format!("{path}/rotate"), &[]);
    assert_eq!(instance.refresh(&tokens).status, 200, "people's sessions stay, and so does the old secret until then");
    let metadata = json!({
        "client_id": instance.id, "client_name": "lab", "software_id": "merlon", "software_version": "0.1.0",
        "grant_types": ["client_credentials", DEVICE, "refresh_token"], "response_types": [], "redirect_uris": [],
        "token_endpoint_auth_method": "client_secret_basic", "scope": "flows:read instance offline_access",
    });
    let management = format!("/register/{}", instance.id);
    let auth = bearer(&instance.management);
    let lost = hub.json("PUT", &management, &[("Authorization", &auth)], &metadata);
    let again = hub.json("PUT", &management, &[("Authorization", &auth)], &metadata);
    assert_eq!((lost.status, again.status), (200, 200), "{} {}", lost.text, again.text);
    assert_eq!(lost.json, again.json, "the same credentials");
    assert_eq!(instance.form("/token", &[("grant_type", "client_credentials")]).error(), "invalid_client");
    instance.secret = again.json["client_secret"].as_str().unwrap().to_owned();
    assert_eq!(instance.form("/token", &[("grant_type", "client_credentials")]).status, 200);
    let next = bearer(again.json["registration_access_token"].as_str().unwrap());
    let seen = hub.request("GET", &management, &[("Authorization", &next)], b"");
    assert_eq!(seen.status, 200);
    assert_eq!(hub.request("GET", &management, &[("Authorization", &auth)], b"").status, 401, "the old one is dead");
    let known = bearer(&instance.own_token());
    let known = hub.json("PUT", "/api/instance", &[("Authorization", &known)], &json!({"version": "0.1.0"}));
    assert_eq!(known.json["rotate"], false);
}

#[test]
fn an_instance_reports_and_ends_sessions_at_itself() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let (instance, other) = (Instance::new(&hub, "lab"), Instance::new(&hub, "other"));
    let (auth, others) = (bearer(&instance.own_token()), bearer(&other.own_token()));
    let auth = [("Authorization", auth.as_str())];
    let report = |version: &str| hub.json("PUT", "/api/instance", &auth, &json!({ "version": version }));
    let known = report("0.1.0");
    assert_eq!(known.status, 200, "{}", known.text);
    assert_eq!((&known.json["client_id"], &known.json["name"]), (&json!(instance.id), &json!("lab")));
    assert_eq!(known.json["owner"], Value::Null);
    let tokens = instance.claim(&mut alice);
    let known = report("0.2.0 <b>");
    assert_eq!(known.json["owner"]["name"], "alice");
    let text = alice.get("/").text();
    assert!(text.contains("lab up 0.2.0 <b> just now you owner"), "{text}");

    let page = alice.get("/sessions");
    let sid = page.form("/sessions/end").iter().find(|(name, _)| name == "id").unwrap().1.clone();
    let path = format!("/api/instance/sessions/{sid}");
    assert_eq!(hub.request("DELETE", &path, &[("Authorization", &others)], b"").status, 204);
    let tokens = instance.refresh(&tokens);
    assert_eq!(tokens.status, 200, "another instance ended nothing");
    assert_eq!(hub.request("DELETE", &path, &auth, b"").status, 204);
    assert_eq!(instance.refresh(&tokens.json).error(), "invalid_grant");

    // A person's token opens nothing here, nor does one whose client is gone.
    let person = tokens.json["access_token"].as_str().unwrap();
    let refused = hub.json("PUT", "/api/instance", &[("Authorization", &bearer(person))], &json!({"version": "x"}));
    assert_eq!(refused.status, 401, "{}", refused.text);
    let path = format!("/instances/{}", instance.id);
    let page = alice.get(&path);
    let page = alice.submit(&page, &format!("{path}/rotate"), &[]);
    assert!(page.text().contains("new credentials wait"), "{}", page.text());
    assert_eq!(report("0.2.0").status, 401, "its own tokens have ended");
    let auth = bearer(&instance.own_token());
    let known = hub.json("PUT", "/api/instance", &[("Authorization", &auth)], &json!({"version": "0.2.0"}));
    assert_eq!(known.json["rotate"], true, "{}", known.text);
    let _ = alice.submit(&page, &format!("{path}/delete"), &[]);
    let gone = hub.json("PUT", "/api/instance", &[("Authorization", &auth)], &json!({"version": "0.2.0"}));
    assert_eq!((gone.status, gone.error()), (401, "invalid_token"));
}
