//! Signing in through an instance, at an authorization server that does what a test says. Named after the rows of the
//! RFCs that they hold.

use std::time::Instant;

use merlon_tests::instance::{Instance, wait_for};
use merlon_tests::issuer::{Answer, Issuer, form};
use merlon_tests::person::{self, ProofKey, SignIn, ask, get, refresh, text};
use serde_json::{Value, json};

const WHOAMI: &str = "/api/v1/whoami";

/// An instance that is registered, and its server.
fn bed(identity: &str) -> (Issuer, Instance) {
    let issuer = Issuer::new();
    let instance = Instance::with(&person::options(&issuer.url(), identity));
    person::wait_registered(&instance);
    (issuer, instance)
}

/// The first sign-in, of ada; what the client got.
fn claim(issuer: &Issuer, instance: &Instance) -> Value {
    let sign_in = SignIn::start(instance, &json!({ "claim_code": person::claim_code(instance) })).unwrap();
    issuer.approve("ada");
    let answer = sign_in.finish(instance);
    assert_eq!(answer.status, 200, "{answer:?}\n{}", instance.log());
    answer.json
}

fn polls(issuer: &Issuer) -> usize {
    let state = issuer.state();
    state.requests.iter().filter(|request| form(request).contains_key("device_code")).count()
}

fn count(issuer: &Issuer, path: &str) -> usize {
    issuer.state().requests.iter().filter(|request| request.path() == path).count()
}

#[test]
fn the_first_sign_in_needs_the_claim_code_and_ties_the_instance_to_its_account() {
    let (issuer, instance) = bed("members = { bob = 'viewer' }");
    let refused = |more: Value| {
        let refused = SignIn::start(&instance, &more).unwrap_err();
        (refused.status, person::text(&refused.json, "code").to_owned())
    };
    assert_eq!(refused(json!({})), (403, "claim_code_needed".into()));
    assert_eq!(refused(json!({ "claim_code": "0000-0000-0000" })), (403, "claim_code_wrong".into()));
    assert_eq!(count(&issuer, "/device_authorization"), 0, "without it nobody is asked");

    let signed_in = claim(&issuer, &instance);
    assert_eq!(text(&signed_in["session"], "role"), "owner");
    assert_eq!((text(&signed_in["session"], "subject"), text(&signed_in["session"], "label")), ("ada", "a test"));
    let me = get(&instance, WHOAMI, text(&signed_in, "access_token"));
    assert_eq!((me.status, &me.json["kind"], &me.json["role"]), (200, &json!("session"), &json!("owner")));
    assert_eq!(me.json["issuer"], issuer.url());
    assert_eq!(instance.cli(&["claim-code"]).status.code(), Some(3), "it is used up");

    // The owner's next sign-in needs none, a member's has his role, a stranger's is turned away and its tokens revoked.
    for (subject, outcome) in [("ada", "owner"), ("bob", "viewer"), ("mallory", "not_shared")] {
        let sign_in = SignIn::start(&instance, &json!({})).unwrap();
        issuer.approve(subject);
        let answer = sign_in.finish(&instance);
        let got = answer.json["session"]["role"].as_str().or(answer.json["code"].as_str());
        assert_eq!(got, Some(outcome), "{answer:?}");
    }
    assert!(form(&issuer.wait_for("/revoke", 1)[0])["token"].starts_with("refresh-"));
    assert!(issuer.state().refresh.values().all(|subject| subject != "mallory"));
    let listed = ask(&instance, "GET", "/api/v1/sessions", &[("Authorization", &bearer(&signed_in))], &Value::Null);
    let subjects: Vec<&Value> =
        listed.json["sessions"].as_array().unwrap().iter().map(|session| &session["subject"]).collect();
    assert_eq!(subjects, ["ada", "ada", "bob"]);
}

fn bearer(signed_in: &Value) -> String {
    format!("Bearer {}", text(signed_in, "access_token"))
}

