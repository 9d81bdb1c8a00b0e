//! `merlon keyslot rotate` on real instances: under traffic, with old copies of everything, and killed at random moments.
//!
//! A failure prints the seed; `MERLON_TEST_SEED` repeats its choices (not the scheduling of processes).

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use merlon_tests::TempDir;
use merlon_tests::client::Client;
use merlon_tests::instance::{Instance, Options, is_alive, wait_for};
use merlon_tests::keys::{Form, Keys, check_integrity, open};
use merlon_tests::origin::{Origin, Stream};
use merlon_tests::process::{children, program, signal, stderr, stdout};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Directories that are used side by side, and how often each is hit.
const DIRECTORIES: u64 = 2;
const KILLS: u64 = 54;

/// SplitMix64: enough to choose moments.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// A body that only this path has; the path ends with its length.
fn bytes(path: &str) -> Vec<u8> {
    let length = path.rsplit('/').next().unwrap().parse().unwrap();
    path.bytes()
        .cycle()
        .enumerate()
        .map(|(at, byte)| byte ^ u8::try_from(at / 251 % 256).unwrap())
        .take(length)
        .collect()
}

fn answer(mut stream: Stream) {
    while let Some(request) = stream.request() {
        stream.ok(&bytes(&request.path()));
    }
}

fn request(client: &mut Client, origin: u16, path: &str) {
    let head = format!("GET http://127.0.0.1:{origin}{path} HTTP/1.1\r\nHost: 127.0.0.1:{origin}\r\n\r\n");
    client.send(head.as_bytes());
    assert_eq!(client.answer().body, bytes(path));
}

/// Every flow of the open project, by path.
fn flows(instance: &Instance) -> BTreeMap<String, Value> {
    let done = instance.cli(&["flows", "--json", "--limit", "100000"]);
    assert!(matches!(done.status.code(), Some(0 | 3)), "{}\n{}", stderr(&done), instance.log());
    let flows = stdout(&done).lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
    flows.into_iter().map(|flow| (flow["path"].as_str().unwrap().to_owned(), flow)).collect()
}

fn check_body(instance: &Instance, flow: &Value) {
    let shown = instance.cli(&["show", &flow["id"].to_string(), "--raw", "response"]).stdout;
    let at = shown.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(shown[at..] == bytes(flow["path"].as_str().unwrap()), "{flow}");
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).output().unwrap();
    assert!(done.status.success(), "{}", stderr(&done));
}

/// Is the page key of a database this one?
fn opens(path: &Path, key: &[u8], form: Form) -> bool {
    let db = open(path, key, form);
    db.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get::<_, i64>(0)).is_ok()
}

#[test]
fn under_traffic_nothing_is_lost_and_old_keys_open_nothing() {
    let origin = Origin::http(answer);
    let dir = TempDir::new("rotation");
    let mut instance = Instance::start(&dir.path().join("i"), &Options::default());
    let port = origin.port();
    let mut client = Client::connect(instance.ready.proxy);
    request(&mut client, port, "/other/30000");
    instance.flow("path:/other/30000");
    instance.cli_ok(&["project", "create", "second", "--open"]);
    for path in ["/before/10", "/before/3000", "/before/300000"] {
        request(&mut client, port, path);
    }
    wait_for("the flows", || (flows(&instance).len() == 3).then_some(()));
    let token = instance.cli_ok(&["token", "create", "--role", "owner"]);
    let recovery = dir.path().join("old.txt");
    fs::write(&recovery, instance.cli_ok(&["keyslot", "add", "recovery"])).unwrap();
    fs::set_permissions(&recovery, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    copy(&instance.dir().join("keeper"), &dir.path().join("old-keeper"));
    let old = Keys::read(instance.dir());

    // Traffic until the end of the rotation, and some after it.
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..2)
        .map(|number| {
            let (stop, sent, proxy) = (Arc::clone(&stop), Arc::clone(&sent), instance.ready.proxy);
            thread::spawn(move || traffic(proxy, port, number, &stop, &sent))
        })
        .collect();
    let passed = |more: usize| {
        let until = sent.load(Ordering::SeqCst) + more;
        wait_for("traffic", || (sent.load(Ordering::SeqCst) >= until).then_some(()));
    };
    passed(50);
    let rotated = instance.cli(&["keyslot", "rotate"]);
    assert!(rotated.status.success(), "{}\n{}", stderr(&rotated), instance.log());
    let said = stderr(&rotated);
    assert!(said.contains("made again: 1 (file)") && said.contains("new recovery key: 2 (recovery)"), "{said}");
    passed(50);
    stop.store(true, Ordering::SeqCst);
    let paths: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();

    wait_for("all flows", || (flows(&instance).len() == paths.len() + 3).then_some(()));
    let status: Value = serde_json::from_str(&instance.cli_ok(&["status", "--json"])).unwrap();
    assert_eq!((&status["recorder"]["unrecorded"], &status["recorder"]["truncated_bodies"]), (&0.into(), &0.into()));
    let text = status["warnings"].to_string();
    assert!(text.contains("recovery unconfirmed") && !text.contains("being replaced"), "{text}");
    let after = flows(&instance);
    for path in paths.iter().step_by(7).map(String::as_str).chain(["/before/10", "/before/3000", "/before/300000"]) {
        check_body(&instance, &after[path]);
    }
    // What was shown once is still good; the old recovery key is not.
    assert_eq!(api(&instance, token.trim()), "200");
    let test = instance.cli(&["keyslot", "test", "3", "--recovery-file", recovery.to_str().unwrap()]);
    assert_eq!(test.status.code(), Some(1), "{}", stdout(&test));
    instance.cli_ok(&["project", "open", "default"]);
    check_body(&instance, &flows(&instance)["/other/30000"]);
    instance.stop();

    let new = Keys::read(instance.dir());
    assert_eq!(old.ca_scalar, new.ca_scalar);
    let store = instance.dir().join("store/projects");
    for ((id, old_key), (_, new_key)) in old.projects.iter().zip(&new.projects) {
        let file = store.join(format!("{id}.db"));
        assert!(!opens(&file, old_key, Form::Project), "project {id}");
        check_integrity(&file, new_key, Form::Project);
    }
    assert!(!opens(&instance.dir().join("keeper/secrets.db"), &old.pages, Form::Secrets));
    // The programs themselves come no further: the old keeper's files beside the new store.
    let mixed = dir.path().join("m");
    copy(instance.dir(), &mixed);
    fs::remove_dir_all(mixed.join("keeper")).unwrap();
    copy(&dir.path().join("old-keeper"), &mixed.join("keeper"));
    let (mut child, log) = Instance::spawn(&mixed, &Options::default());
    wait_for("the refusal", || fs::read_to_string(&log).unwrap().contains("does not open with its key").then_some(()));
    signal(child.id(), Signal::SIGTERM);
    child.wait().unwrap();
}

