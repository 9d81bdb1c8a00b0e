//! What passes between the process and its TPM, seen by who sits on the wire.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use merlon_wire::seal::{Counter, Request, Tpm2Seal, Tpm2Unseal};

use crate::ask::{Keeper, PIN, SECRET, Started, plain, receive, value};
use crate::swtpm::Swtpm;

/// Command codes (TPM 2.0 part 2, 6.5.2).
const CC_START_AUTH_SESSION: &[u8] = &[0, 0, 1, 0x76];
const CC_UNSEAL: &[u8] = &[0, 0, 1, 0x5e];

type Seen = Arc<Mutex<Vec<u8>>>;

/// Two listeners in a row that relay to the TPM's two ports and keep what passed.
struct Tap {
    port: u16,
    seen: Seen,
    /// What the TPM says is altered: each first part to the second, at the places of its occurrence that are listed.
    alter: Arc<Mutex<Alteration>>,
    /// Commands that still pass; libtss2 makes a connection for each. The next one waits for ever.
    pass: Arc<AtomicUsize>,
    tell: Sender<Event>,
    events: Receiver<Event>,
}

#[derive(Default)]
struct Alteration {
    parts: Vec<(Vec<u8>, Vec<u8>)>,
    at: Vec<usize>,
    found: usize,
}

impl Alteration {
    fn apply(&mut self, bytes: &mut [u8]) {
        let Some((first, _)) = self.parts.first() else { return };
        if !bytes.windows(first.len()).any(|window| window == first) {
            return;
        }
        self.found += 1;
        if !self.at.contains(&self.found) {
            return;
        }
        for (from, to) in &self.parts {
            let place = bytes.windows(from.len()).position(|window| window == from).unwrap();
            bytes[place..place + to.len()].copy_from_slice(to);
        }
    }
}

enum Event {
    /// A command waits.
    Stalled,
    /// A process has answered, or has hung up.
    Ended(Vec<u8>),
}

impl Tap {
    fn config(&self) -> String {
        format!("[tpm]\ntcti = \"swtpm:host=127.0.0.1,port={}\"\nallow_emulator = true\n", self.port)
    }
}

fn tap(to: SocketAddr) -> Tap {
    let (commands, control) = loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        if let Ok(second) = TcpListener::bind((Ipv4Addr::LOCALHOST, port.wrapping_add(1))) {
            break (first, second);
        }
    };
    let port = commands.local_addr().unwrap().port();
    let seen = Seen::default();
    let alter = Arc::new(Mutex::new(Alteration::default()));
    let altering = Arc::clone(&alter);
    let pass = Arc::new(AtomicUsize::new(usize::MAX));
    let (tell, events) = channel();
    for (listener, port) in [(commands, to.port()), (control, to.port() + 1)] {
        let (seen, tell, altering) = (Arc::clone(&seen), Sender::clone(&tell), Arc::clone(&altering));
        let pass = (port == to.port()).then(|| Arc::clone(&pass));
        std::thread::spawn(move || {
            let mut waiting = Vec::new();
            for client in listener.incoming().flatten() {
                let left = pass.as_ref().map(|pass| pass.fetch_sub(1, Ordering::SeqCst));
                if left == Some(0) {
                    waiting.push(client);
                    // The test may have ended.
                    drop(tell.send(Event::Stalled));
                    continue;
                }
                let tpm = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
                let asked = (client.try_clone().unwrap(), tpm.try_clone().unwrap(), None);
                for (mut from, mut to, altering) in [asked, (tpm, client, Some(Arc::clone(&altering)))] {
                    let seen = Arc::clone(&seen);
                    std::thread::spawn(move || {
                        let mut bytes = [0; 8192];
                        while let Ok(count @ 1..) = from.read(&mut bytes) {
                            seen.lock().unwrap().extend_from_slice(&bytes[..count]);
                            if let Some(altering) = &altering {
                                altering.lock().unwrap().apply(&mut bytes[..count]);
                            }
                            if to.write_all(&bytes[..count]).is_err() {
                                break;
                            }
                        }
                        // The other side may have gone first.
                        drop(to.shutdown(std::net::Shutdown::Both));
                    });
                }
            }
        });
    }
    Tap { port, seen, alter, pass, tell, events }
}

fn times(seen: &Seen, what: &[u8]) -> usize {
    seen.lock().unwrap().windows(what.len()).filter(|window| *window == what).count()
}

#[test]
fn the_wire_shows_neither_secret_nor_pin_nor_counter_key() {
    let tpm = Swtpm::new();
    tpm.extend(7);
    let tap = tap(tpm.address());
    let seen = &tap.seen;
    let keeper = Keeper::with(&tpm, &tap.config());
    let key = [0x3c; 32];
    let (index, _) = keeper.count(&Request::DefineCounter { auth: &key }).unwrap();
    let (plainly, _) = keeper.seal(value(None)).unwrap();
    let (guarded, _) = keeper.seal(Tpm2Seal { auth: &PIN, ..value(None) }).unwrap();
    let counter = Some(Counter { index, auth: &key });
    assert_eq!(keeper.unseal(Tpm2Unseal { counter, ..plain(&plainly) }).unwrap().0, SECRET);
    assert_eq!(keeper.open_with(&guarded, &PIN, false), Ok(SECRET));
    // The tap does see: what is public passes in clear.
    assert!(times(seen, &plainly.private) >= 1 && times(seen, &guarded.public) >= 1);
    assert_eq!((times(seen, &SECRET), times(seen, &PIN), times(seen, &key)), (0, 0, 0));
}

