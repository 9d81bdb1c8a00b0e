//! `kill -9` of whole instances at random moments under load, two hundred times: whatever was shown to somebody is
//! there afterwards, as it was shown, and every file opens.
//!
//! The moment of a kill is a random number of requests sent or of flows shown, so no clock decides anything. A failure
//! prints the seed; `MERLON_TEST_SEED` repeats its choices (not the scheduling of processes).

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering};
use std::thread;

use serde_json::Value;

use merlon_tests::TempDir;
use merlon_tests::instance::{HANG, Instance, Options};
use merlon_tests::keys::{Form, Keys, check_integrity};
use merlon_tests::origin::{Origin, Stream};
use merlon_tests::process::{output, program, stderr, stdout};

/// Directories that are used side by side, and how often each is killed.
const DIRECTORIES: u64 = 4;
const KILLS: u64 = 50;
const CLIENTS: u64 = 3;
/// Requests or flows until a kill, at most.
const LONGEST: u64 = 120;

/// SplitMix64: enough to choose moments.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[test]
fn nothing_that_was_shown_is_lost_in_two_hundred_kills() {
    let seed =
        std::env::var("MERLON_TEST_SEED").map_or_else(|_| u64::from(std::process::id()), |text| text.parse().unwrap());
    println!("MERLON_TEST_SEED={seed}");
    let begun = std::time::Instant::now();
    let origin = Origin::http(answer);
    let port = origin.port();
    let shown: usize = thread::scope(|scope| {
        let runs: Vec<_> =
            (0..DIRECTORIES).map(|n| scope.spawn(move || directory(Random(seed ^ n << 32), port))).collect();
        runs.into_iter().map(|run| run.join().unwrap_or_else(|_| panic!("MERLON_TEST_SEED={seed}"))).sum()
    });
    println!("{} kills, {shown} flows shown before them, {:.1} s", DIRECTORIES * KILLS, begun.elapsed().as_secs_f32());
    assert!(shown > 2000, "{shown} flows are no load");
}

/// Kills the instance of one directory again and again. Returns how many flows were shown.
fn directory(mut random: Random, origin: u16) -> usize {
    let dir = TempDir::new("crash");
    let mut instance = Instance::start(dir.path(), &Options::default());
    let fingerprint = instance.cli_ok(&["ca", "fingerprint"]);
    let mut admin = Admin::default();
    let mut all: BTreeMap<u64, Value> = BTreeMap::new();
    for round in 0..KILLS {
        let shown = load_and_kill(instance, &mut random, origin, round, &mut admin);
        instance = Instance::start(dir.path(), &Options::default());
        check(&instance, &shown, &listed(&instance, 2000));
        check_bytes(&instance, &mut random, &shown);
        admin.check(&instance);
        all.extend(shown);
    }
    assert_eq!(instance.cli_ok(&["ca", "fingerprint"]), fingerprint);
    check(&instance, &all, &listed(&instance, u64::MAX));
    assert_eq!(instance.cli_ok(&["status", "--json"]).matches("\"connected\":true").count(), 3);
    instance.stop();
    check_files(dir.path());
    all.len()
}

/// Every file of a stopped instance opens and is sound.
fn check_files(dir: &Path) {
    let [a, b] = ["keeper/keyslots.a", "keeper/keyslots.b"].map(|name| std::fs::read(dir.join(name)).unwrap());
    assert_eq!(a, b);
    let keys = Keys::read(dir);
    check_integrity(&dir.join("keeper/secrets.db"), &keys.pages, Form::Secrets);
    for (id, key) in &keys.projects {
        let file = dir.join(format!("store/projects/{id}.db"));
        // A project has no file until it was open.
        if file.exists() {
            check_integrity(&file, key, Form::Project);
        }
    }
    let left =
        std::fs::read_dir(dir.join("keeper")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = ["audit.log", "file.key", "keyslots.a", "keyslots.b", "lock", "secrets.db"];
    assert_eq!(left.filter(|name| !names.contains(&name.as_str())).collect::<Vec<_>>(), Vec::<String>::new());
}

enum Seen {
    Sent,
    Shown(String),
}

/// Lets clients work until a random moment, and kills everything. Returns what was shown by then, by id.
fn load_and_kill(
    mut instance: Instance,
    random: &mut Random,
    origin: u16,
    round: u64,
    admin: &mut Admin,
) -> BTreeMap<u64, Value> {
    let (seen, events) = channel();
    let mut follower = Command::new(program("merlon"))
        .arg("--data-dir")
        .arg(instance.dir())
        .args(["flows", "--follow", "--json"])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap());
    let told = seen.clone();
    let reading = thread::spawn(move || {
        let mut line = String::new();
        // A line that the kill cut was not shown.
        while lines.read_line(&mut line).is_ok() && line.ends_with('\n') {
            drop(told.send(Seen::Shown(std::mem::take(&mut line))));
        }
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (proxy, sent, random) = (instance.ready.proxy, seen.clone(), Random(random.next()));
            thread::spawn(move || requests(proxy, origin, &format!("/{round}/{client}"), random, &sent))
        })
        .collect();
    drop(seen);
    let stop = Arc::new(AtomicBool::new(false));
    let working = admin.work(instance.dir(), round, Arc::clone(&stop));

    let by_flows = random.below(2) == 0;
    let mut left = 1 + random.below(LONGEST);
    let mut shown = Vec::new();
    while left > 0 {
        let event = events.recv_timeout(HANG).unwrap_or_else(|e| panic!("{e}: {}", instance.log()));
        left -= u64::from(matches!(event, Seen::Shown(_)) == by_flows);
        if let Seen::Shown(line) = event {
            shown.push(line);
        }
    }
    // The next start begins a new log and a new configuration under the same names.
    instance.kill_in_order(|children| {
        for at in (1..children.len()).rev() {
            children.swap(at, usize::try_from(random.below(at as u64 + 1)).unwrap());
        }
    });
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().unwrap();
    }
    *admin = working.join().unwrap();
    follower.kill().unwrap();
    follower.wait().unwrap();
    reading.join().unwrap();
    shown.extend(events.try_iter().filter_map(|event| match event {
        Seen::Shown(line) => Some(line),
        Seen::Sent => None,
    }));
    let mut by_id = BTreeMap::new();
    for line in shown {
        let flow: Value = serde_json::from_str(&line).unwrap();
        // Of a flow shown twice, the later state counts.
        by_id.insert(flow["id"].as_u64().unwrap(), flow);
    }
    by_id
}

