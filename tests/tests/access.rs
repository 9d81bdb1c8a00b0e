//! Who may call the API, from where, and with what; over the real TLS listener and the real socket.

use std::path::PathBuf;
use std::process::Command;

use merlon_tests::TempDir;
use merlon_tests::instance::Instance;
use merlon_tests::origin::{Origin, echo};
use merlon_tests::process::{output, stderr, stdout};

struct Bed {
    instance: Instance,
    files: TempDir,
}

impl Bed {
    fn new() -> Self {
        Self { instance: Instance::new(), files: TempDir::new("access") }
    }

    fn token(&self, role: &str) -> String {
        let printed = self.instance.cli_ok(&["token", "create", "--role", role, "--label", role]);
        printed.split_whitespace().find(|word| word.starts_with("merlon_")).unwrap().to_owned()
    }

    /// `curl` at the TLS listener; the token goes in by a file, as it should.
    fn call(&self, token: Option<&str>, arguments: &[&str], path: &str) -> (u16, String) {
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--max-time",
            "50",
            "--noproxy",
            "*",
            "--write-out",
            "\n%{http_code}",
            "--cacert",
        ]);
        command.arg(&self.instance.ready.ca);
        if let Some(token) = token {
            let file: PathBuf = self.files.path().join("header");
            std::fs::write(&file, format!("Authorization: Bearer {token}\n")).unwrap();
            command.arg("--header").arg(format!("@{}", file.display()));
        }
        let done = output(command.args(arguments).arg(format!("{}{path}", self.instance.ready.api)));
        let text = stdout(&done);
        let (body, code) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{}", stderr(&done)));
        (code.parse().unwrap(), body.to_owned())
    }
}

#[test]
fn over_tls_only_health_needs_no_token() {
    let bed = Bed::new();
    let (code, body) = bed.call(None, &[], "/health");
    assert_eq!(code, 200, "{body}");
    assert!(body.contains("\"ready\":true"), "{body}");
    for path in
        ["/api/v1/status", "/api/v1/flows", "/api/v1/events", "/api/v1/ca.pem", "/api/v1/projects", "/", "/nothing"]
    {
        let (code, body) = bed.call(None, &[], path);
        assert_eq!(code, 401, "{path}: {body}");
    }
    let (code, body) = bed.call(Some("merlon_not_a_token"), &[], "/api/v1/status");
    assert_eq!(code, 401, "{body}");
    assert!(!body.contains("not_a_token"), "a token is never repeated");
}

#[test]
fn roles_may_what_they_may_and_a_revoked_token_nothing() {
    let bed = Bed::new();
    let viewer = bed.token("viewer");
    assert!(viewer.len() >= "merlon_".len() + 26, "128 bits at least");
    assert_eq!(bed.call(Some(&viewer), &[], "/api/v1/flows").0, 200);
    let create = ["--json", "{\"name\":\"p\"}"];
    let (code, body) = bed.call(Some(&viewer), &create, "/api/v1/projects");
    assert_eq!(code, 403, "{body}");
    assert!(body.contains("config"), "the missing scope is named: {body}");
    let operator = bed.token("operator");
    assert_eq!(bed.call(Some(&operator), &create, "/api/v1/projects").0, 201);
    assert_eq!(bed.call(Some(&operator), &["--request", "DELETE"], "/api/v1/projects/2").0, 403);
    let owner = bed.token("owner");
    assert_eq!(bed.call(Some(&owner), &["--request", "DELETE"], "/api/v1/projects/2").0, 204);
    let listed = bed.instance.cli_ok(&["token", "list", "--json"]);
    assert!(!listed.contains(&viewer) && listed.lines().count() == 3, "{listed}");
    let id = listed.lines().find(|line| line.contains("viewer")).unwrap();
    let id = serde_json::from_str::<serde_json::Value>(id).unwrap()["id"].as_str().unwrap().to_owned();
    bed.instance.cli_ok(&["token", "revoke", &id]);
    assert_eq!(bed.call(Some(&viewer), &[], "/api/v1/flows").0, 401);
    assert_eq!(bed.call(Some(&operator), &[], "/api/v1/flows").0, 200);
}

