//! A disk that is full, a store that cannot be written: traffic goes on, what is not recorded is counted and told, keys
//! stay as they are, and recording goes on by itself.
//!
//! A full disk is a small tmpfs, which root mounts; without root there is none, and these tests say so and end.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a panic is how a test fails, and what it measured is shown"
)]

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use merlon_tests::TempDir;
use merlon_tests::client::{Answer, Client};
use merlon_tests::instance::{Instance, Options, wait_for};
use merlon_tests::origin::{Origin, Stream};
use merlon_tests::process::{children, output, signal, stderr, stdout};

/// A file system of a few megabytes.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(mebibytes: u32) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("not root: no disk is filled");
            return None;
        }
        let dir = TempDir::new("disk");
        let size = format!("size={mebibytes}m,mode=0700");
        let done = output(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "merlon-test"]).arg(dir.path()));
        if !done.status.success() {
            println!("no disk is filled: {}", stderr(&done));
            return None;
        }
        Some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Takes all the room there is, to the last byte.
    fn fill(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.filler()).unwrap();
        let mut piece = 64 << 10;
        while piece > 0 {
            if file.write_all(&vec![0x55; piece]).is_err() {
                piece /= 2;
            }
        }
        assert!(File::create(self.path().join("x")).and_then(|mut x| x.write_all(b"x")).is_err(), "there is room left");
        drop(std::fs::remove_file(self.path().join("x")));
    }

    fn clear(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0.path()).status());
    }
}

/// Answers `/N/…` with N bytes that cannot be compressed or guessed from the path alone.
fn answer(mut stream: Stream) {
    while let Some(request) = stream.request() {
        let path = request.path();
        stream.ok(&body(&path));
    }
}

fn body(path: &str) -> Vec<u8> {
    let length = path.split('/').nth(1).unwrap().parse().unwrap();
    path.bytes()
        .cycle()
        .enumerate()
        .map(|(at, byte)| byte.wrapping_add(u8::try_from(at % 253).unwrap()))
        .take(length)
        .collect()
}

fn get(instance: &Instance, origin: &Origin, path: &str) -> Answer {
    let mut client = Client::connect(instance.ready.proxy);
    let to = origin.address();
    client.send(format!("GET http://{to}{path} HTTP/1.1\r\nHost: {to}\r\n\r\n").as_bytes());
    client.answer()
}

fn status(instance: &Instance) -> Value {
    serde_json::from_str(&instance.cli_ok(&["status", "--json"])).unwrap()
}

fn recorder(instance: &Instance, field: &str) -> u64 {
    status(instance)["recorder"][field].as_u64().unwrap()
}

/// A queue that is full soon.
fn small_queue() -> Options {
    Options { config: "[recording]\nqueue_bytes = 1048576\n".into(), ..Options::default() }
}

#[test]
fn on_a_full_disk_traffic_goes_on_what_is_lost_is_counted_and_recording_comes_back() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let origin = Origin::http(answer);
    let instance = Instance::start(disk.path(), &small_queue());
    let processes = children(instance.pid());
    let before = get(&instance, &origin, "/100/before");
    assert_eq!(before.body, body("/100/before"));
    let shown = instance.flow("path:/before");

    disk.fill();
    let mut sent = 1;
    // Ten times what the queue holds.
    for number in 0..200 {
        let path = format!("/50000/full/{number}");
        let answer = get(&instance, &origin, &path);
        assert!(answer.status == 200 && answer.body == body(&path), "{number}: {}", answer.head);
        sent += 1;
    }
    // One that is larger than the queue, so that it is written while under way.
    let large = get(&instance, &origin, "/5000000/large");
    assert!(large.body == body("/5000000/large"));
    sent += 1;
    let full = status(&instance);
    let unrecorded = full["recorder"]["unrecorded"].as_u64().unwrap();
    assert!(unrecorded > 100, "{full}");
    let why = full["recorder"]["last_error"].as_str().unwrap();
    assert!(why.contains("full") && why.contains("by itself"), "{why}");
    let text = instance.cli_ok(&["status"]);
    assert!(text.contains(&format!("{unrecorded} NOT recorded")) && text.contains("last failure"), "{text}");
    assert_eq!(instance.flow("path:/before"), shown, "what was recorded can be read");

    disk.clear();
    // What waited is written first; until then the queue is full, and nobody waits for it.
    wait_for("recording to work again", || {
        let now = status(&instance);
        now["recorder"]["last_error"].as_str().unwrap().contains("works again").then_some(())
    });
    let log = instance.log();
    assert!(log.contains("recording fails: ") && log.contains("recording works again; "), "{log}");
    let path = "/1000/after";
    assert_eq!(get(&instance, &origin, path).status, 200);
    sent += 1;
    let after = instance.flow("path:/after");
    assert_eq!(after["response_bytes"], 1000);
    let (recorded, unrecorded) = (recorder(&instance, "recorded"), recorder(&instance, "unrecorded"));
    println!("{sent} flows: {recorded} recorded, {unrecorded} counted as not recorded");
    assert_eq!(recorded + unrecorded, sent, "every flow is counted once: {}", status(&instance));
    let whole = instance.flows("").into_iter().filter(|flow| flow["error"].is_null() && !flow["duration_us"].is_null());
    assert_eq!(whole.count() as u64, recorded);
    // New flows are recorded as ever.
    let count = recorder(&instance, "unrecorded");
    for number in 0..20 {
        assert_eq!(get(&instance, &origin, &format!("/1000/again/{number}")).status, 200);
    }
    wait_for("the last flows", || (instance.flows("path:/again/").len() == 20).then_some(()));
    assert_eq!(recorder(&instance, "unrecorded"), count);
    assert_eq!(children(instance.pid()), processes, "nothing has crashed: {}", instance.log());
}

