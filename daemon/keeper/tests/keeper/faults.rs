//! Damage, kills and a full disk: what was there stays, or the start says what to restore.

use std::fs;
use std::path::Path;
use std::process::Command;

use merlon_wire::admin::{AdminRefusal, NewKeyslot, Request, Response};
use merlon_wire::keeper;

use crate::support::{Running, Scratch, Starting, add_recovery, start_fails};

/// Ways to damage a file of lines.
pub(crate) fn damages(good: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let flipped = |at: usize| {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1;
        Some(bytes)
    };
    let half = good.len() / 2;
    vec![
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("cut", Some(good[..half].to_vec())),
        ("first byte", flipped(0)),
        ("middle", flipped(half)),
        ("mac", flipped(good.len() - 5)),
        ("last byte", flipped(good.len() - 1)),
        ("more", Some([good, b"x"].concat())),
        ("zeros", Some(vec![0; good.len()])),
        ("not text", Some(vec![0xff; good.len()])),
        ("huge", Some(vec![b'a'; 1 << 20])),
    ]
}

pub(crate) fn put(path: &Path, bytes: Option<&Vec<u8>>) {
    match bytes {
        Some(bytes) => fs::write(path, bytes).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
}

#[test]
fn one_damaged_copy_of_the_keyslots_is_mended_and_told() {
    let scratch = Scratch::new();
    Running::start(&scratch).stop();
    let good = fs::read(scratch.file("keyslots.a")).unwrap();
    assert_eq!(good, fs::read(scratch.file("keyslots.b")).unwrap());
    for name in ["keyslots.a", "keyslots.b"] {
        for (what, damaged) in damages(&good) {
            put(&scratch.file(name), damaged.as_ref());
            let running = Running::start(&scratch);
            let Response::Status(status) = running.administer(&Request::Status).admin() else { panic!() };
            let warnings = status.warnings.join(" ");
            // A wrong MAC with a right checksum needs the key to be seen; the others name the copy.
            assert!(
                warnings.contains("written again") && (what == "mac" || warnings.contains(name)),
                "{name} {what}: {warnings}"
            );
            running.stop();
            assert_eq!(fs::read(scratch.file("keyslots.a")).unwrap(), good, "{name} {what}");
            assert_eq!(fs::read(scratch.file("keyslots.b")).unwrap(), good, "{name} {what}");
        }
    }
}

#[test]
fn two_damaged_copies_stop_the_start_and_nothing_is_overwritten() {
    let scratch = Scratch::new();
    Running::start(&scratch).stop();
    let good = fs::read(scratch.file("keyslots.a")).unwrap();
    for (what, damaged) in damages(&good) {
        put(&scratch.file("keyslots.a"), damaged.as_ref());
        put(&scratch.file("keyslots.b"), damaged.as_ref());
        let before = scratch.snapshot();
        let (code, text) = start_fails(&scratch);
        assert_eq!(code, Some(78), "{what}: {text}");
        assert!(text.contains("keyslots") && text.contains("estore"), "{what}: {text}");
        assert!(scratch.snapshot() == before, "{what}");
        put(&scratch.file("keyslots.a"), Some(&good));
        put(&scratch.file("keyslots.b"), Some(&good));
    }
}

#[test]
fn altered_keyslots_with_a_right_checksum_are_found_out() {
    let scratch = Scratch::new();
    Running::start(&scratch).stop();
    let text = fs::read_to_string(scratch.file("keyslots.a")).unwrap();
    let (line, seal) = text.split_once('\n').unwrap();
    // Only the MAC knows that this was another number.
    let altered = line.replace("\"sequence\":2", "\"sequence\":9");
    assert_ne!(altered, line);
    let check = |line: &str| {
        data_encoding::HEXLOWER.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, line.as_bytes()).as_ref())
    };
    let forged = format!("{altered}\n{}", seal.replace(&check(line), &check(&altered)));
    fs::write(scratch.file("keyslots.b"), &forged).unwrap();
    let running = Running::start(&scratch);
    let Response::Status(status) = running.administer(&Request::Status).admin() else { panic!() };
    assert!(status.warnings.iter().any(|warning| warning.contains("altered")), "{:?}", status.warnings);
    running.stop();
    assert_eq!(fs::read_to_string(scratch.file("keyslots.b")).unwrap(), text);

    fs::write(scratch.file("keyslots.a"), &forged).unwrap();
    fs::write(scratch.file("keyslots.b"), &forged).unwrap();
    let (code, text) = start_fails(&scratch);
    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("altered"), "{text}");
}

