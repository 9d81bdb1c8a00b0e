//! What goes wrong with sealed slots: a `merlon-seal` that fails in every way, files that were damaged or altered.

use std::fs;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use merlon_sandbox::{seqpacket, spawn};
use merlon_wire::admin::{AdminRefusal, NewKeyslot, Request, Response, UnlockWith};
use merlon_wire::keeper::{self, LockState};
use merlon_wire::seal::Failure;
use serde_json::Value;

use crate::faults::{damages, put};
use crate::sealed::{NO_TPM, TPM, add, start, tpm2};
use crate::support::seal::{FakeSeal, Mood, serve};
use crate::support::{Scratch, Starting, add_recovery, keeper_command};

/// Every way to fail at once, and what is said of it.
fn moods() -> Vec<(Mood, &'static str)> {
    vec![
        (Mood::Fails(Failure::OtherTpm), "another TPM"),
        (Mood::Fails(Failure::Lockout { wait_seconds: 60 }), "locked out"),
        (Mood::Fails(Failure::PcrMismatch { changed: vec![4, 7] }), "PCR 4, 7"),
        (Mood::Fails(Failure::NoSignature { policy: "abcd".into() }), "abcd"),
        (Mood::Fails(Failure::NoDevice { device: "/dev/tpmrm0".into(), why: "gone".into() }), "/dev/tpmrm0"),
        (Mood::Fails(Failure::Damaged), "was altered"),
        (Mood::Fails(Failure::Tpm { doing: "unsealing".into(), what: "0x101".into() }), "0x101"),
        (Mood::Dies, "ended without an answer"),
        (Mood::Garbage, "broke the protocol"),
        (Mood::OtherAnswer, "another question"),
        (Mood::NotStarted, "not installed"),
    ]
}

#[test]
fn a_tpm_that_fails_at_a_first_start_leaves_a_key_file_and_the_reason() {
    for (mood, needle) in moods() {
        let (scratch, seal) = (Scratch::new(), FakeSeal::new());
        seal.set(mood);
        let (running, locked) = start(&scratch, TPM, &seal);
        assert!(!locked, "{needle}");
        let status = running.status();
        assert_eq!(status.slots, ["file"], "{needle}");
        let warnings = status.warnings.join("\n");
        assert!(warnings.contains(needle) && warnings.contains("merlon keyslot add tpm2"), "{needle}: {warnings}");
        running.stop();
        // That was the first start; later ones have nothing to ask.
        seal.asked();
        start(&scratch, TPM, &seal).0.stop();
        assert_eq!(seal.asked(), [""; 0], "{needle}");
    }
}

#[test]
fn a_tpm_that_fails_does_not_stop_a_start_that_a_key_file_can_make() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let (running, _) = start(&scratch, NO_TPM, &seal);
    let (id, _) = add(&running, tpm2());
    running.stop();
    for (failures, (mood, needle)) in (1..).zip(moods()) {
        seal.set(mood);
        seal.asked();
        let (running, locked) = start(&scratch, TPM, &seal);
        assert!(!locked, "{needle}");
        assert!(seal.asked().len() < 2, "{needle}: it is asked once");
        let status = running.status();
        assert_eq!(status.opened_by.as_deref(), Some("file"), "{needle}");
        let told = status.warnings.iter().find(|note| note.starts_with(&format!("Keyslot {id} (tpm2)"))).unwrap();
        assert!(told.contains(needle) && !told.contains(" ID"), "{told}");
        let log = fs::read_to_string(scratch.file("audit.log")).unwrap();
        let failed = format!("\"event\":\"keyslot-failed\",\"details\":{{\"slot\":{id},\"kind\":\"tpm2\"}}");
        assert_eq!(log.matches(&failed).count(), failures, "{log}");
        assert!(running.stop().1.contains(needle), "{needle}: in the log too");
    }
    seal.set(Mood::Works);
    let (running, _) = start(&scratch, TPM, &seal);
    assert_eq!(running.status().opened_by.as_deref(), Some("tpm2"), "and nothing was lost");
}

