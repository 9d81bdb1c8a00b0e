//! Processes that die, directories that are in use, files that are broken: what goes on, what is said.

use std::process::Command;

use nix::sys::signal::Signal;

use merlon_tests::TempDir;
use merlon_tests::client::Client;
use merlon_tests::instance::{Instance, Options, is_alive, wait_for};
use merlon_tests::origin::{Origin, echo};
use merlon_tests::pki::{Ca, Validity};
use merlon_tests::process::{children, output, program, signal, stderr, stdout};

struct Bed {
    instance: Instance,
    origin: Origin,
    _roots: TempDir,
}

fn bed() -> Bed {
    let ca = Ca::new();
    let roots = TempDir::new("roots");
    ca.write(&roots.path().join("ca.pem"));
    let config = format!("[proxy]\nupstream_ca = ['{}']\n", roots.path().join("ca.pem").display());
    let origin = Origin::https(ca.leaf(&["localhost", "a.test", "b.test"], Validity::Now), echo);
    Bed { instance: Instance::with(&Options { config, ..Options::default() }), origin, _roots: roots }
}

impl Bed {
    fn authority(&self) -> String {
        format!("localhost:{}", self.origin.port())
    }

    fn client(&self) -> Client {
        Client::tls(self.instance.ready.proxy, &self.authority(), "localhost", &self.instance.ready.ca)
    }

    /// Kills a process and waits until another has taken its place.
    fn kill(&self, name: &str) {
        let before = self.instance.process(name);
        signal(before, Signal::SIGKILL);
        wait_for("the process to be started again", || {
            let now = children(self.instance.pid());
            now.iter().any(|(pid, n)| n == name && *pid != before && is_alive(*pid)).then_some(())
        });
    }

    fn get(client: &mut Client, path: &str) -> String {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        String::from_utf8(client.answer().body).unwrap()
    }
}

#[test]
fn without_the_keeper_open_connections_go_on_and_new_hosts_follow_once_it_is_back() {
    let bed = bed();
    let mut client = bed.client();
    assert!(Bed::get(&mut client, "/1").starts_with("GET /1"));
    bed.kill("merlon-keeper");
    // This connection needs nothing of the keeper.
    assert!(Bed::get(&mut client, "/2").starts_with("GET /2"));
    // A host that was never seen needs a leaf from the keeper that took its place.
    let mut other = Client::tls(bed.instance.ready.proxy, &bed.authority(), "a.test", &bed.instance.ready.ca);
    assert!(Bed::get(&mut other, "/3").starts_with("GET /3"));
    let url = format!("https://localhost:{}/4", bed.origin.port());
    assert!(stdout(&bed.instance.curl(&[&url])).starts_with("GET /4"), "{}", bed.instance.log());
}

#[test]
fn without_the_dialer_open_connections_go_on_and_new_ones_follow_once_it_is_back() {
    let bed = bed();
    let mut client = bed.client();
    assert!(Bed::get(&mut client, "/1").starts_with("GET /1"));
    bed.kill("merlon-dialer");
    assert!(Bed::get(&mut client, "/2").starts_with("GET /2"));
    let mut other = bed.client();
    assert!(Bed::get(&mut other, "/3").starts_with("GET /3"));
}

#[test]
fn an_engine_that_dies_comes_back_on_the_same_addresses_with_all_that_was_shown() {
    let bed = bed();
    let mut client = bed.client();
    assert!(Bed::get(&mut client, "/before").starts_with("GET /before"));
    let shown = bed.instance.flow("path:/before");
    bed.kill("merlond");
    let mut again = wait_for("the engine to serve", || {
        let done = bed.instance.curl(&[&format!("https://{}/after", bed.authority())]);
        done.status.success().then_some(done)
    });
    assert!(String::from_utf8(std::mem::take(&mut again.stdout)).unwrap().starts_with("GET /after"));
    assert_eq!(bed.instance.flow("path:/before"), shown);
    assert_eq!(bed.instance.flow("path:/after")["status"], 200);
}

#[test]
fn killing_the_parent_ends_all_and_the_directory_can_be_used_again() {
    let mut bed = bed();
    let all = children(bed.instance.pid());
    assert_eq!(all.len(), 3, "{all:?}");
    let dir = bed.instance.dir().to_owned();
    signal(bed.instance.pid(), Signal::SIGKILL);
    for (pid, name) in all {
        wait_for(&format!("{name} to end"), || (!is_alive(pid)).then_some(()));
    }
    bed.instance.stop();
    let again = Instance::start(&dir, &Options::default());
    assert_eq!(children(again.pid()).len(), 3);
}

#[test]
fn a_stop_is_clean_and_leaves_nothing_running() {
    let mut bed = bed();
    let all = children(bed.instance.pid());
    assert_eq!(bed.instance.stop().code(), Some(0), "{}", bed.instance.log());
    assert!(all.iter().all(|(pid, _)| !is_alive(*pid)));
    assert_eq!(bed.instance.rest_of_stdout(), "", "one line on standard output, no more");
}