fn traffic(proxy: SocketAddr, origin: u16, number: usize, stop: &AtomicBool, sent: &AtomicUsize) -> Vec<String> {
    let mut client = Client::connect(proxy);
    let mut paths = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let path = format!("/during/{number}/{}/{}", paths.len(), paths.len() * 997 % 100_000);
        request(&mut client, origin, &path);
        sent.fetch_add(1, Ordering::SeqCst);
        paths.push(path);
    }
    paths
}

/// The status of an answer to this token over TCP.
fn api(instance: &Instance, token: &str) -> String {
    let done = Command::new("curl")
        .args(["--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}", "--noproxy", "*"])
        .args(["--header", &format!("Authorization: Bearer {token}"), &format!("{}/api/v1/status", instance.ready.api)])
        .output()
        .unwrap();
    stdout(&done)
}

#[test]
fn killed_more_than_a_hundred_times_it_goes_on_or_is_rolled_back() {
    let seed =
        std::env::var("MERLON_TEST_SEED").map_or_else(|_| u64::from(std::process::id()), |text| text.parse().unwrap());
    println!("MERLON_TEST_SEED={seed}");
    let begun = Instant::now();
    let origin = Origin::http(answer);
    let port = origin.port();
    let found: Vec<Found> = thread::scope(|scope| {
        let runs: Vec<_> =
            (0..DIRECTORIES).map(|n| scope.spawn(move || directory(Random(seed ^ n << 32), port))).collect();
        runs.into_iter().map(|run| run.join().unwrap_or_else(|_| panic!("MERLON_TEST_SEED={seed}"))).collect()
    });
    let sum = |of: fn(&Found) -> u64| found.iter().map(of).sum::<u64>();
    let (back, on, done) = (sum(|f| f.rolled_back), sum(|f| f.gone_on), sum(|f| f.done));
    println!(
        "{} kills: {back} before the new keys counted, {on} in the middle, {done} after the end; {:.1} s",
        DIRECTORIES * KILLS,
        begun.elapsed().as_secs_f32()
    );
    assert!(back > 0 && on > 0, "rolled back {back}, gone on {on}");
}

/// What starts found after kills.
#[derive(Default)]
struct Found {
    rolled_back: u64,
    gone_on: u64,
    done: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Keeper,
    Engine,
    All,
}

