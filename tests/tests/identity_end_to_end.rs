//! An instance and a hub of ours, whole: registered, claimed, signed in, refreshed, shared, revoked, signed out, deleted.

use std::time::Instant;

use merlon_tests::browser::{Browser, approve_device, deny_device, first_account, invited_account};
use merlon_tests::hub::Hub;
use merlon_tests::instance::{Instance, wait_for};
use merlon_tests::person::{self, Answer, ProofKey, SignIn, ask, get, refresh, text};
use serde_json::{Value, json};

const FLOWS: &str = "/api/v1/flows";
const WHOAMI: &str = "/api/v1/whoami";

struct Bed {
    hub: Hub,
    ada: Browser,
    instance: Instance,
}

impl Bed {
    /// A hub with an account, and an instance that is registered with it.
    fn new(identity: &str) -> Self {
        let hub = Hub::new();
        let ada = first_account(&hub, "ada");
        let instance = Instance::with(&person::options(&hub.issuer, identity));
        person::wait_registered(&instance);
        Self { hub, ada, instance }
    }

    /// With the instance claimed by ada; what her client got.
    fn claimed(identity: &str) -> (Self, Value) {
        let mut bed = Self::new(identity);
        let more = json!({ "claim_code": person::claim_code(&bed.instance) });
        let signed_in = sign_in(&bed.instance, &mut bed.ada, &more);
        assert_eq!(signed_in.status, 200, "{signed_in:?}\n{}\n{}", bed.instance.log(), bed.hub.log());
        (bed, signed_in.json)
    }
}

/// Somebody signs in and approves in this browser.
fn sign_in(instance: &Instance, browser: &mut Browser, more: &Value) -> Answer {
    let sign_in = SignIn::start(instance, more).unwrap();
    let page = approve_device(browser, text(&sign_in.started, "user_code"));
    assert_eq!(page.status, 200, "{}", page.text());
    sign_in.finish(instance)
}

fn token(signed_in: &Value) -> &str {
    text(signed_in, "access_token")
}

#[test]
fn an_instance_is_claimed_used_refreshed_and_signed_out_of() {
    let (bed, first) = Bed::claimed("");
    let instance = &bed.instance;
    assert_eq!((text(&first["session"], "role"), text(&first["session"], "name")), ("owner", "ada"));
    assert_eq!(first["scopes"].as_array().unwrap().len(), 7);
    assert_eq!(get(instance, FLOWS, token(&first)).status, 200);
    let me = get(instance, WHOAMI, token(&first)).json;
    assert_eq!((&me["kind"], &me["name"]), (&json!("session"), &json!("ada")));

    let second = refresh(instance, text(&first, "refresh_token"));
    assert_eq!(second.status, 200, "{second:?}");
    let second = second.json;
    assert_eq!(second["session"]["id"], first["session"]["id"]);
    assert_eq!(get(instance, FLOWS, token(&second)).status, 200);
    // The answer was lost: the same successor again, and still one session.
    let again = refresh(instance, text(&first, "refresh_token"));
    assert_eq!((again.status, &again.json["refresh_token"]), (200, &second["refresh_token"]));
    let listed = get(instance, "/api/v1/sessions", token(&second)).json;
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);

    // Once the successor was used, the old one is a thief's, and the session is over for everybody.
    let third = refresh(instance, text(&second, "refresh_token"));
    assert_eq!(third.status, 200, "{third:?}");
    assert_eq!(refresh(instance, text(&first, "refresh_token")).code(), (401, "session_revoked"));
    assert_eq!(get(instance, WHOAMI, token(&third.json)).code(), (401, "session_revoked"));
}

#[test]
fn signing_out_ends_the_session_at_the_hub_too() {
    let (mut bed, signed_in) = Bed::claimed("");
    assert!(bed.ada.get("/sessions").text().contains("a test"));
    let body = json!({ "token": token(&signed_in) });
    let done = ask(&bed.instance, "POST", "/api/v1/sign-out", &[], &body);
    assert_eq!((done.status, &done.json["revoked_at_issuer"]), (200, &json!(true)), "{done:?}");
    assert_eq!(get(&bed.instance, WHOAMI, token(&signed_in)).code(), (401, "session_revoked"));
    assert_eq!(refresh(&bed.instance, text(&signed_in, "refresh_token")).code(), (401, "session_revoked"));
}

#[test]
fn what_is_revoked_at_the_hub_is_noticed_within_the_time_that_is_configured() {
    let (mut bed, signed_in) = Bed::claimed("recheck_seconds = 5");
    assert_eq!(get(&bed.instance, WHOAMI, token(&signed_in)).status, 200);
    let page = bed.ada.get("/sessions");
    assert_eq!(bed.ada.submit(&page, "/sessions/end", &[]).status, 200);
    let revoked = Instant::now();
    wait_for("the instance to notice", || {
        let answer = get(&bed.instance, WHOAMI, token(&signed_in));
        (answer.status != 200).then(|| assert_eq!(answer.code(), (401, "session_revoked")))
    });
    assert!(revoked.elapsed().as_secs() < 15, "{:?}", revoked.elapsed());
}

