//! The instance as a client of an authorization server: it finds it, registers, keeps what it got, and says what is wrong.
//! Named after the rows of the RFCs that they hold.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;

use merlon_tests::TempDir;
use merlon_tests::instance::{Instance, Options, wait_for};
use merlon_tests::issuer::{Answer, Issuer, body, form, jwt};
use merlon_tests::origin::{Origin, Request, Stream};
use merlon_tests::pki::{self, Validity};
use serde_json::{Value, json};

const METADATA: &str = "/.well-known/oauth-authorization-server";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn options(issuer: &str, more: &str) -> Options {
    Options { config: format!("[identity]\nissuer = '{issuer}'\n{more}\n"), ..Options::default() }
}

fn identity(instance: &Instance) -> Value {
    serde_json::from_str::<Value>(&instance.cli_ok(&["status", "--json"])).unwrap()["identity"].clone()
}

fn wait_state(instance: &Instance, state: &str) -> Value {
    wait_for(&format!("the state {state}"), || {
        let now = identity(instance);
        (now["state"] == state).then_some(now)
    })
}

fn wait_problem(instance: &Instance, part: &str) -> String {
    wait_for(&format!("a problem with `{part}`"), || {
        let now = identity(instance);
        now["problem"].as_str().filter(|problem| problem.contains(part)).map(str::to_owned)
    })
}

/// The instance tries again at once.
fn reload(instance: &Instance) {
    merlon_tests::process::signal(instance.process("merlond"), nix::sys::signal::Signal::SIGHUP);
}

#[test]
fn an_instance_registers_with_its_own_key_and_gets_a_token_of_its_own() {
    let issuer = Issuer::new();
    let instance = Instance::with(&options(&issuer.url(), "name = 'box'"));
    let now = wait_state(&instance, "unclaimed");
    let asked = body(&issuer.wait_for("/register", 1)[0]);
    assert_eq!(
        (&asked["client_name"], &asked["token_endpoint_auth_method"]),
        (&json!("box"), &json!("private_key_jwt"))
    );
    assert_eq!((&asked["redirect_uris"], &asked["response_types"]), (&json!([]), &json!([])));
    assert_eq!(asked["grant_types"], json!([DEVICE, "refresh_token", "client_credentials"]));
    assert!(asked.get("jwks_uri").is_none());
    assert_eq!((&now["issuer"], &now["client_id"]), (&json!(issuer.url()), &json!("client-1")));
    assert_eq!((&now["owner"], &now["problem"]), (&Value::Null, &Value::Null));

    // K1: a POST, and no credential in the address.
    let token = &issuer.wait_for("/token", 1)[0];
    assert_eq!(token.line(), "POST /token HTTP/1.1");
    let form = form(token);
    assert_eq!((form["grant_type"].as_str(), token.field("authorization")), ("client_credentials", None));
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let (header, claims) = jwt(&form["client_assertion"]);
    assert_eq!((&header["alg"], &header["kid"]), (&json!("ES256"), &asked["jwks"]["keys"][0]["kid"]));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("client-1"), &json!("client-1")));
}

#[test]
fn a_restart_registers_no_second_time() {
    let issuer = Issuer::new();
    let dir = TempDir::new("registered");
    let mut instance = Instance::start(dir.path(), &options(&issuer.url(), ""));
    issuer.wait_for("/token", 1);
    instance.stop();
    drop(instance);
    let instance = Instance::start(dir.path(), &options(&issuer.url(), ""));
    issuer.wait_for("/token", 2);
    wait_state(&instance, "unclaimed");
    assert_eq!(issuer.wait_for("/register", 1).len(), 1);
    assert_eq!(issuer.state().clients.len(), 1);
}

