//! Hub and instance killed, all of their processes at once, while somebody signs in or refreshes: no session that nobody
//! began, none that is lost though its client holds its tokens, none that is there twice. When exactly a kill hits is
//! chance; what must hold does not depend on it.

use std::path::Path;
use std::thread;
use std::time::Duration;

use merlon_tests::TempDir;
use merlon_tests::browser::{Browser, approve_device, first_account};
use merlon_tests::hub::{self, Hub};
use merlon_tests::instance::Instance;
use merlon_tests::person::{self, SignIn, ask, get, refresh, text};
use serde_json::{Value, json};

const ROUNDS: u64 = 6;
const WHOAMI: &str = "/api/v1/whoami";

fn start(dir: &Path, hub: &Hub) -> Instance {
    let instance = Instance::start(dir, &person::options(&hub.issuer, ""));
    person::wait_registered(&instance);
    instance
}

/// Signs in to the end, as often as it takes: what a kill cut short is begun again.
fn sign_in(instance: &Instance, browser: &mut Browser) -> Value {
    let more = match ask(instance, "GET", "/api/v1/identity", &[], &Value::Null).json["state"].as_str() {
        Some("unclaimed") => json!({ "claim_code": person::claim_code(instance) }),
        _ => json!({}),
    };
    let sign_in = SignIn::start(instance, &more).unwrap();
    approve_device(browser, text(&sign_in.started, "user_code"));
    let answer = sign_in.finish(instance);
    assert_eq!(answer.status, 200, "{answer:?}\n{}", instance.log());
    answer.json
}

fn sessions(instance: &Instance) -> Vec<String> {
    let text = instance.cli_ok(&["session", "list", "--json"]);
    let mut ids: Vec<String> = Vec::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let listed = value["sessions"].as_array().cloned().unwrap_or_else(|| vec![value]);
        ids.extend(listed.iter().map(|session| person::text(session, "id").to_owned()));
    }
    ids
}

/// One request on another thread, whose answer may never come.
fn meanwhile<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::spawn(ask)
}

fn options() -> hub::Options {
    hub::Options { config: "[hub]\ndevice_interval = 1\n".into(), ..hub::Options::default() }
}

/// Polls until there are tokens or nobody answers any more.
fn poll(address: std::net::SocketAddr, path: &str, body: &Value) -> Option<Value> {
    loop {
        let answer = send(address, path, body)?;
        if answer.get("access_token").is_some() {
            return Some(answer);
        }
    }
}

/// One request; the answer, if it came whole.
fn send(address: std::net::SocketAddr, path: &str, body: &Value) -> Option<Value> {
    use std::io::{Read as _, Write as _};
    let body = body.to_string();
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 20").then(|| serde_json::from_str(body).ok())?
}

#[test]
fn an_instance_that_dies_while_somebody_claims_it_is_claimed_once_and_by_them() {
    let hub = Hub::with(&options());
    let mut ada = first_account(&hub, "ada");
    for round in 0..ROUNDS {
        let dir = TempDir::new("claim-kill");
        let mut instance = start(dir.path(), &hub);
        let more = json!({ "claim_code": person::claim_code(&instance) });
        let begun = SignIn::start(&instance, &more).unwrap();
        approve_device(&mut ada, text(&begun.started, "user_code"));
        let (address, path) = (person::address(&instance), format!("/api/v1/sign-ins/{}/poll", begun.id));
        let body = json!({ "verifier": begun.verifier });
        // The instance relays the first poll after the interval of a second.
        let polling = meanwhile(move || poll(address, &path, &body));
        thread::sleep(Duration::from_millis(990 + round * round * 4));
        instance.kill();
        let heard = polling.join().unwrap();
        drop(instance);

        let instance = start(dir.path(), &hub);
        match heard {
            // Who has tokens has a session.
            Some(signed_in) => {
                assert_eq!(get(&instance, WHOAMI, text(&signed_in, "access_token")).status, 200, "round {round}");
                assert_eq!(sessions(&instance), [text(&signed_in["session"], "id")]);
            }
            // Who has none begins again, and becomes owner as before.
            None => {
                let signed_in = sign_in(&instance, &mut ada);
                assert_eq!(text(&signed_in["session"], "role"), "owner", "round {round}");
                assert!(sessions(&instance).contains(&text(&signed_in["session"], "id").to_owned()));
                assert!(sessions(&instance).len() <= 2, "one that nobody holds, at most");
            }
        }
        assert_eq!(instance.cli(&["claim-code"]).status.code(), Some(3), "it is used up");
    }
}

#[test]
fn an_instance_that_dies_while_it_refreshes_loses_no_session_and_doubles_none() {
    let hub = Hub::new();
    let mut ada = first_account(&hub, "ada");
    let dir = TempDir::new("refresh-kill");
    let mut instance = start(dir.path(), &hub);
    let mut held = sign_in(&instance, &mut ada);
    for round in 0..ROUNDS {
        let (address, body) = (person::address(&instance), json!({ "refresh_token": held["refresh_token"] }));
        let refreshing = meanwhile(move || send(address, "/api/v1/sign-ins/refresh", &body));
        thread::sleep(Duration::from_millis(round * round * 3));
        instance.kill();
        let heard = refreshing.join().unwrap();
        drop(instance);
        instance = start(dir.path(), &hub);
        // Who heard nothing asks again with the token that is held.
        let newest = heard.unwrap_or_else(|| held.clone());
        let next = refresh(&instance, text(&newest, "refresh_token"));
        assert_eq!(next.status, 200, "round {round}: {next:?}\n{}", instance.log());
        held = next.json;
        assert_eq!(sessions(&instance), [text(&held["session"], "id")], "round {round}");
        assert_eq!(get(&instance, WHOAMI, text(&held, "access_token")).status, 200);
    }
}

#[test]
fn a_hub_that_dies_while_an_instance_refreshes_or_signs_in_costs_no_session() {
    let mut hub = Hub::new();
    let mut ada = first_account(&hub, "ada");
    let dir = TempDir::new("hub-kill");
    let instance = start(dir.path(), &hub);
    let mut held = sign_in(&instance, &mut ada);
    for round in 0..ROUNDS {
        let (address, body) = (person::address(&instance), json!({ "refresh_token": held["refresh_token"] }));
        let refreshing = meanwhile(move || send(address, "/api/v1/sign-ins/refresh", &body));
        thread::sleep(Duration::from_millis(round * round * 3));
        hub.kill();
        let heard = refreshing.join().unwrap();
        hub.restart(&hub::Options::default());
        let newest = heard.unwrap_or_else(|| held.clone());
        let next = refresh(&instance, text(&newest, "refresh_token"));
        assert_eq!(next.status, 200, "round {round}: {next:?}\n{}", instance.log());
        held = next.json;
        assert_eq!(sessions(&instance), [text(&held["session"], "id")], "round {round}");
    }
    // A sign-in that was under way when the hub died goes on: device codes are durable there.
    let begun = SignIn::start(&instance, &json!({})).unwrap();
    hub.kill();
    hub.restart(&hub::Options::default());
    approve_device(&mut ada, text(&begun.started, "user_code"));
    let answer = merlon_tests::instance::wait_for("the tokens", || {
        Some(begun.poll(&instance, &[])).filter(|answer| !matches!(answer.status, 202 | 503))
    });
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(sessions(&instance).len(), 2);
}
