//! The bind policy: what is public is refused, whoever asks for it and however; what is permitted asks for a password.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::{Command, Stdio};

use merlon_tests::TempDir;
use merlon_tests::instance::{Instance, Options, wait_for};
use merlon_tests::origin::{Origin, echo};
use merlon_tests::process::{output, program, stderr, stdout};

/// What every refusal of a public bind says.
const REFUSAL: [&str; 4] =
    ["proxy.allow_public_bind = true", "--allow-public-proxy", "ssh -L", "merlon proxy-user add"];

fn refused(config: &str, arguments: &[&str], address: &str) {
    let dir = TempDir::new("bind");
    let options = Options {
        config: config.to_owned(),
        arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
        ..Options::default()
    };
    let merlond = program("merlond");
    let file = dir.path().join("x.toml");
    std::fs::write(&file, &options.config).unwrap();
    let data = dir.path().join("data");
    let mut command = Command::new(merlond);
    command.arg("run").arg("--data-dir").arg(&data).arg("--config").arg(&file).args(&options.arguments).env_clear();
    let done = output(&mut command);
    let text = stderr(&done);
    assert_eq!(done.status.code(), Some(78), "{text}");
    assert!(text.contains(address), "{address}: {text}");
    for needle in REFUSAL {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    assert!(stdout(&done).is_empty());
    assert!(!data.exists(), "nothing is made before the configuration is judged");
}

#[test]
fn a_public_address_is_refused_by_flag_and_by_file() {
    for address in [
        "0.0.0.0:0",
        "[::]:0",
        "192.168.1.7:8080",
        "100.64.3.4:1",
        "[::ffff:10.0.0.1]:80",
        "[fe80::1]:80",
        "8.8.8.8:80",
    ] {
        refused("", &["--proxy-listen", address], address);
        refused(&format!("[proxy]\nlisten = ['127.0.0.1:0', '{address}']\n"), &[], address);
    }
}

#[test]
fn the_environment_cannot_make_it_public_either() {
    let dir = TempDir::new("bind-env");
    let mut command = Command::new(program("merlond"));
    command
        .arg("run")
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .env_clear()
        .env("MERLON_PROXY_LISTEN", "0.0.0.0:0");
    let done = output(&mut command);
    assert_eq!(done.status.code(), Some(78), "{}", stderr(&done));
}

#[test]
fn an_inherited_public_socket_is_refused_by_the_engine_itself() {
    let dir = TempDir::new("bind-inherited");
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let address = listener.local_addr().unwrap();
    let inherited = OwnedFd::from(listener);
    // Without close-on-exec, as a supervisor hands it over.
    nix::fcntl::fcntl(&inherited, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let mut command = Command::new(program("merlond"));
    command.args(["engine", "--store"]).arg(dir.path()).arg("--fd").arg(format!("proxy={}", inherited.as_raw_fd()));
    let done = output(command.env_clear().stdin(Stdio::null()));
    let text = stderr(&done);
    assert_eq!(done.status.code(), Some(78), "{text}");
    assert!(text.contains(&address.to_string()), "{text}");
    assert!(REFUSAL.iter().all(|needle| text.contains(needle)), "{text}");
}

#[test]
fn after_the_override_a_public_listener_asks_for_a_password() {
    let run = |config: &str| {
        let mut instance = Instance::with(&Options {
            config: config.to_owned(),
            arguments: ["--allow-public-proxy", "--proxy-listen", "0.0.0.0:0"].map(str::to_owned).to_vec(),
            ..Options::default()
        });
        let origin = Origin::http(echo);
        let port = instance.ready.proxy.port();
        instance.ready.proxy = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let done = instance.curl(&["--write-out", " %{http_code}", &format!("http://127.0.0.1:{}/", origin.port())]);
        // The override is on record.
        wait_for("the audit log tells of the listener", || {
            let log = instance.cli_ok(&["audit", "list", "--json"]);
            let entry = format!("{{\"address\":\"0.0.0.0:{port}\"}}");
            log.lines().any(|line| line.contains("\"bind-override\"") && line.contains(&entry)).then_some(())
        });
        stdout(&done)
    };
    assert!(run("").ends_with(" 407"));
    // Turning it off is a second, separate statement.
    assert!(run("[proxy]\nauth = 'none'\n").ends_with(" 200"));
}

#[test]
fn passwords_are_generated_and_verified_and_never_recorded() {
    let instance = Instance::with(&Options { config: "[proxy]\nauth = 'basic'\n".to_owned(), ..Options::default() });
    let origin = Origin::http(echo);
    let url = format!("http://127.0.0.1:{}/authenticated", origin.port());
    let code = |arguments: &[&str]| {
        let done = instance.curl(
            &[&["--output", "/dev/null", "--write-out", "%{http_code} %header{proxy-authenticate}", &url], arguments]
                .concat(),
        );
        stdout(&done)
    };
    assert!(code(&[]).starts_with("407 Basic realm=\"Merlon\""), "{}", code(&[]));
    let password = instance.cli_ok(&["proxy-user", "add", "tester"]);
    let password = password.split_whitespace().last().unwrap().to_owned();
    assert!(password.len() >= 22, "128 bits need 22 characters at least: {}", password.len());
    assert!(code(&["--proxy-user", "tester:wrong"]).starts_with("407"));
    assert!(code(&["--proxy-user", "nobody:wrong"]).starts_with("407"));
    assert!(code(&["--proxy-user", &format!("tester:{password}")]).starts_with("200"));
    let flow = instance.flow("path:/authenticated");
    let shown = instance.cli(&["show", &flow["id"].to_string(), "--raw", "request"]);
    let head = String::from_utf8(shown.stdout).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get http://127.0.0.1"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
    // Those who were refused left nothing behind.
    assert_eq!(instance.flows("").len(), 1);
    assert!(instance.cli(&["proxy-user", "remove", "tester"]).status.success());
    assert!(code(&["--proxy-user", &format!("tester:{password}")]).starts_with("407"));
}

#[test]
fn a_verdict_holds_for_its_connection_and_for_no_other() {
    use merlon_tests::client::Client;
    let instance = Instance::with(&Options { config: "[proxy]\nauth = 'basic'\n".to_owned(), ..Options::default() });
    let origin = Origin::http(echo);
    let password = instance.cli_ok(&["proxy-user", "add", "tester"]);
    let password = password.split_whitespace().last().unwrap();
    let credentials = data_encoding::BASE64.encode(format!("tester:{password}").as_bytes());
    let target = format!("http://127.0.0.1:{}/", origin.port());
    let first = format!("GET {target} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {credentials}\r\n\r\n");
    let later = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut client = Client::connect(instance.ready.proxy);
    client.send(first.as_bytes());
    assert_eq!(client.answer().status, 200);
    client.send(later.as_bytes());
    assert_eq!(client.answer().status, 200);
    let mut other = Client::connect(instance.ready.proxy);
    other.send(later.as_bytes());
    assert_eq!(other.answer().status, 407);
}

#[test]
fn a_unix_socket_is_no_public_bind() {
    let dir = TempDir::new("bind-unix");
    let socket = dir.path().join("proxy.sock");
    let config = dir.path().join("x.toml");
    std::fs::write(&config, format!("[proxy]\nlisten = ['unix:{}']\n[api]\nlisten = []\n", socket.display())).unwrap();
    let mut child = Command::new(program("merlond"))
        .arg("run")
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .arg("--config")
        .arg(&config)
        .env_clear()
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    assert!(line.contains(&format!("proxy=unix:{} api=unix:", socket.display())), "{line}");
    let origin = Origin::http(echo);
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let request = format!("GET http://127.0.0.1:{}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", origin.port());
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    merlon_tests::process::signal(child.id(), nix::sys::signal::Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