#[test]
fn what_fails_changes_nothing() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let (running, _) = start(&scratch, NO_TPM, &seal);
    let (id, _) = add(&running, tpm2());
    let before = fs::read(scratch.file("keyslots.a")).unwrap();
    let new = || NewKeyslot::Tpm2 { pcrs: None, pin: b"a long pin", policy_key: b"" };
    let uri = "pkcs11:token=merlon";
    for (mood, needle) in moods() {
        seal.set(mood);
        for request in [
            Request::AddKeyslot(new()),
            Request::AddKeyslot(NewKeyslot::Pkcs11 { uri, pin: Some(b"1234") }),
            Request::Reseal { id, next_boot_once: false },
            Request::Reseal { id, next_boot_once: true },
            Request::TestKeyslot { id, secret: b"" },
            Request::Policy(id),
        ] {
            match running.administer(&request).admin() {
                Response::Refused(refusal @ (AdminRefusal::Seal(_) | AdminRefusal::NoSeal(_))) => {
                    assert!(refusal.to_string().contains(needle), "{needle}: {refusal}");
                }
                other => panic!("{needle}: {other:?}"),
            }
        }
        let Response::KeyReport(report) = running.administer(&Request::KeyReport).admin() else { panic!() };
        assert!(report.tpm.unwrap_err().contains(needle));
        assert_eq!((report.tpm2_slots[0].srk_matches, report.tpm2_slots[0].pcrs.len()), (false, 0));
        assert_eq!(fs::read(scratch.file("keyslots.a")).unwrap(), before, "{needle}");
    }
    let refused =
        running.administer(&Request::AddKeyslot(NewKeyslot::Tpm2 { pcrs: Some(vec![24]), pin: b"", policy_key: b"" }));
    assert_eq!(refused.admin(), Response::Refused(AdminRefusal::Pcr));
}

#[test]
fn a_hanging_seal_is_given_up_and_holds_nobody_up() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let (running, _) = start(&scratch, NO_TPM, &seal);
    let (id, _) = add(&running, tpm2());
    running.stop();
    seal.set(Mood::Hangs);
    let begun = Instant::now();
    let (running, locked) = start(&scratch, "[keeper]\nseal_seconds = 5\n", &seal);
    let took = begun.elapsed();
    assert!(!locked);
    assert!((Duration::from_secs(14)..Duration::from_secs(40)).contains(&took), "{took:?}");
    let warnings = running.status().warnings.join("\n");
    assert!(warnings.contains("15 s") && warnings.contains("seal_seconds"), "{warnings}");

    // While one request waits, everything else is answered.
    seal.asked();
    let mut waiting = running.admin();
    std::thread::scope(|scope| {
        let test = scope.spawn(move || {
            let answer = waiting.ask(&Request::TestKeyslot { id, secret: b"" }).unwrap();
            matches!(answer.admin(), Response::Refused(AdminRefusal::NoSeal(_)))
        });
        while seal.state().asked.is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(running.status().state, LockState::Unlocked);
        let added = running.administer(&Request::AddKeyslot(NewKeyslot::Passphrase(b"correct horse")));
        assert!(matches!(added.admin(), Response::Keyslot(_)));
        let (mut link, _) = running.link();
        assert!(link.ask(&keeper::Request::CreateProject { name: "p" }).is_some());
        assert!(!test.is_finished(), "all of this came before the end of the wait");
        assert!(test.join().unwrap());
    });
}

#[test]
fn a_keeper_without_a_way_to_seal_says_so() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    start(&scratch, TPM, &seal).0.stop();
    let mut running = Starting::with_config(&scratch, TPM).spawn();
    assert!(running.ready(), "its only slot is sealed");
    let warnings = running.status().warnings.join("\n");
    assert!(warnings.contains("without a way to merlon-seal"), "{warnings}");
    let refused = running.administer(&Request::Unlock(UnlockWith::Machine));
    assert!(matches!(refused.admin(), Response::Refused(AdminRefusal::NoSeal(_))));
    let refused = running.administer(&Request::Unlock(UnlockWith::Pin { pin: b"1234", force: false }));
    assert_eq!(refused.admin(), Response::Refused(AdminRefusal::NoSlotOfKind("PIN-protected".into())));
    // And a first start has its key file.
    let scratch = Scratch::new();
    let mut running = Starting::with_config(&scratch, TPM).spawn();
    assert!(!running.ready());
    assert_eq!(running.status().slots, ["file"]);
    let refused = running.administer(&Request::AddKeyslot(tpm2()));
    assert!(matches!(refused.admin(), Response::Refused(AdminRefusal::NoSeal(_))));
}