#[test]
fn a_run_that_is_killed_at_any_command_leaves_a_tpm_that_works() {
    let tpm = Swtpm::new();
    tpm.extend(7);
    let tap = tap(tpm.address());
    let keeper = Keeper::with(&tpm, &tap.config());
    let (object, _) = keeper.seal(Tpm2Seal { auth: &PIN, ..value(None) }).unwrap();
    let wanted = Tpm2Unseal { auth: &PIN, ..plain(&object) };
    let handles = |kind| String::from_utf8(tpm.tool("tpm2_getcap", &[kind]).stdout).unwrap();
    let (mut killed, mut left_objects, mut left_sessions) = (0, 0, 0);
    loop {
        tap.pass.store(killed, Ordering::SeqCst);
        let started = Started::new(&keeper.config);
        started.send(&Request::Unseal(wanted.clone()));
        let Started { socket, mut child } = started;
        let answered = tap.tell.clone();
        let receiving = std::thread::spawn(move || answered.send(Event::Ended(receive(&socket))).unwrap());
        let answer = loop {
            match tap.events.recv_timeout(Duration::from_secs(60)).unwrap() {
                Event::Stalled => child.kill().unwrap(),
                Event::Ended(answer) => break answer,
            }
        };
        receiving.join().unwrap();
        let status = child.wait().unwrap();
        tap.pass.store(usize::MAX, Ordering::SeqCst);
        if status.success() {
            assert!(!answer.is_empty());
            break;
        }
        killed += 1;
        left_objects += usize::from(!handles("handles-transient").is_empty());
        left_sessions += usize::from(!handles("handles-loaded-session").is_empty());
    }
    assert!(killed > 10 && left_objects > 0 && left_sessions > 0, "{killed} {left_objects} {left_sessions}");
    assert_eq!(keeper.open_with(&object, &PIN, false), Ok(SECRET));
    assert_eq!((handles("handles-transient"), handles("handles-loaded-session")), (String::new(), String::new()));
    assert_eq!(keeper.describe(&[]).lockout_counter, 0);
}

/// The storage root key's point, and another one on the same curve.
fn points(tpm: &Swtpm) -> Vec<(Vec<u8>, Vec<u8>)> {
    let point = |file: &str| {
        let public = std::fs::read(tpm.dir().join(file)).unwrap();
        let point = public[public.len() - 64..].to_vec();
        (point[..32].to_vec(), point[32..].to_vec())
    };
    tpm.tool("tpm2_readpublic", &["-c", "0x81000001", "-f", "der", "-o", "own.der"]);
    tpm.tool("tpm2_createprimary", &["-C", "n", "-G", "ecc256", "-c", "foreign.ctx"]);
    tpm.tool("tpm2_readpublic", &["-c", "foreign.ctx", "-f", "der", "-o", "foreign.der"]);
    tpm.tool("tpm2_flushcontext", &["-t"]);
    let (own, foreign) = (point("own.der"), point("foreign.der"));
    vec![(own.0, foreign.0), (own.1, foreign.1)]
}

#[test]
fn another_key_under_the_pinned_name_is_told_and_nothing_is_encrypted_to_it() {
    let tpm = Swtpm::new();
    tpm.extend(7);
    let (object, _) = Keeper::of(&tpm).seal(value(None)).unwrap();
    let parts = points(&tpm);
    // libtss2 reads the key to encrypt to it, and merlon-seal reads it to compute its name: one alone, and both.
    for at in [vec![1], vec![2], vec![1, 2]] {
        let tap = tap(tpm.address());
        let keeper = Keeper::with(&tpm, &tap.config());
        let alter = || *tap.alter.lock().unwrap() = Alteration { parts: parts.clone(), at: at.clone(), found: 0 };
        alter();
        let refused = [keeper.open(&object).unwrap_err(), {
            alter();
            keeper.seal(value(None)).unwrap_err()
        }];
        for refused in refused {
            assert!(refused.to_string().contains("altered on its way"), "{at:?}: {refused}");
        }
        assert_eq!(times(&tap.seen, CC_START_AUTH_SESSION), 0, "{at:?}: a session begins with a secret");
    }
    // The tap as such changes nothing.
    let tap = tap(tpm.address());
    assert_eq!(Keeper::with(&tpm, &tap.config()).open(&object), Ok(SECRET));
    assert_eq!(times(&tap.seen, CC_START_AUTH_SESSION), 1);
    assert_eq!(times(&tap.seen, CC_UNSEAL), 1, "exactly one unseal");
}

#[test]
fn at_its_first_command_the_process_is_confined() {
    let tpm = Swtpm::new();
    let tap = tap(tpm.address());
    let keeper = Keeper::with(&tpm, &tap.config());
    // The first connection is libtss2's look whether somebody listens.
    tap.pass.store(1, Ordering::SeqCst);
    let mut started = Started::new(&keeper.config);
    started.send(&Request::Describe { pcrs: vec![7] });
    assert!(matches!(tap.events.recv_timeout(Duration::from_secs(60)), Ok(Event::Stalled)));
    let status = std::fs::read_to_string(format!("/proc/{}/status", started.child.id())).unwrap();
    let threads_and_rights = ["Threads:\t1\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"];
    assert!(threads_and_rights.iter().all(|line| status.contains(line)), "{status}");
    started.child.kill().unwrap();
    started.child.wait().unwrap();
}
