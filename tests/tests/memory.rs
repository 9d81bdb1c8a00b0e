//! What root finds in the memory of running processes: no key outside of secret memory, no secret that is not in use.
//! And what others find: nothing, because the processes are not theirs to read, leave no dump, and have no secret in
//! their environment or on their command lines.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a panic is how a test fails, and what it measured is shown"
)]

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use serde_json::Value;

use merlon_tests::TempDir;
use merlon_tests::client::Client;
use merlon_tests::instance::{Instance, Options, is_alive, wait_for};
use merlon_tests::keys::Keys;
use merlon_tests::memory::{Found, scan};
use merlon_tests::origin::{Origin, echo};
use merlon_tests::pki::{Ca, Validity};
use merlon_tests::process::{children, output, program, signal, stderr, stdout};

/// A user that owns nothing.
const NOBODY: u32 = 65534;

const HOSTS: [&str; 3] = ["localhost", "a.test", "b.test"];

struct Bed {
    instance: Instance,
    origin: Origin,
    _roots: TempDir,
    /// What was typed or shown while the instance was used.
    said: Vec<(String, Vec<u8>)>,
}

fn bed() -> Bed {
    let ca = Ca::new();
    let roots = TempDir::new("roots");
    ca.write(&roots.path().join("ca.pem"));
    let config = format!("[proxy]\nauth = 'basic'\nupstream_ca = ['{}']\n", roots.path().join("ca.pem").display());
    let origin = Origin::https(ca.leaf(&HOSTS, Validity::Now), echo);
    let instance = Instance::with(&Options { config, ..Options::default() });
    Bed { instance, origin, _roots: roots, said: Vec::new() }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

impl Bed {
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(self.instance.cli_ok(&[arguments, &["--json"]].concat()).lines().next().unwrap()).unwrap()
    }

    fn run(&self, arguments: &[&str]) {
        drop(self.instance.cli_ok(arguments));
    }

    fn heard(&mut self, what: &str, value: &Value) -> String {
        let text = value.as_str().unwrap().to_owned();
        self.said.push((what.to_owned(), text.clone().into_bytes()));
        text
    }

    /// Everything that an instance does with secrets.
    fn use_all(&mut self) {
        let made = self.json(&["proxy-user", "add", "ada"]);
        let password = self.heard("proxy password", &made["password"]);
        let made = self.json(&["token", "create", "--role", "owner"]);
        let token = self.heard("token", &made["token"]);
        let files = TempDir::new("said");
        let file = |name: &str, text: &str| {
            std::fs::write(files.path().join(name), text).unwrap();
            files.path().join(name).display().to_string()
        };
        let passphrase = "correct horse battery staple, said once";
        self.said.push(("passphrase".into(), passphrase.into()));
        let typed = file("passphrase", passphrase);
        let slot = self.json(&["keyslot", "add", "passphrase", "--passphrase-file", &typed])["id"].to_string();
        self.run(&["keyslot", "test", &slot, "--passphrase-file", &typed]);
        self.run(&["keyslot", "test", "1"]);
        let made = self.json(&["keyslot", "add", "recovery"]);
        let recovery = self.heard("recovery key", &made["key"]);
        self.run(&["keyslot", "confirm", "--recovery-file", &file("recovery", &recovery)]);

        for project in ["second", "third"] {
            self.run(&["project", "create", project, "--open"]);
            for host in HOSTS {
                self.intercept(host, &password);
            }
        }
        self.run(&["project", "open", "default"]);
        self.intercept("localhost", &password);
        // Without a tunnel, so that the password stands in the head of a request that is recorded.
        let plain = Origin::http(echo);
        let user = format!("ada:{password}");
        for path in ["a", "b", "c"] {
            let done = self.instance.curl(&["--proxy-user", &user, &format!("http://{}/{path}", plain.address())]);
            assert!(stdout(&done).starts_with("GET /"), "{}", stderr(&done));
        }

        // Over TLS on loopback, as a remote client.
        let api = self.instance.ready.api.clone();
        let token = file("token", &token);
        let ca = self.instance.ready.ca.display().to_string();
        for command in [&["status"][..], &["flows"], &["show", "1"], &["project", "list"]] {
            let mut remote = Command::new(program("merlon"));
            remote.args(["--url", &api, "--token-file", &token, "--ca-file", &ca]).args(command);
            let done = output(remote.env_clear());
            assert!(done.status.success(), "{}", stderr(&done));
        }
    }

    fn intercept(&self, host: &str, password: &str) {
        let url = format!("https://{host}:{}/x", self.origin.port());
        let resolved = format!("{host}:{}:127.0.0.1", self.origin.port());
        let user = format!("ada:{password}");
        let done = self.instance.curl(&["--proxy-user", &user, "--connect-to", &resolved, &url]);
        assert_eq!(stdout(&done), "GET /x HTTP/1.1 0 bytes", "{}{}", stderr(&done), self.instance.log());
    }

    /// Scans a process for everything, and for something that must be there.
    fn scan(&self, process: &str, keys: &Keys) -> Vec<Found> {
        let pid = self.instance.process(process);
        let der = ca_der(&self.instance.ready.ca);
        let known = ("CA certificate".to_owned(), der[100..164].to_vec());
        assert!(scan(pid, &[known]).found.iter().any(|found| found.form == "plain"), "the scan of {process} is blind");

        let mut secrets = keys.named();
        secrets.extend(keys.projects.iter().map(|(id, key)| (format!("key of project {id}"), key.clone())));
        secrets.extend(self.said.iter().cloned());
        let begun = std::time::Instant::now();
        let scan = scan(pid, &secrets);
        let (mib, seconds) = (scan.bytes >> 20, begun.elapsed().as_secs_f32());
        println!("{process}: {mib} MiB searched for {} secrets in {seconds:.1} s", secrets.len());
        assert!(scan.bytes > 1 << 20);
        scan.found
    }
}

