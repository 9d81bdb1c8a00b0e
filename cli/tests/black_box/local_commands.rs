//! Configuration, certificates, projects, the doctor.

use merlon_wire::admin::{AdminRefusal, Request, Response};
use merlon_wire::keeper::{LockState, Refusal};
use serde_json::json;

use crate::fake::{Instance, Ran, http, json as answer, program, status};

#[test]
fn the_configuration_says_where_each_value_comes_from() {
    let instance = Instance::stopped();
    instance.file("merlon.toml", "[proxy]\nlisten = [\"127.0.0.1:1\"]\n[egress]\ndeny_private = true\n");
    let show = |arguments: &[&str]| {
        let mut command = instance.command();
        command.args(["config", "show"]).args(arguments).env("MERLON_PROXY_LISTEN", "127.0.0.1:2");
        Ran::of(command.output().unwrap())
    };
    let shown = show(&["--origin", "--changed"]);
    shown.ended(0, &[]);
    let line = |key: &str| shown.out.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
    assert!(line("proxy.listen").ends_with("environment variable MERLON_PROXY_LISTEN"), "{}", shown.out);
    assert!(line("proxy.listen").contains("127.0.0.1:2") && line("egress.deny_private").ends_with("merlon.toml"));
    assert!(line("api.tls").is_empty());
    let all = show(&["--json"]);
    assert!(all.out.contains(r#"{"key":"api.tls","value":true,"origin":"default"}"#), "{}", all.out);
    let path = instance.run(&["config", "path"]).out;
    assert!(path.trim_end().ends_with("merlon.toml"), "{path}");
}

#[test]
fn a_wrong_configuration_is_named_with_key_and_remedy() {
    let instance = Instance::stopped();
    let check = |text: &str| instance.run(&["config", "check", &instance.file("x.toml", text)]);
    check("[proxy]\nlisten = ['127.0.0.1:8080']\n").ended(0, &["is right"]);
    check("[proxy]\nlisen = 1\n").ended(1, &["x.toml", "lisen"]);
    check("[proxy]\nlisten = ['0.0.0.0:8080']\n").ended(1, &["x.toml", "0.0.0.0:8080", "allow_public_bind"]);
    check("[limits]\nhead_bytes = 1\n").ended(1, &["limits.head_bytes"]);
    instance.run(&["config", "check", "/nonexistent"]).ended(1, &["does not exist"]);
}

#[test]
fn projects_are_found_by_name_or_id_and_never_deleted_without_a_word() {
    let project = |id: u64, name: &str| json!({ "id": id, "name": name, "created": "2026-01-31T23:59:59.000001Z", "open": id == 1 });
    let instance = Instance::api(move |asked| match asked.head.split(" HTTP").next().unwrap() {
        "GET /api/v1/projects" => {
            answer(&json!({ "projects": [project(1, "default"), project(2, "1"), project(3, "x")] }))
        }
        "POST /api/v1/projects/2/open" => answer(&project(2, "1")),
        "DELETE /api/v1/projects/3" => b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_vec(),
        other => panic!("{other}"),
    });
    instance.run(&["project", "open", "1"]).ended(0, &["project `1`"]);
    instance.run(&["project", "open", "nobody"]).ended(3, &["no project `nobody`"]);
    instance.run(&["project", "delete", "3"]).ended(2, &["no terminal", "merlon project delete 3 --yes"]);
    instance.run(&["project", "delete", "3", "--yes"]).ended(0, &["deleted project `x`"]);
    assert_eq!(instance.run(&["project", "list", "--json"]).out.lines().count(), 3);
}

#[test]
fn a_certificate_is_exported_byte_for_byte() {
    let pem = "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n";
    let instance = Instance::answering(http("200 OK", "application/x-pem-file", pem));
    assert_eq!(instance.run(&["ca", "export"]).out, pem);
    let file = instance.dir.join("ca.pem");
    instance.run(&["ca", "export", "-o", file.to_str().unwrap()]).ended(0, &["SHA-256 "]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), pem);
    let fingerprint = instance.run(&["ca", "fingerprint"]).out;
    assert_eq!((fingerprint.len(), fingerprint.matches(':').count()), (96, 31), "{fingerprint}");
    Instance::answering(http("200 OK", "text/plain", "nothing"))
        .run(&["ca", "fingerprint"])
        .ended(1, &["no certificate"]);
}

#[test]
fn the_doctor_ends_with_1_if_something_is_wrong() {
    use std::os::unix::fs::PermissionsExt as _;
    let prepared = |answer: Vec<u8>| {
        let instance = Instance::answering(answer);
        let mode = |name: &str, mode| {
            std::fs::set_permissions(instance.dir.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode("run", 0o700);
        mode("run/api.sock", 0o600);
        instance
    };
    let well = prepared(answer(&status(true, 1)));
    let ran = well.run(&["doctor"]);
    ran.ended(0, &[]);
    assert!(ran.out.contains("-> merlon keyslot add recovery"), "{}", ran.out);
    well.run(&["status"]).ended(0, &[]);
    let ill = prepared(answer(&status(false, 1))).run(&["doctor", "--json"]);
    ill.ended(1, &["1 thing is wrong"]);
    let wrong: Vec<serde_json::Value> = ill
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|check| check["verdict"] == "wrong")
        .collect();
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0]["what"], "merlon-dialer");
    std::fs::set_permissions(well.dir.join("run/api.sock"), std::fs::Permissions::from_mode(0o666)).unwrap();
    let open = well.run(&["doctor"]);
    open.ended(1, &[]);
    assert!(open.out.contains("chmod 0600"), "{}", open.out);
}