#[test]
fn it_connects_to_the_socket_of_seal() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let admin_path = scratch.path("admin.sock");
    let path = scratch.path("seal.sock");
    let listener = seqpacket::listen(&path, 0o600).unwrap();
    fs::write(scratch.path("merlon.toml"), TPM).unwrap();
    let admin = seqpacket::listen(&admin_path, 0o600).unwrap();
    let (parent, child) = seqpacket::pair().unwrap();
    let mut command = keeper_command(&scratch);
    command.arg("--config").arg(scratch.path("merlon.toml")).arg("--seal").arg(&path);
    spawn::inheriting(&mut command, &[("admin", admin.as_fd()), ("parent", child.as_fd())]).unwrap();
    let mut process = command.spawn().unwrap();
    for _ in 0..2 {
        serve(seqpacket::accept(&listener).unwrap(), &mut seal.state());
    }
    assert_eq!(seal.asked(), ["Seal", "Unseal"]);
    drop((command, child));
    let mut frame = [0; 64];
    assert!(seqpacket::recv(&parent, &mut frame).unwrap().len > 0, "it is ready");
    drop(parent);
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

/// A keeper with a slot of each kind that this file is about, and a key file.
fn with_every_kind(scratch: &Scratch, seal: &FakeSeal) {
    seal.state().configured_pin = Some(b"1234".to_vec());
    let (running, _) = start(scratch, NO_TPM, seal);
    add(&running, tpm2());
    add(&running, NewKeyslot::Tpm2 { pcrs: Some(vec![1, 7]), pin: b"2580", policy_key: b"" });
    add(&running, NewKeyslot::Pkcs11 { uri: "pkcs11:token=merlon", pin: None });
    add_recovery(&running);
    running.stop();
}

#[test]
fn a_damaged_copy_with_sealed_slots_is_mended() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    with_every_kind(&scratch, &seal);
    let good = fs::read(scratch.file("keyslots.a")).unwrap();
    for name in ["keyslots.a", "keyslots.b"] {
        for (what, damaged) in damages(&good) {
            put(&scratch.file(name), damaged.as_ref());
            seal.asked();
            let (running, locked) = start(&scratch, TPM, &seal);
            assert!(!locked, "{name} {what}");
            assert_eq!(seal.asked(), ["Unseal"], "{name} {what}: one unseal is enough");
            let warnings = running.status().warnings.join(" ");
            assert!(warnings.contains("written again"), "{name} {what}: {warnings}");
            running.stop();
            assert_eq!(fs::read(scratch.file("keyslots.a")).unwrap(), good, "{name} {what}");
            assert_eq!(fs::read(scratch.file("keyslots.b")).unwrap(), good, "{name} {what}");
        }
    }
}

/// Every place of a value below `value`, as a path.
fn places(value: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            for (name, below) in map {
                path.push(name.clone());
                places(below, path, out);
                path.pop();
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (at, below) in list.iter().enumerate() {
                path.push(at.to_string());
                places(below, path, out);
                path.pop();
            }
        }
        _ => out.push(path.clone()),
    }
}

/// The value changed as little as can be.
fn altered(value: &Value) -> Value {
    match value {
        Value::Bool(was) => Value::Bool(!was),
        Value::Number(was) => (was.as_i64().unwrap() + 1).into(),
        // One bit, or one letter; something where there was nothing.
        Value::String(was) => match HEXLOWER.decode(was.as_bytes()) {
            Ok(mut bytes) if !bytes.is_empty() => {
                *bytes.last_mut().unwrap() ^= 1;
                HEXLOWER.encode(&bytes).into()
            }
            _ => format!("{was}00").into(),
        },
        other => panic!("{other}"),
    }
}