fn ca_der(file: &Path) -> Vec<u8> {
    let text = std::fs::read_to_string(file).unwrap();
    let base64: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    data_encoding::BASE64.decode(base64.as_bytes()).unwrap()
}

#[test]
fn no_process_holds_a_key_where_it_can_be_read() {
    if !is_root() {
        // Nobody but root can even try, see below.
        return;
    }
    let mut bed = bed();
    bed.use_all();
    let keys = Keys::read(bed.instance.dir());
    assert_eq!(keys.projects.len(), 3);
    // A connection that has proved itself, and has overwritten nothing since.
    let password = [b"ada:".as_slice(), &bed.said[0].1].concat();
    let mut held = Client::connect(bed.instance.ready.proxy);
    let credentials = data_encoding::BASE64.encode(&password);
    let head = format!(
        "GET http://merlon.invalid/ HTTP/1.1\r\nHost: merlon.invalid\r\nProxy-Authorization: Basic {credentials}\r\n\r\n"
    );
    held.send(head.as_bytes());
    assert_eq!(held.answer().status, 200);

    let engine = bed.scan("merlond", &keys);
    assert!(engine.is_empty(), "{engine:#?}");

    // The signing library holds the scalar once, as a number.
    let (signing, stray): (Vec<_>, Vec<_>) = bed
        .scan("merlon-keeper", &keys)
        .into_iter()
        .partition(|found| (found.secret.as_str(), found.form) == ("CA scalar", "reversed"));
    assert!(stray.is_empty(), "{stray:#?}");
    assert!(signing.len() <= 1, "{signing:#?}");
}