#[test]
fn a2_plain_http_is_for_this_very_host_only() {
    let dir = TempDir::new("plain");
    let refused = Instance::try_start(dir.path(), &options("http://hub.example", "")).err().expect("it is refused");
    assert!(refused.1.contains("identity.issuer") && refused.1.contains("plain http"), "{}", refused.1);

    let issuer = Issuer::new();
    issuer.state().metadata.insert("token_endpoint".into(), "http://hub.example/token".into());
    let instance = Instance::with(&options(&issuer.url(), ""));
    wait_problem(&instance, "`token_endpoint` of its metadata");
    assert!(issuer.state().clients.is_empty());
}

#[test]
fn a2_the_servers_certificate_is_verified() {
    let ca = pki::Ca::new();
    let issuer = Issuer::https(ca.leaf(&["127.0.0.1"], Validity::Now));
    let instance = Instance::with(&options(&issuer.url(), ""));
    wait_problem(&instance, "certificate is self-signed or from an issuer that is not trusted here");
    drop(instance);

    let dir = TempDir::new("roots");
    let roots = dir.path().join("ca.pem");
    ca.write(&roots);
    let instance = Instance::with(&options(&issuer.url(), &format!("ca = ['{}']", roots.display())));
    wait_state(&instance, "unclaimed");
}

#[test]
fn an_answer_without_end_is_cut() {
    let issuer = Issuer::new();
    let long = Answer::json(200, &json!({ "issuer": issuer.url(), "x": "y".repeat(300 << 10) }));
    issuer.next(METADATA, long);
    let instance = Instance::with(&options(&issuer.url(), ""));
    wait_for("the word on it", || instance.log().contains("more than 262144 bytes").then_some(()));
    wait_state(&instance, "unclaimed");
}

#[test]
fn m5_metadata_of_another_issuer_are_not_used() {
    let issuer = Issuer::new();
    let other = format!("{}/", issuer.url());
    issuer.state().metadata.insert("issuer".into(), other.clone().into());
    let instance = Instance::with(&options(&issuer.url(), ""));
    let problem = wait_problem(&instance, "exactly as the server does");
    assert!(problem.contains(&format!("`{other}`")), "{problem}");
    assert!(issuer.state().requests.iter().all(|request| request.path().starts_with("/.well-known/")));
}

#[test]
fn m11_a_server_that_has_openid_configuration_alone_is_found_and_unknown_members_are_ignored() {
    let issuer = Issuer::new();
    let document = Value::Object(issuer.state().metadata.clone());
    assert!(document.get("a_member_that_nobody_knows").is_some());
    issuer.always(move |request| match request.path().as_str() {
        METADATA => Some(Answer::error(404, "not_found")),
        "/.well-known/openid-configuration" => Some(Answer::json(200, &document)),
        _ => None,
    });
    let instance = Instance::with(&options(&issuer.url(), ""));
    wait_state(&instance, "unclaimed");
}

#[test]
fn r14_what_the_server_returned_counts_and_not_what_was_asked() {
    let issuer = Issuer::new();
    let registered = json!({
        "client_id": "its own idea", "client_secret": "s+c%r&t", "client_secret_expires_at": 0,
        "token_endpoint_auth_method": "client_secret_basic", "grant_types": [DEVICE], "scope": "less",
        "registration_client_uri": format!("{}/elsewhere?client=1", issuer.url()), "registration_access_token": "rat",
    });
    issuer.next("/register", Answer::json(201, &registered));
    let dir = TempDir::new("returned");
    let mut instance = Instance::start(dir.path(), &options(&issuer.url(), "name = 'one'"));
    assert_eq!(wait_state(&instance, "unclaimed")["client_id"], "its own idea");
    instance.stop();
    drop(instance);

    // Client credentials were not granted, so they are not asked for; what is asked for comes with the secret.
    assert!(issuer.state().requests.iter().all(|request| request.path() != "/token"));
    let elsewhere =
        move |request: &Request| request.path().starts_with("/elsewhere").then(|| Answer::json(200, &registered));
    issuer.always(elsewhere);
    let instance = Instance::start(dir.path(), &options(&issuer.url(), "name = 'two'"));
    let put = wait_for("the change", || {
        let state = issuer.state();
        state.requests.iter().find(|request| request.line().starts_with("PUT /elsewhere?client=1 ")).cloned()
    });
    assert_eq!(body(&put)["grant_types"], json!([DEVICE]));
    wait_state(&instance, "unclaimed");
}

