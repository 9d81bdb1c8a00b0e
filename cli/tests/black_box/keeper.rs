//! Tokens, proxy users, keyslots and unlocking, against a fake keeper.

use std::io::{Read as _, Write as _};

use merlon_wire::admin::{
    AdminRefusal, AuditEntry, AuditVerdict, Keyslot, NewKeyslot, Request, Response, RotationPlan, Token, UnlockWith,
};
use merlon_wire::keeper::{LockState, Refusal, Status};

use crate::fake::{Instance, json};

pub(crate) fn status(state: LockState, slots: &[&str]) -> Response<'static> {
    Response::Status(Status {
        state,
        opened_by: None,
        slots: slots.iter().map(|slot| (*slot).to_owned()).collect(),
        recovery_confirmed: false,
        secret_memory: "locked".into(),
        warnings: Vec::new(),
        last_project: None,
        instance: "00".repeat(16),
    })
}

pub(crate) fn slot(id: u32, kind: &str) -> Keyslot {
    Keyslot {
        id,
        kind: kind.into(),
        created_us: 0,
        confirmed: false,
        in_use: id == 1,
        pin: false,
        detail: "\u{1b}[31m".into(),
    }
}

#[test]
fn a_token_is_the_only_data_and_shown_once() {
    let instance = Instance::keeper(|request| match request {
        Request::CreateToken { role: "viewer", label: "viewer" } => Response::Token { id: "t1", token: "mrl_secret" },
        Request::CreateToken { role: "owner", label: "ci" } => Response::Token { id: "t2", token: "mrl_other" },
        Request::ListTokens => Response::Tokens(vec![Token {
            id: "t1".into(),
            role: "viewer".into(),
            label: "a\u{1b}[31m".into(),
            created_us: 0,
        }]),
        Request::RevokeToken("t1") => Response::Done,
        Request::RevokeToken(id) => Response::Refused(AdminRefusal::NotFound((*id).to_owned())),
        other => panic!("{other:?}"),
    });
    let made = instance.run(&["token", "create", "--role", "viewer"]);
    made.ended(0, &["t1", "merlon token revoke t1"]);
    assert_eq!(made.out, "mrl_secret\n");
    let made = instance.run(&["token", "create", "--role", "owner", "--label", "ci", "--json"]);
    assert_eq!(made.out, "{\"id\":\"t2\",\"role\":\"owner\",\"label\":\"ci\",\"token\":\"mrl_other\"}\n");
    let list = instance.run(&["token", "list"]);
    assert!(list.out.contains("1970-01-01 00:00:00  a\\x1b[31m"), "{}", list.out);
    instance.run(&["token", "revoke", "t1"]).ended(0, &["revoked"]);
    instance.run(&["token", "revoke", "t9"]).ended(3, &["there is no `t9`"]);
    instance.run(&["token", "create", "--role", "root"]).ended(2, &["viewer"]);
}

#[test]
fn a_proxy_password_is_the_only_data() {
    let instance = Instance::keeper(|request| match request {
        Request::CreateProxyUser("ann") => Response::ProxyPassword("pass-word"),
        Request::ListProxyUsers => Response::ProxyUsers(vec!["ann".into(), "bob".into()]),
        Request::RemoveProxyUser("ann") => Response::Done,
        _ => Response::Refused(AdminRefusal::Taken("x".into())),
    });
    assert_eq!(instance.run(&["proxy-user", "add", "ann"]).out, "pass-word\n");
    assert_eq!(instance.run(&["proxy-user", "list"]).out, "ann\nbob\n");
    instance.run(&["proxy-user", "remove", "ann"]).ended(0, &["removed"]);
    instance.run(&["proxy-user", "add", "x"]).ended(1, &["the name `x` is taken"]);
}