fn listed(instance: &Instance, limit: u64) -> BTreeMap<u64, Value> {
    let done = instance.cli(&["flows", "--json", "--limit", &limit.min(1_000_000).to_string()]);
    // A kill may come before anything was recorded: 3 is "nothing found".
    assert!(matches!(done.status.code(), Some(0 | 3)), "{}", stderr(&done));
    let text = stdout(&done);
    let flows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    flows.map(|flow| (flow["id"].as_u64().unwrap(), flow)).collect()
}

fn check(instance: &Instance, shown: &BTreeMap<u64, Value>, listed: &BTreeMap<u64, Value>) {
    for (id, flow) in shown {
        let now =
            listed.get(id).unwrap_or_else(|| panic!("flow {id} was shown and is gone: {flow}\n{}", instance.log()));
        if flow["duration_us"].is_null() {
            // It was under way; what has become of it since is another matter.
            for field in ["time", "method", "host", "port", "path"] {
                assert_eq!(now[field], flow[field], "{flow} {now}");
            }
        } else {
            assert_eq!(now, flow);
        }
    }
    // Nothing is under way after a start.
    for flow in listed.values() {
        assert!(!flow["duration_us"].is_null() || !flow["error"].is_null(), "{flow}");
    }
}

/// Heads and bodies of two flows that were shown as ended.
fn check_bytes(instance: &Instance, random: &mut Random, shown: &BTreeMap<u64, Value>) {
    let ended: Vec<&Value> = shown.values().filter(|flow| flow["status"] == 200 && flow["error"].is_null()).collect();
    for _ in 0..2.min(ended.len()) {
        let flow = ended[usize::try_from(random.below(ended.len() as u64)).unwrap()];
        let (id, path) = (flow["id"].to_string(), flow["path"].as_str().unwrap());
        let request = instance.cli(&["show", &id, "--raw", "request"]).stdout;
        let response = instance.cli(&["show", &id, "--raw", "response"]).stdout;
        let Asked { up, down } = Asked::of(path);
        let at = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert!(request[..at].escape_ascii().to_string().contains(&format!("{path} HTTP/1.1\\r\\n")), "{flow}");
        assert!(request[at..] == bytes(path, up), "the request's body of {flow}");
        let head = head(down);
        assert_eq!(
            response[..head.len()].escape_ascii().to_string(),
            head.as_bytes().escape_ascii().to_string(),
            "{flow}"
        );
        assert!(response[head.len()..] == bytes(path, down), "the response's body of {flow}");
    }
}

/// What a path asks for: bytes of the request's and of the response's body.
struct Asked {
    up: usize,
    down: usize,
}

impl Asked {
    fn of(path: &str) -> Self {
        let mut numbers = path.rsplit('/').map(|part| part.parse().unwrap());
        let down = numbers.next().unwrap();
        Self { up: numbers.next().unwrap(), down }
    }
}

/// A body that only this path has.
fn bytes(path: &str, length: usize) -> Vec<u8> {
    path.bytes()
        .cycle()
        .enumerate()
        .map(|(at, byte)| byte ^ u8::try_from(at / 251 % 256).unwrap())
        .take(length)
        .collect()
}

fn head(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")
}