#[test]
fn p1_the_poll_is_the_device_grant_and_tokens_are_given_once() {
    let (issuer, instance) = bed("scope = 'openid profile'");
    let sign_in = SignIn::start(&instance, &json!({ "claim_code": person::claim_code(&instance) })).unwrap();
    assert_eq!(form(&issuer.wait_for("/device_authorization", 1)[0])["scope"], "openid profile");
    assert!(text(&sign_in.started, "user_code").starts_with("USER-"));
    assert!(!sign_in.started.to_string().contains("device-"), "the device code stays with the instance");
    issuer.approve("ada");
    let answer = sign_in.finish(&instance);
    assert_eq!((answer.status, answer.field("cache-control"), answer.field("pragma")), (200, "no-store", "no-cache"));
    let poll = issuer.state().requests.iter().map(form).find(|form| form.contains_key("device_code")).unwrap();
    assert_eq!(poll["grant_type"], "urn:ietf:params:oauth:grant-type:device_code");
    assert!(poll["device_code"].starts_with("device-"));
    assert_eq!(sign_in.poll(&instance, &[]).code(), (404, "no_such_sign_in"));
}

#[test]
fn the_id_of_a_sign_in_yields_nothing_without_its_verifier() {
    let (issuer, instance) = bed("");
    let sign_in = SignIn::start(&instance, &json!({ "claim_code": person::claim_code(&instance) })).unwrap();
    issuer.approve("ada");
    let thief = SignIn { verifier: "x".repeat(43), id: sign_in.id.clone(), started: Value::Null };
    assert_eq!(thief.poll(&instance, &[]).code(), (404, "no_such_sign_in"));
    let nobody = SignIn { id: "sgn_00".into(), ..thief };
    assert_eq!(nobody.poll(&instance, &[]).code(), (404, "no_such_sign_in"));
    assert_eq!(sign_in.finish(&instance).status, 200);
}

#[test]
fn d3_a_server_that_names_no_interval_is_polled_every_five_seconds() {
    let (issuer, instance) = bed("");
    let code = json!({ "device_code": "d", "user_code": "U", "verification_uri": "https://as/d", "expires_in": 600 });
    issuer.next("/device_authorization", Answer::json(200, &code));
    let sign_in = SignIn::start(&instance, &json!({ "claim_code": person::claim_code(&instance) })).unwrap();
    assert_eq!(sign_in.started["interval"], 5);
    let answer = sign_in.poll(&instance, &[]);
    assert_eq!((answer.status, &answer.json["interval"]), (202, &json!(5)));
    assert_eq!(polls(&issuer), 0, "too early to ask");
}

#[test]
fn p5_after_slow_down_polls_are_five_seconds_further_apart() {
    let (issuer, instance) = bed("");
    let sign_in = SignIn::start(&instance, &json!({ "claim_code": person::claim_code(&instance) })).unwrap();
    issuer.next("/token", Answer::error(400, "slow_down"));
    let slower = wait_for("the server's slow_down", || {
        let answer = sign_in.poll(&instance, &[]);
        assert_eq!(answer.status, 202, "{answer:?}");
        (answer.json["interval"] == 6).then(Instant::now)
    });
    issuer.approve("ada");
    assert_eq!(sign_in.finish(&instance).status, 200);
    assert!(slower.elapsed().as_millis() >= 5900, "{:?}", slower.elapsed());
}

#[test]
fn p7_any_other_error_ends_the_sign_in() {
    let (issuer, instance) = bed("");
    let code = person::claim_code(&instance);
    for (answer, code_wanted) in [
        (Answer::error(400, "invalid_request"), (502, "issuer_refused")),
        (Answer::error(400, "expired_token"), (410, "sign_in_expired")),
        (Answer::error(400, "access_denied"), (403, "sign_in_denied")),
        (
            Answer::json(400, &json!({ "error": "access_denied", "error_description": "wrong_account: not yours" })),
            (403, "wrong_account"),
        ),
        (
            Answer::json(400, &json!({ "error": "access_denied", "error_description": "not_shared" })),
            (403, "not_shared"),
        ),
    ] {
        let sign_in = SignIn::start(&instance, &json!({ "claim_code": code })).unwrap();
        issuer.next("/token", answer);
        assert_eq!(sign_in.finish(&instance).code(), code_wanted);
        let asked = polls(&issuer);
        assert_eq!(sign_in.poll(&instance, &[]).code(), (404, "no_such_sign_in"));
        assert_eq!(polls(&issuer), asked);
    }
}

