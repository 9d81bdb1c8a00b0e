//! Engine, keeper and dialer as systemd starts them: sockets handed over by name, one link socket for each peer, and
//! every word to the service manager true.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, mpsc};

use merlon_tests::client::Client;
use merlon_tests::instance::wait_for;
use merlon_tests::origin::{Origin, Stream, echo};
use merlon_tests::process::stdout;
use merlon_tests::units::{Start, Units};
use nix::sys::signal::Signal;

fn flows(units: &Units) -> usize {
    stdout(&units.cli(&["flows", "--json", "--limit", "1000"])).lines().count()
}

/// Asks the origin through the proxy until that works: a peer may be on its way back.
fn heals(units: &Units, origin: &Origin, path: &str) {
    let url = format!("http://127.0.0.1:{}{path}", origin.port());
    wait_for("the instance to relay again", || units.get(&url).ends_with(" 200").then_some(()));
}

#[test]
fn three_units_make_an_instance_and_each_of_them_may_be_restarted_alone() {
    let units = Units::new("");
    let [mut engine, mut keeper, mut dialer] = units.all();
    let origin = Origin::http(echo);
    heals(&units, &origin, "/first");
    wait_for("the first flow", || (flows(&units) >= 1).then_some(()));
    engine.tells("STATUS=open by keyslot file · project default · ");
    engine.tells(" flows, 0 unrecorded · recovery unconfirmed");

    dialer.tells("STATUS=connected to the engine");
    assert_eq!(dialer.stop().code(), Some(0));
    let mut dialer = units.dialer(&Start::default());
    dialer.ready();
    heals(&units, &origin, "/dialer");

    // The machine slot opens it again by itself; until then hosts with a leaf go on, and so does plain HTTP.
    assert_eq!(keeper.stop().code(), Some(0));
    engine.tells("STATUS=open, waiting for the keeper · project default");
    heals(&units, &origin, "/without-keeper");
    let mut keeper = units.keeper(&Start::default());
    keeper.ready();
    let before = engine.told().len();
    engine.tells_after(before.saturating_sub(1), "STATUS=open by keyslot file");

    assert_eq!(engine.stop().code(), Some(0));
    engine.tells("STOPPING=1");
    dialer.tells("STATUS=waiting for the engine");
    let mut engine = units.engine(&Start::default());
    engine.ready();
    heals(&units, &origin, "/engine");
    engine.tells("STATUS=open by keyslot file");
    for service in [&mut engine, &mut dialer, &mut keeper] {
        assert_eq!(service.stop().code(), Some(0), "{}", service.log());
    }
}

#[test]
fn without_its_keeper_the_engine_is_ready_and_says_what_it_waits_for() {
    let units = Units::new("");
    let mut engine = units.engine(&Start::default());
    engine.ready();
    let first = engine.told()[0].clone();
    assert!(first.starts_with("STATUS=waiting for the keeper"), "{first}");
    let _keeper = units.keeper(&Start::default());
    engine.tells("STATUS=open by keyslot file");
}

