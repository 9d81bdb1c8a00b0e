//! What passes between the process and its TPM, seen by who sits on the wire.

use std::sync::atomic::Ordering;
use std::time::Duration;

use merlon_wire::decode;
use merlon_wire::seal::{Counter, Failure, Request, Response, Tpm2Seal, Tpm2Unseal};

use crate::ask::{Keeper, PIN, SECRET, Started, plain, receive, value};
use crate::swtpm::Swtpm;
use crate::tap::{Alteration, Event, Tap};

/// Command codes (TPM 2.0 part 2, 6.5.2).
const CC_START_AUTH_SESSION: &[u8] = &[0, 0, 1, 0x76];
const CC_UNSEAL: &[u8] = &[0, 0, 1, 0x5e];

#[test]
fn the_wire_shows_neither_secret_nor_pin_nor_counter_key() {
    let tpm = Swtpm::new();
    tpm.extend(7);
    let tap = Tap::on(&tpm);
    let keeper = Keeper::with(&tpm, &tap.config());
    let key = [0x3c; 32];
    let (index, _) = keeper.count(&Request::DefineCounter { auth: &key }).unwrap();
    let (plainly, _) = keeper.seal(value(None)).unwrap();
    let (guarded, _) = keeper.seal(Tpm2Seal { auth: &PIN, ..value(None) }).unwrap();
    assert!(keeper.count(&Request::ReadCounter(Counter { index, auth: &key })).is_ok());
    assert_eq!(keeper.open(&plainly), Ok(SECRET));
    assert_eq!(keeper.open_with(&guarded, &PIN, false), Ok(SECRET));
    // The tap does see: what is public passes in clear.
    assert!(tap.times(&plainly.private) >= 1 && tap.times(&guarded.public) >= 1);
    assert_eq!((tap.times(&SECRET), tap.times(&PIN), tap.times(&key)), (0, 0, 0));
}