#[test]
fn p8_without_an_answer_the_next_poll_waits_twice_as_long() {
    let (issuer, instance) = bed("");
    let sign_in = SignIn::start(&instance, &json!({ "claim_code": person::claim_code(&instance) })).unwrap();
    issuer.next("/token", Answer::hang_up());
    assert_eq!(sign_in.finish(&instance).code(), (503, "hub_unreachable"));
    let waiting = sign_in.poll(&instance, &[]);
    assert_eq!((waiting.status, &waiting.json["interval"]), (202, &json!(2)));
    issuer.approve("ada");
    assert_eq!(sign_in.finish(&instance).status, 200, "it goes on once the server answers");
}

#[test]
fn p9_a_client_that_polls_like_mad_is_held_to_the_interval() {
    let (issuer, instance) = bed("");
    let sign_in = SignIn::start(&instance, &json!({ "claim_code": person::claim_code(&instance) })).unwrap();
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(sign_in.poll(&instance, &[]).status, 202);
    }
    let most = begun.elapsed().as_secs() as usize + 1;
    assert!(polls(&issuer) <= most, "{} polls in {:?}", polls(&issuer), begun.elapsed());
}

#[test]
fn a_session_is_refreshed_and_an_unknown_token_asks_nobody() {
    let (issuer, instance) = bed("");
    let first = claim(&issuer, &instance);
    let second = refresh(&instance, text(&first, "refresh_token"));
    assert_eq!(second.status, 200, "{second:?}");
    assert_eq!(second.json["session"]["id"], first["session"]["id"], "the same session goes on");
    assert_ne!(second.json["access_token"], first["access_token"]);
    assert_eq!(get(&instance, WHOAMI, text(&second.json, "access_token")).status, 200);

    let asked = count(&issuer, "/token");
    assert_eq!(refresh(&instance, "a-token-of-nobody").code(), (401, "session_revoked"));
    assert_eq!(count(&issuer, "/token"), asked);
    // The server gives no new one: the old one goes on to hold (RFC 6749, 6).
    let token = text(&second.json, "refresh_token").to_owned();
    issuer.next("/token", Answer::json(200, &json!({ "access_token": "kept", "token_type": "bearer" })));
    issuer.state().access.insert("kept".into(), "ada".into());
    let third = refresh(&instance, &token);
    assert_eq!((third.status, text(&third.json, "refresh_token")), (200, token.as_str()));
    // One that the server does not take any more ends it.
    issuer.state().refresh.clear();
    assert_eq!(refresh(&instance, &token).code(), (401, "session_revoked"));
}

#[test]
fn what_the_server_revoked_is_noticed_within_the_time_that_is_configured() {
    let (issuer, instance) = bed("recheck_seconds = 5");
    let signed_in = claim(&issuer, &instance);
    let token = text(&signed_in, "access_token").to_owned();
    assert_eq!(get(&instance, WHOAMI, &token).status, 200);
    issuer.state().access.remove(&token);
    let revoked = Instant::now();
    wait_for("the instance to notice", || {
        let answer = get(&instance, WHOAMI, &token);
        (answer.status != 200).then(|| assert_eq!(answer.code(), (401, "session_revoked")))
    });
    assert!(revoked.elapsed().as_secs() < 15, "{:?}", revoked.elapsed());
    assert_eq!(get(&instance, WHOAMI, &token).status, 401);
}

#[test]
fn signing_out_ends_the_session_here_and_at_the_server() {
    let (issuer, instance) = bed("");
    let signed_in = claim(&issuer, &instance);
    let sign_out = |token: &str| ask(&instance, "POST", "/api/v1/sign-out", &[], &json!({ "token": token }));
    let unknown = sign_out("nobody's");
    assert_eq!((unknown.status, &unknown.json["revoked_at_issuer"]), (200, &json!(false)));
    let done = sign_out(text(&signed_in, "refresh_token"));
    assert_eq!((done.status, &done.json["revoked_at_issuer"]), (200, &json!(true)), "{done:?}");
    let revoked = form(&issuer.wait_for("/revoke", 1)[0]);
    assert_eq!(revoked["token"], text(&signed_in, "refresh_token"));
    assert_eq!(get(&instance, WHOAMI, text(&signed_in, "access_token")).code(), (401, "session_revoked"));
    assert_eq!(refresh(&instance, text(&signed_in, "refresh_token")).code(), (401, "session_revoked"));
}

