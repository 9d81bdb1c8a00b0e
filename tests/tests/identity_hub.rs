//! An instance at a hub of ours, as its people see it: claimed by a registration key without a human, given other
//! credentials, deleted at the dashboard and back by a reset.

use std::path::Path;

use merlon_tests::TempDir;
use merlon_tests::browser::{Browser, first_account};
use merlon_tests::hub::{self, Hub};
use merlon_tests::instance::{Instance, Options, wait_for};
use merlon_tests::process::signal;
use merlon_tests::relay::{At, Relay};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A hub behind a relay, with one account.
struct Place {
    relay: Relay,
    _hub: Hub,
    ann: Browser,
}

impl Place {
    fn new() -> Self {
        let relay = Relay::new();
        let options = hub::Options { arguments: vec!["--issuer".into(), relay.url()], ..hub::Options::default() };
        let hub = Hub::with(&options);
        relay.to(hub.address);
        let ann = first_account(&hub, "ann");
        Self { relay, _hub: hub, ann }
    }

    /// A registration key for one use, in a file.
    fn key(&mut self, dir: &Path) -> String {
        let page = self.ann.get("/keys");
        let made = self.ann.submit(&page, "/keys", &[("label", "a box"), ("days", "1")]);
        let text = made.text();
        let key = text.split_whitespace().find(|word| word.starts_with("mhk_")).unwrap_or_else(|| panic!("{text}"));
        let file = dir.join("registration-key");
        std::fs::write(&file, format!("{key}\n")).unwrap();
        file.display().to_string()
    }

    fn options(&self, more: &str) -> Options {
        Options {
            config: format!("[identity]\nissuer = '{}'\nname = 'box'\n{more}", self.relay.url()),
            ..Options::default()
        }
    }

    /// Does something to the only instance at the dashboard.
    fn act(&mut self, id: &str, what: &str) {
        let page = self.ann.get(&format!("/instances/{id}"));
        let done = self.ann.submit(&page, &format!("/instances/{id}/{what}"), &[]);
        assert_eq!(done.status, 200, "{}", done.text());
    }
}

fn wait_state(instance: &Instance, state: &str) -> Value {
    wait_for(&format!("the state {state}"), || {
        let status: Value = serde_json::from_str(&instance.cli_ok(&["status", "--json"])).unwrap();
        let identity = status["identity"].clone();
        (identity["state"] == state).then_some(identity)
    })
}

fn reload(instance: &Instance) {
    signal(instance.process("merlond"), Signal::SIGHUP);
}

#[test]
fn a_registration_key_claims_the_instance_for_its_maker_and_is_used_once() {
    let mut place = Place::new();
    let dir = TempDir::new("key");
    let file = place.key(dir.path());
    let options = place.options(&format!("registration_key_file = '{file}'"));
    let instance = Instance::with(&options);
    let identity = wait_state(&instance, "claimed");
    assert_eq!(identity["owner"], "ann");
    assert!(place.ann.get("/").text().contains("box"));

    let other = Instance::with(&options);
    let refused = wait_for("a refusal", || {
        let status: Value = serde_json::from_str(&other.cli_ok(&["status", "--json"])).unwrap();
        status["identity"]["problem"].as_str().map(str::to_owned)
    });
    assert!(refused.contains("used up"), "{refused}");
}

#[test]
fn a_registration_key_survives_a_kill_before_its_answer() {
    let mut place = Place::new();
    let dir = TempDir::new("lost");
    let file = place.key(dir.path());
    let options = place.options(&format!("registration_key_file = '{file}'"));
    let data = TempDir::new("data");
    place.relay.hold("POST /register", At::Answer);
    let mut instance = Instance::start(data.path(), &options);
    place.relay.wait_held("POST /register");
    instance.kill();
    drop(instance);
    place.relay.release("POST /register");
    let instance = Instance::start(data.path(), &options);
    assert_eq!(wait_state(&instance, "claimed")["owner"], "ann");
}

#[test]
fn credentials_rotated_at_the_dashboard_reach_the_instance() {
    let mut place = Place::new();
    let dir = TempDir::new("rotate");
    let file = place.key(dir.path());
    let data = TempDir::new("data");
    let options = place.options(&format!("registration_key_file = '{file}'"));
    let mut instance = Instance::start(data.path(), &options);
    let mut seen = place.relay.wait_relayed("PUT /api/instance", 200, 0);
    let id = wait_state(&instance, "claimed")["client_id"].as_str().unwrap().to_owned();
    place.act(&id, "rotate");
    reload(&instance);
    seen = place.relay.wait_relayed(&format!("GET /register/{id}"), 200, seen);
    // With the new ones it goes on, and manages its registration.
    instance.stop();
    drop(instance);
    let renamed = Options { config: options.config.replace("'box'", "'crate'"), ..Options::default() };
    let instance = Instance::start(data.path(), &renamed);
    seen = place.relay.wait_relayed(&format!("PUT /register/{id}"), 200, seen);
    place.relay.wait_relayed("PUT /api/instance", 200, seen);
    assert_eq!(wait_state(&instance, "claimed")["problem"], Value::Null);
    assert!(place.ann.get("/").text().contains("crate"));
}

#[test]
fn an_instance_deleted_at_the_dashboard_says_so_and_comes_back_unclaimed_by_a_reset() {
    let mut place = Place::new();
    let dir = TempDir::new("delete");
    let file = place.key(dir.path());
    let instance = Instance::with(&place.options(&format!("registration_key_file = '{file}'")));
    place.relay.wait_relayed("PUT /api/instance", 200, 0);
    let id = wait_state(&instance, "claimed")["client_id"].as_str().unwrap().to_owned();
    place.act(&id, "delete");
    reload(&instance);
    let identity = wait_state(&instance, "deleted");
    assert!(identity["problem"].as_str().unwrap().contains("merlon identity reset"), "{identity}");
    assert!(instance.log().contains("does not know this instance any more"));

    instance.cli_ok(&["identity", "reset", "--yes"]);
    let now = wait_state(&instance, "unclaimed");
    assert_ne!(now["client_id"], id.as_str());
    assert_eq!(now["owner"], Value::Null);
}
