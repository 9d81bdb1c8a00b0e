//! `merlon instance add`, `use`, `list`, `remove` of remote instances; and the hub's keeper.

use std::os::unix::fs::PermissionsExt as _;

use merlon_wire::admin::{Request as AdminRequest, Response};
use merlon_wire::keeper::LockState;
use serde_json::json;

use crate::fake::{Instance, json as ok};
use crate::remote::{Home, Server, created, identity, started, tokens, who_am_i};

fn instance() -> Server {
    Server::new(|request, _| match request.line.as_str() {
        "GET /health" => ok(&json!({ "name": "merlon", "version": "0.1.0", "ready": true })),
        "GET /api/v1/identity" => ok(&identity("claimed", "https://hub.example", false)),
        "POST /api/v1/sign-ins" => created(&started()),
        "POST /api/v1/sign-ins/sig_1/poll" => ok(&tokens(1, "Bearer", 600)),
        "POST /api/v1/sign-out" => ok(&json!({ "revoked_at_issuer": true, "problem": null })),
        _ => ok(&who_am_i()),
    })
}

#[test]
fn a_named_instance_is_found_by_its_name_used_and_forgotten() {
    let server = instance();
    let home = Home::new();
    home.run(&["instance", "add", "lab", "--url", &server.url()]).ended(0, &["0.1.0 answers there", "added `lab`"]);
    let file = home.path().join(".config/merlon/instances.toml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    home.run(&["--instance", "lab", "login"]).ended(0, &["signed in as alice"]);
    home.run(&["instance", "use", "lab"]).ended(0, &["`lab` is meant"]);
    let ran = home.run(&["whoami"]);
    assert!(ran.code == Some(0) && ran.out.contains(&server.url()), "{ran:#?}");
    assert_eq!(server.asked_for("GET /api/v1/whoami")[0].field("Authorization"), Some("Bearer access-1"));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("default = \"lab\"") && !text.contains("access-") && !text.contains("refresh-"), "{text}");

    let list = home.run(&["instance", "list", "--json"]).out;
    let line = list.lines().find(|line| line.contains("\"lab\"")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["kind"], &line["in_use"], &line["signed_in"]), (&json!("remote"), &json!(true), &json!("alice")));
    assert!(home.run(&["instance", "list"]).out.contains("signed in as alice, role operator"));

    home.run(&["instance", "remove", "lab"]).ended(0, &["forgot `lab`", "signed out"]);
    assert_eq!(server.asked_for("POST /api/v1/sign-out").len(), 1);
    assert!(home.session_files().is_empty());
    home.run(&["whoami"]).ended(69, &["there is no instance"]);
}

#[test]
fn flags_and_environment_go_before_what_is_in_use() {
    let (used, other) = (instance(), instance());
    let home = Home::new();
    home.run(&["instance", "add", "lab", "--url", &used.url()]).ended(0, &[]);
    home.run(&["instance", "use", "lab"]).ended(0, &[]);
    home.run(&["--url", &other.url(), "whoami"]).ended(0, &[]);
    let mut command = home.command(&["whoami"]);
    crate::fake::Ran::of(command.env("MERLON_URL", other.url()).output().unwrap()).ended(0, &[]);
    assert_eq!(other.asked_for("GET /api/v1/whoami").len(), 2);
    home.run(&["instance", "use", "default"]).ended(0, &[]);
    home.run(&["whoami"]).ended(69, &[]);
    assert!(used.asked_for("GET /api/v1/whoami").is_empty());
}

#[test]
fn what_cannot_be_named_is_refused() {
    let home = Home::new();
    for wrong in [
        &["instance", "add", "lab"][..],
        &["instance", "add", "lab", "--url", "http://merlon.example"],
        &["instance", "add", "../x", "--url", "https://h"],
        &["instance", "add", "lab", "--url", "https://h", "--pin", "12"],
        &["instance", "add", "lab", "--url", "https://h", "--pin", "12", "--ca-file", "x"],
        &["--instance", "x", "instance", "add", "lab", "--url", "https://h"],
        &["--url", "https://h", "instance", "list"],
    ] {
        home.run(wrong).ended(2, &["error"]);
    }
    home.run(&["instance", "use", "nobody"]).ended(3, &["there is no instance `nobody`"]);
    assert!(!home.path().join(".config/merlon/instances.toml").exists());
    // One that cannot be reached today may be there tomorrow.
    home.run(&["instance", "add", "lab", "--url", "http://127.0.0.1:1"]).ended(0, &["named all the same"]);
    std::fs::create_dir_all(home.path().join(".local/share/merlon/mine/keeper")).unwrap();
    home.run(&["instance", "add", "mine", "--url", "http://127.0.0.1:1"]).ended(1, &["a local instance `mine`"]);
    let list = home.run(&["instance", "list", "--json"]).out;
    assert!(list.contains(r#""name":"mine","state":"inactive""#) && list.contains(r#""kind":"own""#), "{list}");
}

#[test]
fn a_broken_file_is_named_with_its_mistake() {
    let home = Home::new();
    std::fs::create_dir_all(home.path().join(".config/merlon")).unwrap();
    home.file(".config/merlon/instances.toml", "[remote.lab]\nadress = \"https://h\"\n");
    home.run(&["whoami"]).ended(1, &["instances.toml", "adress"]);
}

#[test]
fn a_hub_is_asked_for_its_keys_and_for_nothing_else() {
    let hub = Instance::keeper(|request| match request {
        AdminRequest::Status => crate::keeper::status(LockState::Unlocked, &["file"]),
        AdminRequest::ListKeyslots => Response::Keyslots(vec![crate::keeper::slot(1, "file")]),
        other => panic!("{other:?}"),
    });
    std::fs::create_dir_all(hub.dir.join("store")).unwrap();
    std::fs::write(hub.dir.join("store/hub.db"), "").unwrap();
    let ran = hub.run(&["status"]);
    ran.ended(0, &[]);
    assert!(ran.out.contains("hub in ") && ran.out.contains("its keeper is open"), "{ran:#?}");
    assert!(hub.run(&["status", "--json"]).out.contains("\"name\":\"merlon-hub\""));
    hub.run(&["keyslot", "list"]).ended(0, &[]);
    hub.run(&["flows"]).ended(2, &["a hub is no instance", "merlon status"]);
    crate::fake::program()
        .args(["--hub", "--url", "https://h", "status"])
        .output()
        .map(|output| {
            assert_eq!(output.status.code(), Some(2));
        })
        .unwrap();
}