#[test]
fn a_token_goes_from_its_file_into_the_header_and_nowhere_else() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = vec![0; 4096];
        let len = stream.read(&mut head).unwrap();
        stream.write_all(&answer(&json!({ "count": 5 }))).unwrap();
        String::from_utf8(head[..len].to_vec()).unwrap()
    });
    let instance = Instance::stopped();
    let token = instance.file("token", "mrl_secret\n");
    let ran =
        Ran::of(program().args(["--url", &url, "flows", "--count"]).env("MERLON_TOKEN_FILE", token).output().unwrap());
    ran.ended(0, &[]);
    assert_eq!(ran.out, "5\n");
    let head = server.join().unwrap().to_ascii_lowercase();
    assert!(head.contains("authorization: bearer mrl_secret\r\n"), "{head}");
    assert!(!head.lines().next().unwrap().contains("mrl_secret"));
}

#[test]
fn completions_exist_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = Ran::of(program().args(["completions", shell]).output().unwrap());
        ran.ended(0, &[]);
        assert!(ran.out.contains("keyslot"), "{shell}");
    }
}

#[test]
fn a_locked_instance_has_a_status_and_the_doctor_says_how_to_open_it() {
    let instance = Instance::api(|asked| match asked.target.as_str() {
        "/health" => answer(&json!({ "name": "merlon", "version": "9.9", "ready": false })),
        _ => crate::fake::problem(merlon_api::ProblemCode::Locked),
    });
    let status = instance.run(&["status"]);
    status.ended(0, &[]);
    assert!(status.out.contains("version 9.9") && status.out.contains("merlon unlock"), "{}", status.out);
    let line: serde_json::Value = serde_json::from_str(&instance.run(&["status", "--json"]).out).unwrap();
    assert_eq!((line["locked"].as_bool(), line["ready"].as_bool()), (Some(true), Some(false)));
    let doctor = instance.run(&["doctor"]);
    doctor.ended(1, &[]);
    assert!(doctor.out.contains("-> merlon unlock"), "{}", doctor.out);
}

#[test]
fn an_instance_that_is_not_open_yet_is_told_from_a_locked_one() {
    let instance = Instance::keeper(|request| match request {
        Request::Status => crate::keeper::status(LockState::Opening, &["tpm2"]),
        _ => Response::Refused(AdminRefusal::Keeper(Refusal::Locked)),
    })
    .with_api(|asked| match asked.target.as_str() {
        "/health" => answer(&json!({ "name": "merlon", "version": "9.9", "ready": false })),
        _ => crate::fake::problem(merlon_api::ProblemCode::Locked),
    });
    let status = instance.run(&["status"]);
    status.ended(0, &[]);
    assert!(status.out.contains("still tries the keyslots that open by themselves"), "{}", status.out);
    let doctor = instance.run(&["doctor"]);
    assert!(doctor.out.contains("not open yet"), "{}", doctor.out);
    assert!(!doctor.out.contains("locked: proxy and API"), "{}", doctor.out);
}