#[test]
fn unlocking_reads_a_file_less_one_line_end_and_warns_of_its_mode() {
    let instance = Instance::keeper(|request| match request {
        Request::Status => status(LockState::Locked, &["passphrase"]),
        Request::ListKeyslots => Response::Keyslots(vec![slot(3, "passphrase"), slot(4, "recovery")]),
        Request::Unlock(UnlockWith::Passphrase(b"correct horse\n")) => Response::Keyslot(3),
        Request::Unlock(UnlockWith::Recovery(b"abc-def")) => Response::Keyslot(4),
        Request::Unlock(_) => Response::Refused(AdminRefusal::WrongSecret("passphrase".into())),
        other => panic!("{other:?}"),
    });
    let right = instance.file("right", "correct horse\n\n");
    let opened = instance.run(&["unlock", "--passphrase-file", &right]);
    opened.ended(0, &["unlocked by keyslot 3"]);
    assert!(!opened.err.contains("warning"), "{}", opened.err);
    let recovery = instance.file("recovery", "abc-def\n");
    instance.run(&["unlock", "--recovery-file", &recovery]).ended(0, &["unlocked by keyslot 4"]);
    let wrong = instance.dir.join("wrong");
    std::fs::write(&wrong, "wrong\n").unwrap();
    std::fs::set_permissions(&wrong, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    instance
        .run(&["unlock", "--passphrase-file", wrong.to_str().unwrap()])
        .ended(1, &["warning: ", "mode 0644", "chmod 600", "this passphrase does not open the instance"]);
    let long = instance.file("long", &"x".repeat(1025));
    instance.run(&["unlock", "--passphrase-file", &long]).ended(1, &["longer than 1024 bytes"]);
    instance.run(&["unlock", "--passphrase-file", &instance.file("empty", "\n")]).ended(1, &["the file is empty"]);
    instance.run(&["unlock", "--passphrase-file", "/nonexistent"]).ended(1, &["cannot be read"]);
    // No terminal, so no question.
    instance.run(&["unlock"]).ended(2, &["no terminal", "hint: merlon unlock --passphrase-file FILE"]);
}

#[test]
fn unlocking_what_is_open_is_done() {
    Instance::keeper(|_| status(LockState::Unlocked, &["file"])).run(&["unlock"]).ended(0, &["open already"]);
}

#[test]
fn what_is_not_open_yet_can_be_unlocked_and_may_have_opened_by_itself_meanwhile() {
    let opened = std::sync::atomic::AtomicBool::new(false);
    let instance = Instance::keeper(move |request| match request {
        Request::Status if opened.load(std::sync::atomic::Ordering::Relaxed) => status(LockState::Unlocked, &["tpm2"]),
        Request::Status => status(LockState::Opening, &["tpm2", "passphrase"]),
        Request::ListKeyslots => Response::Keyslots(vec![slot(3, "passphrase")]),
        Request::Unlock(UnlockWith::Passphrase(b"correct horse")) => Response::Keyslot(3),
        Request::Unlock(UnlockWith::Passphrase(b"wrong horse")) => {
            Response::Refused(AdminRefusal::WrongSecret("passphrase".into()))
        }
        Request::Unlock(_) => {
            opened.store(true, std::sync::atomic::Ordering::Relaxed);
            Response::Refused(AdminRefusal::AlreadyUnlocked)
        }
        other => panic!("{other:?}"),
    });
    let right = instance.file("right", "correct horse\n");
    let ran = instance.run(&["unlock", "--passphrase-file", &right]);
    ran.ended(0, &["still tries the keyslots", "unlocked by keyslot 3"]);
    let wrong = instance.file("wrong", "wrong horse\n");
    instance.run(&["unlock", "--passphrase-file", &wrong]).ended(1, &["still tries the keyslots", "error: "]);
    instance.run(&["unlock", "--machine"]).ended(0, &["still tries the keyslots", "open already"]);
}

#[test]
fn keyslots_are_listed_tested_and_removed() {
    let instance = Instance::keeper(|request| match request {
        Request::ListKeyslots => Response::Keyslots(vec![slot(1, "file"), slot(2, "recovery")]),
        Request::TestKeyslot { id: 1, secret: b"" } => Response::Keyslot(1),
        Request::TestKeyslot { id: 2, secret: b"typed" } => Response::Keyslot(2),
        Request::RemoveKeyslot(1) => Response::Refused(AdminRefusal::LastSlot),
        Request::AddKeyslot(NewKeyslot::Passphrase(b"long enough")) => Response::Keyslot(5),
        Request::AddKeyslot(NewKeyslot::File) => Response::Refused(AdminRefusal::Keeper(Refusal::Locked)),
        other => panic!("{other:?}"),
    });
    let list = instance.run(&["keyslot", "list", "--json"]);
    let first: serde_json::Value = serde_json::from_str(list.out.lines().next().unwrap()).unwrap();
    assert_eq!(
        (first["id"].as_u64(), first["kind"].as_str(), first["in_use"].as_bool()),
        (Some(1), Some("file"), Some(true))
    );
    assert!(instance.run(&["keyslot", "list"]).out.contains("unconfirmed"));
    instance.run(&["keyslot", "test", "1"]).ended(0, &["keyslot 1: opens"]);
    let typed = instance.file("typed", "typed\n");
    instance.run(&["keyslot", "test", "2", "--recovery-file", &typed]).ended(0, &["keyslot 2: opens"]);
    instance.run(&["keyslot", "test", "2", "--passphrase-file", &typed]).ended(2, &["kind recovery"]);
    instance.run(&["keyslot", "test", "9"]).ended(3, &["no keyslot 9"]);
    instance.run(&["keyslot", "remove", "1"]).ended(1, &["hint: merlon keyslot add recovery"]);
    instance.run(&["keyslot", "add", "file"]).ended(1, &["locked", "hint: merlon unlock"]);
    let passphrase = instance.file("passphrase", "long enough");
    instance.run(&["keyslot", "add", "passphrase", "--passphrase-file", &passphrase]).ended(0, &["keyslot 5: added"]);
}

#[test]
fn a_recovery_key_is_printed_and_read_back_from_the_file_it_went_to() {
    let instance = Instance::keeper(|request| match request {
        Request::AddKeyslot(NewKeyslot::Recovery) => Response::RecoveryKey { id: 6, key: "aaaa-bbbb" },
        Request::ConfirmRecovery(b"aaaa-bbbb") => Response::Keyslot(6),
        Request::ConfirmRecovery(_) => Response::Refused(AdminRefusal::RecoveryTypo),
        other => panic!("{other:?}"),
    });
    let alone = instance.run(&["keyslot", "add", "recovery"]);
    alone.ended(0, &["recovery unconfirmed", "merlon keyslot confirm --recovery-file"]);
    assert_eq!(alone.out, "aaaa-bbbb\n");

    let path = instance.file("key", "");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let done =
        instance.command().args(["keyslot", "add", "recovery", "--confirm-file", &path]).stdout(file).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(String::from_utf8(done.stderr).unwrap().contains("keyslot 6: confirmed"));
    assert_eq!(std::fs::read(&path).unwrap(), b"aaaa-bbbb\n");

    let wrong = instance.file("wrong", "aaaa-bbbc\n");
    instance
        .run(&["keyslot", "add", "recovery", "--confirm-file", &wrong])
        .ended(1, &["recovery unconfirmed", "typing error", "merlon keyslot confirm"]);
    instance.run(&["keyslot", "confirm", "--recovery-file", &path]).ended(0, &["keyslot 6: confirmed"]);
}

#[test]
fn a_keeper_that_talks_nonsense_or_hangs_up_is_one_clear_error() {
    let nonsense = Instance::raw_keeper(|_| vec![0xff; 40]);
    nonsense.run(&["token", "list"]).ended(1, &["cannot be understood"]);
    let silent = Instance::raw_keeper(|_| Vec::new());
    silent.run(&["token", "list"]).ended(69, &["did not answer", "it ended the connection"]);
    let other = Instance::keeper(|_| Response::Done);
    other.run(&["token", "list"]).ended(1, &["something else than it was asked"]);
}

/// An engine beside the keeper, which answers each request for the next part of a rotation.
fn engine(instance: &Instance, answers: Vec<serde_json::Value>) {
    let listener = std::os::unix::net::UnixListener::bind(instance.dir.join("run/api.sock")).unwrap();
    std::thread::spawn(move || {
        for (stream, answer) in listener.incoming().zip(answers) {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            assert!(head.starts_with(b"POST /api/v1/rotation "), "{}", head.escape_ascii());
            stream.write_all(&json(&answer)).unwrap();
        }
    });
}

fn progress(under_way: bool, waiting: u32, problem: Option<&str>) -> serde_json::Value {
    serde_json::json!({ "under_way": under_way, "rekeyed": 1, "waiting": waiting, "problem": problem })
}

fn rotating(waiting: u32) -> Instance {
    Instance::keeper(move |request| match request {
        Request::PlanRotation(b"" | b"pass word") => {
            Response::RotationPlan(RotationPlan { waiting, kept: vec![1], dropped: vec![2, 3] })
        }
        Request::PlanRotation(_) => Response::Refused(AdminRefusal::WrongSecret("passphrase".into())),
        Request::ListKeyslots => Response::Keyslots(vec![slot(1, "file"), slot(2, "passphrase"), slot(3, "recovery")]),
        Request::Rotate(b"" | b"pass word") if waiting == 0 => Response::RecoveryKey { id: 4, key: "aaaa-bbbb" },
        Request::ConfirmRecovery(b"aaaa-bbbb") => Response::Keyslot(4),
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_rotation_says_what_goes_prints_the_key_alone_and_waits_for_the_engine() {
    let instance = rotating(0);
    engine(&instance, vec![progress(true, 2, None), progress(false, 0, None)]);
    let key = instance.file("key.txt", "aaaa-bbbb\n");
    let done = instance.run(&["keyslot", "rotate", "--confirm-file", &key]);
    assert_eq!(done.out, "aaaa-bbbb\n");
    done.ended(0, &["made again: 1 (file)", "recovery key: 3 (recovery)", "go, because", "2 (passphrase)"]);
    done.ended(0, &["2 projects wait", "all projects have their new keys", "keyslot 4: confirmed"]);
}

#[test]
fn a_wrong_passphrase_changes_nothing() {
    let instance = rotating(0);
    let file = instance.file("pass.txt", "something else\n");
    let done = instance.run(&["keyslot", "rotate", "--passphrase-file", &file]);
    done.ended(1, &["this passphrase does not open"]);
    assert_eq!(done.out, "");
}

#[test]
fn what_was_interrupted_goes_on_without_a_new_key() {
    let instance = rotating(2);
    engine(&instance, vec![progress(false, 1, Some("project 7: its file is damaged"))]);
    let done = instance.run(&["keyslot", "rotate"]);
    done.ended(1, &["2 projects wait", "project 7: its file is damaged", "merlon", "keyslot rotate"]);
    assert_eq!(done.out, "");
    // The keeper did its part and the engine is away: the key is printed, and what to do is said.
    let done = rotating(0).run(&["keyslot", "rotate"]);
    assert_eq!((done.code, done.out.as_str()), (Some(69), "aaaa-bbbb\n"), "{done:#?}");
    assert!(done.err.contains("recovery unconfirmed"), "{done:#?}");
}

fn entry(sequence: u64) -> AuditEntry {
    AuditEntry {
        sequence,
        time: "2026-01-31T23:59:59.000001Z".into(),
        event: "unlocked".into(),
        details: "{\"kind\":\"fi\\u001b[31mle\",\"slot\":1}".into(),
    }
}

#[test]
fn the_audit_log_is_listed_answer_by_answer_and_a_broken_one_ends_with_1() {
    let instance = Instance::keeper(|request| match request {
        Request::AuditList { before: None, .. } => Response::AuditEntries(vec![entry(3), entry(2)]),
        Request::AuditList { before: Some(2), .. } => Response::AuditEntries(vec![entry(1)]),
        Request::AuditList { before: Some(1), .. } => Response::AuditEntries(vec![]),
        Request::AuditVerify => {
            Response::AuditVerdict(AuditVerdict { entries: 3, first: Some(1), last: Some(3), problem: None })
        }
        other => panic!("{other:?}"),
    });
    let list = instance.run(&["audit", "list"]);
    assert!(list.out.contains("3  2026-01-31 23:59:59  unlocked  kind fi\\x1b[31mle, slot 1"), "{}", list.out);
    assert_eq!(list.out.lines().count(), 4);
    assert_eq!(instance.run(&["audit", "list", "--limit", "2", "--json"]).out.lines().count(), 2);
    let json = instance.run(&["audit", "list", "--json"]);
    assert!(json.out.contains("\"sequence\":1") && json.out.contains("\"slot\":1"), "{}", json.out);
    instance.run(&["audit", "verify"]).ended(0, &["whole: 3 entries"]);

    let broken = Instance::keeper(|_| {
        let problem = Some("cut: entry 2 is missing before entry 3 (audit.log, line 2)".to_owned());
        Response::AuditVerdict(AuditVerdict { entries: 1, first: Some(1), last: Some(1), problem })
    });
    broken.run(&["audit", "verify"]).ended(1, &["not whole", "entry 2 is missing"]);
    let json = broken.run(&["audit", "verify", "--json"]);
    assert!(json.out.contains("\"problem\":\"cut: entry 2"), "{}", json.out);
}

#[test]
fn an_old_copy_is_accepted_by_name_and_a_counter_made_anew() {
    let opens = Instance::keeper(|request| match request {
        Request::Status => status(LockState::Locked, &["file"]),
        Request::AcceptRollback("secrets.db") => Response::Keyslot(1),
        Request::AcceptRollback(name) => Response::Refused(AdminRefusal::NothingToAccept((*name).to_owned())),
        Request::CounterReset => Response::Done,
        other => panic!("{other:?}"),
    });
    opens.run(&["unlock", "--accept-rollback", "secrets.db"]).ended(0, &["unlocked by keyslot 1"]);
    opens.run(&["unlock", "--accept-rollback", "keyslots"]).ended(1, &["nothing to accept", "merlon"]);
    opens.run(&["unlock", "--accept-rollback", "file.key"]).ended(2, &["secrets.db", "keyslots", "counter"]);
    opens.run(&["keyslot", "counter", "reset"]).ended(0, &["new rollback counter"]);

    let asks = Instance::keeper(|request| match request {
        Request::Status => status(LockState::Locked, &["passphrase"]),
        Request::AcceptRollback("keyslots") => Response::Done,
        Request::Unlock(UnlockWith::Passphrase(b"correct horse")) => Response::Keyslot(2),
        other => panic!("{other:?}"),
    });
    let file = asks.file("passphrase", "correct horse");
    let opened = asks.run(&["unlock", "--accept-rollback", "keyslots", "--passphrase-file", &file]);
    opened.ended(0, &["unlocked by keyslot 2"]);
}