#[test]
fn c1_c6_a_change_goes_to_the_exact_address_with_the_token_and_permitted_members_alone() {
    let issuer = Issuer::new();
    let dir = TempDir::new("renamed");
    let mut instance = Instance::start(dir.path(), &options(&issuer.url(), "name = 'one'"));
    issuer.wait_for("/token", 1);
    instance.stop();
    drop(instance);
    let instance = Instance::start(dir.path(), &options(&issuer.url(), "name = 'two'"));
    let seen = issuer.wait_for("/register/client-1", 2);
    assert!(
        seen[0].line().starts_with("GET ") && seen[1].line().starts_with("PUT "),
        "{} {}",
        seen[0].line(),
        seen[1].line()
    );
    for request in &seen {
        assert!(request.field("authorization").unwrap().starts_with("Bearer rat-"));
    }
    let put = body(&seen[1]);
    assert_eq!((&put["client_id"], &put["client_name"]), (&json!("client-1"), &json!("two")));
    assert_eq!(put["token_endpoint_auth_method"], "private_key_jwt");
    assert!(put["jwks"]["keys"][0]["x"].is_string());
    for forbidden in
        ["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"]
    {
        assert!(put.get(forbidden).is_none(), "{forbidden}");
    }
    wait_for("the new name", || (issuer.state().clients["client-1"]["client_name"] == "two").then_some(()));
    wait_state(&instance, "unclaimed");
}

#[test]
fn c11_a_new_registration_token_replaces_the_old_one_at_once() {
    let issuer = Issuer::new();
    issuer.state().rotates = true;
    let dir = TempDir::new("rotated");
    let mut used = Vec::new();
    for name in ["one", "two", "three"] {
        let before = issuer.state().requests.len();
        let mut instance = Instance::start(dir.path(), &options(&issuer.url(), &format!("name = '{name}'")));
        wait_for("the name", || {
            let state = issuer.state();
            let client = state.clients.get("client-1")?;
            let own = state.requests[before..].iter().any(|request| request.path() == "/token");
            (client["client_name"] == name && own).then_some(())
        });
        let state = issuer.state();
        let puts = state.requests[before..].iter().filter(|request| request.line().starts_with("PUT "));
        used.extend(puts.map(|request| request.field("authorization").unwrap()));
        drop(state);
        instance.stop();
    }
    assert_eq!(used.len(), 2);
    assert_ne!(used[0], used[1]);
}

#[test]
fn c13_answers_without_registration_token_or_secret_keep_the_old_ones() {
    let issuer = Issuer::new();
    issuer.state().metadata.insert("token_endpoint_auth_methods_supported".into(), json!(["client_secret_post"]));
    let dir = TempDir::new("bare");
    let mut instance = Instance::start(dir.path(), &options(&issuer.url(), "name = 'one'"));
    issuer.wait_for("/token", 1);
    instance.stop();
    drop(instance);
    for name in ["two", "three"] {
        // As some servers answer: the name, and nothing else of use.
        issuer.next("/register/client-1", Answer::json(200, &json!({ "client_id": "client-1" })));
        issuer.next("/register/client-1", Answer::json(200, &json!({ "client_id": "client-1", "client_name": name })));
        let before = issuer.wait_for("/token", 1).len();
        let mut instance = Instance::start(dir.path(), &options(&issuer.url(), &format!("name = '{name}'")));
        let token = issuer.wait_for("/token", before + 1).pop().unwrap();
        assert_eq!(form(&token)["client_secret"], issuer.state().clients["client-1"]["client_secret"]);
        instance.stop();
    }
    let seen = issuer.wait_for("/register/client-1", 4);
    let tokens: Vec<_> = seen.iter().map(|request| request.field("authorization")).collect();
    assert!(tokens.iter().all(|token| token == &tokens[0]), "{tokens:?}");
}

