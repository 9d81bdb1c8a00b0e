//! The keeper's part of a backup, and what it makes of a restored directory.

use std::fs::{self, File};
use std::io::Read as _;

use data_encoding::HEXLOWER;
use merlon_sandbox::seqpacket;
use merlon_wire::admin::{AdminRefusal, BackupPart, NewKeyslot, Request, Response, UnlockWith};
use merlon_wire::identity::{Credential, Registration, SessionKey, SessionState};
use merlon_wire::keeper::{self, EndSession, LockState, Refusal};
use merlon_wire::{Frame, MAX_FRAME, decode, encode};
use serde_json::json;

use crate::identity::{credential, identity, owner, registration, store};
use crate::sessions::{begin, check, end, start};
use crate::support::{Running, Scratch, add_recovery};

/// What a request for a backup brought.
struct Taken {
    parts: Vec<(String, Vec<u8>)>,
    projects: Vec<u64>,
    state: [u8; 32],
    instance: String,
}

fn take(running: &Running, passphrase: &[u8]) -> Result<Taken, AdminRefusal> {
    let admin = running.admin();
    let mut frame = vec![0; MAX_FRAME];
    let used = encode(&Frame { id: 9, body: Request::Backup { passphrase } }, &mut frame).unwrap();
    seqpacket::send(&admin.socket, &frame[..used], None).unwrap();
    let received = seqpacket::recv(&admin.socket, &mut frame).unwrap();
    match decode::<Frame<Response<'_>>>(&frame[..received.len]).unwrap().body {
        Response::Refused(refusal) => {
            assert!(received.fd.is_none());
            Err(refusal)
        }
        Response::Backup { instance, projects, state, parts } => {
            let mut file = File::from(received.fd.unwrap());
            let mut read = |part: BackupPart| {
                let mut bytes = vec![0; usize::try_from(part.length).unwrap()];
                file.read_exact(&mut bytes).unwrap();
                (part.name, bytes)
            };
            let parts = parts.into_iter().map(&mut read).collect();
            assert_eq!(file.read(&mut [0]).unwrap(), 0, "nothing stands behind the parts");
            Ok(Taken { parts, projects, state, instance })
        }
        other => panic!("{other:?}"),
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().try_into().unwrap()
}