#[test]
fn every_altered_parameter_of_a_sealed_slot_is_refused() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    with_every_kind(&scratch, &seal);
    fs::remove_file(scratch.file("file.key")).unwrap();
    let text = fs::read_to_string(scratch.file("keyslots.a")).unwrap();
    let (line, mac) = text.split_once('\n').unwrap();
    let mac = serde_json::from_str::<Value>(mac.trim_end()).unwrap()["mac"].as_str().unwrap().to_owned();
    let good: Value = serde_json::from_str(line).unwrap();
    for at in 1..=3 {
        // Only this slot and the recovery slot, as one who can write the files would leave them.
        let mut body = good.clone();
        let slots = body["slots"].as_array().unwrap();
        let slots = vec![slots[at].clone(), slots[4].clone()];
        body["slots"] = slots.into();
        let mut all = Vec::new();
        places(&body["slots"][0], &mut Vec::new(), &mut all);
        assert!(all.len() > 10);
        let write = |body: &Value| {
            let line = body.to_string();
            let check =
                HEXLOWER.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, line.as_bytes()).as_ref());
            for name in ["keyslots.a", "keyslots.b"] {
                fs::write(scratch.file(name), format!("{line}\n{{\"check\":\"{check}\",\"mac\":\"{mac}\"}}\n"))
                    .unwrap();
            }
        };
        let mut by_mac_alone = Vec::new();
        for path in all {
            let mut forged = body.clone();
            let pointer = format!("/slots/0/{}", path.join("/"));
            let value = forged.pointer_mut(&pointer).unwrap();
            *value = altered(value);
            write(&forged);
            let mut running = Starting::with_seal(&scratch, TPM, &seal).spawn();
            match running.try_ready() {
                None => {
                    let (status, text) = running.wait();
                    assert_eq!(status.code(), Some(78), "{pointer}");
                    by_mac_alone.extend(text.contains("MAC does not match").then_some(path));
                }
                Some(locked) => {
                    assert!(locked, "{pointer}");
                    let unlock = UnlockWith::Pin { pin: b"2580", force: false };
                    match running.administer(&Request::Unlock(unlock)).admin() {
                        Response::Refused(AdminRefusal::NotWritten(_)) => by_mac_alone.push(path),
                        Response::Refused(_) => {}
                        other => panic!("{pointer}: {other:?}"),
                    }
                    running.kill();
                }
            }
        }
        // The slot itself refuses whatever decides how it opens; the rest is the list's.
        assert_eq!(by_mac_alone, [["created_us"]], "slot {at}");
    }
}

#[test]
fn signatures_that_are_damaged_are_none() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    start(&scratch, TPM, &seal).0.stop();
    for bytes in [&b"not json"[..], b"[{\"slot\":1}]", b"[{\"slot\":1,\"policy\":\"zz\",\"signature\":\"\"}]"] {
        fs::write(scratch.file("policy-signatures.json"), bytes).unwrap();
        let (running, locked) = start(&scratch, TPM, &seal);
        assert!(!locked);
        running.stop();
    }
}

#[test]
fn a_slot_that_was_removed_does_not_come_back_with_its_list() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let (running, _) = start(&scratch, NO_TPM, &seal);
    let (id, _) = add(&running, tpm2());
    let old = fs::read_to_string(scratch.file("keyslots.a")).unwrap();
    running.administer(&Request::RemoveKeyslot(id));
    running.stop();
    // The removed slot, put back into a copy by one who can write it but not make its MAC.
    let new = fs::read_to_string(scratch.file("keyslots.b")).unwrap();
    let [old, new]: [Value; 2] = [&old, &new].map(|text| serde_json::from_str(text.lines().next().unwrap()).unwrap());
    let mut forged = new.clone();
    forged["slots"] = old["slots"].clone();
    forged["sequence"] = (new["sequence"].as_i64().unwrap() + 1).into();
    let line = forged.to_string();
    let check = HEXLOWER.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, line.as_bytes()).as_ref());
    fs::write(scratch.file("keyslots.a"), format!("{line}\n{{\"check\":\"{check}\",\"mac\":\"{check}\"}}\n")).unwrap();
    let (running, locked) = start(&scratch, NO_TPM, &seal);
    assert!(!locked);
    let status = running.status();
    assert_eq!((status.opened_by.as_deref(), status.slots.len()), (Some("file"), 1), "{:?}", status.warnings);
    assert!(status.warnings.iter().any(|note| note.contains("altered")), "{:?}", status.warnings);
}

#[test]
fn sealed_slots_are_bounded() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let (running, _) = start(&scratch, TPM, &seal);
    let mut admin = running.admin();
    let refused = (0..20).find(|_| {
        let answer = admin.ask(&Request::AddKeyslot(tpm2())).unwrap();
        matches!(answer.admin(), Response::Refused(AdminRefusal::TooMany(_)))
    });
    assert_eq!(refused, Some(7), "a report on all of them fits a frame");
    let answer = admin.ask(&Request::KeyReport).unwrap();
    assert!(matches!(answer.admin(), Response::KeyReport(report) if report.tpm2_slots.len() == 8));
}