#[test]
fn k1_k2_a_secret_is_sent_the_way_the_server_takes_it() {
    for (method, in_header) in [("client_secret_basic", true), ("client_secret_post", false)] {
        let issuer = Issuer::new();
        issuer.state().metadata.insert("token_endpoint_auth_methods_supported".into(), json!([method]));
        let instance = Instance::with(&options(&issuer.url(), ""));
        let token = &issuer.wait_for("/token", 1)[0];
        assert_eq!(token.line(), "POST /token HTTP/1.1");
        assert_eq!(token.field("authorization").is_some(), in_header);
        let form = form(token);
        assert_eq!(form.contains_key("client_secret"), !in_header);
        assert!(!form.contains_key("client_assertion"));
        wait_state(&instance, "unclaimed");
        wait_for("a token", || issuer.state().access.values().any(|of| of == "client-1").then_some(()));
    }
}

#[test]
fn a_server_that_takes_less_is_asked_for_less() {
    let issuer = Issuer::new();
    // It wants a redirect URI, knows no scope, has neither client credentials nor keys, and plain names.
    issuer.always(|request| {
        if request.line() != "POST /register HTTP/1.1" {
            return None;
        }
        let asked = body(request);
        let refuse = |error, why: &str| Some(Answer::json(400, &json!({ "error": error, "error_description": why })));
        let grants = asked["grant_types"].as_array().unwrap();
        if asked["redirect_uris"].as_array().unwrap().is_empty() {
            return refuse("invalid_redirect_uri", "at least one");
        }
        if asked.get("jwks").is_some() || asked.get("scope").is_some() || grants.contains(&json!("client_credentials"))
        {
            return refuse("invalid_client_metadata", "");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-';
        if !asked["client_name"].as_str().unwrap().chars().all(plain) {
            return refuse("invalid_client_metadata", "the name");
        }
        None
    });
    let instance = Instance::with(&options(&issuer.url(), "name = \"o'neill@box.example\""));
    wait_state(&instance, "unclaimed");
    let last = body(issuer.wait_for("/register", 1).last().unwrap());
    assert_eq!((&last["client_name"], &last["response_types"]), (&json!("o neill box example"), &json!(["code"])));
    assert_eq!(last["token_endpoint_auth_method"], "client_secret_basic");
}

#[test]
fn a_client_that_was_made_by_hand_is_used_and_never_changed() {
    let issuer = Issuer::new();
    let Value::Object(client) = json!({ "client_id": "by-hand", "client_secret": "given" }) else { unreachable!() };
    issuer.state().clients.insert("by-hand".into(), client);
    let secret = TempDir::new("secret");
    let file = secret.path().join("client-secret");
    std::fs::write(&file, "given\n").unwrap();
    let more = format!("client_id = 'by-hand'\nclient_secret_file = '{}'", file.display());
    let instance = Instance::with(&options(&issuer.url(), &more));
    assert_eq!(wait_state(&instance, "unclaimed")["client_id"], "by-hand");
    let first = issuer.wait_for("/token", 1);
    // Nothing is deleted there by a reset, and the secret is not lost.
    let told = instance.cli(&["identity", "reset", "--yes"]);
    assert!(merlon_tests::process::stderr(&told).contains("was made by hand"));
    let again = issuer.wait_for("/token", 2);
    assert_eq!(first[0].field("authorization"), again[1].field("authorization"));
    wait_state(&instance, "unclaimed");
    assert!(issuer.state().requests.iter().all(|request| !request.path().starts_with("/register")));
}

#[test]
fn a_registration_key_is_sent_as_the_initial_access_token_and_asked_for_where_it_is_missing() {
    let issuer = Issuer::new();
    issuer.always(|request| {
        let refused =
            request.path() == "/register" && request.field("authorization").as_deref() != Some("Bearer mhk_1");
        refused.then(|| Answer::error(401, "invalid_token").header("WWW-Authenticate", "Bearer"))
    });
    let instance = Instance::with(&options(&issuer.url(), ""));
    wait_problem(&instance, "identity.registration_key_file");
    drop(instance);
    let dir = TempDir::new("key");
    let file = dir.path().join("registration-key");
    std::fs::write(&file, "mhk_1\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let instance = Instance::with(&options(&issuer.url(), &format!("registration_key_file = '{}'", file.display())));
    wait_state(&instance, "unclaimed");
    assert!(!instance.log().contains("mhk_1"));
}

#[test]
fn a_server_that_cannot_be_reached_stops_nothing_and_is_told_once() {
    let place = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let instance = Instance::with(&options(&format!("http://{place}"), ""));
    wait_problem(&instance, "cannot be reached");
    let warnings: Value = serde_json::from_str(&instance.cli_ok(&["status", "--json"])).unwrap();
    assert!(warnings["warnings"].to_string().contains("Nobody can sign in"), "{warnings}");
    // It records all the same.
    let origin = Origin::http(|mut stream: Stream| {
        while stream.request().is_some() {
            stream.ok(b"x");
        }
    });
    let got = instance.curl(&[&format!("http://127.0.0.1:{}/", origin.port())]);
    assert!(got.status.success());
    assert_eq!(instance.flow("")["status"], 200);

    let issuer = Issuer::at(place);
    reload(&instance);
    wait_state(&instance, "unclaimed");
    wait_for("the all-clear", || instance.log().contains("answers again").then_some(()));
    assert_eq!(instance.log().matches("local tokens work meanwhile").count(), 1);
    assert_eq!(issuer.state().clients.len(), 1);
}

#[test]
fn x6_a_server_that_is_busy_is_asked_again_later() {
    let issuer = Issuer::new();
    issuer.next(
        "/register",
        Answer { status: 503, headers: vec![("Retry-After".into(), "1".into())], body: "no".into() },
    );
    let instance = Instance::with(&options(&issuer.url(), ""));
    wait_state(&instance, "unclaimed");
    assert_eq!(issuer.wait_for("/register", 2).len(), 2);
}

#[test]
fn an_instance_that_was_deleted_at_the_server_says_so_and_comes_back_by_a_reset() {
    let issuer = Issuer::new();
    let dir = TempDir::new("deleted");
    let mut instance = Instance::start(dir.path(), &options(&issuer.url(), ""));
    issuer.wait_for("/token", 1);
    wait_state(&instance, "unclaimed");
    instance.stop();
    drop(instance);
    issuer.state().clients.clear();
    let instance = Instance::start(dir.path(), &options(&issuer.url(), ""));
    let now = wait_state(&instance, "deleted");
    assert!(now["problem"].as_str().unwrap().contains("merlon identity reset"), "{now}");
    assert_eq!(issuer.state().clients.len(), 0);
    let key = |request: &Request| body(request)["jwks"]["keys"][0]["x"].clone();
    instance.cli_ok(&["identity", "reset", "--yes"]);
    let registered = issuer.wait_for("/register", 2);
    assert_ne!(key(&registered[0]), key(&registered[1]));
    assert_eq!(wait_state(&instance, "unclaimed")["problem"], Value::Null);
}

#[test]
fn a_reset_deletes_the_registration_and_registers_anew() {
    let issuer = Issuer::new();
    let instance = Instance::with(&options(&issuer.url(), ""));
    issuer.wait_for("/token", 1);
    wait_state(&instance, "unclaimed");
    instance.cli_ok(&["identity", "reset", "--yes"]);
    let deleted = issuer.wait_for("/register/client-1", 1);
    assert!(deleted[0].line().starts_with("DELETE "));
    issuer.wait_for("/register", 2);
    wait_for("one client, another one", || {
        let state = issuer.state();
        (state.clients.len() == 1 && !state.clients.contains_key("client-1")).then_some(())
    });
}

#[test]
fn a_refusal_is_no_deletion_as_long_as_the_registration_stands() {
    let issuer = Issuer::new();
    issuer.next("/token", Answer::error(401, "invalid_client"));
    let instance = Instance::with(&options(&issuer.url(), ""));
    // It looks its registration up, finds it, and tries again.
    assert!(issuer.wait_for("/register/client-1", 1)[0].line().starts_with("GET "));
    issuer.wait_for("/token", 2);
    wait_for("an end of the problem", || {
        let now = identity(&instance);
        (now["state"] == "unclaimed" && now["problem"].is_null()).then_some(())
    });
}

#[test]
fn clocks_that_differ_are_told_with_the_minutes() {
    let issuer = Issuer::new();
    // It refuses the assertion, and its clock is in the year 2020.
    issuer.always(|request| {
        (request.path() == "/token")
            .then(|| Answer::error(401, "invalid_client").header("Date", "Wed, 01 Jan 2020 00:00:00 GMT"))
    });
    let instance = Instance::with(&options(&issuer.url(), ""));
    let problem = wait_problem(&instance, "minutes ahead of");
    assert!(problem.contains("clock"), "{problem}");
    assert_eq!(identity(&instance)["state"], "unclaimed");
}

#[test]
fn the_server_is_reached_through_a_proxy() {
    let ca = pki::Ca::new();
    let issuer = Issuer::https(ca.leaf(&["127.0.0.1"], Validity::Now));
    let dir = TempDir::new("roots");
    let roots = dir.path().join("ca.pem");
    ca.write(&roots);
    let (seen, lines) = mpsc::channel();
    let to = issuer.address();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = proxy.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in proxy.incoming().map_while(Result::ok) {
            let seen = seen.clone();
            std::thread::spawn(move || tunnel(client, to, &seen));
        }
    });
    let more = format!("ca = ['{}']\nproxy = 'http://127.0.0.1:{}'", roots.display(), place.port());
    let instance = Instance::with(&options(&issuer.url(), &more));
    wait_state(&instance, "unclaimed");
    assert_eq!(lines.recv().unwrap(), format!("CONNECT 127.0.0.1:{} HTTP/1.1", to.port()));
}