fn seal(running: &Running, state: [u8; 32], manifest: &[u8]) -> Result<[u8; 32], AdminRefusal> {
    match running.administer(&Request::SealBackup { state, manifest: digest(manifest) }).admin() {
        Response::BackupMac(mac) => Ok(mac),
        Response::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

/// The manifest of these parts, authenticated.
fn manifest(running: &Running, taken: &Taken) -> Vec<u8> {
    let listed = taken
        .parts
        .iter()
        .map(|(name, bytes)| json!({"name": name, "length": bytes.len(), "sha256": HEXLOWER.encode(&digest(bytes))}));
    let line = json!({
        "version": 1, "instance": taken.instance, "created_us": 0, "program": "test", "parts": listed.collect::<Vec<_>>()
    });
    let line = line.to_string().into_bytes();
    let mac = HEXLOWER.encode(&seal(running, taken.state, &line).unwrap());
    let seal = json!({"check": HEXLOWER.encode(&digest(&line)), "mac": mac}).to_string();
    [line.as_slice(), b"\n", seal.as_bytes(), b"\n"].concat()
}

/// As `merlon restore` does.
fn lay_out(taken: &Taken, manifest: &[u8]) -> Scratch {
    let scratch = Scratch::new();
    for (name, bytes) in &taken.parts {
        let name = name.strip_prefix("keeper/").unwrap();
        let names = if name == "keyslots" { vec!["keyslots.a", "keyslots.b"] } else { vec![name] };
        names.into_iter().for_each(|name| fs::write(scratch.file(name), bytes).unwrap());
    }
    fs::write(scratch.file("restore.json"), manifest).unwrap();
    scratch
}

fn unlock(running: &Running, with: UnlockWith<'_>) -> Result<u32, AdminRefusal> {
    match running.administer(&Request::Unlock(with)).admin() {
        Response::Keyslot(id) => Ok(id),
        Response::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

/// Events enough for an audit log that is sealed in several pieces; what it is then.
fn long_log(running: &Running, scratch: &Scratch) -> Vec<u8> {
    for _ in 0..150 {
        let created = running.administer(&Request::CreateToken { role: "owner", label: "x" });
        let Response::Token { id, .. } = created.admin() else { panic!("no token") };
        running.administer(&Request::RevokeToken(id));
    }
    let log = fs::read(scratch.file("audit.log")).unwrap();
    assert!(log.len() > 64 << 10, "{}", log.len());
    log
}

/// What was restored goes on, and is whole.
fn log_goes_on(running: &Running, scratch: &Scratch, log: &[u8], what: &str) {
    assert!(fs::read(scratch.file("audit.log")).unwrap().starts_with(log), "{what}");
    let answer = running.administer(&Request::AuditVerify);
    let Response::AuditVerdict(verdict) = answer.admin() else { panic!("no verdict") };
    assert_eq!(verdict.problem, None, "{what}");
}

#[test]
fn what_the_keeper_gives_opens_elsewhere_and_only_by_what_a_person_has() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (_, key) = add_recovery(&running);
    let (mut link, _) = running.link();
    for name in ["one", "two"] {
        link.ask(&keeper::Request::CreateProject { name }).unwrap();
    }
    let log = long_log(&running, &scratch);
    assert_eq!(take(&running, b"").err(), Some(AdminRefusal::NoWayIntoBackup), "the key was not typed back");
    assert_eq!(take(&running, b"short").err(), Some(AdminRefusal::PassphraseLength));
    running.administer(&Request::ConfirmRecovery(key.as_bytes()));
    let files = || -> Vec<_> { scratch.snapshot().into_iter().map(|(name, _)| name).collect() };
    let (before, slots) = (files(), fs::read(scratch.file("keyslots.a")).unwrap());
    let taken = take(&running, b"of this backup").unwrap();
    assert_eq!(files(), before, "nothing stays in the keeper's directory");
    assert!(fs::read(scratch.file("keyslots.a")).unwrap() == slots, "the instance has no slot for the backup");
    assert_eq!(taken.projects, [1, 2]);
    let names: Vec<&str> = taken.parts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["keeper/keyslots", "keeper/secrets.db", "keeper/audit.log.sealed"]);
    let keyslots = std::str::from_utf8(&taken.parts[0].1).unwrap();
    assert!(keyslots.contains("\"recovery\"") && keyslots.contains("\"passphrase\"") && !keyslots.contains("\"file\""));
    for (name, bytes) in &taken.parts {
        for plain in ["token-created", "SQLite format 3", "of this backup", "merlon-ca"] {
            assert!(memchr::memmem::find(bytes, plain.as_bytes()).is_none(), "{name} shows {plain}");
        }
    }
    let manifest = manifest(&running, &taken);
    let ca = link.ask(&keeper::Request::CaCertificate).unwrap().bytes()[2..].to_vec();

    for (with, slot) in [(UnlockWith::Recovery(key.as_bytes()), 2), (UnlockWith::Passphrase(b"of this backup"), 3)] {
        let elsewhere = lay_out(&taken, &manifest);
        let mut restored = Running::start(&elsewhere);
        assert!(unlock(&restored, UnlockWith::Passphrase(b"of another one")).is_err());
        assert!(elsewhere.file("restore.json").exists(), "a wrong key changes nothing");
        assert_eq!(unlock(&restored, with), Ok(slot));
        assert!(!elsewhere.file("restore.json").exists() && !elsewhere.file("audit.log.sealed").exists());
        log_goes_on(&restored, &elsewhere, &log, "restored");
        let (mut link, _) = restored.link();
        assert_eq!(link.ask(&keeper::Request::CaCertificate).unwrap().bytes()[2..], ca);
        assert!(matches!(
            link.ask(&keeper::Request::ProjectKey { id: 2 }).unwrap().link(),
            keeper::Response::ProjectKey(_)
        ));
        restored.kill();
        // From now on this machine opens it.
        let restored = Running::start(&elsewhere);
        let Response::Status(status) = restored.administer(&Request::Status).admin() else { panic!("no status") };
        assert_eq!((status.state, status.opened_by.as_deref()), (LockState::Unlocked, Some("file")));
    }
}

#[test]
fn a_backup_during_which_projects_or_keys_changed_is_not_authenticated() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    link.ask(&keeper::Request::CreateProject { name: "one" }).unwrap();
    let taken = take(&running, b"a passphrase").unwrap();
    // What does not change keys is no reason.
    running.administer(&Request::CreateToken { role: "viewer", label: "x" });
    link.ask(&keeper::Request::ProjectKey { id: 1 }).unwrap();
    assert!(seal(&running, taken.state, b"manifest").is_ok());
    assert_ne!(seal(&running, taken.state, b"manifest"), seal(&running, taken.state, b"another"));
    link.ask(&keeper::Request::CreateProject { name: "two" }).unwrap();
    assert_eq!(seal(&running, taken.state, b"manifest"), Err(AdminRefusal::BackupOutdated));
    let taken = take(&running, b"a passphrase").unwrap();
    link.ask(&keeper::Request::DeleteProject { id: 1 }).unwrap();
    assert_eq!(seal(&running, taken.state, b"manifest"), Err(AdminRefusal::BackupOutdated));
    assert_eq!(seal(&running, [0; 32], b"manifest"), Err(AdminRefusal::BackupOutdated));
}

#[test]
fn who_the_instance_is_and_who_is_signed_in_comes_back_with_it() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let registered = Registration { owner: Some(owner("ann")), ..registration("one") };
    store(&mut link, registered);
    let (live, ended) = (SessionKey::Sid("live"), SessionKey::Token(b"ended"));
    let session = begin(&mut link, start(live, None)).unwrap();
    begin(&mut link, start(ended, None)).unwrap();
    end(&mut link, EndSession::Key(ended));
    let before = identity(&mut link);
    let taken = take(&running, b"a passphrase").unwrap();
    let restored = lay_out(&taken, &manifest(&running, &taken));
    let running = Running::start(&restored);
    unlock(&running, UnlockWith::Passphrase(b"a passphrase")).unwrap();
    let (mut link, _) = running.link();
    assert_eq!(identity(&mut link), before);
    assert_eq!(credential(&mut link, Credential::ClientSecret).unwrap(), b"the secret");
    assert_eq!(check(&mut link, live), SessionState::Live(session));
    assert_eq!(check(&mut link, ended), SessionState::Ended);
}

