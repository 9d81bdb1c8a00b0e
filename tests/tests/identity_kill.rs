//! Instance and hub killed at each step of registration and of a change of it: no client is left behind that nobody has,
//! and no credential is lost. The hub has room for one client only, so that a second one would be refused.

use merlon_tests::TempDir;
use merlon_tests::hub::{self, Hub};
use merlon_tests::instance::{Instance, Options, wait_for};
use merlon_tests::relay::{At, Relay};
use serde_json::Value;

/// Every step of a registration, up to the first report.
const STEPS: [(&str, At); 8] = [
    ("GET /.well-known/", At::Request),
    ("GET /.well-known/", At::Answer),
    ("POST /register", At::Request),
    ("POST /register", At::Answer),
    ("POST /token", At::Request),
    ("POST /token", At::Answer),
    ("PUT /api/instance", At::Request),
    ("PUT /api/instance", At::Answer),
];

/// Every step of a change of the registration.
const CHANGE: [(&str, At); 4] = [
    ("GET /register/", At::Request),
    ("GET /register/", At::Answer),
    ("PUT /register/", At::Request),
    ("PUT /register/", At::Answer),
];

fn small_hub(relay: &Relay) -> (Hub, hub::Options) {
    let options =
        hub::Options { config: "[hub]\nclients = 1\n".into(), arguments: vec!["--issuer".into(), relay.url()] };
    let hub = Hub::with(&options);
    relay.to(hub.address);
    (hub, options)
}

fn named(relay: &Relay, name: &str) -> Options {
    Options { config: format!("[identity]\nissuer = '{}'\nname = '{name}'\n", relay.url()), ..Options::default() }
}

/// The id of the client, once the instance is registered and nothing is wrong.
fn client_id(instance: &Instance) -> String {
    wait_for("a registration", || {
        let status: Value = serde_json::from_str(&instance.cli_ok(&["status", "--json"])).unwrap();
        let identity = &status["identity"];
        (identity["state"] == "unclaimed" && identity["problem"].is_null())
            .then(|| identity["client_id"].as_str().unwrap().to_owned())
    })
}

#[test]
fn an_instance_killed_at_any_step_of_its_registration_leaves_no_client_behind() {
    for (step, at) in STEPS {
        let relay = Relay::new();
        let (_hub, _) = small_hub(&relay);
        let dir = TempDir::new("killed");
        relay.hold(step, at);
        let mut instance = Instance::start(dir.path(), &named(&relay, "one"));
        relay.wait_held(step);
        instance.kill();
        drop(instance);
        relay.release(step);
        let seen = relay.relayed().len();
        let instance = Instance::start(dir.path(), &named(&relay, "one"));
        // It reports with a token of its own: credentials and registration are good.
        relay.wait_relayed("PUT /api/instance", 200, seen);
        client_id(&instance);
        assert!(relay.relayed().iter().all(|one| one.status != 503), "{step} {at:?}: {:?}", relay.relayed());
    }
}

#[test]
fn a_hub_killed_at_any_step_of_a_registration_has_one_client_in_the_end() {
    for (step, at) in STEPS {
        let relay = Relay::new();
        let (mut hub, options) = small_hub(&relay);
        relay.hold(step, at);
        let instance = Instance::with(&named(&relay, "one"));
        relay.wait_held(step);
        let seen = relay.relayed().len();
        hub.kill();
        hub.restart(&options);
        relay.to(hub.address);
        relay.release(step);
        relay.wait_relayed("PUT /api/instance", 200, seen);
        client_id(&instance);
        let refused = relay.relayed().into_iter().filter(|one| one.line == "POST /register" && one.status == 503);
        assert_eq!(refused.count(), 0, "{step} {at:?}");
    }
}

#[test]
fn an_instance_killed_at_any_step_of_a_change_can_still_manage_its_registration() {
    let relay = Relay::new();
    let (_hub, _) = small_hub(&relay);
    let dir = TempDir::new("changed");
    let mut instance = Instance::start(dir.path(), &named(&relay, "name-0"));
    let mut seen = relay.wait_relayed("PUT /api/instance", 200, 0);
    let id = client_id(&instance);
    for (number, (step, at)) in CHANGE.into_iter().enumerate() {
        instance.stop();
        drop(instance);
        relay.hold(step, at);
        let name = format!("name-{}", number + 1);
        let mut killed = Instance::start(dir.path(), &named(&relay, &name));
        relay.wait_held(step);
        killed.kill();
        drop(killed);
        relay.release(step);
        instance = Instance::start(dir.path(), &named(&relay, &name));
        seen = relay.wait_relayed("PUT /register/", 200, seen);
        seen = relay.wait_relayed("PUT /api/instance", 200, seen);
        assert_eq!(client_id(&instance), id, "{step} {at:?}");
    }
    // The token that came last is good for one more change.
    instance.stop();
    drop(instance);
    let instance = Instance::start(dir.path(), &named(&relay, "the last"));
    relay.wait_relayed("PUT /register/", 200, seen);
    assert_eq!(client_id(&instance), id);
    assert!(relay.relayed().iter().all(|one| one.status != 401), "{:?}", relay.relayed());
}
