//! `merlon` signs in at an instance of ours that is registered with a hub of ours: from the claim to the end of a session.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use merlon_tests::TempDir;
use merlon_tests::browser::{Browser, approve_device, deny_device, first_account, invited_account};
use merlon_tests::hub::{self, Hub};
use merlon_tests::instance::{Instance, Options, wait_for};
use merlon_tests::process::{output, program, stderr, stdout};
use serde_json::Value;

const HUB: &str = "[hub]\naccess_seconds = 30\ndevice_interval = 1\n";

/// A hub, an instance that is registered with it, and its first account.
struct World {
    hub: Hub,
    instance: Instance,
    alice: Browser,
}

impl World {
    fn new() -> Self {
        let hub = Hub::with(&hub::Options { config: HUB.to_owned(), ..hub::Options::default() });
        let config = format!("[identity]\nissuer = '{}'\nname = 'lab'\nrecheck_seconds = 5\n", hub.issuer);
        let instance = Instance::with(&Options { config, ..Options::default() });
        let alice = first_account(&hub, "alice");
        let world = Self { hub, instance, alice };
        world.is_registered();
        world
    }

    fn is_registered(&self) {
        wait_for("the registration", || {
            let out = self.instance.cli_ok(&["identity", "show", "--json"]);
            let info: Value = serde_json::from_str(&out).unwrap();
            (info["state"] == "unclaimed").then_some(())
        });
    }

    fn claim_code(&self) -> String {
        self.instance.cli_ok(&["claim-code"]).trim().to_owned()
    }
}

/// Somebody on another machine.
struct User {
    home: TempDir,
}

/// A sign-in that waits for its approval.
struct Login {
    child: Child,
    out: BufReader<ChildStdout>,
    user_code: String,
}

impl User {
    fn new() -> Self {
        Self { home: TempDir::new("home") }
    }

