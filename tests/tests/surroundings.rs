//! What an instance takes from its surroundings, and what it lets out: environment, log, a kernel without Landlock, and
//! the network that these tests themselves run in.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::thread;

use merlon_tests::TempDir;
use merlon_tests::instance::{Instance, Options};
use merlon_tests::origin::{Origin, echo};
use merlon_tests::process::{children, output, stdout};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Runs only as root: nobody else may look into a Merlon process, and none may make a network namespace.
fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn no_foreign_variable_reaches_a_process() {
    let foreign = [("SSLKEYLOGFILE", "/nowhere/keys"), ("LD_BIND_NOW", "1"), ("TPM2TOOLS_TCTI", "swtpm:port=1")];
    let setting = ("MERLON_LIMITS_IDLE_SECONDS", "299");
    let environment = foreign.iter().chain([&setting]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let instance = Instance::with(&Options { environment: environment.collect(), ..Options::default() });
    let found = children(instance.pid());
    assert_eq!(found.len(), 3, "{found:?}");
    if !is_root() {
        println!("only root can look into a Merlon process; the rest of this test is left out");
        return;
    }
    for (pid, name) in found {
        let held = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let held = String::from_utf8(held).unwrap();
        let names: Vec<&str> = held.split('\0').filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        assert_eq!(names, [setting.0], "{name}");
    }
}

#[test]
fn the_log_tells_no_secret_and_no_traffic() {
    let files = TempDir::new("surroundings");
    let passphrase = files.path().join("passphrase");
    std::fs::write(&passphrase, "correct-horse-battery-staple\n").unwrap();
    std::fs::set_permissions(&passphrase, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut instance =
        Instance::with(&Options { config: "[proxy]\nauth = 'basic'\n".to_owned(), ..Options::default() });
    let origin = Origin::http(echo);
    let password = instance.cli_ok(&["proxy-user", "add", "tester"]);
    let password = password.split_whitespace().last().unwrap().to_owned();
    let token = instance.cli_ok(&["token", "create", "--role", "owner", "--label", "for-the-log"]);
    let token = token.split_whitespace().find(|word| word.starts_with("merlon_")).unwrap().to_owned();
    instance.cli_ok(&["keyslot", "add", "passphrase", "--passphrase-file", passphrase.to_str().unwrap()]);

    // Traffic that succeeds, that is refused, and that fails; each with words that would be found again.
    let url = |port: u16| format!("http://127.0.0.1:{port}/path-of-the-traffic?key=value-of-the-query");
    let cookie = ["--header", "Cookie: session=value-of-the-cookie", "--data", "body-of-the-request"];
    let user = format!("tester:{password}");
    let done = instance.curl(&[&cookie[..], &["--proxy-user", &user, &url(origin.port())]].concat());
    assert!(done.status.success());
    for arguments in [["--proxy-user", "tester:a-wrong-password"], ["--proxy-user", &user]] {
        // Port 9 of this host: nobody answers there.
        let refused = instance.curl(&[&cookie[..], &arguments, &[&url(9)]].concat());
        assert!(!stdout(&refused).contains("body-of-the-request"));
    }
    let header = files.path().join("header");
    std::fs::write(&header, format!("Authorization: Bearer {token}x\n")).unwrap();
    let mut wrong = Command::new("curl");
    wrong.args(["--silent", "--max-time", "50", "--noproxy", "*", "--output", "/dev/null", "--cacert"]);
    wrong.arg(&instance.ready.ca).args(["--write-out", "%{http_code}", "--header"]);
    let answer =
        output(wrong.arg(format!("@{}", header.display())).arg(format!("{}/api/v1/flows", instance.ready.api)));
    assert_eq!(stdout(&answer), "401");
    let _ = instance.flow("path:/path-of-the-traffic");
    assert!(instance.stop().success());

    let log = instance.log();
    assert!(log.contains("keyslot"), "the log is the one meant: {log}");
    let secrets = [password.as_str(), token.as_str(), "correct-horse-battery-staple", "a-wrong-password"];
    let traffic = ["path-of-the-traffic", "value-of-the-query", "value-of-the-cookie", "body-of-the-request"];
    for word in secrets.into_iter().chain(traffic) {
        assert!(!log.contains(word), "{word} is in the log");
    }
}

/// Runs the closure in a thread, and what it starts below it, as if the kernel had no Landlock.
fn without_landlock<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    let create = (libc::SYS_landlock_create_ruleset, Vec::new());
    let filter = SeccompFilter::new(
        [create].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    thread::scope(|scope| {
        let confined = scope.spawn(move || {
            seccompiler::apply_filter(&program).unwrap();
            run()
        });
        confined.join().unwrap()
    })
}

#[test]
fn a_kernel_without_landlock_is_refused_unless_the_configuration_permits_it() {
    let dir = TempDir::new("no-landlock");
    let data = dir.path().join("data");
    let (status, log) = without_landlock(|| {
        Instance::try_start(&data, &Options::default()).err().expect("an instance without Landlock does not start")
    });
    assert_eq!(status.code(), Some(78), "{log}");
    assert!(log.contains("Landlock") && log.contains("sandbox.required"), "{log}");

    let permitted = Options { config: "[sandbox]\nrequired = false\n".to_owned(), ..Options::default() };
    let instance = without_landlock(|| Instance::start(&data, &permitted));
    let origin = Origin::http(echo);
    let done = instance.curl(&["--write-out", "%{http_code}", &format!("http://127.0.0.1:{}/", origin.port())]);
    assert!(stdout(&done).ends_with("200"));
    let doctor = stdout(&instance.cli(&["doctor"]));
    assert!(doctor.contains("Landlock"), "what is missing is told: {doctor}");
}

#[test]
fn as_root_tests_run_where_there_is_a_loopback_only() {
    if !is_root() {
        println!("only root can make a network namespace; this test is left out");
        return;
    }
    let apart = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/apart");
    let seen = output(Command::new(apart).args(["cat", "/proc/net/dev"]));
    let devices: Vec<String> =
        stdout(&seen).lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim().to_owned()).collect();
    assert_eq!(devices, ["lo"]);
}
