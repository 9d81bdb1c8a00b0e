//! Old copies of the keeper's files, put back: noticed by a counter in a TPM (`swtpm`, one for each test), refused, and
//! accepted by name. And a backup, which is an old copy that is wanted.

use std::fs;
use std::path::Path;

use merlon_tests::TempDir;
use merlon_tests::instance::{Instance, Options};
use merlon_tests::process::{stderr, stdout};
use merlon_tests::starting::Starting;
use merlon_tests::swtpm::Swtpm;
use serde_json::Value;

const KEYSLOTS: [&str; 2] = ["keyslots.a", "keyslots.b"];

fn counting(tpm: &Swtpm) -> Options {
    Options { config: format!("{}counter = true\n[keeper]\nseal_seconds = 5\n", tpm.config()), ..Options::default() }
}

fn copy(dir: &Path, names: &[&str]) -> Vec<(String, Vec<u8>)> {
    names.iter().map(|name| ((*name).to_owned(), fs::read(dir.join("keeper").join(name)).unwrap())).collect()
}

fn put_back(dir: &Path, files: &[(String, Vec<u8>)]) {
    files.iter().for_each(|(name, bytes)| fs::write(dir.join("keeper").join(name), bytes).unwrap());
}

/// A token's public id.
fn token(instance: &Instance) -> String {
    let made: Value =
        serde_json::from_str(&instance.cli_ok(&["token", "create", "--role", "viewer", "--json"])).unwrap();
    made["id"].as_str().unwrap().to_owned()
}

/// Locked, because `file` is an old copy: accepted by its name it opens, and the next start is an ordinary one.
fn told_and_accepted(dir: &Path, options: &Options, file: &str) {
    {
        let mut locked = Starting::locked(dir, options);
        let status = locked.cli(&["status"]);
        let status = format!("{}{}", stdout(&status), stderr(&status));
        assert!(status.contains(file) && status.contains("old cop"), "{status}");
        let other = if file == "secrets.db" { "keyslots" } else { "secrets.db" };
        let refused = locked.cli(&["unlock", "--accept-rollback", other]);
        assert!(refused.status.code() == Some(1) && stderr(&refused).contains("nothing to accept"), "{refused:?}");
        let refused = locked.cli(&["unlock", "--machine"]);
        assert!(refused.status.code() == Some(1) && stderr(&refused).contains("old cop"), "{refused:?}");
        let accepted = locked.cli(&["unlock", "--accept-rollback", file]);
        assert!(accepted.status.success(), "{}", stderr(&accepted));
        locked.ready();
        let audit = stdout(&locked.cli(&["audit", "list"]));
        assert!(audit.contains("rollback-accepted"), "{audit}");
    }
    let instance = Instance::start(dir, options);
    assert!(instance.cli_ok(&["doctor"]).contains("as the files say"), "{}", instance.cli_ok(&["doctor"]));
}

#[test]
fn an_old_secrets_db_is_told_at_the_start_and_opens_only_when_it_is_accepted() {
    let (dir, tpm) = (TempDir::new("secrets"), Swtpm::new());
    let options = counting(&tpm);
    let mut instance = Instance::start(dir.path(), &options);
    let id = token(&instance);
    instance.stop();
    let old = copy(dir.path(), &["secrets.db"]);
    let mut instance = Instance::start(dir.path(), &options);
    instance.cli_ok(&["token", "revoke", &id]);
    instance.stop();
    put_back(dir.path(), &old);
    told_and_accepted(dir.path(), &options, "secrets.db");
}

#[test]
fn old_keyslots_are_told_at_the_start_and_open_only_when_they_are_accepted() {
    let (dir, tpm) = (TempDir::new("keyslots"), Swtpm::new());
    let options = counting(&tpm);
    let mut instance = Instance::start(dir.path(), &options);
    instance.cli_ok(&["keyslot", "add", "file"]);
    instance.stop();
    let old = copy(dir.path(), &KEYSLOTS);
    let mut instance = Instance::start(dir.path(), &options);
    instance.cli_ok(&["keyslot", "remove", "2"]);
    instance.stop();
    put_back(dir.path(), &old);
    told_and_accepted(dir.path(), &options, "keyslots");
}

#[test]
fn a_kill_is_no_rollback() {
    let (dir, tpm) = (TempDir::new("killed"), Swtpm::new());
    let options = counting(&tpm);
    for _ in 0..5 {
        let mut instance = Instance::start(dir.path(), &options);
        let _ = token(&instance);
        instance.kill();
    }
    let instance = Instance::start(dir.path(), &options);
    assert_eq!(instance.cli_ok(&["token", "list", "--json"]).lines().count(), 5);
}

#[test]
fn a_lost_counter_keeps_the_instance_locked_until_it_is_made_anew() {
    let (dir, tpm, other) = (TempDir::new("lost"), Swtpm::new(), Swtpm::new());
    let mut instance = Instance::start(dir.path(), &counting(&tpm));
    instance.cli_ok(&["keyslot", "add", "file"]);
    instance.stop();
    {
        let mut locked = Starting::locked(dir.path(), &counting(&other));
        let status = locked.cli(&["status"]);
        let status = format!("{}{}", stdout(&status), stderr(&status));
        assert!(status.contains("counter cannot be read"), "{status}");
        let reset = locked.cli(&["keyslot", "counter", "reset"]);
        assert!(reset.status.success(), "{}", stderr(&reset));
        locked.ready();
    }
    let instance = Instance::start(dir.path(), &counting(&other));
    let doctor = stdout(&instance.cli(&["doctor"]));
    assert!(doctor.contains("as the files say"), "{doctor}");
}

#[test]
fn a_backup_is_restored_under_another_tpm_and_gets_a_slot_and_a_counter_there() {
    let (dir, files, elsewhere) = (TempDir::new("backup"), TempDir::new("files"), TempDir::new("elsewhere"));
    let (tpm, other) = (Swtpm::new(), Swtpm::new());
    let passphrase = files.path().join("pass").display().to_string();
    let backup = files.path().join("backup").display().to_string();
    fs::write(&passphrase, "of this backup\n").unwrap();
    fs::set_permissions(&passphrase, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut instance = Instance::start(dir.path(), &counting(&tpm));
    let fingerprint = instance.cli_ok(&["ca", "fingerprint"]);
    instance.cli_ok(&["backup", &backup, "--passphrase-file", &passphrase]);
    let _ = token(&instance);
    let target = elsewhere.path().join("i");
    instance.cli_ok(&["restore", &backup, "--data-dir", &target.display().to_string()]);
    {
        let mut restored = Starting::locked(&target, &counting(&other));
        let unlocked = restored.cli(&["unlock", "--passphrase-file", &passphrase]);
        assert!(unlocked.status.success(), "{}", stderr(&unlocked));
        restored.ready();
    }
    let restored = Instance::start(&target, &counting(&other));
    assert_eq!(restored.cli_ok(&["ca", "fingerprint"]), fingerprint);
    let slots = restored.cli_ok(&["keyslot", "list", "--json"]);
    assert!(slots.contains("\"tpm2\"") && !target.join("keeper/file.key").exists(), "{slots}");
    let verified = restored.cli(&["audit", "verify"]);
    assert!(verified.status.success(), "{}{}", stdout(&verified), stderr(&verified));
    // The counter of the other one is still there.
    instance.stop();
    assert!(Instance::start(dir.path(), &counting(&tpm)).cli_ok(&["doctor"]).contains("as the files say"));
}