#[test]
fn clients_wait_while_the_keeper_tries_its_keyslots() {
    let units = Units::new("");
    // The first slot of a new instance would be the TPM's; once that has failed it is a file.
    let (proxy, api) = (units.proxy_address(), units.api.local_addr().unwrap());
    let tpm = "tpm.tcti = 'swtpm:host=127.0.0.1,port=1'\ntpm.allow_emulator = true\n";
    units.write(&format!("proxy.listen = ['{proxy}']\napi.listen = ['{api}']\n{tpm}"));
    let seal = units.seal_that_hangs();
    let arguments = vec!["--seal".to_owned(), units.path("run/seal.sock").display().to_string()];
    let mut keeper = units.keeper(&Start { arguments, ..Start::default() });
    keeper.ready();
    keeper.tells("STATUS=trying the keyslots that open by themselves");
    let (mut engine, mut dialer) = (units.engine(&Start::default()), units.dialer(&Start::default()));
    dialer.ready();
    // Whoever waits for the unit goes on; whoever uses the proxy waits.
    engine.ready();
    let first = engine.told()[0].clone();
    assert!(first.starts_with("STATUS=waiting: the keeper tries its keyslots"), "{first}");
    let origin = Origin::http(echo);
    let mut client = Client::connect(proxy);
    client.send(format!("GET http://127.0.0.1:{}/ HTTP/1.1\r\nHost: x\r\n\r\n", origin.port()).as_bytes());
    let status = stdout(&units.cli(&["status"]));
    assert!(status.contains("the keeper still tries the keyslots"), "{status}");
    let refused = units.cli(&["flows"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("still tries the keyslots"), "{words}");
    drop(seal);
    assert_eq!(client.answer().status, 200);
    engine.tells("STATUS=open by keyslot file");
    assert!(!engine.told().iter().any(|told| told.contains("locked")), "{:?}", engine.told());
}

#[test]
fn a_public_address_in_the_configuration_ends_it_with_or_without_a_socket() {
    for without in [vec![], vec!["proxy"]] {
        let units = Units::new("");
        units.write("proxy.listen = ['0.0.0.0:8080']\n");
        let mut engine = units.engine(&Start { without, ..Start::default() });
        assert_eq!(engine.ended().code(), Some(78), "{}", engine.log());
        for part in ["0.0.0.0:8080", "proxy.allow_public_bind = true", "ssh -L"] {
            assert!(engine.log().contains(part), "{part}: {}", engine.log());
        }
        assert!(!engine.told().iter().any(|told| told.contains("READY")));
    }
}

#[test]
fn sockets_that_are_not_the_configured_ones_are_told_with_the_remedy() {
    let units = Units::new("");
    units.write("proxy.listen = ['127.0.0.1:1']\napi.listen = []\n");
    let engine = units.engine(&Start::default());
    engine.logs("proxy.listen names 127.0.0.1:1, where no socket was made");
    engine.logs(&format!("{} is listened on and not in proxy.listen", units.proxy_address()));
    engine.logs("systemctl daemon-reload");
}

#[test]
fn the_watchdog_is_fed_by_those_that_live() {
    let units = Units::new("");
    let start = || Start { environment: vec![("WATCHDOG_USEC", "400000".to_owned())], ..Start::default() };
    for mut service in [units.engine(&start()), units.dialer(&start())] {
        wait_for("feedings", || {
            (service.told().iter().filter(|told| *told == "WATCHDOG=1").count() >= 3).then_some(())
        });
        assert_eq!(service.stop().code(), Some(0), "{}", service.log());
    }
}

#[test]
fn a_missing_configuration_ends_each_of_them_alike() {
    let units = Units::new("");
    std::fs::remove_file(units.config()).unwrap();
    let start = Start::default();
    for mut service in [units.engine(&start), units.keeper(&start), units.dialer(&start), units.seal(&start)] {
        assert_eq!(service.ended().code(), Some(78), "{}", service.log());
        let log = service.log();
        assert!(log.contains("default.toml: the configuration cannot be read: No such file"), "{log}");
    }
}

/// An origin whose answers wait for the test: it tells of each request, and answers once it is given a word.
fn patient() -> (Origin, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (told, asked) = mpsc::channel();
    let (give, given) = mpsc::channel::<()>();
    let given = Mutex::new(given);
    let origin = Origin::http(move |mut stream: Stream| {
        while stream.request().is_some() {
            told.send(()).unwrap();
            given.lock().unwrap().recv().unwrap();
            stream.ok(b"late");
        }
    });
    (origin, asked, give)
}

#[test]
fn a_stop_answers_what_is_under_way_and_what_is_on_its_way_and_says_that_it_is_the_last() {
    let units = Units::new("");
    let [mut engine, _keeper, _dialer] = units.all();
    let (slow, asked, give) = patient();
    let quick = Origin::http(echo);
    let request = |port| format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n");
    engine.tells("STATUS=open");
    let mut waiting = Client::connect(units.proxy_address());
    waiting.send(request(slow.port()).as_bytes());
    asked.recv().unwrap();
    let mut kept = Client::connect(units.proxy_address());
    kept.send(request(quick.port()).as_bytes());
    assert!(!kept.answer().head.contains("Connection: close"));
    engine.signal(Signal::SIGTERM);
    engine.tells("STOPPING=1");
    engine.tells("EXTEND_TIMEOUT_USEC=40000000");
    // A client that could not know of the stop.
    kept.send(request(quick.port()).as_bytes());
    let answer = kept.answer();
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("Connection: close"), "{}", answer.head);
    assert!(kept.rest().is_empty());
    // One that comes after the stop waits for the next engine, which has the same socket.
    let mut late = Client::connect(units.proxy_address());
    late.send(request(quick.port()).as_bytes());
    give.send(()).unwrap();
    let answer = waiting.answer();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"late".as_slice()));
    assert!(answer.head.contains("Connection: close"), "{}", answer.head);
    assert_eq!(engine.ended().code(), Some(0));
    let mut engine = units.engine(&Start::default());
    engine.ready();
    assert_eq!(late.answer().status, 200);
}

/// Has the clients end however their test does.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn a_restart_under_load_fails_no_request() {
    let units = Units::new("");
    let [mut engine, _keeper, _dialer] = units.all();
    engine.tells("STATUS=open");
    let origin = Origin::http(echo);
    let (proxy, port) = (units.proxy_address(), origin.port());
    let request = format!("GET http://127.0.0.1:{port}/load HTTP/1.1\r\nHost: x\r\n\r\n");
    let done = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    let bad = Mutex::new(Vec::new());
    let client = |keep: bool| {
        let mut kept: Option<Client> = None;
        while !done.load(Relaxed) {
            let mut client = kept.take().unwrap_or_else(|| Client::connect(proxy));
            client.send(request.as_bytes());
            let answer = client.answer();
            if answer.status != 200 {
                bad.lock().unwrap().push(format!("{}{}", answer.head, String::from_utf8_lossy(&answer.body)));
            }
            answered.fetch_add(1, Relaxed);
            kept = (keep && !answer.head.contains("Connection: close")).then_some(client);
        }
    };
    std::thread::scope(|scope| {
        for keep in [false, true, false, true] {
            let client = &client;
            scope.spawn(move || client(keep));
        }
        let end = End(&done);
        let more = |count: usize| {
            let now = answered.load(Relaxed);
            wait_for("traffic", || (answered.load(Relaxed) >= now + count).then_some(()));
        };
        for _ in 0..3 {
            more(50);
            assert_eq!(engine.stop().code(), Some(0));
            engine = units.engine(&Start::default());
            engine.ready();
        }
        more(50);
        drop(end);
    });
    assert_eq!(bad.into_inner().unwrap(), Vec::<String>::new());
}

#[test]
fn a_locked_instance_is_ready_and_says_so() {
    let units = Units::new("");
    drop(units.all());
    // The machine slot has lost its key.
    std::fs::remove_file(units.path("keeper/file.key")).unwrap();
    let [mut engine, _keeper, _dialer] = units.all();
    engine.tells("STATUS=locked: run merlon unlock");
    assert!(units.get("http://127.0.0.1:1/").ends_with(" 503"));
}