/// Rotates the keys of one directory's instance again and again, and kills something each time.
fn directory(mut random: Random, origin: u16) -> Found {
    let dir = TempDir::new("rotation-kills");
    let mut instance = Instance::start(dir.path(), &Options::default());
    instance.cli_ok(&["project", "create", "second", "--open"]);
    let mut paths = Vec::new();
    record(&instance, origin, &mut paths, "/first", 40);
    instance.cli_ok(&["project", "open", "default"]);
    let second = paths.clone();
    paths.clear();
    let begun = Instant::now();
    assert!(rotate(&instance).wait_with_output().unwrap().status.success());
    let duration = begun.elapsed();
    let mut found = Found::default();
    for round in 0..KILLS {
        let victim = [Victim::Keeper, Victim::Engine, Victim::All][usize::try_from(round % 3).unwrap()];
        record(&instance, origin, &mut paths, &format!("/{round}"), 4);
        let before = fs::read(dir.path().join("keeper/file.key")).unwrap();
        let rotating = rotate(&instance);
        let moment = duration * u32::try_from(random.below(1100)).unwrap() / 1000;
        let begun = Instant::now();
        while begun.elapsed() < moment {
            thread::yield_now();
        }
        hit(&mut instance, victim);
        let ended = rotating.wait_with_output().unwrap();
        if victim == Victim::All {
            drop(instance);
            instance = Instance::start(dir.path(), &Options::default());
        }
        is_back(&instance, &ended, victim);
        let replaced = fs::read(dir.path().join("keeper/file.key")).unwrap() != before;
        match (replaced, ended.status.success()) {
            (false, done) => {
                assert!(!done, "round {round}: it was said to be done");
                found.rolled_back += 1;
            }
            (true, false) => found.gone_on += 1,
            (true, true) => found.done += 1,
        }
        if is_under_way(&instance) {
            // A start goes on by itself; a keeper that was started again is asked again.
            let again = rotate(&instance).wait_with_output().unwrap();
            assert!(again.status.success(), "{victim:?} in round {round}: {}\n{}", stderr(&again), instance.log());
        }
        assert!(!is_under_way(&instance), "round {round}");
        let now = flows(&instance);
        for path in &paths {
            assert!(now.contains_key(path), "{path} is gone after round {round}, {victim:?}\n{}", instance.log());
        }
        for _ in 0..2 {
            let path = &paths[usize::try_from(random.below(paths.len() as u64)).unwrap()];
            check_body(&instance, &now[path]);
        }
        clean(&instance);
    }
    instance.cli_ok(&["project", "open", "second"]);
    let now = flows(&instance);
    second.iter().for_each(|path| check_body(&instance, &now[path]));
    instance.stop();
    let keys = Keys::read(dir.path());
    check_integrity(&dir.path().join("keeper/secrets.db"), &keys.pages, Form::Secrets);
    for (id, key) in &keys.projects {
        check_integrity(&dir.path().join(format!("store/projects/{id}.db")), key, Form::Project);
    }
    let left = fs::read_dir(dir.path().join("keeper")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let names = ["audit.log", "file.key", "keyslots.a", "keyslots.b", "lock", "secrets.db"];
    assert_eq!(left.filter(|name| !names.contains(&name.as_str())).collect::<Vec<_>>(), Vec::<String>::new());
    found
}

/// Records flows and waits until they are shown.
fn record(instance: &Instance, origin: u16, paths: &mut Vec<String>, prefix: &str, count: usize) {
    let mut client = Client::connect(instance.ready.proxy);
    for number in 0..count {
        let path = format!("{prefix}/{number}/{}", [10, 2000, 20_000, 100_000][number % 4]);
        request(&mut client, origin, &path);
        paths.push(path);
    }
    let expected = paths.len();
    wait_for("the flows", || (flows(instance).len() >= expected).then_some(()));
}

fn rotate(instance: &Instance) -> std::process::Child {
    let mut command = Command::new(program("merlon"));
    command.arg("--data-dir").arg(instance.dir()).args(["keyslot", "rotate"]).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn hit(instance: &mut Instance, victim: Victim) {
    let name = match victim {
        Victim::All => return instance.kill(),
        Victim::Keeper => "merlon-keeper",
        Victim::Engine => "merlond",
    };
    // Found again each time: it may be on its way back from an earlier round.
    let pid = wait_for(name, || children(instance.pid()).into_iter().find(|(_, found)| found == name)).0;
    signal(pid, Signal::SIGKILL);
    wait_for("its end", || (!is_alive(pid)).then_some(()));
}

/// Waits until all processes are there and the instance records.
fn is_back(instance: &Instance, ended: &Output, victim: Victim) {
    let begun = Instant::now();
    loop {
        let status = status(instance);
        if status.as_ref().is_some_and(|status| {
            status["ready"] == true
                && status["processes"].as_array().unwrap().iter().all(|process| process["connected"] == true)
        }) {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{victim:?}: {status:?}\n{}\n{}",
            stderr(ended),
            instance.log()
        );
        thread::sleep(Duration::from_millis(5));
    }
}

fn status(instance: &Instance) -> Option<Value> {
    serde_json::from_str(&stdout(&instance.cli(&["status", "--json"]))).ok()
}

fn is_under_way(instance: &Instance) -> bool {
    wait_for("the status", || status(instance))["warnings"].to_string().contains("being replaced")
}

/// Removes recovery slots, of which each rotation makes one.
fn clean(instance: &Instance) {
    for line in instance.cli_ok(&["keyslot", "list", "--json"]).lines() {
        let slot: Value = serde_json::from_str(line).unwrap();
        if slot["kind"] == "recovery" {
            instance.cli_ok(&["keyslot", "remove", &slot["id"].to_string()]);
        }
    }
}