#[test]
fn a_foreign_host_or_origin_is_refused() {
    let bed = Bed::new();
    let owner = bed.token("owner");
    for header in ["Host: evil.test", "Host: evil.test:8443", "Origin: https://evil.test", "Origin: null"] {
        let (code, body) = bed.call(Some(&owner), &["--header", header], "/api/v1/status");
        assert!(matches!(code, 403 | 421), "{header}: {code} {body}");
    }
}

#[test]
fn a_project_deleted_is_gone_with_its_key_and_files() {
    let instance = Instance::new();
    let origin = Origin::http(echo);
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", origin.port());
    instance.cli_ok(&["project", "create", "second"]);
    instance.cli_ok(&["project", "open", "second"]);
    let _ = instance.curl(&[&url("/in-second")]);
    let _ = instance.flow("path:/in-second");
    instance.cli_ok(&["project", "open", "default"]);
    assert!(instance.flows("path:/in-second").is_empty(), "a project shows its own flows only");
    let files = || {
        let mut names: Vec<String> = std::fs::read_dir(instance.dir().join("store/projects"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert!(files().iter().any(|name| name.starts_with("2.")), "{:?}", files());
    instance.cli_ok(&["project", "delete", "second", "--yes"]);
    assert!(!files().iter().any(|name| name.starts_with('2')), "{:?}", files());
    assert!(!instance.cli_ok(&["project", "list"]).contains("second"));
}

#[test]
fn the_api_is_out_of_reach_of_the_proxys_clients() {
    let bed = Bed::new();
    let done = bed.instance.curl(&[
        "--insecure",
        "--write-out",
        "%{http_code}",
        &format!("{}/health", bed.instance.ready.api),
    ]);
    assert!(!stdout(&done).contains("\"ready\""), "{}", stdout(&done));
    let flow = bed.instance.flow("error:policy");
    assert!(flow["error"].as_str().unwrap().contains("egress policy"), "{flow}");
}

#[test]
fn bodies_come_by_range_and_events_as_they_happen() {
    let bed = Bed::new();
    let token = bed.token("viewer");
    let body: Vec<u8> = (0..300_000u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let sent = body.clone();
    let origin = Origin::http(move |mut stream| {
        while stream.request().is_some() {
            stream.ok(&sent)
        }
    });
    let mut events = Command::new("curl")
        .args(["--silent", "--no-buffer", "--unix-socket"])
        .arg(&bed.instance.ready.socket)
        .arg("http://localhost/api/v1/events")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(events.stdout.take().unwrap()));
    // Events begin once the stream stands, so flows are made until one of them is told.
    let told = std::thread::spawn(move || {
        lines.find(|line| line.as_ref().is_ok_and(|l| l.contains("/large"))).unwrap().unwrap()
    });
    while !told.is_finished() {
        let done = bed.instance.curl(&["--output", "/dev/null", &format!("http://127.0.0.1:{}/large", origin.port())]);
        assert!(done.status.success(), "{}", stderr(&done));
    }
    let event = told.join().unwrap();
    events.kill().unwrap();
    events.wait().unwrap();
    let flow: serde_json::Value = serde_json::from_str(event.trim_start_matches("data:").trim()).unwrap();
    let id = bed.instance.flow("path:/large")["id"].clone();
    assert!(flow["id"].as_u64().unwrap() <= id.as_u64().unwrap());
    let path = format!("/api/v1/flows/{id}/response/body");
    let file = bed.files.path().join("body");
    let target = file.display().to_string();
    let (code, _) = bed.call(Some(&token), &["--output", &target], &path);
    assert_eq!((code, std::fs::read(&file).unwrap()), (200, body.clone()));
    let (code, _) = bed.call(Some(&token), &["--output", &target, "--range", "70000-200000"], &path);
    assert_eq!((code, std::fs::read(&file).unwrap()), (206, body[70_000..=200_000].to_vec()));
    assert_eq!(bed.call(Some(&token), &["--range", "400000-"], &path).0, 416);
}
