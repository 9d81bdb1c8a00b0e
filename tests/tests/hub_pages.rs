//! The hub's pages: the verification page of device authorizations, the dashboard, and the hub's own API.

use std::net::Ipv4Addr;
use std::sync::Barrier;
use std::thread;

use merlon_tests::browser::{Browser, Page, approve_device, deny_device, first_account, invited_account};
use merlon_tests::hub::{Answer, Hub, Options, basic};
use serde_json::{Value, json};

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const GONE: &str = "This code is not valid. It may be mistyped, expired, or used already. Begin again in your client.";

/// A registered instance, as the hub knows it.
struct Instance<'a> {
    hub: &'a Hub,
    id: String,
    secret: String,
    management: String,
}

impl<'a> Instance<'a> {
    fn new(hub: &'a Hub, name: &str) -> Self {
        Self::with(hub, name, &[])
    }

    fn with(hub: &'a Hub, name: &str, fields: &[(&str, &str)]) -> Self {
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

    fn form(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        self.hub.form(path, &[("Authorization", &basic(&self.id, &self.secret))], parameters)
    }

    /// Begins a device authorization: device code and user code.
    fn begin(&self, parameters: &[(&str, &str)]) -> (String, String) {
        let answer = self.form("/device_authorization", parameters);
        assert_eq!(answer.status, 200, "{}", answer.text);
        (answer.json["device_code"].as_str().unwrap().into(), answer.json["user_code"].as_str().unwrap().into())
    }

    fn poll(&self, device_code: &str) -> Answer {
        self.form("/token", &[("grant_type", DEVICE), ("device_code", device_code)])
    }

    /// Claims the instance for whoever is signed in in this browser.
    fn claim(&self, browser: &mut Browser) -> Value {
        let (device, user) = self.begin(&[("merlon_claim", "1"), ("merlon_label", "merlon on laptop")]);
        let page = approve_device(browser, &user);
        assert!(page.text().contains("Approved"), "{}", page.text());
        let tokens = self.poll(&device);
        assert_eq!(tokens.status, 200, "{}", tokens.text);
        tokens.json
    }

    fn own_token(&self) -> String {
        let answer = self.form("/token", &[("grant_type", "client_credentials"), ("scope", "instance")]);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json["access_token"].as_str().unwrap().to_owned()
    }

    fn refresh(&self, tokens: &Value) -> Answer {
        let token = tokens["refresh_token"].as_str().unwrap();
        self.form("/token", &[("grant_type", "refresh_token"), ("refresh_token", token)])
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// What is shown once on the page that makes a key or token.
fn secret(page: &Page) -> String {
    let text = page.body.split("class=\"secret\">").nth(1).unwrap_or_else(|| panic!("no secret: {}", page.text()));
    text.split('<').next().unwrap().to_owned()
}

#[test]
fn v1_whoever_approves_has_signed_in_first() {
    let hub = Hub::new();
    let instance = Instance::new(&hub, "lab");
    let (device, user) = instance.begin(&[("merlon_claim", "1")]);
    let mut nobody = Browser::new(&hub.issuer);
    let page = nobody.get(&format!("/device?user_code={user}"));
    assert!(page.path.starts_with("/sign-in?next=%2Fdevice%3Fuser_code%3D"), "{}", page.path);
    assert!(!page.text().contains("lab"), "before signing in nothing is told");
    let csrf = page.form("/sign-in").iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    let fields =
        [("csrf", csrf.as_str()), ("user_code", user.as_str()), ("decision", "approve"), ("scope", "flows:read")];
    let page = nobody.post("/device", &fields);
    assert!(page.path.starts_with("/sign-in"), "{}", page.path);
    assert_eq!(instance.poll(&device).error(), "authorization_pending");
    let mut alice = first_account(&hub, "alice");
    approve_device(&mut alice, &user);
    // One poll came before: the next one is due.
    let tokens = instance.poll(&device);
    assert!(tokens.status == 200 || tokens.error() == "slow_down", "{}", tokens.text);
}

#[test]
fn v2_wrong_codes_are_bounded_by_account_by_place_and_by_the_whole_hub() {
    let hub = Hub::with(&Options { config: "[hub]\nwrong_codes = 28\n".to_owned(), ..Options::default() });
    let mut alice = first_account(&hub, "alice");
    let mut bob = invited_account(&mut alice, "bob");
    let mut carol = invited_account(&mut alice, "carol");
    let wrong = |browser: &mut Browser| browser.get("/device?user_code=BCDF-GHJK").status;
    let at = |last: u8| Ipv4Addr::new(127, 0, 1, last);

    let mut browser = alice.clone().from(at(1));
    assert!((0..10).all(|_| wrong(&mut browser) == 400));
    let page = browser.get("/device?user_code=BCDF-GHJK");
    assert_eq!(page.status, 429, "by place and account");
    assert!((1..=20).contains(&page.header("retry-after").unwrap().parse::<u32>().unwrap()));
    assert_eq!(wrong(&mut alice.clone().from(at(2))), 429, "the account, at another place");
    assert_eq!(wrong(&mut bob.clone().from(at(1))), 429, "the place, with another account");

    // A right code is not tried either, also by the form; no guess is answered.
    let instance = Instance::new(&hub, "lab");
    let (_, user) = instance.begin(&[("merlon_claim", "1")]);
    assert_eq!(browser.get(&format!("/device?user_code={user}")).status, 429);
    let csrf = browser.get("/device").form("/device").iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    let fields = [("csrf", csrf.as_str()), ("user_code", user.as_str()), ("decision", "approve")];
    assert_eq!(browser.post("/device", &fields).status, 429);

    // 18 are left for the hub. Those who guess from many places with many accounts empty that, too.
    let mut tried = (0..9).map(|n| wrong(&mut bob.clone().from(at(10 + n)))).collect::<Vec<_>>();
    tried.extend((0..9).map(|n| wrong(&mut carol.clone().from(at(30 + n)))));
    assert!(tried.iter().filter(|status| **status == 400).count() >= 17, "{tried:?}");
    let mut dave = invited_account(&mut alice, "dave").from(at(99));
    let statuses: Vec<u16> = (0..4).map(|_| wrong(&mut dave)).collect();
    assert!(statuses.contains(&429), "the whole hub: {statuses:?}");
    assert_eq!(bob.get("/").status, 200, "the rest of the hub goes on");
    assert_eq!(carol.get("/sessions").status, 200);
}

#[test]
fn v3_a_link_with_the_code_shows_it_and_looking_approves_nothing() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let instance = Instance::new(&hub, "lab");
    let answer = instance.form("/device_authorization", &[("merlon_claim", "1")]);
    let link = answer.json["verification_uri_complete"].as_str().unwrap().to_owned();
    let (device, user) = (answer.json["device_code"].as_str().unwrap(), answer.json["user_code"].as_str().unwrap());
    for _ in 0..3 {
        let page = alice.get(&link);
        assert_eq!(page.status, 200);
        assert!(page.text().contains(user), "{}", page.text());
        let _ = alice.get(&format!("{link}&decision=approve&scope=flows:read"));
    }
    assert_eq!(instance.poll(device).error(), "authorization_pending");
    // Typed by hand, in another manner: the same page.
    let page = alice.get("/device");
    let page = alice.submit(&page, "/device", &[("user_code", &user.to_lowercase().replace('-', " "))]);
    assert!(page.text().contains("Claim this instance?"), "{}", page.text());
}

#[test]
fn v4_the_page_names_who_asks_for_what_from_where_and_warns() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let name = "lab <b>\u{202e}evil";
    let instance = Instance::new(&hub, name);
    let (_, user) = instance.begin(&[
        ("merlon_claim", "1"),
        ("merlon_label", "merlon on <i>laptop\u{200b}"),
        ("scope", "flows:read replay"),
    ]);
    let page = alice.get(&format!("/device?user_code={user}"));
    let text = page.text();
    for part in [
        "lab <b>⟨U+202E⟩evil",
        "It calls itself so.",
        &instance.id,
        "You will become its owner.",
        "merlon on <i>laptop⟨U+200B⟩",
        "as it says itself",
        "just now",
        "from 127.0.0.1",
        "flows:read",
        "replay",
        "read the recorded traffic",
        "If somebody sent you the code or the link, refuse",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    assert!(!page.body.contains("<b>") && !page.body.contains("<i>"), "names are text");
    assert!(!text.contains("flows:write"), "only what was asked for");

    instance.claim(&mut alice);
    let (_, user) = instance.begin(&[]);
    let text = alice.get(&format!("/device?user_code={user}")).text();
    assert!(text.contains("Sign in a client?") && text.contains("Owner you"), "{text}");
}

#[test]
fn v5_wrong_expired_and_used_codes_look_alike_and_cannot_be_approved() {
    let config = "[hub]\ndevice_seconds = 30\ndevice_interval = 1\n";
    let hub = Hub::with(&Options { config: config.to_owned(), ..Options::default() });
    let mut alice = first_account(&hub, "alice");
    let instance = Instance::new(&hub, "lab");
    let (_, user) = instance.begin(&[("merlon_claim", "1")]);
    let form = alice.get(&format!("/device?user_code={user}"));
    assert!(approve_device(&mut alice, &user).text().contains("Approved"));
    let used = alice.get(&format!("/device?user_code={user}"));
    let wrong = alice.get("/device?user_code=BCDF-GHJK");
    let nonsense = alice.get("/device?user_code=hello");
    let late = alice.submit(&form, "/device", &[("decision", "approve")]);
    for page in [&used, &wrong, &nonsense, &late] {
        assert_eq!(page.status, 400);
        assert!(page.text().contains(GONE), "{}", page.text());
        assert_eq!(page.text(), wrong.text());
    }
    let deny = alice.submit(&form, "/device", &[("decision", "deny")]);
    assert_eq!(deny.text(), wrong.text(), "nor can it be denied any more");
}

#[test]
fn v6_a_denial_makes_the_next_poll_access_denied() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let instance = Instance::new(&hub, "lab");
    let (device, user) = instance.begin(&[("merlon_claim", "1")]);
    assert!(deny_device(&mut alice, &user).text().contains("Refused"));
    let answer = instance.poll(&device);
    assert_eq!((answer.status, answer.error()), (400, "access_denied"));
    assert!(alice.get("/").text().contains("None yet"), "nothing was claimed");
    assert!(alice.get("/audit").text().contains("device-denied"));
}

#[test]
fn v7_of_many_decisions_at_once_one_holds() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let instance = Instance::new(&hub, "lab");
    let (device, user) = instance.begin(&[("merlon_claim", "1")]);
    let form = alice.get(&format!("/device?user_code={user}"));
    let barrier = Barrier::new(8);
    let pages: Vec<Page> = thread::scope(|scope| {
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let (mut browser, form, barrier) =
                    (alice.clone().from(Ipv4Addr::new(127, 0, 2, n + 1)), &form, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    browser.submit(form, "/device", &[("decision", if n % 2 == 0 { "approve" } else { "deny" })])
                })
            })
            .collect();
        tasks.into_iter().map(|task| task.join().unwrap()).collect()
    });
    let done: Vec<&Page> = pages.iter().filter(|page| page.status == 200).collect();
    assert_eq!(done.len(), 1, "{:?}", pages.iter().map(Page::text).collect::<Vec<_>>());
    assert!(pages.iter().filter(|page| page.status != 200).all(|page| page.text().contains(GONE)));
    let answer = instance.poll(&device);
    if done[0].text().contains("Approved") {
        assert_eq!(answer.status, 200, "{}", answer.text);
    } else {
        assert_eq!(answer.error(), "access_denied");
    }
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