#[test]
fn on_a_full_disk_keys_stay_as_they_are() {
    let Some(disk) = SmallDisk::mount(16) else { return };
    let instance = Instance::start(disk.path(), &Options::default());
    let processes = children(instance.pid());
    let _ = instance.cli_ok(&["token", "create", "--role", "viewer", "--label", "before"]);
    let files = ["keyslots.a", "keyslots.b", "file.key"].map(|name| disk.path().join("keeper").join(name));
    let before = files.clone().map(|file| std::fs::read(file).unwrap());
    let names = || {
        let entries = std::fs::read_dir(disk.path().join("keeper")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let (slots, left) = (instance.cli_ok(&["keyslot", "list", "--json"]), names());

    disk.fill();
    for arguments in [
        &["keyslot", "add", "recovery"][..],
        &["project", "create", "another", "--open"],
        &["token", "create", "--role", "viewer", "--label", "during"],
        &["proxy-user", "add", "ada"],
    ] {
        let done = instance.cli(arguments);
        let told = stderr(&done);
        // Small rows may still fit into pages that the file has.
        assert!(!done.status.success() || arguments[0] != "keyslot", "{}", stdout(&done));
        assert!(done.status.success() || told.contains("space") || told.contains("full"), "{arguments:?}: {told}");
        println!("{arguments:?}: {} {}", done.status, told.trim());
    }
    assert!(files.clone().map(|file| std::fs::read(file).unwrap()) == before, "keyslots were changed");
    assert_eq!(instance.cli_ok(&["keyslot", "list", "--json"]), slots);
    let _ = instance.cli_ok(&["keyslot", "test", "1"]);
    assert_eq!(names().iter().filter(|name| name.starts_with('.')).count(), 0, "{:?}", names());

    disk.clear();
    let _ = instance.cli_ok(&["keyslot", "add", "recovery"]);
    let _ = instance.cli_ok(&["token", "create", "--role", "viewer", "--label", "after"]);
    let tokens = instance.cli_ok(&["token", "list", "--json"]);
    assert!(tokens.contains("before") && tokens.contains("after"), "{tokens}");
    assert_eq!(names(), left);
    assert_eq!(children(instance.pid()), processes, "nothing has crashed: {}", instance.log());
    drop(instance);
    // And all of it opens again.
    let again = Instance::start(disk.path(), &Options::default());
    assert_eq!(again.cli_ok(&["keyslot", "list", "--json"]).lines().count(), 2);
}

#[test]
fn a_start_on_a_full_disk_says_so_and_breaks_nothing() {
    let Some(disk) = SmallDisk::mount(16) else { return };
    let fingerprint = Instance::start(disk.path(), &Options::default()).cli_ok(&["ca", "fingerprint"]);
    disk.fill();
    let (mut child, log) = Instance::spawn(disk.path(), &Options::default());
    let text = wait_for("a word about the disk", || {
        let text = std::fs::read_to_string(&log).unwrap();
        text.contains("secrets.db: the disk (or quota) is full").then_some(text)
    });
    println!("{text}");
    if child.try_wait().unwrap().is_none() {
        signal(child.id(), Signal::SIGTERM);
    }
    child.wait().unwrap();
    disk.clear();
    assert_eq!(Instance::start(disk.path(), &Options::default()).cli_ok(&["ca", "fingerprint"]), fingerprint);
}

/// A user for whom modes count.
const NOBODY: u32 = 65534;

#[test]
fn a_store_that_cannot_be_written_is_told_and_opens_by_itself_once_it_can() {
    let root = nix::unistd::geteuid().is_root();
    let user = root.then_some(NOBODY);
    let dir = TempDir::new("readonly");
    if root {
        std::os::unix::fs::chown(dir.path(), user, user).unwrap();
    }
    let options = || Options { user, ..Options::default() };
    drop(Instance::start(dir.path(), &options()));
    let mode = |path: &str, mode: u32| {
        std::fs::set_permissions(dir.path().join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (path, closed, open) in
        [("store/projects", 0o500, 0o700), ("store/projects/1.db", 0o400, 0o600), ("store", 0o500, 0o700)]
    {
        mode(path, closed);
        let (mut child, log) = Instance::spawn(dir.path(), &options());
        let text = wait_for("the message", || {
            let text = std::fs::read_to_string(&log).unwrap();
            let ended = child.try_wait().unwrap().is_some();
            (text.contains("not open") || ended).then_some(text)
        });
        println!("{path}: {text}");
        assert!(text.contains("store") && (text.contains("writable") || text.contains("ermission")), "{path}: {text}");
        mode(path, open);
        if child.try_wait().unwrap().is_none() {
            signal(child.id(), Signal::SIGTERM);
            assert_eq!(child.wait().unwrap().code(), Some(0), "{path}");
        }
        std::fs::remove_file(log).unwrap();
        drop(Instance::start(dir.path(), &options()));
    }
}
