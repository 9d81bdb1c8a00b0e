//! Registration (RFC 7591) and the client configuration endpoint (RFC 7592), as any client sees them.

use std::net::TcpListener;
use std::thread;

use merlon_tests::browser::first_account;
use merlon_tests::hub::{Answer, Hub, Options};
use merlon_tests::jwt::Key;
use merlon_tests::registered::{DEVICE, Registered, instance_metadata, manage, other_metadata};
use serde_json::{Value, json};

fn register(hub: &Hub, metadata: &Value) -> Answer {
    hub.json("POST", "/register", &[], metadata)
}

fn is_not_stored(answer: &Answer) -> bool {
    answer.field("cache-control") == Some("no-store") && answer.field("pragma") == Some("no-cache")
}

#[test]
fn r1_r2_r3_r4_r5_r7_r16_a_registration_says_all_that_was_registered() {
    let hub = Hub::new();
    let metadata = json!({
        "redirect_uris": ["https://app.example/cb"], "client_name": "app", "logo_uri": "https://app.example/logo",
        "tos_uri": 5, "x_unknown": { "a": [1] },
    });
    let answer = register(&hub, &metadata);
    assert_eq!((answer.status, answer.field("content-type")), (201, Some("application/json")));
    assert!(is_not_stored(&answer));
    let told = &answer.json;
    assert!(told["client_id"].as_str().unwrap().starts_with("cli_"));
    assert!(told["client_secret"].as_str().unwrap().len() >= 43);
    assert_eq!(told["client_secret_expires_at"], 0);
    assert_eq!(told["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(told["grant_types"], json!(["authorization_code"]));
    assert_eq!(told["response_types"], json!(["code"]));
    assert_eq!(told["redirect_uris"], metadata["redirect_uris"]);
    assert_eq!(told["client_name"], "app");
    assert!(told["scope"].as_str().unwrap().contains("flows:read"));
    assert!(told.get("logo_uri").is_none() && told.get("x_unknown").is_none(), "what is ignored is not registered");
    let uri = format!("{}/register/{}", hub.issuer, told["client_id"].as_str().unwrap());
    assert_eq!(told["registration_client_uri"], uri);
}

#[test]
fn r6_errors_are_those_of_the_rfc() {
    let hub = Hub::new();
    let error = |metadata: Value| {
        let answer = register(&hub, &metadata);
        assert_eq!((answer.status, answer.field("content-type")), (400, Some("application/json")), "{metadata}");
        answer.error().to_owned()
    };
    assert_eq!(error(json!({ "redirect_uris": ["http://app.example/cb"] })), "invalid_redirect_uri");
    assert_eq!(error(json!({ "redirect_uris": ["https://app.example/cb#f"] })), "invalid_redirect_uri");
    assert_eq!(error(json!({ "grant_types": "x" })), "invalid_client_metadata");
    assert_eq!(error(json!([])), "invalid_client_metadata");
    let json = [("Content-Type", "application/json")];
    assert_eq!(hub.request("POST", "/register", &json, b"{\"a\":").error(), "invalid_client_metadata");
    assert_eq!(hub.form("/register", &[], &[("client_name", "x")]).error(), "invalid_client_metadata");
    assert_eq!(hub.request("POST", "/register", &json, &[b' '; 40_000]).status, 413);
    assert_eq!(hub.get("/register").status, 405);
}

#[test]
fn r8_r11_keys_are_sent_by_value_and_nothing_is_ever_fetched() {
    let hub = Hub::new();
    let lure = TcpListener::bind("127.0.0.1:0").unwrap();
    lure.set_nonblocking(true).unwrap();
    let at = |path: &str| format!("http://{}/{path}", lure.local_addr().unwrap());
    let key = json!({ "keys": [Key::new().jwk()] });
    let both = json!({ "grant_types": [DEVICE], "jwks": key, "jwks_uri": at("jwks") });
    assert_eq!(register(&hub, &both).error(), "invalid_client_metadata");
    let uri = json!({ "grant_types": [DEVICE], "jwks_uri": at("jwks") });
    assert_eq!(register(&hub, &uri).error(), "invalid_client_metadata");
    let logo = json!({ "grant_types": [DEVICE], "logo_uri": at("logo"), "client_uri": at("about") });
    assert_eq!(register(&hub, &logo).status, 201);
    assert!(lure.accept().is_err(), "nobody came");
}

#[test]
fn r9_r10_redirects_follow_the_grants_and_response_types_fit_them() {
    let hub = Hub::new();
    let without = register(&hub, &json!({ "grant_types": ["client_credentials"] }));
    assert_eq!((without.status, &without.json["response_types"]), (201, &json!([])), "{}", without.text);
    assert_eq!(register(&hub, &json!({})).error(), "invalid_redirect_uri");
    for metadata in [
        json!({ "grant_types": ["client_credentials"], "response_types": ["code"] }),
        json!({ "redirect_uris": ["https://app.example/"], "response_types": [] }),
        json!({ "redirect_uris": ["https://app.example/"], "response_types": ["token"] }),
        json!({ "grant_types": ["implicit"], "response_types": ["token"] }),
    ] {
        assert_eq!(register(&hub, &metadata).error(), "invalid_client_metadata", "{metadata}");
    }
}

#[test]
fn r12_software_statements_are_refused() {
    let hub = Hub::new();
    let key = Key::new();
    let send = |statement: String| {
        register(&hub, &json!({ "grant_types": [DEVICE], "software_statement": statement })).error().to_owned()
    };
    assert_eq!(send(key.sign(&json!({ "alg": "ES256" }), &json!({ "iss": "x" }))), "unapproved_software_statement");
    assert_eq!(send(key.sign(&json!({ "alg": "ES256" }), &json!({}))), "invalid_software_statement");
    assert_eq!(send(key.sign(&json!({ "alg": "none" }), &json!({ "iss": "x" }))), "invalid_software_statement");
    assert_eq!(send("statement".into()), "invalid_software_statement");
}

#[test]
fn r13_where_a_registration_key_is_needed_none_and_a_wrong_one_are_401() {
    let hub = Hub::with(&Options { config: "[hub]\nregistration = \"key\"\n".into(), ..Options::default() });
    let none = register(&hub, &instance_metadata());
    assert_eq!((none.status, none.field("www-authenticate")), (401, Some("Bearer realm=\"merlon-hub\"")));
    let wrong = hub.json("POST", "/register", &[("Authorization", "Bearer mhk_wrong")], &instance_metadata());
    assert_eq!(wrong.status, 401);
    assert!(wrong.field("www-authenticate").unwrap().contains("error=\"invalid_token\""));
    let open = Hub::new();
    let wrong = open.json("POST", "/register", &[("Authorization", "Bearer mhk_wrong")], &instance_metadata());
    assert_eq!(wrong.status, 401, "a key that is wrong is told, also where none is needed");
}

#[test]
fn r15_ids_are_the_servers_and_differ_from_those_of_people() {
    let hub = Hub::new();
    let metadata = json!({ "grant_types": [DEVICE], "client_id": "acc_000000000000000000000000" });
    let (one, two) = (register(&hub, &metadata), register(&hub, &metadata));
    let id = |answer: &Answer| answer.json["client_id"].as_str().unwrap().to_owned();
    assert!(id(&one).starts_with("cli_") && id(&two).starts_with("cli_") && id(&one) != id(&two));
    let mut alice = first_account(&hub, "alice");
    let client = Registered::instance(&hub);
    let tokens = client.sign_in(&mut alice);
    let about = client.introspect(tokens["access_token"].as_str().unwrap());
    assert!(about["sub"].as_str().unwrap().starts_with("acc_"));
}

#[test]
fn r17_registrations_are_limited_by_place_and_by_number() {
    let hub = Hub::with(&Options { config: "[hub]\nclients = 3\n".into(), ..Options::default() });
    for _ in 0..3 {
        assert_eq!(register(&hub, &instance_metadata()).status, 201);
    }
    let full = register(&hub, &instance_metadata());
    assert_eq!((full.status, full.error()), (503, "temporarily_unavailable"));
    assert!(full.json["error_description"].as_str().unwrap().contains("hub.clients"));
    let statuses: Vec<u16> = (0..60).map(|_| register(&hub, &instance_metadata()).status).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    let limited = register(&hub, &instance_metadata());
    assert!(limited.field("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
}

#[test]
fn c2_c3_reading_gives_everything_and_changes_nothing() {
    let hub = Hub::new();
    let client = Registered::instance(&hub);
    let token = client.text("registration_access_token").to_owned();
    let first = client.manage("GET", &token, &Value::Null);
    assert_eq!(first.status, 200);
    assert!(is_not_stored(&first));
    let second = client.manage("GET", &token, &Value::Null);
    assert_eq!(first.json, second.json);
    for (name, value) in client.information.as_object().unwrap() {
        if name != "client_secret" {
            assert_eq!(&first.json[name], value, "{name}");
        }
    }
}

#[test]
fn c4_c5_c9_c10_a_deleted_client_is_gone_at_once_with_all_that_was_granted() {
    let hub = Hub::new();
    let mut alice = first_account(&hub, "alice");
    let (client, other) = (Registered::instance(&hub), Registered::new(&hub, &other_metadata()));
    let tokens = client.sign_in(&mut alice);
    let token = client.text("registration_access_token").to_owned();
    let foreign = manage(
        &hub,
        "DELETE",
        &format!("/register/{}", client.id()),
        other.text("registration_access_token"),
        &Value::Null,
    );
    assert_eq!((foreign.status, foreign.error()), (403, "insufficient_scope"));
    for method in ["POST", "PATCH"] {
        assert_eq!(client.manage(method, &token, &Value::Null).status, 405, "{method}");
    }
    assert_eq!(client.manage("DELETE", &token, &Value::Null).status, 204);
    let unknown = client.manage("GET", &token, &Value::Null);
    let never = manage(&hub, "GET", "/register/cli_000000000000000000000000", &token, &Value::Null);
    for answer in [&unknown, &never] {
        assert_eq!(answer.status, 401);
        assert!(answer.field("www-authenticate").unwrap().contains("invalid_token"));
    }
    assert_eq!(unknown.text, never.text, "nothing tells the two apart");
    let refreshed = client.refresh(tokens["refresh_token"].as_str().unwrap());
    assert_eq!((refreshed.status, refreshed.error()), (401, "invalid_client"));
    let mut later = alice.get("/sessions");
    later.body.retain(|c| c != '\n');
    assert!(!later.text().contains("lab on host"), "its sessions are gone: {}", later.text());
}

#[test]
fn c6_what_only_the_server_sets_is_not_sent_back() {
    let hub = Hub::new();
    let client = Registered::instance(&hub);
    let token = client.text("registration_access_token");
    for name in
        ["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"]
    {
        let mut metadata = instance_metadata();
        metadata["client_id"] = client.id().into();
        metadata[name] = client.information[name].clone();
        let answer = client.manage("PUT", token, &metadata);
        assert_eq!((answer.status, answer.error()), (400, "invalid_request"), "{name}");
    }
    assert_eq!(client.manage("PUT", token, &instance_metadata()).error(), "invalid_request", "client_id is missing");
}

#[test]
fn c7_c8_c12_a_replacement_replaces_all_keeps_the_secret_and_rotates_the_token() {
    let hub = Hub::new();
    let client = Registered::instance(&hub);
    let token = client.text("registration_access_token").to_owned();
    let mut metadata = instance_metadata();
    metadata["client_id"] = client.id().into();
    metadata["client_name"] = Value::Null;
    metadata["client_secret"] = "chosen by the client, long enough to be a secret".into();
    assert_eq!(client.manage("PUT", &token, &metadata).error(), "invalid_request");
    metadata["client_secret"] = client.information["client_secret"].clone();
    metadata["scope"] = "flows:read offline_access".into();
    let replaced = client.manage("PUT", &token, &metadata);
    assert_eq!(replaced.status, 200, "{}", replaced.text);
    assert!(replaced.json.get("client_name").is_none(), "null is deletion");
    assert_eq!(replaced.json["scope"], "flows:read offline_access");
    let next = replaced.json["registration_access_token"].as_str().unwrap().to_owned();
    assert_ne!(next, token);
    // The answer may have been lost: until the next token is used, the one before gives the same answer again.
    let again = client.manage("PUT", &token, &metadata);
    assert_eq!(again.json["registration_access_token"], next.as_str());
    metadata.as_object_mut().unwrap().remove("scope");
    let reset = client.manage("PUT", &next, &metadata);
    assert!(reset.json["scope"].as_str().unwrap().contains("instance:admin"), "omitted is reset, not kept");
    assert_eq!(client.manage("GET", &token, &Value::Null).status, 401);
    // The secret still is the one it was.
    let asked = client.form("/token", &[("grant_type", "client_credentials")]);
    assert_eq!(asked.status, 200, "{}", asked.text);
}

#[test]
fn an_instance_that_lost_the_answer_takes_its_place_again_by_its_key() {
    let hub = Hub::new();
    let (key, stranger) = (Key::new(), Key::new());
    let mut metadata = instance_metadata();
    metadata["token_endpoint_auth_method"] = "private_key_jwt".into();
    metadata["jwks"] = json!({ "keys": [key.jwk()] });
    let url = format!("{}/register", hub.issuer);
    let send = |proof: &str| hub.json("POST", "/register", &[("DPoP", proof)], &metadata);
    let proof = key.proof("POST", &url, None);
    let first = send(&proof);
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!((send(&proof).status, send(&proof).error()), (400, "invalid_dpop_proof"), "a proof is for one time");
    assert_eq!(send(&stranger.proof("POST", &url, None)).error(), "invalid_dpop_proof", "not a key of its own");
    assert_eq!(send(&key.proof("POST", &hub.issuer, None)).error(), "invalid_dpop_proof", "for another address");
    let second = send(&key.proof("POST", &url, None));
    assert_eq!(second.status, 201, "{}", second.text);
    let read = |answer: &Answer| {
        let text = |name: &str| answer.json[name].as_str().unwrap().to_owned();
        let path = format!("/register/{}", text("client_id"));
        manage(&hub, "GET", &path, &text("registration_access_token"), &Value::Null).status
    };
    assert_eq!((read(&first), read(&second)), (401, 200), "no orphan is left");
}

#[test]
fn many_registrations_at_once_are_each_one_client() {
    let hub = Hub::with(&Options { config: "[hub]\nclients = 20\n".into(), ..Options::default() });
    let done = thread::scope(|scope| {
        let tasks: Vec<_> = (0..40).map(|_| scope.spawn(|| register(&hub, &instance_metadata()).status)).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).filter(|status| *status == 201).count()
    });
    assert_eq!(done, 20, "the cap holds");
}