#[test]
fn the_dialer_and_the_parent_never_held_one() {
    if !is_root() {
        return;
    }
    let mut bed = bed();
    bed.use_all();
    let keys = Keys::read(bed.instance.dir());
    let mut secrets = keys.named();
    secrets.extend(keys.projects.iter().map(|(id, key)| (format!("key of project {id}"), key.clone())));
    secrets.extend(bed.said.iter().cloned());
    for pid in [bed.instance.pid(), bed.instance.process("merlon-dialer")] {
        // The name of its program must be found.
        assert!(
            !scan(
                pid,
                &[("control".into(), b"/lib/x86_64-linux-gnu".to_vec()), ("libc".into(), b"GNU C Library".to_vec())]
            )
            .found
            .is_empty()
        );
        let found = scan(pid, &secrets).found;
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn after_a_restart_the_keys_are_no_easier_to_read() {
    if !is_root() {
        return;
    }
    let mut bed = bed();
    bed.use_all();
    for name in ["merlon-keeper", "merlond"] {
        let before = bed.instance.process(name);
        signal(before, Signal::SIGKILL);
        wait_for("another one", || {
            children(bed.instance.pid())
                .iter()
                .any(|(pid, n)| n == name && *pid != before && is_alive(*pid))
                .then_some(())
        });
    }
    let password = String::from_utf8(bed.said[0].1.clone()).unwrap();
    wait_for("the instance to be open", || {
        let done = bed.instance.cli(&["status", "--json"]);
        stdout(&done).contains("\"ready\":true").then_some(())
    });
    bed.intercept("a.test", &password);
    let keys = Keys::read(bed.instance.dir());
    for name in ["merlond", "merlon-keeper"] {
        let mut found = bed.scan(name, &keys);
        found.retain(|found| (found.secret.as_str(), found.form) != ("CA scalar", "reversed"));
        assert!(found.is_empty(), "{name}: {found:#?}");
    }
}

/// An instance of an ordinary user, and that user's try to read its processes.
#[test]
fn the_owner_cannot_read_the_memory_of_the_processes() {
    let dir = TempDir::new("owner");
    let user = is_root().then_some(NOBODY);
    if user.is_some() {
        std::os::unix::fs::chown(dir.path(), user, user).unwrap();
    }
    let instance = Instance::start(dir.path(), &Options { user, ..Options::default() });
    for (pid, name) in children(instance.pid()) {
        for file in ["mem", "maps", "environ", "auxv", "stack"] {
            let path = format!("/proc/{pid}/{file}");
            let refused = match user {
                None => std::fs::read(&path).is_err(),
                Some(user) => {
                    let user = user.to_string();
                    let mut read = Command::new("setpriv");
                    read.args(["--reuid", &user, "--regid", &user, "--clear-groups", "head", "-c", "1", &path]);
                    stderr(&output(&mut read)).contains("Permission denied")
                }
            };
            assert!(refused, "{path} of {name}");
        }
    }
}

#[test]
fn no_secret_stands_in_an_environment_or_on_a_command_line() {
    if !is_root() {
        return;
    }
    let mut bed = bed();
    bed.use_all();
    let keys = Keys::read(bed.instance.dir());
    let mut secrets: Vec<Vec<u8>> =
        keys.named().into_iter().chain(bed.said.clone()).map(|(_, secret)| secret).collect();
    secrets.extend(keys.projects.iter().map(|(_, key)| key.clone()));
    let hex: Vec<Vec<u8>> = secrets.iter().map(|secret| data_encoding::HEXLOWER.encode(secret).into_bytes()).collect();
    secrets.extend(hex);
    let mut all = children(bed.instance.pid());
    all.push((bed.instance.pid(), "merlond run".to_owned()));
    for (pid, name) in all {
        for file in ["environ", "cmdline"] {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
            let told = secrets.iter().any(|secret| memchr::memmem::find(&bytes, &secret[..16]).is_some());
            assert!(!told, "{file} of {name}: {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn a_crash_leaves_no_dump() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_CORE).unwrap();
    setrlimit(Resource::RLIMIT_CORE, hard, hard).unwrap();
    // What dumps where nothing forbids it, if this machine can dump at all.
    let place = TempDir::new("dump");
    let mut victim = Command::new("sleep").arg("1000").current_dir(place.path()).spawn().unwrap();
    signal(victim.id(), Signal::SIGABRT);
    let dumps = victim.wait().unwrap().core_dumped();
    println!("core limit {hard}, an unprotected process {}", if dumps { "dumps" } else { "does not dump either" });

    let instance = Instance::new();
    for name in ["merlond", "merlon-keeper", "merlon-dialer"] {
        let pid = instance.process(name);
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(line.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{name}: {line}");
        signal(pid, Signal::SIGABRT);
        wait_for("another one", || {
            children(instance.pid()).iter().any(|(now, n)| n == name && *now != pid && is_alive(*now)).then_some(())
        });
        assert!(instance.log().contains(&format!("{name} ended with signal 6")), "{}", instance.log());
    }
    setrlimit(Resource::RLIMIT_CORE, soft, hard).unwrap();
    let here = std::fs::read_dir(".").unwrap().chain(std::fs::read_dir(instance.dir()).unwrap());
    let names: Vec<String> = here.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().all(|name| !name.starts_with("core")), "{names:?}");
}

#[test]
fn the_scan_finds_a_secret_in_every_form() {
    if !is_root() {
        return;
    }
    let secret = b"njrrmu7pismtkljm27k43isv54";
    let reversed: Vec<u8> = secret.iter().rev().copied().collect();
    let mut held = vec![
        ("plain", String::from_utf8(secret.to_vec()).unwrap()),
        ("reversed", String::from_utf8(reversed).unwrap()),
        ("hex", data_encoding::HEXLOWER.encode(secret)),
        ("HEX", data_encoding::HEXUPPER.encode(secret)),
    ];
    // A run of 16 bytes is enough, and in base64 any place of the group.
    held.push(("plain", String::from_utf8(secret[5..21].to_vec()).unwrap()));
    for before in ["ada:", "a:", "ad:"] {
        held.push(("base64", data_encoding::BASE64.encode(&[before.as_bytes(), secret].concat())));
    }
    for (form, text) in held {
        // What a process was started with stands in its memory.
        let mut holder = Command::new("sleep").arg("1000").env_clear().env("HELD", &text).spawn().unwrap();
        let found = wait_for("the program to run", || {
            let maps = std::fs::read_to_string(format!("/proc/{}/maps", holder.id())).unwrap();
            maps.contains("sleep").then(|| scan(holder.id(), &[("secret".to_owned(), secret.to_vec())]).found)
        });
        signal(holder.id(), Signal::SIGKILL);
        holder.wait().unwrap();
        assert!(found.iter().any(|found| found.form == form), "{form}: {text}: {found:?}");
    }
}