#[test]
fn a_session_that_the_owner_ends_is_dead_at_once_and_so_is_its_event_stream() {
    let (issuer, instance) = bed("");
    let signed_in = claim(&issuer, &instance);
    let mut stream = merlon_tests::client::Client::connect(person::address(&instance));
    let head = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: {}\r\n\r\n",
        person::address(&instance),
        bearer(&signed_in)
    );
    stream.send(head.as_bytes());
    let greeting = String::from_utf8(stream.bytes(15)).unwrap();
    assert_eq!(greeting, "HTTP/1.1 200 OK");
    let ended = instance.cli(&["session", "revoke", text(&signed_in["session"], "id")]);
    assert!(ended.status.success(), "{}", merlon_tests::process::stderr(&ended));
    assert_eq!(get(&instance, WHOAMI, text(&signed_in, "access_token")).code(), (401, "session_revoked"));
    let rest = String::from_utf8(stream.rest()).unwrap();
    assert!(rest.contains("event: problem") && rest.contains("session_revoked"), "{rest}");
}

#[test]
fn q6_the_servers_nonce_reaches_the_client_and_its_proof_the_server() {
    let (issuer, instance) = bed("");
    let key = ProofKey::default();
    let url = format!("{}/token", issuer.url());
    let sign_in = SignIn::start(&instance, &json!({ "claim_code": person::claim_code(&instance) })).unwrap();
    issuer.approve("ada");
    let wants = Answer::error(400, "use_dpop_nonce").header("DPoP-Nonce", "nonce-1");
    issuer.next("/token", wants);
    let first = key.proof("POST", &url, None, &Value::Null);
    let refused = wait_for("the server's wish", || {
        Some(sign_in.poll(&instance, &[("DPoP", &first)])).filter(|answer| answer.status != 202)
    });
    assert_eq!((refused.code(), refused.field("dpop-nonce")), ((401, "proof_nonce"), "nonce-1"));
    // It may come again at once, once. Two proofs are none.
    let second = key.proof("POST", &url, None, &json!({ "nonce": "nonce-1" }));
    let two = sign_in.poll(&instance, &[("DPoP", &first), ("DPoP", &second)]);
    assert_eq!(two.code(), (401, "proof_invalid"));
    assert_eq!(sign_in.poll(&instance, &[("DPoP", &second)]).status, 200);
    let proofs: Vec<Option<String>> = issuer
        .state()
        .requests
        .iter()
        .filter(|request| form(request).contains_key("device_code"))
        .map(|request| request.field("dpop"))
        .collect();
    assert_eq!(proofs, [Some(first), Some(second)]);
}

#[test]
fn each_way_that_the_server_fails_has_its_own_code() {
    let (issuer, instance) = bed("");
    let code = json!({ "claim_code": person::claim_code(&instance) });
    let refused = |code: &Value| {
        let answer = SignIn::start(&instance, code).unwrap_err();
        (answer.status, text(&answer.json, "code").to_owned())
    };
    issuer.next("/device_authorization", Answer::hang_up());
    assert_eq!(refused(&code), (503, "hub_unreachable".into()));
    issuer.next("/device_authorization", Answer::error(503, "temporarily_unavailable").header("Retry-After", "7"));
    assert_eq!(refused(&code), (503, "hub_unreachable".into()));
    issuer.next("/device_authorization", Answer::error(400, "invalid_scope"));
    assert_eq!(refused(&code), (502, "issuer_refused".into()));
    issuer.state().clients.clear();
    assert_eq!(refused(&code), (409, "instance_deleted".into()));
}

#[test]
fn strangers_begin_only_so_many_sign_ins() {
    let (_issuer, instance) = bed("");
    let code = json!({ "claim_code": person::claim_code(&instance) });
    let limited = wait_for("the limit", || SignIn::start(&instance, &code).err());
    assert_eq!(limited.code(), (429, "rate_limited"));
    assert!(!limited.field("retry-after").is_empty());
}

#[test]
fn nothing_of_a_users_tokens_is_written() {
    let (issuer, mut instance) = bed("");
    let signed_in = claim(&issuer, &instance);
    let next = refresh(&instance, text(&signed_in, "refresh_token")).json;
    let log = instance.log();
    assert!(instance.stop().success());
    let secrets = [&signed_in, &next].map(|tokens| [text(tokens, "access_token"), text(tokens, "refresh_token")]);
    let mut files = vec![instance.dir().to_owned()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            for secret in secrets.iter().flatten() {
                assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{}", path.display());
            }
        }
    }
    assert!(secrets.iter().flatten().all(|secret| !log.contains(*secret)), "{log}");
}