#[test]
fn a_locked_keeper_gives_nothing() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    running.administer(&Request::AddKeyslot(NewKeyslot::Passphrase(b"a passphrase")));
    running.stop();
    fs::remove_file(scratch.file("file.key")).unwrap();
    let running = Running::start(&scratch);
    assert_eq!(take(&running, b"").err(), Some(AdminRefusal::Keeper(Refusal::Locked)));
    assert_eq!(seal(&running, [0; 32], b""), Err(AdminRefusal::Keeper(Refusal::Locked)));
}

#[test]
fn whatever_was_exchanged_keeps_a_restored_instance_locked() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let older = take(&running, b"a passphrase").unwrap();
    running.administer(&Request::CreateToken { role: "owner", label: "x" });
    let taken = take(&running, b"a passphrase").unwrap();
    let good = manifest(&running, &taken);
    let refused = |restored: &Scratch| {
        let running = Running::start(restored);
        let before = restored.snapshot();
        let Err(AdminRefusal::Keeper(Refusal::Storage(why))) =
            unlock(&running, UnlockWith::Passphrase(b"a passphrase"))
        else {
            panic!("it opened")
        };
        assert!(restored.snapshot() == before, "nothing was changed: {why}");
        let Response::Status(status) = running.administer(&Request::Status).admin() else { panic!("no status") };
        assert_eq!(status.state, LockState::Locked);
        why
    };
    let altered = |from: &str, to: &str| String::from_utf8(good.clone()).unwrap().replace(from, to).into_bytes();
    let why = refused(&lay_out(&taken, &altered("\"program\":\"test\"", "\"program\":\"tess\"")));
    assert!(why.contains("authenticated"), "{why}");
    for broken in [&good[..40], b"", b"\xff\xff\n{}\n", &altered("\"mac\"", "\"cam\"")] {
        let why = refused(&lay_out(&taken, broken));
        assert!(why.contains("not readable"), "{why}");
    }
    let exchanged = |name: &str, bytes: &[u8]| {
        let restored = lay_out(&taken, &good);
        fs::write(restored.file(name), bytes).unwrap();
        restored
    };
    let why = refused(&exchanged("secrets.db", &older.parts[1].1));
    assert!(why.contains("secrets.db"), "{why}");
    let why = refused(&exchanged("audit.log.sealed", &taken.parts[2].1[..40]));
    assert!(why.contains("audit log"), "{why}");
    let without = lay_out(&taken, &good);
    fs::remove_file(without.file("audit.log.sealed")).unwrap();
    let why = refused(&without);
    assert!(why.contains("audit log"), "{why}");
    // Of another instance, with a manifest that its own keeper has authenticated.
    let other = Scratch::new();
    let other = Running::start(&other);
    let foreign = manifest(&other, &take(&other, b"a passphrase").unwrap());
    let why = refused(&lay_out(&taken, &foreign));
    assert!(why.contains("authenticated"), "{why}");

    let restored = lay_out(&taken, &good);
    let running = Running::start(&restored);
    assert!(unlock(&running, UnlockWith::Passphrase(b"a passphrase")).is_ok());
}

