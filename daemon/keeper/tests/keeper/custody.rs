//! First start, later starts, and the ways in: what opens, what does not, and what is never lost.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use merlon_wire::admin::{AdminRefusal, NewKeyslot, Request, Response, UnlockWith};
use merlon_wire::keeper::{self, LockState, Refusal, Status};

use crate::support::format::Keys;
use crate::support::{Running, Scratch, Starting, add_recovery, start_fails};

fn status(running: &Running) -> Status {
    match running.administer(&Request::Status).admin() {
        Response::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

fn kinds(running: &Running) -> Vec<String> {
    status(running).slots
}

#[test]
fn a_first_start_makes_an_instance_and_a_second_one_opens_it() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let first = status(&running);
    assert_eq!(first.state, LockState::Unlocked);
    assert_eq!(first.opened_by.as_deref(), Some("file"));
    assert_eq!(first.slots, ["file"]);
    assert!(first.warnings.iter().any(|warning| warning.starts_with("recovery unconfirmed")), "{:?}", first.warnings);
    assert_eq!(fs::metadata(scratch.file("file.key")).unwrap().mode() & 0o7777, 0o400);
    let (code, text) = running.stop();
    assert_eq!(code.code(), Some(0), "{text}");
    assert!(text.contains("recovery unconfirmed"), "{text}");

    for name in ["keyslots.a", "keyslots.b", "secrets.db", "lock", "audit.log"] {
        assert_eq!(fs::metadata(scratch.file(name)).unwrap().mode() & 0o077, 0, "{name}");
    }
    let keyslots = || ["keyslots.a", "keyslots.b", "file.key"].map(|name| fs::read(scratch.file(name)).unwrap());
    let before = keyslots();
    let running = Running::start(&scratch);
    assert_eq!(status(&running).instance, first.instance);
    running.stop();
    assert!(keyslots() == before, "an ordinary start writes no keyslots");
    // What is documented is enough to come by every key without this program.
    let keys = Keys::read(&scratch.keeper());
    assert_eq!(data_encoding::HEXLOWER.encode(&keys.instance), first.instance);
}

#[test]
fn sigterm_stops_it_in_order() {
    let scratch = Scratch::new();
    let mut running = Running::start(&scratch);
    let pid = nix::unistd::Pid::from_raw(running.child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).unwrap();
    assert_eq!(running.wait().0.code(), Some(0));
}

#[test]
fn a_recovery_key_decrypts_a_copy_that_has_no_key_file() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let project = match link.ask(&keeper::Request::CreateProject { name: "p" }).unwrap().link() {
        keeper::Response::Project(project) => project.id,
        other => panic!("{other:?}"),
    };
    let project_key = link.ask(&keeper::Request::ProjectKey { id: project }).unwrap();
    let (id, key) = add_recovery(&running);
    assert!(!status(&running).recovery_confirmed);
    running.stop();

    let copy = scratch.copy_without(&["file.key"]);
    let mut running = Starting::new(&copy).spawn();
    assert!(running.ready(), "no machine slot can open");
    let locked = status(&running);
    assert_eq!(locked.state, LockState::Locked);
    assert!(locked.warnings.iter().any(|warning| warning.contains("file.key")), "{:?}", locked.warnings);
    let (mut link, _) = running.link();
    let refused = link.ask(&keeper::Request::ProjectKey { id: project }).unwrap();
    assert_eq!(refused.link(), keeper::Response::Refused(Refusal::Locked));

    // Any case, no dashes; a typing error is told from a wrong key.
    let typed = key.to_uppercase().replace('-', "");
    let unlock = |running: &Running, typed: &str| {
        let answer = running.administer(&Request::Unlock(UnlockWith::Recovery(typed.as_bytes())));
        match answer.admin() {
            Response::Keyslot(id) => Ok(id),
            Response::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    };
    let mut wrong = key.clone().into_bytes();
    wrong[3] = if wrong[3] == b'c' { b'b' } else { b'c' };
    assert_eq!(unlock(&running, std::str::from_utf8(&wrong).unwrap()), Err(AdminRefusal::RecoveryTypo));
    let other_instance = Scratch::new();
    let (_, foreign) = add_recovery(&Running::start(&other_instance));
    assert_eq!(unlock(&running, &foreign), Err(AdminRefusal::WrongSecret("recovery key".into())));
    assert_eq!(unlock(&running, &typed), Ok(id));
    assert_eq!(unlock(&running, &typed), Err(AdminRefusal::AlreadyUnlocked));
    assert_eq!(status(&running).opened_by.as_deref(), Some("recovery"));

    // The link that saw "locked" goes on, and the key is the same.
    let (mut fresh, _) = running.link();
    let after = fresh.ask(&keeper::Request::ProjectKey { id: project }).unwrap();
    assert_eq!(after.link(), project_key.link());
}

#[test]
fn a_passphrase_opens_only_when_right() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    for typed in [&b"seven77"[..], &[b'x'; 1025]] {
        let answer = running.administer(&Request::AddKeyslot(NewKeyslot::Passphrase(typed)));
        assert_eq!(answer.admin(), Response::Refused(AdminRefusal::PassphraseLength));
    }
    let answer = running.administer(&Request::AddKeyslot(NewKeyslot::Passphrase(b"correct horse")));
    let Response::Keyslot(id) = answer.admin() else { panic!() };
    let test = |secret| running.administer(&Request::TestKeyslot { id, secret });
    assert_eq!(test(b"correct horse").admin(), Response::Keyslot(id));
    assert_eq!(test(b"correct horsf").admin(), Response::Refused(AdminRefusal::WrongSecret("passphrase".into())));
    running.stop();
    fs::remove_file(scratch.file("file.key")).unwrap();

    let mut running = Starting::new(&scratch).spawn();
    assert!(running.ready());
    let unlock = |typed| running.administer(&Request::Unlock(typed));
    let refused = unlock(UnlockWith::Passphrase(b"wrong horse"));
    assert_eq!(refused.admin(), Response::Refused(AdminRefusal::WrongSecret("passphrase".into())));
    let refused = unlock(UnlockWith::Recovery(b"cccc"));
    assert_eq!(refused.admin(), Response::Refused(AdminRefusal::NoSlotOfKind("recovery".into())));
    assert_eq!(unlock(UnlockWith::Passphrase(b"correct horse")).admin(), Response::Keyslot(id));
    assert_eq!(status(&running).state, LockState::Unlocked);
}