/// One tunnel of a proxy; tells the first line of the request.
fn tunnel(mut client: TcpStream, to: SocketAddr, seen: &mpsc::Sender<String>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    // The test may have seen enough.
    drop(seen.send(head.lines().next().unwrap_or_default().to_owned()));
    let mut server = TcpStream::connect(to).unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let up = std::thread::spawn(move || {
        drop(std::io::copy(&mut from_client, &mut to_server));
        drop(to_server.shutdown(Shutdown::Write));
    });
    drop(std::io::copy(&mut server, &mut client));
    drop(client.shutdown(Shutdown::Write));
    up.join().unwrap();
}

#[test]
fn another_issuer_in_the_configuration_needs_a_reset() {
    let (first, second) = (Issuer::new(), Issuer::new());
    let dir = TempDir::new("moved");
    let mut instance = Instance::start(dir.path(), &options(&first.url(), ""));
    wait_state(&instance, "unclaimed");
    instance.stop();
    drop(instance);
    let instance = Instance::start(dir.path(), &options(&second.url(), ""));
    let problem = wait_problem(&instance, "merlon identity reset");
    assert!(problem.contains(&first.url()) && problem.contains(&second.url()), "{problem}");
    assert!(second.state().clients.is_empty());
    instance.cli_ok(&["identity", "reset", "--yes"]);
    second.wait_for("/token", 1);
    assert_eq!(wait_state(&instance, "unclaimed")["issuer"], second.url());
    assert!(first.state().clients.is_empty());
}

#[test]
fn what_is_configured_badly_ends_with_78() {
    for more in ["proxy = 'socks5://127.0.0.1:1'", "client_secret_file = '/nowhere'", "ca = ['/nowhere']"] {
        let dir = TempDir::new("bad");
        let (_, log) = Instance::try_start(dir.path(), &options("https://hub.example", more)).err().expect(more);
        assert!(log.contains("identity."), "{more}: {log}");
    }
}