#[test]
fn a_kill_while_a_restored_instance_settles_does_no_harm() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let log = fs::read(scratch.file("audit.log")).unwrap();
    let taken = take(&running, b"a passphrase").unwrap();
    let manifest = manifest(&running, &taken);
    // After each step: the log half opened; the log opened; the machine's slot made; all but the marker's end.
    let settled = {
        let restored = lay_out(&taken, &manifest);
        let running = Running::start(&restored);
        unlock(&running, UnlockWith::Passphrase(b"a passphrase")).unwrap();
        drop(running);
        restored
    };
    for step in 0..3 {
        let restored = lay_out(&taken, &manifest);
        fs::write(restored.file(".audit.log.new"), "half").unwrap();
        // Of a keeper that was killed while it made a backup.
        fs::write(restored.file(".backup.1.0.new"), "half").unwrap();
        if step > 0 {
            fs::write(restored.file("audit.log"), &log).unwrap();
            fs::remove_file(restored.file("audit.log.sealed")).unwrap();
        }
        if step > 1 {
            for name in ["keyslots.a", "keyslots.b", "file.key"] {
                let mode = fs::metadata(settled.file(name)).unwrap().permissions();
                fs::write(restored.file(name), fs::read(settled.file(name)).unwrap()).unwrap();
                fs::set_permissions(restored.file(name), mode).unwrap();
            }
        }
        let running = Running::start(&restored);
        if step < 2 {
            unlock(&running, UnlockWith::Passphrase(b"a passphrase")).unwrap();
        }
        let Response::Status(status) = running.administer(&Request::Status).admin() else { panic!("no status") };
        assert_eq!((status.state, status.slots), (LockState::Unlocked, vec!["file".into(), "passphrase".into()]));
        assert!(!restored.file("restore.json").exists() && !restored.file(".audit.log.new").exists());
        assert!(!restored.file(".backup.1.0.new").exists());
        log_goes_on(&running, &restored, &log, &format!("step {step}"));
    }
}
