//! Tokens of an authorization server at the API of an instance, good and bad ones. Named after the rows of the RFCs that
//! they hold.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use merlon_tests::instance::{Instance, wait_for};
use merlon_tests::issuer::{Answer, Issuer, form};
use merlon_tests::person::{self, ProofKey, SignIn, ask, get, text};
use serde_json::{Value, json};

const FLOWS: &str = "/api/v1/flows";
const WHOAMI: &str = "/api/v1/whoami";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// An instance that ada owns, whose server gives JWTs, and the claims of a good token.
fn bed(identity: &str) -> (Issuer, Instance, Value) {
    let issuer = Issuer::new();
    issuer.state().jwt = true;
    let instance = Instance::with(&person::options(&issuer.url(), identity));
    person::wait_registered(&instance);
    let code = person::claim_code(&instance);
    sign_in(&issuer, &instance, &json!({ "claim_code": code }), "ada");
    let client = issuer.state().clients.keys().next().unwrap().clone();
    let claims = json!({
        "iss": issuer.url(), "sub": "ada", "aud": client, "client_id": client, "jti": "j", "iat": now(),
        "exp": now() + 600, "scope": "openid",
    });
    (issuer, instance, claims)
}

/// What somebody got by signing in.
fn sign_in(issuer: &Issuer, instance: &Instance, more: &Value, subject: &str) -> Value {
    let sign_in = SignIn::start(instance, more).unwrap();
    issuer.approve(subject);
    let answer = sign_in.finish(instance);
    assert_eq!(answer.status, 200, "{answer:?}\n{}", instance.log());
    answer.json
}

/// Somebody signs in, and the server gives this token; its type is as it is bound.
fn sign_in_with(issuer: &Issuer, instance: &Instance, token: &str, token_type: &str) -> Value {
    let sign_in = SignIn::start(instance, &json!({})).unwrap();
    let body = json!({ "access_token": token, "token_type": token_type, "expires_in": 600, "refresh_token": format!("refresh of {}", token.len()) });
    issuer.next("/token", Answer::json(200, &body));
    let answer = sign_in.finish(instance);
    assert_eq!(answer.status, 200, "{answer:?}\n{}", instance.log());
    answer.json
}

