//! Clocks that jump a year forward and back, while an instance runs and between two starts: nobody is locked out, flows
//! keep their order, and once the clock is right again everything is valid again.
//!
//! Keeper and engine see the time of day through libfaketime, which they are started with by small scripts beside a
//! copy of `merlond` (the parent runs the programs beside its own and passes no `LD_PRELOAD` on). It reads the offset
//! from a file in the directory that each process may read, at every look at the clock, so that a jump is a write. The
//! monotonic clock is left alone, as by a real change of the time of day.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use merlon_tests::TempDir;
use merlon_tests::client::Client;
use merlon_tests::instance::{Instance, Options, is_alive, wait_for};
use merlon_tests::origin::{Origin, echo};
use merlon_tests::pki::{Ca, Validity};
use merlon_tests::process::{children, output, program, signal, stderr, stdout};

const NOW: &str = "+0";
const AHEAD: &str = "+365d";
const BEHIND: &str = "-365d";

/// The library, as Debian installs it.
fn library() -> PathBuf {
    let found =
        std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    found.into_iter().find(|path| path.exists()).expect("libfaketime is missing; run scripts/setup-test")
}

struct Bed {
    instance: Option<Instance>,
    programs: TempDir,
    dir: TempDir,
    roots: TempDir,
    origin: Origin,
}

impl Bed {
    /// An instance with two hosts as origins, made while the clock is right, not running.
    fn new() -> Self {
        let ca = Ca::new();
        let [programs, dir, roots] = ["programs", "clock", "roots"].map(TempDir::new);
        ca.write(&roots.path().join("ca.pem"));
        let origin = Origin::https(ca.leaf(&["localhost", "127.0.0.1"], Validity::Now), echo);
        for part in ["keeper", "store"] {
            std::fs::create_dir(dir.path().join(part)).unwrap();
            std::fs::set_permissions(dir.path().join(part), std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        let bed = Self { instance: None, programs, dir, roots, origin };
        bed.set(NOW);
        std::fs::create_dir(bed.program("real")).unwrap();
        for name in ["merlond", "merlon-keeper"] {
            symlink(program(name), bed.program("real").join(name)).unwrap();
        }
        symlink(program("merlon-dialer"), bed.program("merlon-dialer")).unwrap();
        bed.script("merlon-keeper", "keeper");
        bed
    }

    fn program(&self, name: &str) -> PathBuf {
        self.programs.path().join(name)
    }

    /// Puts a script in the place of a program.
    fn script(&self, name: &str, directory: &str) {
        let (library, clock) = (library(), self.dir.path().join(directory).join("clock"));
        let text = format!(
            "#!/bin/sh\nexport LD_PRELOAD={} FAKETIME_TIMESTAMP_FILE={} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1\nexec {} \"$@\"\n",
            library.display(),
            clock.display(),
            self.program("real").join(name).display()
        );
        let new = self.program("new");
        std::fs::write(&new, text).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(new, self.program(name)).unwrap();
    }

    /// Sets the clock that keeper and engine see.
    fn set(&self, offset: &str) {
        for directory in ["keeper", "store"] {
            let clock = self.dir.path().join(directory).join("clock");
            std::fs::write(clock.with_extension("new"), offset).unwrap();
            std::fs::rename(clock.with_extension("new"), clock).unwrap();
        }
    }

    /// Starts it with this clock.
    fn start(&mut self, offset: &str) {
        self.instance = None;
        self.set(offset);
        // The parent is the program itself; the engines that it starts after the first are the script.
        drop(std::fs::remove_file(self.program("merlond")));
        std::fs::copy(program("merlond"), self.program("merlond")).unwrap();
        let config = format!("[proxy]\nupstream_ca = ['{}']\n", self.roots.path().join("ca.pem").display());
        let options = Options { config, program: Some(self.program("merlond")), ..Options::default() };
        let instance = Instance::start(self.dir.path(), &options);
        self.script("merlond", "store");
        let first = instance.process("merlond");
        signal(first, Signal::SIGKILL);
        wait_for("an engine with that clock", || {
            let again =
                children(instance.pid()).iter().any(|(pid, name)| name == "merlond" && *pid != first && is_alive(*pid));
            (again && stdout(&instance.cli(&["status", "--json"])).contains("\"ready\":true")).then_some(())
        });
        self.instance = Some(instance);
    }

    fn instance(&self) -> &Instance {
        self.instance.as_ref().unwrap()
    }

    fn cli(&self, arguments: &[&str]) -> String {
        self.instance().cli_ok(arguments)
    }

    /// A request whose client has the right clock.
    fn get(&self, host: &str, path: &str) {
        let authority = format!("{host}:{}", self.origin.port());
        let mut client = Client::tls(self.instance().ready.proxy, &authority, host, &self.instance().ready.ca);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes());
        assert_eq!(client.answer().body, format!("GET {path} HTTP/1.1 0 bytes").as_bytes());
    }

    /// A request whose client has the same wrong clock as the instance.
    fn get_at(&self, offset: &str, host: &str, path: &str) {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--max-time",
            "50",
            "--noproxy",
            "",
            "--proxy",
            &format!("http://{}", self.instance().ready.proxy),
        ]);
        curl.arg("--cacert").arg(&self.instance().ready.ca).arg(format!("https://{host}:{}{path}", self.origin.port()));
        let done = output(at(offset, curl.env_clear().env("PATH", "/usr/bin:/bin")));
        assert_eq!(
            stdout(&done),
            format!("GET {path} HTTP/1.1 0 bytes"),
            "{}\n{}",
            stderr(&done),
            self.instance().log()
        );
    }

    /// Asks the API over TCP with a token, as a remote client with this clock does. The first that finds an old
    /// certificate makes the instance renew it, so only a refusal that stays is one.
    fn remote(&self, offset: &str, token: &Path) {
        let mut merlon = Command::new(program("merlon"));
        merlon.args(["--url", &self.instance().ready.api, "--json"]).arg("--token-file").arg(token);
        merlon.arg("--ca-file").arg(&self.instance().ready.ca).arg("status");
        at(offset, merlon.env_clear());
        wait_for("a remote client to be served", || {
            let done = output(&mut merlon);
            let (told, said) = (stdout(&done), stderr(&done));
            assert!(
                done.status.success() || said.contains("invalid peer certificate"),
                "{said}\n{}",
                self.instance().log()
            );
            told.contains("\"ready\":true").then_some(())
        });
    }

    fn token(&self, name: &str) -> PathBuf {
        let made: Value = serde_json::from_str(&self.cli(&["token", "create", "--role", "viewer", "--json"])).unwrap();
        let file = self.roots.path().join(name);
        std::fs::write(&file, made["token"].as_str().unwrap()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// The paths of all flows, in the order of their ids, newest first, however many pages that takes.
    fn paths(&self) -> Vec<String> {
        let (mut paths, mut before) = (Vec::new(), i64::MAX);
        loop {
            let done = self.instance().cli(&["flows", "--json", "--limit", "2", "--before", &before.to_string()]);
            let page: Vec<Value> = stdout(&done).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let Some(last) = page.last() else { return paths };
            assert!(page.iter().all(|flow| flow["id"].as_i64().unwrap() < before));
            before = last["id"].as_i64().unwrap();
            paths.extend(page.iter().map(|flow| flow["path"].as_str().unwrap().to_owned()));
        }
    }

    fn year(&self, path: &str) -> i32 {
        self.instance().flow(&format!("path:{path}"))["time"].as_str().unwrap()[..4].parse().unwrap()
    }
}

/// Lets a command see another time of day.
fn at<'a>(offset: &str, command: &'a mut Command) -> &'a mut Command {
    command.env("LD_PRELOAD", library()).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