#[test]
fn keyslots_of_a_later_release_are_left_alone() {
    let scratch = Scratch::new();
    Running::start(&scratch).stop();
    let text = fs::read_to_string(scratch.file("keyslots.a")).unwrap();
    let line = text.lines().next().unwrap().replace("\"version\":1", "\"version\":2");
    let check = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, line.as_bytes());
    let check = data_encoding::HEXLOWER.encode(check.as_ref());
    fs::write(scratch.file("keyslots.a"), format!("{line}\n{{\"check\":\"{check}\",\"mac\":\"{check}\"}}\n")).unwrap();
    let before = scratch.snapshot();
    let (code, text) = start_fails(&scratch);
    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("format 2") && text.contains("install the release"), "{text}");
    assert!(scratch.snapshot() == before);
}

#[test]
fn a_damaged_or_missing_secrets_db_is_named_and_left_alone() {
    let scratch = Scratch::new();
    Running::start(&scratch).stop();
    let good = fs::read(scratch.file("secrets.db")).unwrap();
    let other = Scratch::new();
    Running::start(&other).stop();
    let foreign = fs::read(other.file("secrets.db")).unwrap();
    let mut cases = damages(&good);
    // SQLCipher checks pages when they are read, and a last byte of an unused page never is.
    cases.retain(|(what, _)| !matches!(*what, "middle" | "mac" | "last byte" | "more"));
    cases.push(("another instance's", Some(foreign)));
    for (what, damaged) in cases {
        put(&scratch.file("secrets.db"), damaged.as_ref());
        let before = scratch.snapshot();
        let (code, text) = start_fails(&scratch);
        assert_eq!(code, Some(78), "{what}: {text}");
        assert!(text.contains("secrets.db") && text.contains("estore"), "{what}: {text}");
        let after: Vec<_> = scratch
            .snapshot()
            .into_iter()
            .filter(|(name, _)| !name.ends_with("-shm") && !name.ends_with("-wal"))
            .collect();
        assert!(after == before, "{what}");
        fs::write(scratch.file("secrets.db"), &good).unwrap();
        for left in ["secrets.db-wal", "secrets.db-shm"] {
            let _ = fs::remove_file(scratch.file(left));
        }
    }
    Running::start(&scratch).stop();
}

#[test]
fn secrets_db_without_keyslots_is_an_error_and_not_a_new_instance() {
    let scratch = Scratch::new();
    Running::start(&scratch).stop();
    for left_out in [&["keyslots.a", "keyslots.b"][..], &["keyslots.a", "keyslots.b", "file.key"]] {
        let copy = scratch.copy_without(left_out);
        let before = copy.snapshot();
        let (code, text) = start_fails(&copy);
        assert_eq!(code, Some(78), "{text}");
        assert!(text.contains("keyslots"), "{text}");
        assert!(copy.snapshot() == before);
    }
}

#[test]
fn a_first_start_killed_at_any_point_is_gone_on_from() {
    let stages =
        [".file.key.", "file.key", "keyslots.a", "keyslots.b", "secrets.db.new", "secrets.db.new-wal", "secrets.db"];
    for round in 0..5 {
        for stage in stages {
            let scratch = Scratch::new();
            let mut running = Starting::new(&scratch).spawn();
            // Watches the directory until the stage's file appears, or is past already.
            loop {
                let seen = fs::read_dir(scratch.keeper()).unwrap().any(|entry| {
                    let name = entry.unwrap().file_name();
                    let name = name.to_str().unwrap().to_owned();
                    name == stage || (stage.starts_with('.') && name.starts_with(stage)) || name == "secrets.db"
                });
                if seen {
                    break;
                }
            }
            running.kill();
            let running = Running::start(&scratch);
            let (mut link, _) = running.link();
            let answer = link.ask(&keeper::Request::CaCertificate).unwrap();
            assert!(matches!(answer.link(), keeper::Response::CaCertificate(_)), "{stage} {round}");
            running.stop();
            let names: Vec<_> = scratch.snapshot().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["audit.log", "file.key", "keyslots.a", "keyslots.b", "secrets.db"], "{stage} {round}");
        }
    }
}

