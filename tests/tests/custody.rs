//! Keyslots as a user handles them: passphrase, recovery key, a machine key that is gone; and what a locked instance does.

use std::fs;
use std::path::Path;

use merlon_tests::TempDir;
use merlon_tests::client::Client;
use merlon_tests::instance::{Instance, Options, is_alive, wait_for};
use merlon_tests::origin::{Origin, echo};
use merlon_tests::process::{children, signal, stderr, stdout};

fn write(dir: &Path, name: &str, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// An instance without its file key does not get ready; it waits, locked. This is what a test talks to meanwhile.
struct Locked {
    child: std::process::Child,
    dir: std::path::PathBuf,
}

impl Locked {
    fn start(dir: &Path) -> Self {
        let (child, log) = Instance::spawn(dir, &Options::default());
        wait_for("the instance to say that it is locked", || {
            fs::read_to_string(&log).unwrap().contains("locked").then_some(())
        });
        Self { child, dir: dir.to_owned() }
    }

    fn cli(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = std::process::Command::new(merlon_tests::process::program("merlon"));
        merlon_tests::process::output(command.arg("--data-dir").arg(&self.dir).args(arguments))
    }

    fn ready_line(&mut self) -> String {
        let mut line = String::new();
        let out = self.child.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        line
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let all = children(self.child.id());
        signal(self.child.id(), nix::sys::signal::Signal::SIGTERM);
        self.child.wait().unwrap();
        for (pid, _) in all {
            wait_for("a process's end", || (!is_alive(pid)).then_some(()));
        }
    }
}

#[test]
fn a_recovery_key_opens_an_instance_whose_machine_key_is_gone() {
    let files = TempDir::new("files");
    let dir = TempDir::new("recovery");
    let origin = Origin::http(echo);
    let shown = files.path().join("shown");
    let ca = {
        let instance = Instance::start(dir.path(), &Options::default());
        assert!(instance.log().contains("recovery unconfirmed"), "{}", instance.log());
        let _ = instance.curl(&[&format!("http://127.0.0.1:{}/kept", origin.port())]);
        let _ = instance.flow("path:/kept");
        let printed = instance.cli_ok(&["keyslot", "add", "recovery"]);
        let key = printed.split_whitespace().max_by_key(|word| word.len()).unwrap().to_owned();
        fs::write(&shown, &key).unwrap();
        // A typing error is told apart from a wrong key.
        let mut typo = key.clone().into_bytes();
        typo[0] = if typo[0] == b'c' { b'd' } else { b'c' };
        let typo = write(files.path(), "typo", std::str::from_utf8(&typo).unwrap());
        let refused = instance.cli(&["keyslot", "confirm", "--recovery-file", &typo]);
        assert!(!refused.status.success() && stderr(&refused).contains("typing error"), "{}", stderr(&refused));
        let right = write(files.path(), "right", &key);
        assert!(instance.cli(&["keyslot", "confirm", "--recovery-file", &right]).status.success());
        let slots = instance.cli_ok(&["keyslot", "list", "--json"]);
        assert!(slots.contains("\"recovery\"") && slots.contains("\"confirmed\":true"), "{slots}");
        instance.cli_ok(&["ca", "fingerprint"])
    };
    fs::remove_file(dir.path().join("keeper/file.key")).unwrap();
    let mut locked = Locked::start(dir.path());
    let wrong = write(files.path(), "wrong", "not-a-key");
    assert!(!locked.cli(&["unlock", "--recovery-file", &wrong]).status.success());
    let right = shown.display().to_string();
    let opened = locked.cli(&["unlock", "--recovery-file", &right]);
    assert!(opened.status.success(), "{}", stderr(&opened));
    assert!(locked.ready_line().starts_with("ready proxy="));
    assert_eq!(stdout(&locked.cli(&["ca", "fingerprint"])), ca);
    assert!(stdout(&locked.cli(&["flows", "--json", "path:/kept"])).contains("/kept"));
}

#[test]
fn a_locked_instance_says_so_everywhere_and_a_passphrase_opens_it() {
    let files = TempDir::new("files");
    let dir = TempDir::new("passphrase");
    let passphrase = write(files.path(), "p", "correct horse battery\n");
    let proxy = {
        let instance = Instance::start(dir.path(), &Options::default());
        instance.cli_ok(&["keyslot", "add", "passphrase", "--passphrase-file", &passphrase]);
        instance.ready.proxy
    };
    assert_ne!(proxy.port(), 0);
    fs::rename(dir.path().join("keeper/file.key"), files.path().join("file.key")).unwrap();
    let mut locked = Locked::start(dir.path());
    // The engine and its keeper may not have met yet.
    wait_for("status to say that it is locked", || {
        let status = locked.cli(&["status"]);
        format!("{}{}", stdout(&status), stderr(&status)).contains("locked").then_some(())
    });
    let flows = locked.cli(&["flows"]);
    assert!(!flows.status.success() && stderr(&flows).contains(" unlock`"), "{}", stderr(&flows));
    let wrong = write(files.path(), "w", "wrong horse battery");
    let refused = locked.cli(&["unlock", "--passphrase-file", &wrong]);
    assert!(!refused.status.success() && stderr(&refused).contains("does not open"), "{}", stderr(&refused));
    assert!(!stderr(&refused).contains("wrong horse"), "a secret is never repeated");
    assert!(locked.cli(&["unlock", "--passphrase-file", &passphrase]).status.success());
    let line = locked.ready_line();
    let proxy = line.split("proxy=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
    let origin = Origin::http(echo);
    let mut client = Client::connect(proxy);
    client.send(format!("GET http://127.0.0.1:{}/ HTTP/1.1\r\nHost: x\r\n\r\n", origin.port()).as_bytes());
    assert_eq!(client.answer().status, 200);
}

#[test]
fn the_last_other_slot_cannot_go_before_a_recovery_key_was_typed_back() {
    let files = TempDir::new("files");
    let instance = Instance::new();
    let refused = instance.cli(&["keyslot", "remove", "1"]);
    assert!(!refused.status.success() && stderr(&refused).contains("keyslot add recovery"), "{}", stderr(&refused));
    let printed = instance.cli_ok(&["keyslot", "add", "recovery"]);
    assert!(!instance.cli(&["keyslot", "remove", "1"]).status.success(), "unconfirmed is not enough");
    let key = printed.split_whitespace().max_by_key(|word| word.len()).unwrap();
    let file = write(files.path(), "key", key);
    instance.cli_ok(&["keyslot", "confirm", "--recovery-file", &file]);
    instance.cli_ok(&["keyslot", "remove", "1"]);
}

#[test]
fn a_proxy_request_to_a_locked_instance_is_answered_503() {
    let dir = TempDir::new("locked-proxy");
    let config =
        "[proxy]\nlisten = ['unix:PATH']\n".replace("PATH", &dir.path().with_extension("sock").display().to_string());
    drop(Instance::start(dir.path(), &Options::default()));
    fs::remove_file(dir.path().join("keeper/file.key")).unwrap();
    let options = Options { config, ..Options::default() };
    let (mut child, log) = {
        let file = dir.path().with_extension("toml");
        fs::write(&file, &options.config).unwrap();
        let log = dir.path().with_extension("log");
        let mut command = std::process::Command::new(merlon_tests::process::program("merlond"));
        command
            .arg("run")
            .arg("--data-dir")
            .arg(dir.path())
            .arg("--config")
            .arg(&file)
            .args(["--api-listen", "127.0.0.1:0"]);
        (command.env_clear().stderr(fs::File::create(&log).unwrap()).spawn().unwrap(), log)
    };
    wait_for("the instance to say that it is locked", || {
        fs::read_to_string(&log).unwrap().contains("locked").then_some(())
    });
    let mut stream = std::os::unix::net::UnixStream::connect(dir.path().with_extension("sock")).unwrap();
    std::io::Write::write_all(&mut stream, b"GET http://127.0.0.1:9/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("merlon unlock"), "{answer}");
    let mut command = std::process::Command::new("curl");
    command.args(["--silent", "--unix-socket"]).arg(dir.path().join("run/api.sock")).arg("http://localhost/health");
    let health = stdout(&merlon_tests::process::output(&mut command));
    assert!(health.contains("\"ready\":false"), "{health}");
    signal(child.id(), nix::sys::signal::Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
