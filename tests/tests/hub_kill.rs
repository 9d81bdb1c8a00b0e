//! A hub that is killed, all of its processes at once, while it registers, rotates, redeems and refreshes: whatever the
//! client did not hear of, it can ask for again, or it learns that it is over. Nothing is given twice and nothing is left
//! behind. When exactly a kill hits is chance; what must hold does not depend on it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use merlon_jose::proof::{ProofKey, ToProve};
use merlon_tests::browser::{Browser, approve_device, first_account};
use merlon_tests::hub::{Hub, Options, encode};
use serde_json::{Value, json};

const ROUNDS: u64 = 12;
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What came back, if anything did.
type Heard = Option<(u16, Value)>;

/// Does `ask` on a thread of its own and kills the hub meanwhile, a little later in each round; then starts it again.
fn killed_during(hub: &mut Hub, options: &Options, round: u64, ask: impl FnOnce(SocketAddr) -> Heard + Send) -> Heard {
    let address = hub.address;
    let heard = thread::scope(|scope| {
        let asking = scope.spawn(move || ask(address));
        thread::sleep(Duration::from_micros(round * round * 150));
        hub.kill();
        asking.join().unwrap()
    });
    hub.restart(options);
    // The keeper was the first to die, and the hub said that nothing was done.
    heard.filter(|(status, _)| *status != 503)
}