fn answer(mut stream: Stream) {
    while let Some(request) = stream.request() {
        let path = request.path();
        stream.send(&[head(Asked::of(&path).down).into_bytes(), bytes(&path, Asked::of(&path).down)].concat());
    }
}

/// Sends requests one after the other until the proxy is gone.
fn requests(proxy: SocketAddr, origin: u16, prefix: &str, mut random: Random, sent: &Sender<Seen>) {
    let Ok(mut stream) = TcpStream::connect(proxy) else { return };
    for number in 0.. {
        let (up, down) = match random.below(100) {
            0..70 => (0, random.below(2000)),
            70..90 => (random.below(8000), random.below(100)),
            // Written in pieces while under way.
            90..98 => (0, 100_000 + random.below(100_000)),
            _ => (1_000_000, 500_000),
        };
        let path = format!("{prefix}/{number}/{up}/{down}");
        let body = bytes(&path, usize::try_from(up).unwrap());
        let method = if up == 0 { "GET" } else { "POST" };
        let mut message =
            format!("{method} http://127.0.0.1:{origin}{path} HTTP/1.1\r\nHost: 127.0.0.1:{origin}\r\n").into_bytes();
        if up > 0 {
            message.extend(format!("Content-Length: {up}\r\n").into_bytes());
        }
        message.extend(b"\r\n");
        message.extend(body);
        if one(&mut stream, &message, usize::try_from(down).unwrap()).is_err() {
            return;
        }
        drop(sent.send(Seen::Sent));
    }
}

fn one(stream: &mut TcpStream, message: &[u8], length: usize) -> io::Result<()> {
    stream.write_all(message)?;
    let mut answer = vec![0; head(length).len() + length];
    stream.read_exact(&mut answer)?;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer[..100.min(answer.len())].escape_ascii());
    Ok(())
}

/// What is done at the keeper meanwhile, and what of it was confirmed.
#[derive(Default)]
struct Admin {
    /// By kind (`token`, `project`, `keyslot`): ids that must be there, and ids that must be gone. One whose removal was
    /// not confirmed may be either.
    there: BTreeSet<(&'static str, String)>,
    gone: BTreeSet<(&'static str, String)>,
}

const KINDS: [(&str, &[&str], &str); 3] = [
    ("token", &["create", "--role", "viewer"], "revoke"),
    ("project", &["create"], "delete"),
    ("keyslot", &["add", "recovery"], "remove"),
];

impl Admin {
    /// Adds and removes things until something fails or `stop` is set.
    fn work(&mut self, dir: &Path, round: u64, stop: Arc<AtomicBool>) -> thread::JoinHandle<Self> {
        let (mut known, dir) = (std::mem::take(self), dir.to_owned());
        thread::spawn(move || {
            let run = |arguments: &[&str]| {
                let done =
                    output(Command::new(program("merlon")).arg("--data-dir").arg(&dir).args(arguments).env_clear());
                done.status.success().then(|| stdout(&done))
            };
            for number in 0.. {
                let (kind, add, remove) = KINDS[usize::try_from((round + number) % 3).unwrap()];
                let name = format!("{round}-{number}");
                let mut arguments = vec![kind];
                arguments.extend(add);
                arguments.extend((kind == "project").then_some(name.as_str()));
                arguments.push("--json");
                let Some(text) = run(&arguments).filter(|_| !stop.load(Ordering::SeqCst)) else { return known };
                let made: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
                let id = made["id"].as_str().map_or_else(|| made["id"].to_string(), str::to_owned);
                known.there.insert((kind, id.clone()));
                // The oldest goes, so that some stay over several kills.
                let old: Vec<String> =
                    known.there.iter().filter(|(k, _)| *k == kind).map(|(_, id)| id.clone()).collect();
                if old.len() < 3 {
                    continue;
                }
                known.there.remove(&(kind, old[0].clone()));
                let mut arguments = vec![kind, remove, &old[0]];
                arguments.extend((kind == "project").then_some("--yes"));
                if run(&arguments).is_none() {
                    return known;
                }
                known.gone.insert((kind, old[0].clone()));
            }
            known
        })
    }

    fn check(&self, instance: &Instance) {
        for (kind, ..) in KINDS {
            let text = instance.cli_ok(&[kind, "list", "--json"]);
            let listed: BTreeSet<String> = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
                .map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned))
                .collect();
            let of_kind = |set: &BTreeSet<(&'static str, String)>| -> Vec<String> {
                set.iter().filter(|(k, _)| *k == kind).map(|(_, id)| id.clone()).collect()
            };
            let lost: Vec<String> = of_kind(&self.there).into_iter().filter(|id| !listed.contains(id)).collect();
            let back: Vec<String> = of_kind(&self.gone).into_iter().filter(|id| listed.contains(id)).collect();
            assert!(lost.is_empty() && back.is_empty(), "{kind}: lost {lost:?}, back {back:?}\n{}", instance.log());
        }
    }
}