#[test]
fn kills_while_keyslots_and_secrets_are_written_lose_nothing_acknowledged() {
    let scratch = Scratch::new();
    let mut tokens: Vec<String> = Vec::new();
    let mut slots: Vec<u32> = vec![1];
    for round in 0..50 {
        let mut running = Running::start(&scratch);
        let listed = running.administer(&Request::ListKeyslots);
        let Response::Keyslots(list) = listed.admin() else { panic!() };
        let ids: Vec<u32> = list.iter().map(|slot| slot.id).collect();
        for id in &slots {
            assert!(ids.contains(id), "round {round}: slot {id} of {ids:?}");
        }
        let listed = running.administer(&Request::ListTokens);
        let Response::Tokens(list) = listed.admin() else { panic!() };
        for id in &tokens {
            assert!(list.iter().any(|token| token.id == *id), "round {round}: token {id}");
        }
        // All but what is remembered is tidied up, so that the lists stay short.
        for extra in ids.iter().filter(|id| **id != 1).take(20) {
            running.administer(&Request::RemoveKeyslot(*extra)).admin();
        }
        for token in list {
            running.administer(&Request::RevokeToken(&token.id)).admin();
        }
        slots = vec![1];
        tokens.clear();

        let (sender, acknowledged) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let mut writer = running.admin();
            scope.spawn(move || {
                loop {
                    let Some(answer) = writer.ask(&Request::AddKeyslot(NewKeyslot::Recovery)) else { return };
                    if let Response::RecoveryKey { id, .. } = answer.admin() {
                        let _ = sender.send((Some(id), None));
                    }
                    let Some(answer) = writer.ask(&Request::CreateToken { role: "viewer", label: "x" }) else { return };
                    if let Response::Token { id, .. } = answer.admin() {
                        let _ = sender.send((None, Some(id.to_owned())));
                    }
                }
            });
            // The kill falls somewhere into the write after the last acknowledged one.
            let before_kill = 1 + round % 7;
            for (slot, token) in acknowledged.iter().take(before_kill) {
                slots.extend(slot);
                tokens.extend(token);
            }
            running.kill();
            for (slot, token) in acknowledged.iter() {
                slots.extend(slot);
                tokens.extend(token);
            }
        });
        let left_over = scratch.snapshot().into_iter().filter(|(name, _)| name.starts_with(".keyslots")).count();
        assert!(left_over <= 1);
    }
}

#[test]
fn a_full_disk_leaves_the_old_keyslots_and_says_so() {
    if !nix::unistd::geteuid().is_root() {
        // A small file system can be made by root only; the order of writes is tested above for everybody.
        return;
    }
    let scratch = Scratch::new();
    let mounted = Mounted::new(&scratch);
    let running = Running::start(&scratch);
    let before = fs::read(scratch.file("keyslots.a")).unwrap();
    fill(&scratch.file("filler"));
    let answer = running.administer(&Request::AddKeyslot(NewKeyslot::Recovery));
    let Response::Refused(AdminRefusal::NotWritten(why)) = answer.admin() else { panic!("{:?}", answer.admin()) };
    assert!(why.contains("the old ones stand"), "{why}");
    assert_eq!(fs::read(scratch.file("keyslots.a")).unwrap(), before);
    assert_eq!(fs::read(scratch.file("keyslots.b")).unwrap(), before);
    let answer = running.administer(&Request::AddKeyslot(NewKeyslot::Passphrase(b"correct horse")));
    assert!(matches!(answer.admin(), Response::Refused(AdminRefusal::NotWritten(_))));
    // What needs no space goes on; and with space again, everything does.
    let (mut link, _) = running.link();
    let answer = link.ask(&keeper::Request::CaCertificate).unwrap();
    assert!(matches!(answer.link(), keeper::Response::CaCertificate(_)));
    fs::remove_file(scratch.file("filler")).unwrap();
    add_recovery(&running);
    running.stop();
    Running::start(&scratch).stop();
    drop(mounted);
}

#[test]
fn a_first_start_on_a_full_disk_fails_and_is_gone_on_from() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new();
    let mounted = Mounted::new(&scratch);
    fill(&scratch.file("filler"));
    // Room for ever more of what a first start writes.
    for pages in 0..100 {
        let filler = fs::OpenOptions::new().write(true).open(scratch.file("filler")).unwrap();
        let length = filler.metadata().unwrap().len();
        filler.set_len(length - 4096).unwrap();
        let mut starting = Starting::new(&scratch).spawn();
        let (status, text) = match starting.try_ready() {
            Some(_) => break,
            None => starting.wait(),
        };
        assert_eq!(status.code(), Some(74), "{pages}: {text}");
        assert!(text.contains("error: "), "{pages}: {text}");
    }
    fs::remove_file(scratch.file("filler")).unwrap();
    Running::start(&scratch).stop();
    drop(mounted);
}

#[test]
fn a_read_only_directory_is_told() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new();
    let mounted = Mounted::new(&scratch);
    Running::start(&scratch).stop();
    let done = Command::new("mount").args(["-o", "remount,ro"]).arg(scratch.keeper()).status().unwrap();
    assert!(done.success());
    let (code, text) = start_fails(&scratch);
    assert_eq!(code, Some(77), "{text}");
    assert!(text.contains("ead-only"), "{text}");
    drop(mounted);
}

/// A file system of 1 MiB on the keeper's directory.
pub(crate) struct Mounted(std::path::PathBuf);

impl Mounted {
    pub(crate) fn new(scratch: &Scratch) -> Self {
        let dir = scratch.keeper();
        let done =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "none"]).arg(&dir).status().unwrap();
        assert!(done.success());
        Self(dir)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

pub(crate) fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = fs::File::create(path).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
