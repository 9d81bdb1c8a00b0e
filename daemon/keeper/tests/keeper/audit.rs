//! The audit log as its owner sees it: what is in it, and that nothing can be done to it unnoticed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use merlon_wire::admin::{AuditEntry, AuditVerdict, NewKeyslot, Request, Response, UnlockWith};
use merlon_wire::keeper;

use crate::faults::{Mounted, fill};
use crate::support::format::Keys;
use crate::support::{Running, Scratch, Starting, add_recovery, public_key};

fn verify(running: &Running) -> AuditVerdict {
    match running.administer(&Request::AuditVerify).admin() {
        Response::AuditVerdict(verdict) => verdict,
        other => panic!("{other:?}"),
    }
}

/// All entries, oldest first.
fn entries(running: &Running) -> Vec<AuditEntry> {
    let mut admin = running.admin();
    let mut all: Vec<AuditEntry> = Vec::new();
    loop {
        let before = all.last().map(|entry| entry.sequence);
        let answer = admin.ask(&Request::AuditList { before, limit: 1000 }).unwrap();
        let Response::AuditEntries(mut more) = answer.admin() else { panic!() };
        if more.is_empty() {
            all.reverse();
            return all;
        }
        all.append(&mut more);
    }
}

fn warnings(running: &Running) -> String {
    match running.administer(&Request::Status).admin() {
        Response::Status(status) => status.warnings.join(" "),
        other => panic!("{other:?}"),
    }
}

/// The MAC and the hash of every line, computed as `docs/audit.md` says, by other means.
#[test]
fn what_is_documented_is_enough_to_verify_a_log_without_this_program() {
    use aws_lc_rs::{digest, hmac};
    let (scratch, last) = instance();
    let keys = Keys::read(&scratch.keeper());
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let hash = |bytes: &[u8]| hex(digest::digest(&digest::SHA256, bytes).as_ref());
    let mut previous = hash(&[b"merlon v1 audit log".as_slice(), &keys.instance].concat());
    let mut sequence = 0;
    for line in fs::read_to_string(scratch.file("audit.log")).unwrap().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let (body, _) = line.split_once(",\"mac\"").unwrap();
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &keys.audit), body.as_bytes());
        sequence += 1;
        assert_eq!(entry["mac"], hex(mac.as_ref()));
        assert_eq!(entry["previous"], previous);
        assert_eq!(entry["sequence"], sequence);
        previous = hash(line.as_bytes());
    }
    assert_eq!(sequence, last);
}

/// A stopped instance with some entries, and how many.
fn instance() -> (Scratch, u64) {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    for label in ["a", "b", "c"] {
        running.administer(&Request::CreateToken { role: "viewer", label });
    }
    let last = verify(&running).last.unwrap();
    running.stop();
    (scratch, last + 1)
}