/// One request on a connection of its own, whose answer may never come.
fn ask(address: SocketAddr, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Heard {
    let mut stream = TcpStream::connect(address).ok()?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    // An answer that was cut is none.
    Some((status, serde_json::from_str(body).ok()?))
}

fn form(parameters: &[(&str, &str)]) -> String {
    let pairs = parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// An instance as its hub sees it.
struct Instance {
    key: ProofKey,
    id: String,
    basic: String,
    registration_token: String,
}

fn metadata(key: &ProofKey) -> Value {
    json!({
        "client_name": "lab",
        "software_id": "merlon",
        "software_version": "0.1.0",
        "grant_types": ["client_credentials", DEVICE, "refresh_token"],
        "response_types": [],
        "redirect_uris": [],
        "token_endpoint_auth_method": "client_secret_basic",
        "jwks": { "keys": [key.public().to_json()] },
    })
}

fn register(key: &ProofKey, issuer: &str, address: SocketAddr) -> Heard {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let url = format!("{issuer}/register");
    let what = ToProve { method: "POST", url: &url, now, access_token: None, nonce: None };
    let proof = key.prove(&what).unwrap();
    let fields = [("Content-Type", "application/json"), ("DPoP", proof.as_str())];
    ask(address, "POST", "/register", &fields, &metadata(key).to_string())
}

fn registered(hub: &Hub) -> Instance {
    let key = ProofKey::generate().unwrap();
    let (status, answer) = register(&key, &hub.issuer, hub.address).unwrap();
    assert_eq!(status, 201, "{answer}");
    let text = |member: &str| answer[member].as_str().unwrap().to_owned();
    let (id, secret) = (text("client_id"), text("client_secret"));
    let basic = format!("Basic {}", BASE64.encode(format!("{}:{}", encode(&id), encode(&secret)).as_bytes()));
    Instance { key, id, basic, registration_token: text("registration_access_token") }
}

impl Instance {
    fn post(&self, address: SocketAddr, path: &str, parameters: &[(&str, &str)]) -> Heard {
        let fields = [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", self.basic.as_str())];
        ask(address, "POST", path, &fields, &form(parameters))
    }

    /// A device code that somebody has approved.
    fn approved(&self, hub: &Hub, browser: &mut Browser) -> String {
        let asked = self.post(hub.address, "/device_authorization", &[("merlon_claim", "1"), ("merlon_label", "test")]);
        let (status, answer) = asked.unwrap();
        assert_eq!(status, 200, "{answer}");
        let page = approve_device(browser, answer["user_code"].as_str().unwrap());
        assert_eq!(page.status, 200, "{}", page.text());
        answer["device_code"].as_str().unwrap().to_owned()
    }

    fn redeem(&self, address: SocketAddr, code: &str) -> Heard {
        self.post(address, "/token", &[("grant_type", DEVICE), ("device_code", code)])
    }

    fn refresh(&self, address: SocketAddr, token: &str) -> Heard {
        self.post(address, "/token", &[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    fn is_active(&self, hub: &Hub, token: &str) -> bool {
        let (status, answer) = self.post(hub.address, "/introspect", &[("token", token)]).unwrap();
        assert_eq!(status, 200, "{answer}");
        answer["active"].as_bool().unwrap()
    }
}

#[test]
fn a_registration_that_was_cut_leaves_no_orphan() {
    let options = Options { config: "[hub]\nclients = 2\n".into(), ..Options::default() };
    let mut hub = Hub::with(&options);
    let key = ProofKey::generate().unwrap();
    let issuer = hub.issuer.clone();
    let mut heard = 0;
    for round in 0..ROUNDS {
        let answered = killed_during(&mut hub, &options, round, |address| register(&key, &issuer, address));
        if let Some((status, answer)) = answered {
            assert_eq!(status, 201, "round {round}: {answer}");
            heard += 1;
        }
    }
    println!("{heard} of {ROUNDS} registrations were answered before the kill");
    // The hub takes two clients: had the rounds left more than the newest of this key, these would be refused.
    let (status, answer) = register(&key, &issuer, hub.address).unwrap();
    assert_eq!(status, 201, "{answer}");
    let (status, answer) = register(&ProofKey::generate().unwrap(), &issuer, hub.address).unwrap();
    assert_eq!(status, 201, "{answer}");
    let (status, _) = register(&ProofKey::generate().unwrap(), &issuer, hub.address).unwrap();
    assert_ne!(status, 201, "a third client is beyond the limit");
}

#[test]
fn a_rotation_of_the_registration_token_that_was_cut_locks_nobody_out() {
    let options = Options::default();
    let mut hub = Hub::new();
    let instance = registered(&hub);
    let mut token = instance.registration_token.clone();
    let path = format!("/register/{}", instance.id);
    for round in 0..ROUNDS {
        let mut wanted = metadata(&instance.key);
        wanted["client_id"] = instance.id.clone().into();
        wanted["client_name"] = format!("lab {round}").into();
        let bearer = format!("Bearer {token}");
        let put = |address| {
            let fields = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
            ask(address, "PUT", &path, &fields, &wanted.to_string())
        };
        let heard = killed_during(&mut hub, &options, round, put);
        if let Some((status, answer)) = &heard {
            assert_eq!(*status, 200, "round {round}: {answer}");
            token = answer["registration_access_token"].as_str().unwrap().to_owned();
        }
        // With what the client holds, new or old, it goes on.
        let bearer = format!("Bearer {token}");
        let (status, answer) = ask(hub.address, "GET", &path, &[("Authorization", bearer.as_str())], "").unwrap();
        assert_eq!(status, 200, "round {round}: {answer}");
        if heard.is_some() {
            assert_eq!(answer["client_name"], format!("lab {round}"), "what was answered was done");
        }
        if let Some(next) = answer["registration_access_token"].as_str() {
            token = next.to_owned();
        }
    }
}

#[test]
fn a_device_code_is_redeemed_once_however_the_hub_dies() {
    let options = Options::default();
    let mut hub = Hub::new();
    let mut browser = first_account(&hub, "alice");
    let instance = registered(&hub);
    let (mut first, mut second, mut neither) = (0, 0, 0);
    for round in 0..ROUNDS {
        let code = instance.approved(&hub, &mut browser);
        let heard = killed_during(&mut hub, &options, round, |address| instance.redeem(address, &code));
        let (status, again) = instance.redeem(hub.address, &code).unwrap();
        match (heard, status) {
            (Some((200, tokens)), _) => {
                assert_eq!(again["error"], "invalid_grant", "round {round}: redeemed twice");
                let token = tokens["access_token"].as_str().unwrap();
                assert!(!instance.is_active(&hub, token), "a second use ends what came of the first");
                first += 1;
            }
            (Some(other), _) => panic!("round {round}: {other:?}"),
            (None, 200) => {
                assert!(instance.is_active(&hub, again["access_token"].as_str().unwrap()));
                second += 1;
            }
            (None, _) => {
                assert_eq!(again["error"], "invalid_grant", "round {round}: {again}");
                neither += 1;
            }
        }
    }
    println!("tokens before the kill {first}, after it {second}, redeemed but not heard {neither}");
    // Who heard nothing signs in again.
    let code = instance.approved(&hub, &mut browser);
    assert_eq!(instance.redeem(hub.address, &code).unwrap().0, 200);
}

#[test]
fn a_refresh_that_was_cut_can_be_asked_for_again() {
    // Longer than any start of a hub takes here.
    let options = Options { config: "[hub]\nrefresh_grace_seconds = 300\n".into(), ..Options::default() };
    let mut hub = Hub::with(&options);
    let mut browser = first_account(&hub, "alice");
    let instance = registered(&hub);
    let code = instance.approved(&hub, &mut browser);
    let (status, tokens) = instance.redeem(hub.address, &code).unwrap();
    assert_eq!(status, 200, "{tokens}");
    let mut token = tokens["refresh_token"].as_str().unwrap().to_owned();
    let mut unheard = 0;
    for round in 0..ROUNDS {
        let heard = killed_during(&mut hub, &options, round, |address| instance.refresh(address, &token));
        let next = |answer: &Value| answer["refresh_token"].as_str().unwrap().to_owned();
        if let Some((status, answer)) = &heard {
            assert_eq!(*status, 200, "round {round}: {answer}");
        } else {
            unheard += 1;
        }
        // Asked again, the hub gives the same successor: there is one.
        let (status, answer) = instance.refresh(hub.address, &token).unwrap();
        assert_eq!(status, 200, "round {round}: {answer}");
        if let Some((_, before)) = &heard {
            assert_eq!(next(before), next(&answer), "round {round}");
        }
        assert!(instance.is_active(&hub, answer["access_token"].as_str().unwrap()));
        token = next(&answer);
    }
    println!("{unheard} of {ROUNDS} refreshes were not heard");
}
