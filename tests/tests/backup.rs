//! `merlon backup` and `merlon restore` as a user has them: made while traffic runs, restored elsewhere, opened by what a
//! person kept; altered, cut, forged; and what the file shows to somebody without a key.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use data_encoding::HEXLOWER;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use merlon_tests::TempDir;
use merlon_tests::client::Client;
use merlon_tests::instance::{Instance, Options, is_alive, wait_for};
use merlon_tests::keys::Keys;
use merlon_tests::origin::{Origin, Stream};
use merlon_tests::process::{children, output, program, signal, stderr, stdout};

/// Answers `/N/…` with N bytes.
fn answer(mut stream: Stream) {
    while let Some(request) = stream.request() {
        stream.ok(&body(&request.path()));
    }
}

fn body(path: &str) -> Vec<u8> {
    let length = path.split('/').nth(1).unwrap().parse().unwrap();
    let bytes = path.bytes().cycle().enumerate();
    bytes.map(|(at, byte)| byte.wrapping_add(u8::try_from(at % 253).unwrap())).take(length).collect()
}

fn get(instance: &Instance, origin: &Origin, path: &str) {
    let mut client = Client::connect(instance.ready.proxy);
    let to = origin.address();
    client.send(format!("GET http://{to}{path} HTTP/1.1\r\nHost: {to}\r\n\r\n").as_bytes());
    assert_eq!(client.answer().body, body(path));
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// Makes a recovery key and types it back; the file that holds it.
fn recovery(instance: &Instance, files: &Path) -> String {
    let printed = instance.cli_ok(&["keyslot", "add", "recovery"]);
    let key = printed.split_whitespace().max_by_key(|word| word.len()).unwrap();
    let file = write(files, "recovery", key);
    instance.cli_ok(&["keyslot", "confirm", "--recovery-file", &file]);
    file
}

fn merlon(arguments: &[&str]) -> Output {
    output(Command::new(program("merlon")).args(arguments))
}

fn restore(backup: &Path, dir: &Path) -> Output {
    merlon(&["restore", &backup.display().to_string(), "--data-dir", &dir.display().to_string()])
}

/// A restored instance, which waits to be unlocked.
struct Restored {
    child: Child,
    dir: PathBuf,
    log: PathBuf,
}

impl Restored {
    fn start(dir: &Path) -> Self {
        let (child, log) = Instance::spawn(dir, &Options::default());
        let this = Self { child, dir: dir.to_owned(), log };
        wait_for("the instance to say that it is locked", || this.log().contains("locked: no keyslot").then_some(()));
        this
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn cli(&self, arguments: &[&str]) -> Output {
        output(Command::new(program("merlon")).arg("--data-dir").arg(&self.dir).args(arguments))
    }

    fn cli_ok(&self, arguments: &[&str]) -> String {
        let done = self.cli(arguments);
        assert!(done.status.success(), "merlon {arguments:?}: {}\n{}", stderr(&done), self.log());
        stdout(&done)
    }

    /// Until its first project is open.
    fn unlock(&mut self, arguments: &[&str]) {
        self.cli_ok(&[&["unlock"], arguments].concat());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(self.child.stdout.as_mut().unwrap()), &mut line)
            .unwrap();
        assert!(line.starts_with("ready "), "{line}{}", self.log());
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        let all = children(self.child.id());
        signal(self.child.id(), Signal::SIGTERM);
        self.child.wait().unwrap();
        for (pid, _) in all {
            wait_for("a process's end", || (!is_alive(pid)).then_some(()));
        }
    }
}

/// All flows of the open project by id.
fn flows(listed: &Output) -> BTreeMap<u64, Value> {
    assert!(matches!(listed.status.code(), Some(0 | 3)), "{}", stderr(listed));
    let text = stdout(listed);
    let flows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    flows.map(|flow| (flow["id"].as_u64().unwrap(), flow)).collect()
}

const LIST: &[&str] = &["flows", "--json", "--limit", "100000"];

#[test]
fn what_was_acknowledged_before_a_backup_is_in_it_and_traffic_loses_nothing() {
    let files = TempDir::new("files");
    let origin = Origin::http(answer);
    let instance = Instance::new();
    let key = recovery(&instance, files.path());
    for number in 0..20 {
        get(&instance, &origin, &format!("/100/small/{number}"));
        get(&instance, &origin, &format!("/{}/large/{number}", 300_000 + number));
    }
    let first = wait_for("forty flows", || Some(flows(&instance.cli(LIST))).filter(|flows| flows.len() == 40));
    instance.cli_ok(&["project", "create", "second", "--open"]);
    get(&instance, &origin, "/200000/second/0");
    let second = wait_for("the flow", || Some(flows(&instance.cli(LIST))).filter(|flows| flows.len() == 1));
    instance.cli_ok(&["project", "create", "never-opened"]);
    instance.cli_ok(&["project", "open", "default"]);

    // Backups follow each other while requests do, so that they meet.
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let backup = files.path().join("backup");
    let path = backup.display().to_string();
    thread::scope(|scope| {
        for sender in 0..2 {
            let (instance, origin, stop, done) = (&instance, &origin, &stop, &done);
            scope.spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    get(instance, origin, &format!("/{}/during/{sender}/{number}", [50, 100_000][number % 2]));
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for round in 0..4 {
            let before = done.load(Ordering::SeqCst);
            instance.cli_ok(&["backup", &path, "--force"]);
            wait_for("requests in every round", || (done.load(Ordering::SeqCst) > before + round).then_some(()));
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let sent = usize::try_from(done.load(Ordering::SeqCst)).unwrap();
    let all = wait_for("all flows", || Some(flows(&instance.cli(LIST))).filter(|flows| flows.len() == 40 + sent));
    let status: Value = serde_json::from_str(&instance.cli_ok(&["status", "--json"])).unwrap();
    assert_eq!(status["recorder"]["unrecorded"], 0, "{status}");
    println!("{sent} flows while four backups were made, the last of {} bytes", fs::metadata(&backup).unwrap().len());

    // The source runs on; the copy opens by the recovery key on "another machine".
    let elsewhere = TempDir::new("elsewhere");
    let dir = elsewhere.path().join("i");
    let done = restore(&backup, &dir);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(stdout(&done).contains("merlond run --data-dir") && stdout(&done).contains("unlock --recovery-file FILE"));
    assert!(!dir.join("keeper/file.key").exists(), "no slot of the machine goes with a backup");
    let mut restored = Restored::start(&dir);
    restored.unlock(&["--recovery-file", &key]);
    assert!(restored.log().contains("restored from a backup"), "{}", restored.log());
    let there = flows(&restored.cli(LIST));
    for (id, flow) in &first {
        assert_eq!(there.get(id), Some(flow));
    }
    assert!(there.len() > first.len(), "the last backup was made when more flows had been acknowledged");
    for (id, flow) in &there {
        assert_eq!(all.get(id).map(|flow| &flow["path"]), Some(&flow["path"]), "a flow that never was");
        if flow["duration_us"].is_null() || flow["error"].is_string() {
            continue;
        }
        let shown = restored.cli(&["show", &id.to_string(), "--body", "response"]);
        assert!(shown.status.success(), "{}", stderr(&shown));
        assert_eq!(shown.stdout, body(flow["path"].as_str().unwrap()), "{flow}");
    }
    restored.cli_ok(&["project", "open", "second"]);
    assert_eq!(flows(&restored.cli(LIST)), second);
    let id = second.keys().next().unwrap().to_string();
    assert_eq!(restored.cli(&["show", &id, "--body", "response"]).stdout, body("/200000/second/0"));
    restored.cli_ok(&["project", "open", "never-opened"]);
    assert_eq!(restored.cli_ok(&["ca", "fingerprint"]), instance.cli_ok(&["ca", "fingerprint"]));

    // This machine has its own slot now.
    drop(restored);
    let again = Instance::start(&dir, &Options::default());
    assert!(again.cli_ok(&["keyslot", "list", "--json"]).contains("\"file\""));
}

#[test]
fn a_backup_opens_by_its_passphrase_and_by_no_other_key() {
    let files = TempDir::new("files");
    let backup = files.path().join("backup");
    let path = backup.display().to_string();
    let instance = Instance::new();
    let refused = instance.cli(&["backup", &path]);
    assert!(!refused.status.success() && stderr(&refused).contains("keyslot add recovery"), "{}", stderr(&refused));
    instance.cli_ok(&["keyslot", "add", "recovery"]);
    let refused = instance.cli(&["backup", &path]);
    assert!(!refused.status.success(), "a recovery key that nobody typed back may be lost");
    assert_eq!(fs::read_dir(files.path()).unwrap().count(), 0);

    let own = write(files.path(), "own", "of the instance\n");
    instance.cli_ok(&["keyslot", "add", "passphrase", "--passphrase-file", &own]);
    let slots = instance.cli_ok(&["keyslot", "list", "--json"]);
    let extra = write(files.path(), "extra", "of this backup\n");
    instance.cli_ok(&["backup", &path, "--passphrase-file", &extra]);
    assert_eq!(instance.cli_ok(&["keyslot", "list", "--json"]), slots, "the instance has no new slot");
    let exists = instance.cli(&["backup", &path]);
    assert_eq!(exists.status.code(), Some(2), "{}", stderr(&exists));

    let other = Instance::new();
    let foreign = TempDir::new("foreign");
    let foreign = recovery(&other, foreign.path());
    for (round, opens) in [&own, &extra].into_iter().enumerate() {
        let dir = files.path().join(format!("restored-{round}"));
        assert!(restore(&backup, &dir).status.success());
        let taken = restore(&backup, &dir);
        assert!(taken.status.code() == Some(2) && stderr(&taken).contains("not empty"), "{}", stderr(&taken));
        let mut restored = Restored::start(&dir);
        let wrong = restored.cli(&["unlock", "--recovery-file", &foreign]);
        assert!(!wrong.status.success() && stderr(&wrong).contains("does not open"), "{}", stderr(&wrong));
        let guess = write(files.path(), "guess", "of the instancf\n");
        let wrong = restored.cli(&["unlock", "--passphrase-file", &guess]);
        assert!(!wrong.status.success() && stderr(&wrong).contains("does not open"), "{}", stderr(&wrong));
        assert!(dir.join("keeper/restore.json").exists() && !dir.join("keeper/file.key").exists());
        restored.unlock(&["--passphrase-file", opens]);
    }
}

/// A backup, taken apart: each part with where its header and its bytes begin, and where it ends.
struct Part {
    name: String,
    header: usize,
    start: usize,
    end: usize,
}

fn parts(backup: &[u8]) -> Vec<Part> {
    let mut at = backup.iter().position(|b| *b == b'\n').unwrap() + 1;
    let mut parts = Vec::new();
    while at < backup.len() {
        let line = backup[at..].iter().position(|b| *b == b'\n').unwrap();
        let header: Value = serde_json::from_slice(&backup[at..at + line]).unwrap();
        let start = at + line + 1;
        let end = start + usize::try_from(header["length"].as_u64().unwrap()).unwrap();
        parts.push(Part { name: header["part"].as_str().unwrap().to_owned(), header: at, start, end });
        at = end;
    }
    parts
}

/// Puts parts together again, with a manifest that fits them, and the MAC that it had before.
fn forged(original: &[u8], parts: &[(String, Vec<u8>)]) -> Vec<u8> {
    let manifest = parts_of(original).pop().unwrap().1;
    let mut lines = manifest.split(|b| *b == b'\n');
    let mut line: Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
    let mut seal: Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
    let hash = |bytes: &[u8]| HEXLOWER.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    let listed = parts.iter().map(|(name, bytes)| json!({"name": name, "length": bytes.len(), "sha256": hash(bytes)}));
    line["parts"] = listed.collect();
    let line = line.to_string();
    seal["check"] = hash(line.as_bytes()).into();
    let manifest = format!("{line}\n{seal}\n").into_bytes();
    let mut file = b"merlon backup 1\n".to_vec();
    for (name, bytes) in parts.iter().chain([&("manifest".to_owned(), manifest)]) {
        file.extend(format!("{}\n", json!({"part": name, "length": bytes.len()})).bytes());
        file.extend(bytes);
    }
    file
}

fn parts_of(backup: &[u8]) -> Vec<(String, Vec<u8>)> {
    parts(backup).into_iter().map(|part| (part.name, backup[part.start..part.end].to_vec())).collect()
}

/// A backup with two projects and a segment, and the recovery key that opens it.
fn example(files: &Path) -> (Vec<u8>, String, Instance) {
    let origin = Origin::http(answer);
    let instance = Instance::new();
    let key = recovery(&instance, files);
    get(&instance, &origin, "/200000/marker-of-a-path");
    instance.flow("path:/200000/marker-of-a-path");
    instance.cli_ok(&["project", "create", "name-of-a-project", "--open"]);
    let path = files.join("example").display().to_string();
    instance.cli_ok(&["backup", &path]);
    (fs::read(path).unwrap(), key, instance)
}

#[test]
fn a_damaged_backup_is_told_with_its_part_and_nothing_is_laid_out() {
    let files = TempDir::new("files");
    let (good, _, instance) = example(files.path());
    drop(instance);
    let refused = |bytes: &[u8], why: &str| {
        let backup = files.path().join("damaged");
        let dir = TempDir::new("target");
        fs::write(&backup, bytes).unwrap();
        let done = restore(&backup, &dir.path().join("i"));
        assert_eq!(done.status.code(), Some(1), "{why}: {}", stderr(&done));
        assert!(stderr(&done).contains(why), "{why}: {}", stderr(&done));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{why}");
    };
    let found = parts(&good);
    let names: Vec<&str> = found.iter().map(|part| part.name.as_str()).collect();
    let expected = [
        "keeper/keyslots",
        "keeper/secrets.db",
        "keeper/audit.log.sealed",
        "store/projects/1.db",
        "store/projects/1.bodies/1.seg",
        "store/projects/2.db",
        "manifest",
    ];
    assert_eq!(names, expected);
    for part in &found {
        let mut altered = good.clone();
        altered[(part.start + part.end) / 2] ^= 1;
        refused(&altered, &format!("the part {} was altered", part.name));
        refused(&good[..(part.start + part.end) / 2], &format!("cut off in the part {}", part.name));
        refused(&good[..part.end.min(good.len() - 1)], "cut off");
        let mut renamed = good.clone();
        renamed[part.header + 10] = b'.';
        refused(&renamed, "it is damaged after");
    }
    refused(&good[..16], "cut off after its first line");
    refused(b"", "no backup");
    refused(b"something else, which is longer", "no backup");
    refused(&[b"merlon backup 2\n", &good[16..]].concat(), "later release");
    refused(&[good.as_slice(), b"x"].concat(), "behind its end");
    let without = |left_out: usize| {
        let part = &found[left_out];
        [&good[..part.header], &good[part.end..]].concat()
    };
    refused(&without(5), "the part store/projects/2.db is missing");
    let twice = [&good[..found[3].end], &good[found[3].header..]].concat();
    refused(&twice, "the part store/projects/1.db twice");
    // Two parts exchanged: each under the other's name.
    let mut exchanged = parts_of(&good);
    let (one, two) = (exchanged[3].1.clone(), exchanged[5].1.clone());
    (exchanged[3].1, exchanged[5].1) = (two, one);
    let bytes = exchanged.iter().flat_map(|(name, bytes)| {
        [format!("{}\n", json!({"part": name, "length": bytes.len()})).into_bytes(), bytes.clone()].concat()
    });
    refused(&[b"merlon backup 1\n".to_vec(), bytes.collect()].concat(), "the part store/projects/1.db was altered");
    // A name that leads elsewhere, and a length that no file has.
    for header in [r#"{"part":"keeper/../../x","length":1}"#, r#"{"part":"/etc/x","length":1}"#, "{}"] {
        refused(format!("merlon backup 1\n{header}\nx").as_bytes(), "what stands there is no part");
    }
    let endless = r#"{"part":"keeper/secrets.db","length":18446744073709551615}"#;
    refused(format!("merlon backup 1\n{endless}\nx").as_bytes(), "cut off in the part keeper/secrets.db");
    let manifest = r#"{"part":"manifest","length":18446744073709551615}"#;
    refused(format!("merlon backup 1\n{manifest}\nx").as_bytes(), "larger than a backup can be");
}

#[test]
fn a_forged_manifest_keeps_the_instance_locked() {
    let files = TempDir::new("files");
    let (good, key, instance) = example(files.path());
    instance.cli_ok(&["token", "create", "--role", "viewer"]);
    let later = files.path().join("later");
    instance.cli_ok(&["backup", &later.display().to_string()]);
    let later = fs::read(later).unwrap();
    drop(instance);
    let locked = |prepare: &dyn Fn(&Path)| {
        let dir = TempDir::new("target");
        let dir = dir.path().join("i");
        prepare(&dir);
        let restored = Restored::start(&dir);
        let refused = restored.cli(&["unlock", "--recovery-file", &key]);
        assert!(!refused.status.success() && stderr(&refused).contains("was altered"), "{}", stderr(&refused));
        // The engine and its keeper may not have met yet.
        wait_for("status to say that it is locked", || {
            let status = restored.cli(&["status"]);
            format!("{}{}", stdout(&status), stderr(&status)).contains("locked").then_some(())
        });
        assert!(!dir.join("keeper/file.key").exists(), "no slot is made for what was altered");
        stderr(&refused)
    };
    let laid_out = |bytes: &[u8], dir: &Path| {
        let backup = files.path().join("forged");
        fs::write(&backup, bytes).unwrap();
        let done = restore(&backup, dir);
        assert!(done.status.success(), "{}", stderr(&done));
    };
    // An older secrets.db (with a token that was revoked, say) put into a later backup, everything computed anew but
    // the MAC.
    let mut mixed = parts_of(&later);
    mixed.pop();
    mixed[1].1 = parts_of(&good)[1].1.clone();
    let why = locked(&|dir| laid_out(&forged(&later, &mixed), dir));
    assert!(why.contains("manifest"), "{why}");
    // A project left out.
    let mut fewer = parts_of(&good);
    fewer.pop();
    fewer.remove(4);
    locked(&|dir| laid_out(&forged(&good, &fewer), dir));
    // Exchanged after it was laid out.
    let why = locked(&|dir| {
        laid_out(&later, dir);
        fs::write(dir.join("keeper/secrets.db"), &parts_of(&good)[1].1).unwrap();
    });
    assert!(why.contains("secrets.db"), "{why}");
    // The same, unaltered, opens.
    let dir = TempDir::new("target");
    let dir = dir.path().join("i");
    laid_out(&later, &dir);
    Restored::start(&dir).unlock(&["--recovery-file", &key]);
}

#[test]
fn a_backup_shows_nothing_to_somebody_without_a_key() {
    let files = TempDir::new("files");
    let (backup, key, mut instance) = example(files.path());
    let dir = instance.dir().to_owned();
    let kept = TempDir::new("kept");
    instance.stop();
    // Computed from the instance's own files, with its key file.
    fs::create_dir(kept.path().join("keeper")).unwrap();
    for name in ["keyslots.a", "secrets.db", "file.key"] {
        fs::copy(dir.join("keeper").join(name), kept.path().join("keeper").join(name)).unwrap();
    }
    let keys = Keys::read(kept.path());
    let mut hidden = keys.named();
    hidden.extend(keys.projects.iter().map(|(id, key)| (format!("key of project {id}"), key.clone())));
    hidden.extend([
        ("the CA's key".to_owned(), keys.ca_scalar.clone()),
        ("the master key".to_owned(), keys.master.clone()),
        ("the recovery key".to_owned(), fs::read(key).unwrap()),
    ]);
    for text in ["marker-of-a-path", "name-of-a-project", "127.0.0.1", "SQLite format 3", "CREATE TABLE", "HTTP/1.1"] {
        hidden.push((text.to_owned(), text.as_bytes().to_vec()));
    }
    hidden.push(("a body".to_owned(), body("/200000/marker-of-a-path")[1000..1032].to_vec()));
    for (name, bytes) in hidden {
        assert!(memchr::memmem::find(&backup, &bytes).is_none(), "the backup shows {name}");
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    if !nix::unistd::geteuid().is_root() {
        println!("not root: no disk is filled");
        return;
    }
    let disk = TempDir::new("disk");
    let mounted = output(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "merlon-test"]).arg(disk.path()));
    if !mounted.status.success() {
        println!("no disk is filled: {}", stderr(&mounted));
        return;
    }
    let files = TempDir::new("files");
    let origin = Origin::http(answer);
    let (_, _, instance) = example(files.path());
    for number in 0..10 {
        get(&instance, &origin, &format!("/200000/{number}"));
        instance.flow(&format!("path:/200000/{number}"));
    }
    let there = || fs::read_dir(disk.path()).unwrap().count();
    let full = instance.cli(&["backup", &disk.path().join("backup").display().to_string()]);
    let said = (full.status.code(), stderr(&full), there());
    let good = files.path().join("good");
    instance.cli_ok(&["backup", &good.display().to_string()]);
    let restored = restore(&good, &disk.path().join("i"));
    let said_by_restore = (restored.status.code(), stderr(&restored), there());
    let unmounted = output(Command::new("umount").arg("--lazy").arg(disk.path()));
    assert!(unmounted.status.success(), "{}", stderr(&unmounted));
    for (code, text, left) in [said, said_by_restore] {
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("No space left"), "{text}");
        assert_eq!(left, 0, "{text}");
    }
}

#[test]
fn an_instance_that_ends_in_the_middle_gives_no_backup() {
    let files = TempDir::new("files");
    let origin = Origin::http(answer);
    let mut instance = Instance::new();
    recovery(&instance, files.path());
    get(&instance, &origin, "/6000000/large");
    instance.flow("path:/6000000/large");
    // Through a pipe that is read slowly, so that its middle can be told.
    let pipe = files.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let mut command = Command::new(program("merlon"));
    command.arg("--data-dir").arg(instance.dir()).arg("backup").arg(&pipe);
    let backing_up = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut taken = vec![0; 200_000];
    let mut from = fs::File::open(&pipe).unwrap();
    std::io::Read::read_exact(&mut from, &mut taken).unwrap();
    instance.kill();
    std::io::Read::read_to_end(&mut from, &mut taken).unwrap();
    let done = backing_up.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", stderr(&done));
    assert!(stderr(&done).contains("did not answer in full"), "{}", stderr(&done));
    let broken = files.path().join("broken");
    fs::write(&broken, &taken).unwrap();
    let refused = restore(&broken, &files.path().join("i"));
    assert!(refused.status.code() == Some(1) && stderr(&refused).contains("cut off"), "{}", stderr(&refused));
    assert!(!files.path().join("i").exists());
}

#[test]
fn what_cannot_be_is_told_with_what_to_do() {
    let files = TempDir::new("files");
    let (backup, _, mut instance) = example(files.path());
    let path = files.path().join("example").display().to_string();
    let nowhere = merlon(&["restore", &path]);
    assert!(nowhere.status.code() == Some(2) && stderr(&nowhere).contains("--data-dir DIR"), "{}", stderr(&nowhere));
    let remote = merlon(&["--url", "https://127.0.0.1:1", "backup", "x"]);
    assert!(remote.status.code() == Some(2) && stderr(&remote).contains("own host only"), "{}", stderr(&remote));
    let over = restore(Path::new(&path), instance.dir());
    assert!(over.status.code() == Some(2) && stderr(&over).contains("not empty"), "{}", stderr(&over));
    let missing = instance.cli(&["backup", "/nonexistent/directory/backup"]);
    assert!(missing.status.code() == Some(1) && stderr(&missing).contains("cannot be written"), "{}", stderr(&missing));
    instance.stop();
    fs::remove_file(instance.dir().join("keeper/file.key")).unwrap();
    let locked = Restored::start(instance.dir());
    let refused = locked.cli(&["backup", &path, "--force"]);
    assert!(!refused.status.success() && stderr(&refused).contains("unlock"), "{}", stderr(&refused));
    assert!(fs::read(&path).unwrap() == backup, "a backup that fails replaces nothing");
}