#[test]
fn a_second_daemon_on_the_directory_is_refused_with_the_holders_pid() {
    let bed = bed();
    let mut command = Command::new(program("merlond"));
    command
        .args(["run", "--proxy-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0", "--data-dir"])
        .arg(bed.instance.dir());
    let done = output(command.env_clear());
    assert!(!done.status.success());
    assert!(stderr(&done).contains(&bed.instance.pid().to_string()), "{}", stderr(&done));
    assert!(bed.instance.cli_ok(&["status"]).contains("merlon"), "the first goes on");
}

#[test]
fn a_data_directory_that_is_not_ours_alone_is_refused_with_the_command_that_mends_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (code, log) = broken("open", |dir| {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    });
    assert_eq!(code, Some(77), "{log}");
    assert!(log.contains("0755") && log.contains("chmod 700"), "{log}");
    if nix::unistd::geteuid().is_root() {
        let somebody = nix::unistd::Uid::from_raw(65_534);
        let (code, log) = broken("foreign", |dir| nix::unistd::chown(dir, Some(somebody), None).unwrap());
        assert_eq!(code, Some(77), "{log}");
        assert!(log.contains("user 65534") && log.contains("chown"), "{log}");
    }
}

#[test]
fn a_second_start_on_the_directory_has_the_same_ca_and_flows() {
    let dir = TempDir::new("twice");
    let origin = Origin::http(echo);
    let (ca, flow) = {
        let instance = Instance::start(dir.path(), &Options::default());
        let _ = instance.curl(&[&format!("http://127.0.0.1:{}/kept", origin.port())]);
        (instance.cli_ok(&["ca", "fingerprint"]), instance.flow("path:/kept"))
    };
    let instance = Instance::start(dir.path(), &Options::default());
    assert_eq!(instance.cli_ok(&["ca", "fingerprint"]), ca);
    assert_eq!(instance.flow("path:/kept"), flow);
}

fn broken(what: &str, wreck: impl Fn(&std::path::Path)) -> (Option<i32>, String) {
    let dir = TempDir::new(what);
    drop(Instance::start(dir.path(), &Options::default()));
    wreck(dir.path());
    match Instance::try_start(dir.path(), &Options::default()) {
        Ok(_) => panic!("{what}: it started"),
        Err((status, log)) => (status.code(), log),
    }
}

#[test]
fn a_broken_secrets_db_stops_the_start_and_is_left_as_it_is() {
    let garbage = vec![0x5a; 8192];
    let (code, log) = broken("secrets", |dir| std::fs::write(dir.join("keeper/secrets.db"), &garbage).unwrap());
    assert!(matches!(code, Some(74 | 78)), "{code:?} {log}");
    assert!(log.contains("secrets.db"), "{log}");
}

#[test]
fn a_file_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new("mode");
    drop(Instance::start(dir.path(), &Options::default()));
    let key = dir.path().join("keeper/file.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o440)).unwrap();
    let (mut child, log) = Instance::spawn(dir.path(), &Options::default());
    let text = wait_for("the refusal", || {
        let text = std::fs::read_to_string(&log).unwrap();
        text.contains("chmod").then_some(text)
    });
    assert!(text.contains("file.key") && text.contains("0440"), "{text}");
    signal(child.id(), Signal::SIGTERM);
    child.wait().unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o400)).unwrap();
    drop(Instance::start(dir.path(), &Options::default()));
}

#[test]
fn one_broken_keyslot_copy_is_mended_and_two_stop_the_start() {
    let dir = TempDir::new("slots");
    drop(Instance::start(dir.path(), &Options::default()));
    let copies = ["keeper/keyslots.a", "keeper/keyslots.b"].map(|name| dir.path().join(name));
    let good = std::fs::read(&copies[0]).unwrap();
    for broken in &copies {
        for wreck in [&b""[..], &good[..good.len() / 2], b"{\"version\":99}\n{}\n", &[0xff; 600]] {
            std::fs::write(broken, wreck).unwrap();
            let instance = Instance::start(dir.path(), &Options::default());
            assert!(instance.log().contains("keyslots"), "{}", instance.log());
            drop(instance);
            assert!(std::fs::read(broken).unwrap().len() > 300, "mended");
        }
    }
    for copy in &copies {
        std::fs::write(copy, b"gone").unwrap();
    }
    let Err((status, log)) = Instance::try_start(dir.path(), &Options::default()) else { panic!("it started") };
    assert!(matches!(status.code(), Some(74 | 78)), "{status} {log}");
    assert_eq!(std::fs::read(&copies[0]).unwrap(), b"gone", "nothing is overwritten");
}

#[test]
fn a_broken_project_is_told_and_left_as_it_is() {
    let dir = TempDir::new("project");
    drop(Instance::start(dir.path(), &Options::default()));
    let file = dir.path().join("store/projects/1.db");
    let garbage = vec![0x5a; 65536];
    std::fs::write(&file, &garbage).unwrap();
    let (mut child, log) = Instance::spawn(dir.path(), &Options::default());
    let text = wait_for("the message", || {
        let text = std::fs::read_to_string(&log).unwrap();
        text.contains("1.db").then_some(text)
    });
    assert!(text.contains("not open"), "{text}");
    signal(child.id(), Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read(&file).unwrap(), garbage);
}
