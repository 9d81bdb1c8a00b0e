//! What a hub says of itself (rows M), to whom it speaks at all (rows A), and how it is run.

use merlon_tests::TempDir;
use merlon_tests::hub::{Hub, Options};
use serde_json::Value;

const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

fn listening(config: &str, arguments: &[&str]) -> Hub {
    Hub::with(&Options { config: config.into(), arguments: arguments.iter().map(|text| (*text).into()).collect() })
}

#[test]
fn a_hub_says_when_it_is_ready_and_stops_clean() {
    let mut hub = Hub::new();
    let health = hub.get("/health");
    assert_eq!((health.status, &health.json["ready"]), (200, &true.into()));
    assert_eq!(health.json["name"], "merlon-hub");
    assert_eq!(hub.issuer, format!("http://{}", hub.address));
    let begun = hub.log();
    assert_eq!(hub.stop().code(), Some(0), "{begun}");
    hub.restart(&Options::default());
    assert_eq!(hub.get("/health").json["ready"], true);
}

#[test]
fn m1_the_well_known_path_stands_between_host_and_path_of_the_issuer() {
    let hub = listening("", &["--issuer", "https://hub.example/a/b"]);
    assert_eq!(hub.issuer, "https://hub.example/a/b");
    let document = hub.get(&format!("{WELL_KNOWN}/a/b"));
    assert_eq!((document.status, &document.json["issuer"]), (200, &hub.issuer.as_str().into()));
    assert_eq!(document.json["token_endpoint"], "https://hub.example/a/b/token");
    // The other name of the document, and its other place.
    assert_eq!(hub.get("/.well-known/openid-configuration/a/b").text, document.text);
    assert_eq!(hub.get("/a/b/.well-known/openid-configuration").text, document.text);
    assert_eq!(hub.get(WELL_KNOWN).status, 404);
    // The endpoints are where the document says.
    assert_eq!(hub.form("/a/b/token", &[], &[("grant_type", "x")]).error(), "unsupported_grant_type");
    assert_eq!(hub.get("/a/b/jwks").status, 200);
    assert_eq!(hub.get("/jwks").status, 404);
    assert_eq!(hub.get("/a/b/health").json["ready"], true);
}