#[test]
fn a_jump_while_it_runs_locks_nobody_out() {
    let mut bed = Bed::new();
    bed.start(NOW);
    let token = bed.token("token");
    bed.get("localhost", "/1");
    let year = bed.year("/1");

    bed.set(AHEAD);
    bed.get_at(AHEAD, "127.0.0.1", "/2");
    bed.get_at(AHEAD, "localhost", "/3");
    assert_eq!(bed.year("/3"), year + 1, "the jump was seen");
    bed.remote(AHEAD, &token);
    let late = bed.token("late");

    bed.set(BEHIND);
    // The CA itself is not valid yet by a client's clock that is as wrong; flows are recorded all the same.
    let plain = Origin::http(echo);
    let done = bed.instance().curl(&[&format!("http://127.0.0.1:{}/4", plain.port())]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert_eq!(bed.year("/4"), year - 1);

    bed.set(NOW);
    // Leaves that were issued by the wrong clocks are replaced.
    bed.get("localhost", "/5");
    bed.get("127.0.0.1", "/6");
    assert_eq!(bed.year("/6"), year);
    for token in [&token, &late] {
        bed.remote(NOW, token);
    }
    assert_eq!(bed.paths(), ["/6", "/5", "/4", "/3", "/2", "/1"], "ids decide the order");
    let _ = bed.cli(&["keyslot", "test", "1"]);
}

#[test]
fn a_start_with_a_wrong_clock_does_no_harm_that_lasts() {
    let mut bed = Bed::new();
    bed.start(NOW);
    let token = bed.token("token");
    bed.get("localhost", "/1");
    for (number, offset) in [AHEAD, BEHIND, AHEAD].into_iter().enumerate() {
        bed.start(offset);
        let path = format!("/{}", number + 2);
        if offset == AHEAD {
            bed.get_at(offset, "localhost", &path);
            bed.remote(offset, &token);
        } else {
            let plain = Origin::http(echo);
            let done = bed.instance().curl(&[&format!("http://127.0.0.1:{}{path}", plain.port())]);
            assert!(done.status.success(), "{}", stderr(&done));
        }
        let _ = bed.cli(&["keyslot", "test", "1"]);
        let _ = bed.instance().flow(&format!("path:{path}"));
    }
    // The clock is set right while it runs, as after a boot with an empty battery.
    bed.set(NOW);
    bed.get("localhost", "/5");
    bed.remote(NOW, &token);
    bed.start(NOW);
    bed.get("localhost", "/6");
    let _ = bed.instance().flow("path:/6");
    bed.remote(NOW, &token);
    assert_eq!(bed.paths(), ["/6", "/5", "/4", "/3", "/2", "/1"]);
}