fn with(claims: &Value, more: Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn count(issuer: &Issuer, path: &str) -> usize {
    issuer.state().requests.iter().filter(|request| request.path() == path).count()
}

/// Every endpoint, with every role, by every kind of credential: in or out as the contract says.
#[test]
fn every_role_may_what_the_contract_says_and_no_more_by_any_credential() {
    let (issuer, instance, claims) = bed("members = { otto = 'operator', vera = 'viewer' }");
    let contract = ask(&instance, "GET", "/api/v1/openapi.json", &[], &Value::Null);
    assert_eq!(contract.status, 401);
    let roles = [
        (
            "ada",
            "owner",
            &["flows:read", "flows:write", "intercept", "replay", "config", "secrets:admin", "instance:admin"][..],
        ),
        ("otto", "operator", &["flows:read", "flows:write", "intercept", "replay", "config"]),
        ("vera", "viewer", &["flows:read"]),
    ];
    let mut credentials: Vec<(String, String, Vec<&str>)> = Vec::new();
    for (subject, role, scopes) in roles {
        let printed = instance.cli_ok(&["token", "create", "--role", role, "--label", role]);
        let local = printed.split_whitespace().find(|word| word.starts_with("merlon_")).unwrap().to_owned();
        credentials.push((format!("local {role}"), local, scopes.to_vec()));
        let whole = sign_in(&issuer, &instance, &json!({}), subject);
        credentials.push((format!("session {role}"), text(&whole, "access_token").to_owned(), scopes.to_vec()));
        // Narrowed to two scopes, of which a role may hold one.
        let narrow = with(&claims, json!({ "sub": subject, "jti": role, "scope": "openid flows:read config" }));
        let narrow = sign_in_with(&issuer, &instance, &issuer.sign(&narrow), "Bearer");
        let left: Vec<&str> = scopes.iter().copied().filter(|scope| ["flows:read", "config"].contains(scope)).collect();
        assert_eq!(narrow["scopes"], json!(left));
        credentials.push((format!("narrowed {role}"), text(&narrow, "access_token").to_owned(), left));
    }
    let contract = get(&instance, "/api/v1/openapi.json", &credentials[0].1).json;
    let mut tried = 0;
    for (path, methods) in contract["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Some(scope) = operation.get("x-scope").and_then(Value::as_str) else { continue };
            // What would end the test itself is asked by those who may not only.
            let changes = path.contains("reset") || path.contains("events") || path.contains("rotation");
            let url = path.replace("{id}", "999999").replace("{name}", "nobody");
            for (who, token, scopes) in &credentials {
                let permitted = scopes.contains(&scope);
                if permitted && changes {
                    continue;
                }
                let fields = [("Authorization", format!("Bearer {token}"))];
                let fields = [(fields[0].0, fields[0].1.as_str())];
                let answer = ask(&instance, &method.to_uppercase(), &url, &fields, &Value::Null);
                assert_ne!(answer.status, 401, "{who} {method} {path}: {answer:?}");
                assert_eq!(answer.status != 403, permitted, "{who} {method} {path}: {answer:?}");
                if !permitted {
                    assert_eq!((answer.code().1, &answer.json["scope"]), ("scope_missing", &json!(scope)));
                    assert!(answer.field("www-authenticate").contains("insufficient_scope"));
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn j4_a_token_of_another_type_is_no_access_token() {
    let (issuer, instance, claims) = bed("");
    let good = issuer.sign(&claims);
    // By the same key and with the same claims; only `typ` differs.
    let id_token = issuer.sign_as(&json!({ "typ": "JWT", "alg": "ES256", "kid": "test" }), &claims);
    assert_eq!(get(&instance, WHOAMI, &good).code(), (401, "token_unknown"), "good, and of no session");
    let answer = get(&instance, WHOAMI, &id_token);
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_ne!(answer.code().1, "token_unknown");
}

#[test]
fn j5_issuer_audience_end_and_signature_must_fit() {
    let (issuer, instance, claims) = bed("");
    for (more, code) in [
        (json!({ "iss": "https://other.example" }), "token_invalid"),
        (json!({ "aud": "somebody-else" }), "token_invalid"),
        (json!({ "exp": now() - 100 }), "token_expired"),
        (json!({ "iat": now() + 3600, "exp": now() + 7200 }), "clock_wrong"),
    ] {
        let answer = get(&instance, WHOAMI, &issuer.sign(&with(&claims, more)));
        assert_eq!(answer.code().1, code, "{answer:?}");
    }
    let good = issuer.sign(&claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{signed}.{flipped}{}", &signature[1..]);
    let answer = get(&instance, WHOAMI, &forged);
    assert_eq!(answer.code(), (401, "token_invalid"));
    assert!(answer.field("www-authenticate").contains("invalid_token"));
    assert!(!answer.json.to_string().contains(signed), "a token is never repeated");
    let none = issuer.sign_as(&json!({ "typ": "at+jwt", "alg": "none", "kid": "test" }), &claims);
    assert_eq!(get(&instance, WHOAMI, &none).code(), (401, "token_invalid"));
}

#[test]
fn j6_a_key_that_nobody_knows_has_the_servers_keys_read_once_more_and_not_again() {
    let (issuer, instance, claims) = bed("");
    let before = count(&issuer, "/jwks");
    for number in 0..20 {
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": format!("unknown {number}") });
        let answer = get(&instance, WHOAMI, &issuer.sign_as(&header, &claims));
        assert_eq!(answer.code(), (401, "token_invalid"), "{answer:?}");
    }
    assert!(count(&issuer, "/jwks") <= before + 1, "{} more", count(&issuer, "/jwks") - before);
}

#[test]
fn i7_an_opaque_token_is_asked_about_once_and_never_outlives_its_end() {
    let issuer = Issuer::new();
    let instance = Instance::with(&person::options(&issuer.url(), "recheck_seconds = 3600"));
    person::wait_registered(&instance);
    let code = person::claim_code(&instance);
    // The leeway for clocks is 30 seconds.
    let end = now() - 30 + 10;
    issuer.always(move |request| {
        let of_access = form(request).get("token").is_some_and(|token| token.starts_with("access"));
        let answer = json!({ "active": true, "sub": "ada", "client_id": "client-1", "exp": end });
        (request.path() == "/introspect" && of_access).then(|| Answer::json(200, &answer))
    });
    let signed_in = sign_in(&issuer, &instance, &json!({ "claim_code": code }), "ada");
    let token = text(&signed_in, "access_token");
    let asked = count(&issuer, "/introspect");
    for _ in 0..20 {
        assert_eq!(get(&instance, WHOAMI, token).status, 200);
    }
    assert_eq!(count(&issuer, "/introspect"), asked, "the answer is remembered");
    wait_for("the token's end", || {
        let answer = get(&instance, WHOAMI, token);
        (answer.status != 200).then(|| assert_eq!(answer.code(), (401, "token_expired"), "{answer:?}"))
    });
    assert!(now() >= end);
}

#[test]
fn s1_without_a_token_the_challenge_has_no_error_code() {
    let (_issuer, instance, _) = bed("");
    let answer = ask(&instance, "GET", FLOWS, &[], &Value::Null);
    assert_eq!((answer.code(), answer.field("www-authenticate")), ((401, "token_missing"), "Bearer"));
}

#[test]
fn s2_each_fault_has_the_status_and_the_challenge_of_the_rfc() {
    let (issuer, instance, claims) = bed("members = { vera = 'viewer' }");
    let invalid = get(&instance, FLOWS, &issuer.sign(&with(&claims, json!({ "aud": "x" }))));
    assert_eq!((invalid.status, invalid.field("www-authenticate")), (401, "Bearer error=\"invalid_token\""));
    let vera = sign_in(&issuer, &instance, &json!({}), "vera");
    let narrow = get(&instance, "/api/v1/sessions", text(&vera, "access_token"));
    assert_eq!(narrow.status, 403);
    assert_eq!(narrow.field("www-authenticate"), "Bearer error=\"insufficient_scope\", scope=\"instance:admin\"");
    for fields in [&[("Authorization", "Bearer a"), ("Authorization", "Bearer b")][..], &[("Authorization", "Bearer")]]
    {
        let answer = ask(&instance, "GET", FLOWS, fields, &Value::Null);
        assert_eq!((answer.status, answer.field("www-authenticate")), (400, "Bearer error=\"invalid_request\""));
    }
}

#[test]
fn s3_a_token_in_the_query_or_in_a_form_is_never_read() {
    let (issuer, instance, _) = bed("");
    let token = sign_in(&issuer, &instance, &json!({}), "ada")["access_token"].as_str().unwrap().to_owned();
    let query = ask(&instance, "GET", &format!("{FLOWS}?access_token={token}"), &[], &Value::Null);
    assert_eq!(query.code(), (401, "token_missing"));
    let address = person::address(&instance);
    let form = format!("access_token={token}");
    let mut client = merlon_tests::client::Client::connect(address);
    let head = format!(
        "POST /api/v1/projects HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    client.send(head.as_bytes());
    assert_eq!(client.answer().status, 401);
}

#[test]
fn s4_two_ways_in_one_request_are_refused() {
    let (issuer, instance, _) = bed("");
    let token = sign_in(&issuer, &instance, &json!({}), "ada")["access_token"].as_str().unwrap().to_owned();
    let answer = get(&instance, &format!("{FLOWS}?access_token={token}"), &token);
    assert_eq!(answer.code(), (400, "authorization_invalid"));
    assert_eq!(get(&instance, FLOWS, &token).status, 200);
}

/// A session whose token is bound to this key.
fn bound(issuer: &Issuer, instance: &Instance, claims: &Value, key: &ProofKey) -> String {
    let claims = with(claims, json!({ "jti": key.thumbprint(), "cnf": { "jkt": key.thumbprint() } }));
    let signed_in = sign_in_with(issuer, instance, &issuer.sign(&claims), "DPoP");
    assert_eq!((&signed_in["token_type"], &signed_in["session"]["bound"]), (&json!("DPoP"), &json!(true)));
    text(&signed_in, "access_token").to_owned()
}

#[test]
fn q3_a_bound_token_needs_a_proof_of_its_own_key_for_this_request() {
    let (issuer, instance, claims) = bed("");
    let (key, other) = (ProofKey::default(), ProofKey::default());
    let token = bound(&issuer, &instance, &claims, &key);
    let url = format!("http://{}{FLOWS}", person::address(&instance));
    let authorization = format!("DPoP {token}");
    let show = |proofs: &[&str]| {
        let mut fields = vec![("Authorization", authorization.as_str())];
        fields.extend(proofs.iter().map(|proof| ("DPoP", *proof)));
        ask(&instance, "GET", FLOWS, &fields, &Value::Null)
    };
    let good = key.proof("GET", &url, Some(&token), &Value::Null);
    assert_eq!(show(&[&good]).status, 200);
    let refused = show(&[&good]);
    assert_eq!(refused.code(), (401, "proof_invalid"), "each proof once");
    assert!(refused.field("www-authenticate").starts_with("DPoP error=\"invalid_dpop_proof\""), "{refused:?}");
    assert_eq!(show(&[]).code(), (401, "proof_invalid"));
    let fresh = || key.proof("GET", &url, Some(&token), &Value::Null);
    for (what, proof) in [
        ("by another key", other.proof("GET", &url, Some(&token), &Value::Null)),
        ("for another method", key.proof("POST", &url, Some(&token), &Value::Null)),
        ("for another path", key.proof("GET", &url.replace("flows", "status"), Some(&token), &Value::Null)),
        ("for https", key.proof("GET", &url.replace("http:", "https:"), Some(&token), &Value::Null)),
        ("for another token", key.proof("GET", &url, Some("x"), &Value::Null)),
        ("for no token", key.proof("GET", &url, None, &Value::Null)),
        ("of long ago", key.proof("GET", &url, Some(&token), &json!({ "iat": now() - 400 }))),
        ("of tomorrow", key.proof("GET", &url, Some(&token), &json!({ "iat": now() + 400 }))),
    ] {
        assert_eq!(show(&[&proof]).code(), (401, "proof_invalid"), "{what}");
    }
    assert_eq!(show(&[&fresh(), &fresh()]).code(), (401, "proof_invalid"), "one header");
    // Another spelling of the same URL, with the query that the client used.
    let loud = key.proof("GET", &format!("{}?limit=1", url.replace("http", "HTTP")), Some(&token), &Value::Null);
    assert_eq!(show(&[&loud]).status, 200);
}

#[test]
fn q7_a_bound_token_is_refused_as_a_bearer_token_and_an_unbound_one_as_dpop() {
    let (issuer, instance, claims) = bed("");
    let key = ProofKey::default();
    let token = bound(&issuer, &instance, &claims, &key);
    let url = format!("http://{}{FLOWS}", person::address(&instance));
    let refused = get(&instance, FLOWS, &token);
    assert_eq!(refused.code(), (401, "proof_invalid"));
    assert!(refused.field("www-authenticate").starts_with("DPoP "), "{refused:?}");
    let proof = key.proof("GET", &url, Some(&token), &Value::Null);
    let bearer = format!("Bearer {token}");
    let with_proof = ask(&instance, "GET", FLOWS, &[("Authorization", &bearer), ("DPoP", &proof)], &Value::Null);
    assert_eq!(with_proof.code(), (401, "proof_invalid"));
    let unbound = sign_in(&issuer, &instance, &json!({}), "ada")["access_token"].as_str().unwrap().to_owned();
    let proof = key.proof("GET", &url, Some(&unbound), &Value::Null);
    let dpop = format!("DPoP {unbound}");
    let answer = ask(&instance, "GET", FLOWS, &[("Authorization", &dpop), ("DPoP", &proof)], &Value::Null);
    assert_eq!(answer.code(), (401, "proof_invalid"));
}

#[test]
fn while_the_server_is_away_tokens_hold_that_were_verified() {
    let (issuer, instance, _) = bed("recheck_seconds = 5");
    let token = sign_in(&issuer, &instance, &json!({}), "ada")["access_token"].as_str().unwrap().to_owned();
    issuer.always(|_| Some(Answer::hang_up()));
    let asked = count(&issuer, "/introspect");
    wait_for("the instance to ask in vain", || {
        assert_eq!(get(&instance, WHOAMI, &token).status, 200);
        (count(&issuer, "/introspect") > asked).then_some(())
    });
    assert_eq!(get(&instance, WHOAMI, &token).status, 200);
}