#[test]
fn m2_m3_m6_m7_m8_m9_the_document_says_what_the_hub_does() {
    let hub = Hub::new();
    let document = hub.get(WELL_KNOWN);
    assert_eq!((document.status, document.field("content-type")), (200, Some("application/json")));
    let json = &document.json;
    assert_eq!(json["issuer"], hub.issuer.as_str());
    assert_eq!(words(&json["response_types_supported"]), ["code"]);
    assert_eq!(words(&json["code_challenge_methods_supported"]), ["S256"]);
    assert_eq!(json["device_authorization_endpoint"], format!("{}/device_authorization", hub.issuer));
    let grants = words(&json["grant_types_supported"]);
    for grant in
        ["authorization_code", "client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
    {
        assert!(grants.contains(&grant), "{grant}");
    }
    assert!(!grants.contains(&"password"));
    for (name, value) in json.as_object().unwrap() {
        assert!(value.as_array().is_none_or(|list| !list.is_empty()), "{name} is an empty list");
        if name.ends_with("_auth_methods_supported") && words(value).contains(&"private_key_jwt") {
            let algorithms = name.replace("auth_methods", "auth_signing_alg_values");
            let algorithms = words(&json[&algorithms]);
            assert!(!algorithms.is_empty() && !algorithms.contains(&"none"), "{name}");
        }
        if name.ends_with("_endpoint") || name == "jwks_uri" {
            assert!(value.as_str().unwrap().starts_with(&hub.issuer), "{name}");
        }
    }
    assert_eq!(json["merlon_instance_endpoint"], format!("{}/api/instance", hub.issuer));
}

#[test]
fn m4_an_issuer_that_is_none_ends_the_start_with_78_and_says_why() {
    for (issuer, why) in [
        ("http://hub.example", "loopback"),
        ("https://hub.example/?a=b", "query"),
        ("https://hub.example/#a", "fragment"),
    ] {
        let dir = TempDir::new("issuer");
        let options = Options { config: String::new(), arguments: vec!["--issuer".into(), issuer.into()] };
        let (status, log) = Hub::try_start(&dir.path().join("hub"), &options).err().unwrap();
        assert_eq!(status.code(), Some(78), "{log}");
        assert!(log.contains("hub.issuer") && log.contains(why), "{log}");
    }
}

#[test]
fn m10_there_is_no_cors_at_the_authorization_endpoint() {
    let hub = Hub::new();
    for path in ["/authorize?client_id=x", "/token", "/device"] {
        for method in ["GET", "OPTIONS"] {
            let fields = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")];
            let answer = hub.request(method, path, &fields, b"");
            assert!(!answer.fields.iter().any(|(name, _)| name.starts_with("access-control-")), "{method} {path}");
        }
    }
}

#[test]
fn keys_are_published_before_they_sign_and_can_be_kept_for_a_while() {
    let hub = Hub::new();
    let set = hub.get("/jwks");
    assert_eq!((set.status, set.field("content-type")), (200, Some("application/json")));
    assert!(set.field("cache-control").is_some_and(|value| value.contains("max-age")), "{:?}", set.fields);
    let keys = set.json["keys"].as_array().unwrap();
    for algorithm in ["ES256", "RS256"] {
        let of_it: Vec<_> = keys.iter().filter(|key| key["alg"] == algorithm).collect();
        assert_eq!(of_it.len(), 2, "one signs, and one is next: {set:?}");
        assert!(of_it.iter().all(|key| key["use"] == "sig" && key["kid"].is_string() && key.get("d").is_none()));
    }
}

#[test]
fn a1_a_public_listener_needs_tls_or_a_trusted_proxy() {
    let dir = TempDir::new("public");
    let options = Options { arguments: vec!["--listen".into(), "0.0.0.0:0".into()], ..Options::default() };
    let (status, log) = Hub::try_start(&dir.path().join("hub"), &options).err().unwrap();
    assert_eq!(status.code(), Some(78), "{log}");
    assert!(log.contains("hub.tls_cert"), "{log}");
}

#[test]
fn a1_a7_behind_a_trusted_proxy_what_it_says_of_the_client_counts() {
    let hub = listening("[hub]\ntrusted_proxies = ['127.0.0.0/8']\n", &["--issuer", "https://hub.example"]);
    let ask = |fields: &[(&str, &str)]| hub.form("/token", fields, &[("grant_type", "nonsense")]);
    let from = ("X-Forwarded-For", "198.51.100.7");
    assert_eq!(ask(&[from, ("X-Forwarded-Proto", "https")]).error(), "unsupported_grant_type");
    for plain in [&[from, ("X-Forwarded-Proto", "http")][..], &[from]] {
        let refused = ask(plain);
        assert_eq!((refused.status, refused.error()), (400, "invalid_request"));
        assert!(refused.text.contains("https"), "{}", refused.text);
    }
    // Whoever watches the host may ask without TLS.
    assert_eq!(hub.request("GET", "/health", &[from], b"").json["ready"], true);
}

#[test]
fn a_locked_hub_says_so_everywhere_and_goes_on_once_it_is_unlocked() {
    let mut hub = Hub::new();
    let (client, secret) = hub.confidential();
    let passphrase = hub.dir().with_extension("passphrase");
    std::fs::write(&passphrase, "a passphrase of some length").unwrap();
    let file = passphrase.to_str().unwrap();
    let done = hub.cli(&["keyslot", "add", "passphrase", "--passphrase-file", file]);
    assert!(done.status.success(), "{done:?}\n{}", hub.log());
    let done = hub.cli(&["keyslot", "list", "--json"]);
    assert!(done.status.success(), "{done:?}");
    assert!(hub.stop().success());
    // Without its machine slot only the passphrase opens it.
    std::fs::remove_file(hub.dir().join("keeper/file.key")).unwrap();
    let address = hub.address.to_string();
    let options = Options { config: String::new(), arguments: vec!["--listen".into(), address] };
    let (child, _) = Hub::spawn(hub.dir(), &options);
    let locked = merlon_tests::hub::Waiting::new(child, hub.address);
    let answer = merlon_tests::instance::wait_for("the listener", || locked.get("/health"));
    assert_eq!((answer.status, &answer.json["ready"]), (200, &false.into()));
    for path in ["/jwks", WELL_KNOWN, "/", "/token"] {
        let refused = locked.get(path).unwrap();
        assert_eq!((refused.status, refused.error()), (503, "temporarily_unavailable"), "{path}");
        assert!(refused.field("retry-after").is_some(), "{path}");
    }
    let unlock = || hub.cli(&["unlock", "--passphrase-file", file]);
    merlon_tests::instance::wait_for("the keeper", || unlock().status.success().then_some(()));
    merlon_tests::instance::wait_for("the hub", || locked.get("/health").filter(|health| health.json["ready"] == true));
    let basic = merlon_tests::hub::basic(&client, &secret);
    let token = hub.form("/token", &[("Authorization", &basic)], &[("grant_type", "client_credentials")]);
    assert_eq!(token.status, 200, "{}", token.text);
    drop(std::fs::remove_file(passphrase));
}