#[test]
fn a_session_that_is_ended_at_the_instance_ends_at_the_hub() {
    let (mut bed, signed_in) = Bed::claimed("");
    assert!(bed.ada.get("/sessions").text().contains("a test"));
    let path = format!("/api/v1/sessions/{}", text(&signed_in["session"], "id"));
    let bearer = format!("Bearer {}", token(&signed_in));
    let ended = ask(&bed.instance, "DELETE", &path, &[("Authorization", &bearer)], &Value::Null);
    assert_eq!((ended.status, &ended.json["revoked_at_issuer"]), (200, &json!(true)), "{ended:?}");
    assert_eq!(get(&bed.instance, WHOAMI, token(&signed_in)).code(), (401, "session_revoked"));
    assert!(!bed.ada.get("/sessions").text().contains("a test"));
}

#[test]
fn who_has_no_role_is_told_so_and_who_says_no_is_heard() {
    let (mut bed, _) = Bed::claimed("");
    let mut bob = invited_account(&mut bed.ada, "bob");
    let sign_in = SignIn::start(&bed.instance, &json!({})).unwrap();
    approve_device(&mut bob, text(&sign_in.started, "user_code"));
    assert_eq!(sign_in.finish(&bed.instance).code(), (403, "not_shared"));
    let sign_in = SignIn::start(&bed.instance, &json!({})).unwrap();
    deny_device(&mut bed.ada, text(&sign_in.started, "user_code"));
    assert_eq!(sign_in.finish(&bed.instance).code(), (403, "sign_in_denied"));
}

#[test]
fn scopes_can_be_narrowed_at_the_beginning() {
    let (mut bed, _) = Bed::claimed("");
    let narrow = sign_in(&bed.instance, &mut bed.ada, &json!({ "scopes": ["flows:read"] }));
    assert_eq!((narrow.status, &narrow.json["scopes"]), (200, &json!(["flows:read"])), "{narrow:?}");
    assert_eq!(get(&bed.instance, FLOWS, token(&narrow.json)).status, 200);
    let refused = get(&bed.instance, "/api/v1/sessions", token(&narrow.json));
    assert_eq!((refused.code(), &refused.json["scope"]), ((403, "scope_missing"), &json!("instance:admin")));
}

#[test]
fn tokens_are_bound_to_the_clients_key_from_the_poll_on() {
    let (mut bed, _) = Bed::claimed("");
    let instance = &bed.instance;
    let info = ask(instance, "GET", "/api/v1/identity", &[], &Value::Null).json;
    assert!(info["dpop_algorithms"].as_array().unwrap().contains(&json!("ES256")), "{info}");
    let endpoint = text(&info, "token_endpoint");
    let key = ProofKey::default();
    let started = SignIn::start(instance, &json!({})).unwrap();
    approve_device(&mut bed.ada, text(&started.started, "user_code"));
    // The hub wants a nonce of its own in the proof (RFC 9449, 8); the instance passes it on.
    let mut nonce = Value::Null;
    let answer = wait_for("the tokens", || {
        let proof = key.proof("POST", endpoint, None, &nonce);
        let answer = started.poll(instance, &[("DPoP", &proof)]);
        if answer.code().1 == "proof_nonce" {
            nonce = json!({ "nonce": answer.field("dpop-nonce") });
            return None;
        }
        Some(answer).filter(|answer| answer.status != 202)
    });
    assert!(!nonce.is_null());
    assert_eq!((answer.status, &answer.json["token_type"]), (200, &json!("DPoP")), "{answer:?}");
    let access = token(&answer.json).to_owned();
    let url = format!("http://{}{WHOAMI}", person::address(instance));
    let proof = key.proof("GET", &url, Some(&access), &Value::Null);
    let dpop = format!("DPoP {access}");
    let me = ask(instance, "GET", WHOAMI, &[("Authorization", &dpop), ("DPoP", &proof)], &Value::Null);
    assert_eq!((me.status, &me.json["session"]["bound"]), (200, &json!(true)), "{me:?}");
    assert_eq!(get(instance, WHOAMI, &access).code(), (401, "proof_invalid"));

    let body = json!({ "refresh_token": answer.json["refresh_token"] });
    let proof = key.proof("POST", endpoint, None, &nonce);
    let next = ask(instance, "POST", "/api/v1/sign-ins/refresh", &[("DPoP", &proof)], &body);
    assert_eq!((next.status, &next.json["token_type"]), (200, &json!("DPoP")), "{next:?}");
}

#[test]
fn while_the_hub_is_away_sessions_go_on_and_nobody_signs_in() {
    let (mut bed, signed_in) = Bed::claimed("recheck_seconds = 5");
    bed.hub.kill();
    assert_eq!(get(&bed.instance, FLOWS, token(&signed_in)).status, 200);
    assert_eq!(SignIn::start(&bed.instance, &json!({})).unwrap_err().code(), (503, "hub_unreachable"));
    assert_eq!(refresh(&bed.instance, text(&signed_in, "refresh_token")).code(), (503, "hub_unreachable"));
    bed.hub.restart(&merlon_tests::hub::Options::default());
    let next = refresh(&bed.instance, text(&signed_in, "refresh_token"));
    assert_eq!(next.status, 200, "{next:?}");
}