#[test]
fn events_of_each_kind_are_there_in_their_order_and_none_holds_a_secret() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let ask = |request: &Request<'_>| running.administer(request);
    let (recovery, key) = add_recovery(&running);
    ask(&Request::ConfirmRecovery(key.as_bytes()));
    ask(&Request::AddKeyslot(NewKeyslot::Passphrase(b"correct horse")));
    ask(&Request::RemoveKeyslot(3));
    let answer = ask(&Request::CreateToken { role: "viewer", label: "for the report" });
    let Response::Token { id, token } = answer.admin() else { panic!() };
    ask(&Request::RevokeToken(id));
    let user = ask(&Request::CreateProxyUser("alice"));
    let Response::ProxyPassword(password) = user.admin() else { panic!() };
    ask(&Request::RemoveProxyUser("alice"));
    ask(&Request::RemoveProxyUser("nobody"));
    let (mut link, _) = running.link();
    link.ask(&keeper::Request::Override { address: "192.0.2.1:8080" }).unwrap();
    link.ask(&keeper::Request::CreateProject { name: "web" }).unwrap();
    let answer = link.ask(&keeper::Request::ProjectKey { id: 1 }).unwrap();
    let keeper::Response::ProjectKey(project_key) = answer.link() else { panic!() };
    link.ask(&keeper::Request::DeleteProject { id: 1 }).unwrap();
    for host in ["example.com", "example.org", "not a host"] {
        link.ask(&keeper::Request::IssueLeaf { host, public_key: &public_key() }).unwrap();
    }
    let (_, journal) = running.stop();

    fs::rename(scratch.file("file.key"), scratch.path("file.key")).unwrap();
    let mut running = Starting::new(&scratch).spawn();
    assert!(running.ready());
    running.link().0.ask(&keeper::Request::Override { address: "[2001:db8::1]:80" }).unwrap();
    running.administer(&Request::Unlock(UnlockWith::Passphrase(b"wrong horse")));
    running.administer(&Request::Unlock(UnlockWith::Recovery(key.as_bytes())));
    let told: Vec<(String, String)> = entries(&running).into_iter().map(|entry| (entry.event, entry.details)).collect();
    let release = env!("CARGO_PKG_VERSION");
    let expected = [
        ("start", format!(r#"{{"version":"{release}"}}"#)),
        ("unlocked", r#"{"kind":"file","slot":1}"#.to_owned()),
        ("keyslot-added", format!(r#"{{"kind":"recovery","slot":{recovery}}}"#)),
        ("keyslot-confirmed", format!(r#"{{"slot":{recovery}}}"#)),
        ("keyslot-added", r#"{"kind":"passphrase","slot":3}"#.to_owned()),
        ("keyslot-removed", r#"{"slot":3}"#.to_owned()),
        ("token-created", format!(r#"{{"id":"{id}","label":"for the report","role":"viewer"}}"#)),
        ("token-revoked", format!(r#"{{"id":"{id}"}}"#)),
        ("proxy-user-added", r#"{"name":"alice"}"#.to_owned()),
        ("proxy-user-removed", r#"{"name":"alice"}"#.to_owned()),
        ("bind-override", r#"{"address":"192.0.2.1:8080"}"#.to_owned()),
        ("project-created", r#"{"id":1,"name":"web"}"#.to_owned()),
        ("project-key", r#"{"id":1}"#.to_owned()),
        ("project-deleted", r#"{"id":1}"#.to_owned()),
        ("leaves", r#"{"count":2}"#.to_owned()),
        ("stop", "{}".to_owned()),
        ("start", format!(r#"{{"version":"{release}"}}"#)),
        ("keyslot-failed", r#"{"kind":"file","slot":1}"#.to_owned()),
        ("bind-override", r#"{"address":"[2001:db8::1]:80"}"#.to_owned()),
        ("unlock-failed", r#"{"kind":"passphrase"}"#.to_owned()),
        ("unlocked", format!(r#"{{"kind":"recovery","slot":{recovery}}}"#)),
    ];
    assert_eq!(told, expected.map(|(event, details)| (event.to_owned(), details)));
    assert_eq!(verify(&running), AuditVerdict { entries: 21, first: Some(1), last: Some(21), problem: None });

    let log = fs::read(scratch.file("audit.log")).unwrap();
    assert_eq!(fs::metadata(scratch.file("audit.log")).unwrap().mode() & 0o7777, 0o600);
    let hex = data_encoding::HEXLOWER.encode(project_key);
    for secret in [key.as_str(), token, password, "correct horse", "wrong horse", &hex] {
        for text in [&log[..], journal.as_bytes()] {
            assert!(memchr::memmem::find(text, secret.as_bytes()).is_none(), "{secret} is told");
        }
    }
    // The journal has the same events.
    for event in ["token-created", "project-key", "leaves", "stop"] {
        assert!(journal.contains(&format!("info: audit: \"event\":\"{event}\"")), "{event}: {journal}");
    }
}

#[test]
fn no_byte_of_the_log_can_be_changed_unnoticed() {
    let (scratch, _) = instance();
    let running = Running::start(&scratch);
    assert_eq!(verify(&running).problem, None);
    let path = scratch.file("audit.log");
    let good = fs::read(&path).unwrap();
    let mut line = 1;
    // Each byte takes a verification, and a step that shares no factor with a line's length meets all kinds of them.
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        line = 1 + good[..at].iter().filter(|byte| **byte == b'\n').count();
        let problem = verify(&running).problem.unwrap_or_else(|| panic!("byte {at} was changed"));
        assert!(problem.contains(&format!("entry {line} (audit.log, line {line})")), "byte {at}: {problem}");
    }
    assert!(line > 5);
    fs::write(&path, &good).unwrap();
    assert_eq!(verify(&running).problem, None);
}

#[test]
fn whatever_is_cut_moved_doubled_or_exchanged_is_named_with_its_place() {
    let (scratch, _) = instance();
    let (other, _) = instance();
    let foreign = fs::read_to_string(other.file("audit.log")).unwrap();
    let running = Running::start(&scratch);
    let path = scratch.file("audit.log");
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    let without = |n: usize| [&lines[..n], &lines[n + 1..]].concat().concat();
    let mut swapped = lines.clone();
    swapped.swap(2, 4);
    let count = lines.len();
    for (what, text, place) in [
        ("first", without(0), "entry 1 is missing before entry 2 (audit.log, line 1)"),
        ("middle", without(3), "entry 4 is missing before entry 5 (audit.log, line 4)"),
        ("two", [&lines[..3], &lines[5..]].concat().concat(), "entries 4 to 5 are missing before entry 6"),
        ("last", without(count - 1), &*format!("cut at its end: entry {count} is missing")),
        ("all", String::new(), &*format!("cut at its end: entries 1 to {count} are missing")),
        (
            "swapped",
            swapped.concat(),
            "entry 5 stands where entry 3 should (audit.log, line 3); that one is in audit.log, line 5",
        ),
        (
            "doubled",
            [&lines[..4], &lines[3..]].concat().concat(),
            "entry 4 stands once more after entry 4 (audit.log, line 5)",
        ),
        ("no end", good.trim_end().to_owned(), &*format!("entry {count} (audit.log, line {count})")),
        ("put in", [&lines[..2], &["{}\n"], &lines[2..]].concat().concat(), "entry 3 (audit.log, line 3)"),
        ("an empty line", format!("{good}\n"), &*format!("entry {} (audit.log", count + 1)),
        ("another instance's", foreign, "entry 1 (audit.log, line 1)"),
    ] {
        fs::write(&path, text).unwrap();
        let problem = verify(&running).problem.unwrap_or_else(|| panic!("{what} was not found"));
        assert!(problem.contains(place), "{what}: {problem}");
    }
    fs::remove_file(&path).unwrap();
    let problem = verify(&running).problem.unwrap();
    assert!(problem.contains("the file audit.log is missing"), "{problem}");
}

#[test]
fn a_log_cut_at_its_tail_while_the_keeper_was_down_is_told_at_the_start_and_for_ever() {
    let (scratch, last) = instance();
    let path = scratch.file("audit.log");
    let good = fs::read_to_string(&path).unwrap();
    let kept: String = good.split_inclusive('\n').take(3).collect();
    for (text, place) in [(Some(kept.as_str()), format!("entries 4 to {last}")), (None, format!("entries 1 to {last}"))]
    {
        let copy = scratch.copy_without(&["audit.log"]);
        if let Some(text) = text {
            fs::write(copy.file("audit.log"), text).unwrap();
        }
        let running = Running::start(&copy);
        let told = warnings(&running);
        assert!(told.contains("The audit log was cut at its tail"), "{told}");
        assert!(entries(&running).iter().any(|entry| entry.event == "audit-cut"));
        let problem = verify(&running).problem.unwrap();
        assert!(problem.contains(&place), "{problem}");
        running.stop();
        let problem = verify(&Running::start(&copy)).problem.unwrap();
        assert!(problem.contains(&place), "{problem}");
    }
}

#[test]
fn what_a_crash_cut_short_is_removed_and_told() {
    for torn in [&b"{\"sequence\":8,\"ti"[..], &[0; 100]] {
        let (scratch, _) = instance();
        let good = fs::read(scratch.file("audit.log")).unwrap();
        fs::write(scratch.file("audit.log"), [&good, torn].concat()).unwrap();
        let running = Running::start(&scratch);
        let told = warnings(&running);
        assert!(told.contains(&format!("cut short by a crash; {} bytes", torn.len())), "{told}");
        assert_eq!(verify(&running).problem, None);
        assert!(entries(&running).iter().any(|entry| entry.event == "audit-repaired"));
        assert!(fs::read(scratch.file("audit.log")).unwrap().starts_with(&good));
    }
}

#[test]
fn an_older_secrets_db_is_told_by_the_log_that_goes_on_beyond_it() {
    let (scratch, last) = instance();
    let old = fs::read(scratch.file("secrets.db")).unwrap();
    let running = Running::start(&scratch);
    running.administer(&Request::CreateToken { role: "owner", label: "x" });
    running.stop();
    fs::write(scratch.file("secrets.db"), old).unwrap();
    let running = Running::start(&scratch);
    let told = warnings(&running);
    assert!(told.contains(&format!("secrets.db is older than the audit log: it knows entry {last}")), "{told}");
    assert!(entries(&running).iter().any(|entry| entry.event == "secrets-older"));
    assert_eq!(verify(&running).problem, None, "the log itself is whole");
}

#[test]
fn a_full_disk_refuses_nothing_is_told_and_loses_no_event() {
    if !nix::unistd::geteuid().is_root() {
        // A small file system can be made by root only.
        return;
    }
    let scratch = Scratch::new();
    let mounted = Mounted::new(&scratch);
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    link.ask(&keeper::Request::CreateProject { name: "a" }).unwrap();
    let mut key = || {
        let answer = link.ask(&keeper::Request::ProjectKey { id: 1 }).unwrap();
        assert!(matches!(answer.link(), keeper::Response::ProjectKey(_)), "{:?}", answer.link());
    };
    key();
    let before = verify(&running);
    fill(&scratch.file("filler"));
    // Until the last page of the log is full too.
    let asked = (1..200).find(|_| {
        key();
        warnings(&running).contains("The audit log cannot be written")
    });
    let asked = asked.expect("the disk is full");
    fs::remove_file(scratch.file("filler")).unwrap();
    key();
    assert!(!warnings(&running).contains("cannot be written"));
    let after = verify(&running);
    assert_eq!((after.problem, after.entries), (None, before.entries + asked + 1));
    drop(running);
    drop(mounted);
}

#[test]
fn kills_at_random_moments_never_break_the_chain() {
    let scratch = Scratch::new();
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..40_usize {
        let mut running = Running::start(&scratch);
        let verdict = verify(&running);
        assert_eq!(verdict.problem, None, "round {round}");
        assert!(!warnings(&running).contains("older"), "round {round}: {}", warnings(&running));
        if round % 10 == 9 {
            let all = entries(&running);
            for id in &acknowledged {
                assert!(all.iter().any(|entry| entry.details.contains(id)), "round {round}: {id} was answered");
            }
        }
        let (sender, made) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let mut writer = running.admin();
            scope.spawn(move || {
                while let Some(answer) = writer.ask(&Request::CreateToken { role: "viewer", label: "x" }) {
                    let Response::Token { id, .. } = answer.admin() else { return };
                    sender.send(id.to_owned()).unwrap();
                    if writer.ask(&Request::RevokeToken(id)).is_none() {
                        return;
                    }
                }
            });
            // The kill falls somewhere into what comes after these, or into the start itself.
            acknowledged.extend(made.iter().take(round % 8));
            running.kill();
            acknowledged.extend(made.iter());
        });
        if round % 4 == 3 {
            // A start that is killed as soon as it writes.
            let path = scratch.file("audit.log");
            let size = || fs::metadata(&path).unwrap().len();
            let before = size();
            let mut starting = Starting::new(&scratch).spawn();
            while size() == before && starting.child.try_wait().unwrap().is_none() {}
            starting.kill();
        }
    }
    let running = Running::start(&scratch);
    assert_eq!(verify(&running).problem, None);
}