#[test]
fn the_last_other_slot_stays_until_a_recovery_key_was_typed_back() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let remove = |id| running.administer(&Request::RemoveKeyslot(id));
    let last = || Response::Refused(AdminRefusal::LastSlot);
    assert_eq!(remove(1).admin(), last());
    let (recovery, key) = add_recovery(&running);
    assert_eq!(remove(1).admin(), last(), "an unconfirmed recovery key does not count");
    let confirm = |typed: &str| running.administer(&Request::ConfirmRecovery(typed.as_bytes()));
    assert_eq!(confirm("nonsense").admin(), Response::Refused(AdminRefusal::RecoveryTypo));
    assert!(!status(&running).recovery_confirmed);
    assert_eq!(confirm(&key).admin(), Response::Keyslot(recovery));
    let confirmed = status(&running);
    assert!(confirmed.recovery_confirmed && confirmed.warnings.is_empty(), "{:?}", confirmed.warnings);
    assert_eq!(remove(7).admin(), Response::Refused(AdminRefusal::NoSuchSlot(7)));
    assert_eq!(remove(1).admin(), Response::Keyslot(1));
    assert!(!scratch.file("file.key").exists(), "a removed key file is removed");
    assert_eq!(remove(recovery).admin(), last(), "now the recovery slot is all there is");
    assert_eq!(kinds(&running), ["recovery"]);

    // A file slot again: a new key, a new id.
    let answer = running.administer(&Request::AddKeyslot(NewKeyslot::File));
    assert_eq!(answer.admin(), Response::Keyslot(recovery + 1));
    let again = running.administer(&Request::AddKeyslot(NewKeyslot::File));
    assert_eq!(again.admin(), Response::Refused(AdminRefusal::SlotExists("file".into())));
    assert_eq!(
        running.administer(&Request::TestKeyslot { id: recovery + 1, secret: b"" }).admin(),
        Response::Keyslot(recovery + 1)
    );
    running.stop();
    let running = Running::start(&scratch);
    assert_eq!(status(&running).opened_by.as_deref(), Some("file"));
}

#[test]
fn a_key_file_that_others_may_read_is_refused_with_the_remedy() {
    let scratch = Scratch::new();
    Running::start(&scratch).stop();
    let path = scratch.file("file.key");
    let locked_because = |needles: &[&str]| {
        let mut running = Starting::new(&scratch).spawn();
        assert!(running.ready(), "{needles:?}");
        let warnings = status(&running).warnings.join("\n");
        for needle in needles {
            assert!(warnings.contains(needle), "{needle} in {warnings}");
        }
        let failed = running.administer(&Request::TestKeyslot { id: 1, secret: b"" });
        assert_eq!(failed.admin(), Response::Refused(AdminRefusal::Keeper(Refusal::Locked)));
        assert!(running.stop().1.contains(needles[0]));
    };
    for mode in [0o440, 0o404, 0o644, 0o600 | 0o010] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        locked_because(&["file.key", &format!("{mode:04o}"), "chmod 0"]);
    }
    for mode in [0o400, 0o600] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Running::start(&scratch).stop();
    }
    if nix::unistd::geteuid().is_root() {
        chown(&path, Some(65_534), None).unwrap();
        locked_because(&["file.key", "65534"]);
        chown(&path, Some(0), None).unwrap();
    }
    let key = fs::read(&path).unwrap();
    fs::write(&path, &key[..31]).unwrap();
    locked_because(&["file.key", "31 bytes"]);
    fs::write(&path, [&key[..], b"x"].concat()).unwrap();
    locked_because(&["file.key"]);
    fs::rename(&path, scratch.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(scratch.path("elsewhere"), &path).unwrap();
    locked_because(&["file.key"]);
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    locked_because(&["file.key"]);
    fs::remove_file(&path).unwrap();
    fs::write(&path, [7; 32]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    locked_because(&["Keyslot 1 (file)"]);
}

#[test]
fn a_slot_that_fails_does_not_stop_another() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    running.administer(&Request::AddKeyslot(NewKeyslot::Passphrase(b"first passphrase"))).admin();
    running.administer(&Request::AddKeyslot(NewKeyslot::Passphrase(b"second passphrase"))).admin();
    running.stop();
    fs::remove_file(scratch.file("file.key")).unwrap();
    let mut running = Starting::new(&scratch).spawn();
    assert!(running.ready());
    let answer = running.administer(&Request::Unlock(UnlockWith::Passphrase(b"second passphrase")));
    assert_eq!(answer.admin(), Response::Keyslot(3));
}

#[test]
fn two_keepers_do_not_share_a_directory() {
    let scratch = Scratch::new();
    let first = Running::start(&scratch);
    let (code, text) = start_fails(&scratch);
    assert_eq!(code, Some(77), "{text}");
    assert!(text.contains(&first.child.id().to_string()), "{text}");
}