    fn command(&self, world: &World, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("merlon"));
        command.env_clear().env("HOME", self.home.path()).stdin(Stdio::null());
        command.args(["--url", &world.instance.ready.api, "--ca-file"]).arg(&world.instance.ready.ca).args(arguments);
        command
    }

    fn run(&self, world: &World, arguments: &[&str]) -> Output {
        output(&mut self.command(world, arguments))
    }

    #[track_caller]
    fn ends(&self, world: &World, arguments: &[&str], code: i32, says: &str) -> String {
        let ran = self.run(world, arguments);
        let (out, err) = (stdout(&ran), stderr(&ran));
        assert_eq!(ran.status.code(), Some(code), "{arguments:?}: {out}{err}");
        assert!(format!("{out}{err}").contains(says), "{arguments:?}: `{says}` is not in {out}{err}");
        out
    }

    fn begin(&self, world: &World, more: &[&str]) -> Login {
        let mut command = self.command(world, &[&["login", "--json"], more].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        if line.is_empty() {
            let ran = child.wait_with_output().unwrap();
            panic!("no code: {}", stderr(&ran));
        }
        let told: Value = serde_json::from_str(&line).unwrap();
        let user_code = told["user_code"].as_str().unwrap().to_owned();
        Login { child, out, user_code }
    }

    fn who(&self, world: &World) -> Value {
        serde_json::from_str(&self.ends(world, &["whoami", "--json"], 0, "")).unwrap()
    }

    fn file(&self, name: &str, content: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path: PathBuf = self.home.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Login {
    /// Exit code, and what it said.
    fn end(mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut self.out, &mut text).unwrap();
        let ran = self.child.wait_with_output().unwrap();
        (ran.status.code(), text + &stderr(&ran))
    }
}

#[test]
fn a_session_from_the_claim_to_the_end() {
    let mut world = World::new();
    let user = User::new();
    user.ends(&world, &["whoami"], 4, "login");
    let wrong = user.file("wrong", "AAAA-AAAA-AAAA\n");
    user.ends(&world, &["login", "--claim-code-file", &wrong], 5, "claim code is wrong");

    let code = user.file("code", &world.claim_code());
    let login = user.begin(&world, &["--claim-code-file", &code]);
    approve_device(&mut world.alice, &login.user_code);
    let (status, said) = login.end();
    assert_eq!(status, Some(0), "{said}");
    let me = user.who(&world);
    assert_eq!(
        (me["kind"].as_str(), me["role"].as_str(), me["name"].as_str()),
        (Some("session"), Some("owner"), Some("alice")),
        "{me}"
    );
    assert_eq!(me["session"]["bound"], true, "our hub binds tokens: {me}");
    assert!(world.instance.cli(&["claim-code"]).status.code() == Some(3), "the code is used up");
    user.ends(&world, &["status"], 0, "recording");
    let first = me["session"]["refreshed"].clone();
    let id = me["session"]["id"].as_str().unwrap().to_owned();
    assert!(user.ends(&world, &["session", "list"], 0, "alice").contains(&id));

    // The access token lives for 30 seconds; nobody notices that it is replaced.
    wait_for("a refresh", || (user.who(&world)["session"]["refreshed"] != first).then_some(()));
    let kept = std::fs::read_dir(user.home.path().join(".local/state/merlon/sessions")).unwrap().flatten();
    let kept: Vec<_> =
        kept.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    assert_eq!(kept.len(), 1);

    user.ends(&world, &["logout"], 0, "signed out");
    user.ends(&world, &["whoami"], 4, "login");
    assert!(!stdout(&world.instance.cli(&["session", "list"])).contains(&id));
    assert!(!world.alice.get("/sessions").text().contains("merlon on"), "it has ended at the hub, too");
}

#[test]
fn others_are_let_in_by_the_owner_and_put_out_at_the_hub() {
    let mut world = World::new();
    let (owner, user) = (User::new(), User::new());
    let mut bob = invited_account(&mut world.alice, "bob");
    let code = owner.file("code", &world.claim_code());
    let login = owner.begin(&world, &["--claim-code-file", &code]);
    approve_device(&mut world.alice, &login.user_code);
    assert_eq!(login.end().0, Some(0));

    let login = user.begin(&world, &[]);
    deny_device(&mut world.alice, &login.user_code);
    let (status, said) = login.end();
    assert!(status == Some(5) && said.contains("The sign-in was denied"), "{said}");

    let login = user.begin(&world, &[]);
    approve_device(&mut bob, &login.user_code);
    let (status, said) = login.end();
    assert!(status == Some(5) && said.contains("not shared"), "{said}");

    let link = world.alice.get("/").body.split("\"/instances/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let path = format!("/instances/{link}");
    let page = world.alice.get(&path);
    let _ = world.alice.submit(&page, &format!("{path}/share"), &[("name", "bob"), ("role", "viewer")]);
    let login = user.begin(&world, &[]);
    approve_device(&mut bob, &login.user_code);
    let (status, said) = login.end();
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(user.who(&world)["role"], "viewer");
    user.ends(&world, &["project", "create", "x"], 5, "config");
    user.ends(&world, &["session", "list"], 5, "instance:admin");

    // Put out at the hub: noticed within `identity.recheck_seconds`.
    let page = bob.get("/sessions");
    let page = bob.submit(&page, "/sessions/end", &[]);
    assert!(page.text().contains("The session has ended."), "{}", page.text());
    wait_for("the end of the session", || (user.run(&world, &["whoami"]).status.code() == Some(4)).then_some(()));
    // Put out by the owner: at once.
    let login = user.begin(&world, &[]);
    approve_device(&mut bob, &login.user_code);
    assert_eq!(login.end().0, Some(0));
    let id = user.who(&world)["session"]["id"].as_str().unwrap().to_owned();
    owner.ends(&world, &["session", "revoke", &id], 0, "ended session");
    user.ends(&world, &["whoami"], 4, "login");
}

#[test]
fn a_personal_access_token_signs_a_script_in() {
    let mut world = World::new();
    let user = User::new();
    let code = user.file("code", &world.claim_code());
    let login = user.begin(&world, &["--claim-code-file", &code]);
    approve_device(&mut world.alice, &login.user_code);
    assert_eq!(login.end().0, Some(0));

    let page = world.alice.get("/tokens");
    let made = world.alice.submit(&page, "/tokens", &[("label", "nightly"), ("days", "30"), ("scope", "flows:read")]);
    let token = made.text().split_whitespace().find(|word| word.starts_with("mhp_")).unwrap().to_owned();
    let script = User::new();
    let file = script.file("pat", &token);
    let issuer = world.hub.issuer.clone();
    let arguments = ["login", "--with-token-file", &file, "--issuer", &issuer];
    script.ends(&world, &arguments, 0, "approving the sign-in at `lab`");
    let me = script.who(&world);
    assert_eq!((me["role"].as_str(), &me["scopes"]), (Some("owner"), &serde_json::json!(["flows:read"])), "{me}");
    script.ends(&world, &["project", "create", "x"], 5, "config");
}

#[test]
fn an_instance_that_was_deleted_says_so_and_comes_back_by_a_reset() {
    let mut world = World::new();
    let user = User::new();
    let old = world.claim_code();
    let code = user.file("code", &old);
    let login = user.begin(&world, &["--claim-code-file", &code]);
    approve_device(&mut world.alice, &login.user_code);
    assert_eq!(login.end().0, Some(0));

    let link = world.alice.get("/").body.split("\"/instances/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let path = format!("/instances/{link}");
    let page = world.alice.get(&path);
    let _ = world.alice.submit(&page, &format!("{path}/delete"), &[]);
    user.ends(&world, &["login"], 1, "merlon identity reset");
    let reset = world.instance.cli(&["identity", "reset", "--yes"]);
    assert_eq!(reset.status.code(), Some(0), "{}", stderr(&reset));
    world.is_registered();
    assert_ne!(world.claim_code(), old);
    let code = user.file("code", &world.claim_code());
    let login = user.begin(&world, &["--claim-code-file", &code]);
    approve_device(&mut world.alice, &login.user_code);
    assert_eq!(login.end().0, Some(0));
    assert_eq!(user.who(&world)["role"], "owner");
}

#[test]
fn the_fingerprint_of_the_ca_is_enough_to_know_an_instance() {
    let instance = Instance::new();
    let home = TempDir::new("home");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program("merlon"));
        output(command.env_clear().env("HOME", home.path()).stdin(Stdio::null()).args(arguments))
    };
    let pin = instance.cli_ok(&["ca", "fingerprint"]).trim().to_owned();
    let api = instance.ready.api.as_str();
    let wrong = format!("{}{}", if pin.starts_with('0') { "1" } else { "0" }, &pin[1..]);
    let refused = run(&["instance", "add", "lab", "--url", api, "--pin", &wrong]);
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("none of its certificates has the fingerprint"), "{}", stderr(&refused));
    let unknown = run(&["instance", "add", "lab", "--url", api]);
    assert_eq!(unknown.status.code(), Some(1), "its CA is none of the system's: {}", stderr(&unknown));

    let added = run(&["instance", "add", "lab", "--url", api, "--pin", &pin]);
    assert_eq!(added.status.code(), Some(0), "{}", stderr(&added));
    let shown = run(&["--instance", "lab", "identity", "show", "--json"]);
    assert!(stdout(&shown).contains("\"state\":\"local\""), "{}", stderr(&shown));
    assert_eq!(run(&["--instance", "lab", "login"]).status.code(), Some(1));
}