#[test]
fn a_run_that_is_killed_at_any_command_leaves_a_tpm_that_works() {
    let tpm = Swtpm::new();
    tpm.extend(7);
    let tap = Tap::on(&tpm);
    let keeper = Keeper::with(&tpm, &tap.config());
    let (object, _) = keeper.seal(Tpm2Seal { auth: &PIN, ..value(None) }).unwrap();
    let wanted = Tpm2Unseal { auth: &PIN, ..plain(&object) };
    let handles = |kind| String::from_utf8(tpm.tool("tpm2_getcap", &[kind]).stdout).unwrap();
    let (mut killed, mut left_objects, mut left_sessions) = (0, 0, 0);
    loop {
        tap.wire.pass.store(killed, Ordering::SeqCst);
        let started = Started::new(&keeper.config);
        started.send(&Request::Unseal(wanted.clone()));
        let Started { socket, mut child } = started;
        let answered = tap.tell.clone();
        let receiving = std::thread::spawn(move || answered.send(Event::Ended(receive(&socket))).unwrap());
        let answer = loop {
            match tap.events.recv_timeout(Duration::from_secs(60)).unwrap() {
                Event::Stalled(_) => child.kill().unwrap(),
                Event::Ended(answer) => break answer,
            }
        };
        receiving.join().unwrap();
        let status = child.wait().unwrap();
        tap.wire.pass.store(usize::MAX, Ordering::SeqCst);
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

#[test]
fn a_tpm_that_dies_at_any_command_is_an_answer() {
    let tpm = Swtpm::new();
    tpm.extend(7);
    let tap = Tap::on(&tpm);
    let keeper = Keeper::with(&tpm, &tap.config());
    let (object, _) = keeper.seal(value(None)).unwrap();
    tap.wire.cut.store(true, Ordering::SeqCst);
    // The first connection is libtss2's look whether somebody listens.
    let mut commands = 1;
    loop {
        tap.wire.pass.store(commands, Ordering::SeqCst);
        match keeper.open(&object) {
            Ok(secret) => break assert_eq!(secret, SECRET),
            Err(Failure::NoDevice { .. } | Failure::Tpm { .. }) => commands += 1,
            Err(other) => panic!("at command {commands}: {other}"),
        }
    }
    assert!(commands > 5, "{commands}");
    tap.wire.pass.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(keeper.open(&object), Ok(SECRET));
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
        let tap = Tap::on(&tpm);
        let keeper = Keeper::with(&tpm, &tap.config());
        let alter =
            || *tap.wire.alteration.lock().unwrap() = Alteration { parts: parts.clone(), at: at.clone(), found: 0 };
        alter();
        let refused = [keeper.open(&object).unwrap_err(), {
            alter();
            keeper.seal(value(None)).unwrap_err()
        }];
        for refused in refused {
            assert!(refused.to_string().contains("altered on its way"), "{at:?}: {refused}");
        }
        assert_eq!(tap.times(CC_START_AUTH_SESSION), 0, "{at:?}: a session begins with a secret");
    }
    // The tap as such changes nothing.
    let tap = Tap::on(&tpm);
    assert_eq!(Keeper::with(&tpm, &tap.config()).open(&object), Ok(SECRET));
    assert_eq!(tap.times(CC_START_AUTH_SESSION), 1);
    assert_eq!(tap.times(CC_UNSEAL), 1, "exactly one unseal");
}

#[test]
fn at_its_first_command_the_process_is_confined() {
    let tpm = Swtpm::new();
    let tap = Tap::on(&tpm);
    let keeper = Keeper::with(&tpm, &tap.config());
    // The first connection is libtss2's look whether somebody listens.
    tap.wire.pass.store(1, Ordering::SeqCst);
    let mut started = Started::new(&keeper.config);
    started.send(&Request::Describe { pcrs: vec![7] });
    assert!(matches!(tap.events.recv_timeout(Duration::from_secs(60)), Ok(Event::Stalled(_))));
    let status = std::fs::read_to_string(format!("/proc/{}/status", started.child.id())).unwrap();
    let threads_and_rights = ["Threads:\t1\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"];
    assert!(threads_and_rights.iter().all(|line| status.contains(line)), "{status}");
    started.child.kill().unwrap();
    started.child.wait().unwrap();
}

#[test]
fn a_pcr_that_is_measured_into_meanwhile_does_not_disturb_unless_it_is_bound() {
    let tpm = Swtpm::new();
    tpm.extend(7);
    let tap = Tap::on(&tpm);
    let keeper = Keeper::with(&tpm, &tap.config());
    let (object, _) = keeper.seal(value(None)).unwrap();
    let mut again = 0;
    for command in 1.. {
        let before = tap.times(CC_UNSEAL);
        tap.wire.pass.store(command, Ordering::SeqCst);
        let started = Started::new(&keeper.config);
        started.send(&Request::Unseal(plain(&object)));
        let Started { socket, mut child } = started;
        let answered = tap.tell.clone();
        let receiving = std::thread::spawn(move || answered.send(Event::Ended(receive(&socket))).unwrap());
        let mut stalled = false;
        let answer = loop {
            match tap.events.recv_timeout(Duration::from_secs(60)).unwrap() {
                Event::Stalled(connection) => {
                    tpm.extend(8);
                    stalled = true;
                    tap.wire.relay(connection);
                }
                Event::Ended(answer) => break answer,
            }
        };
        receiving.join().unwrap();
        assert!(child.wait().unwrap().success());
        let Ok(Response::Secret { secret, .. }) = decode(&answer) else { panic!("at command {command}: {answer:?}") };
        assert_eq!(secret, SECRET);
        again += usize::from(tap.times(CC_UNSEAL) - before > 1);
        if !stalled {
            break;
        }
    }
    assert_eq!(again, 1, "the TPM refuses a policy that is older than a measurement, and it is built once more");
}
