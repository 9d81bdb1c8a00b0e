//! Keys sealed to a machine, as a user handles them: a TPM that is there, another one, none, a changed one; a PIN;
//! updates of the firmware; an HSM. Each test has a TPM (`swtpm`) or a token (SoftHSM) of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use merlon_tests::TempDir;
use merlon_tests::instance::{Instance, Options, wait_for};
use merlon_tests::process::{children, output, stderr, stdout};
use merlon_tests::softhsm::SoftHsm;
use merlon_tests::starting::Starting;
use merlon_tests::swtpm::Swtpm;
use serde_json::Value;

/// What Secure Boot is measured into.
const SECURE_BOOT: u8 = 7;

fn with(tpm: &Swtpm) -> Options {
    Options { config: format!("{}[keeper]\nseal_seconds = 5\n", tpm.config()), ..Options::default() }
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// Makes a recovery key and types it back; the file that holds it.
fn recovery(instance: &Instance, files: &TempDir) -> String {
    let key = instance.cli_ok(&["keyslot", "add", "recovery"]);
    let file = write(files.path(), "recovery", key.trim());
    instance.cli_ok(&["keyslot", "confirm", "--recovery-file", &file]);
    file
}

fn slots(instance: &Instance) -> Vec<Value> {
    let list = instance.cli_ok(&["keyslot", "list", "--json"]);
    list.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The kind and id of the slot that opened it.
fn opened_by(instance: &Instance) -> (String, u64) {
    let slots = slots(instance);
    let slot = slots.iter().find(|slot| slot["in_use"] == true).unwrap_or_else(|| panic!("none is in use: {slots:?}"));
    (slot["kind"].as_str().unwrap().to_owned(), slot["id"].as_u64().unwrap())
}

/// `keyslot add`, and the new slot's id.
fn add(instance: &Instance, arguments: &[&str]) -> String {
    let added = instance.cli_ok(&[&["keyslot", "add", "--json"], arguments].concat());
    serde_json::from_str::<Value>(&added).unwrap()["id"].to_string()
}

#[track_caller]
fn succeeded(done: &Output) {
    assert!(done.status.success(), "{}{}", stdout(done), stderr(done));
}

#[track_caller]
fn refused(done: &Output, says: &[&str]) {
    assert_eq!(done.status.code(), Some(1), "{}{}", stdout(done), stderr(done));
    for text in says {
        assert!(stderr(done).contains(text), "`{text}` is not in {}", stderr(done));
    }
}

#[track_caller]
fn says(log: &str, all: &[&str]) {
    for text in all {
        assert!(log.contains(text), "`{text}` is not in {log}");
    }
}

#[test]
fn a_first_start_seals_by_itself_and_the_next_start_opens_by_it() {
    let (dir, tpm) = (TempDir::new("first"), Swtpm::new());
    tpm.extend(SECURE_BOOT);
    {
        let instance = Instance::start(dir.path(), &with(&tpm));
        assert_eq!(opened_by(&instance), ("tpm2".to_owned(), 1));
        assert_eq!(slots(&instance).len(), 1);
        assert!(!dir.path().join("keeper/file.key").exists());
        let status = instance.cli(&["status"]);
        says(&format!("{}{}", stdout(&status), stderr(&status)), &["opened by tpm2", "recovery unconfirmed"]);
        says(&instance.log(), &["recovery unconfirmed"]);
    }
    let instance = Instance::start(dir.path(), &with(&tpm));
    assert_eq!(opened_by(&instance), ("tpm2".to_owned(), 1));
}

#[test]
fn where_nothing_is_measured_the_slot_is_bound_to_no_pcr_and_that_is_said() {
    let (dir, mut tpm) = (TempDir::new("unmeasured"), Swtpm::new());
    {
        let instance = Instance::start(dir.path(), &with(&tpm));
        assert_eq!(opened_by(&instance).0, "tpm2");
        let doctor = stdout(&instance.cli(&["doctor"]));
        says(&doctor, &["bound to no PCR"]);
    }
    tpm.restart();
    tpm.extend(SECURE_BOOT);
    assert_eq!(opened_by(&Instance::start(dir.path(), &with(&tpm))).0, "tpm2");
}

#[test]
fn a_copy_of_the_disk_without_the_tpm_opens_by_the_recovery_key_only() {
    let (dir, files, mut tpm) = (TempDir::new("copied"), TempDir::new("files"), Swtpm::new());
    let options = with(&tpm);
    let key = recovery(&Instance::start(dir.path(), &options), &files);
    let copy = files.path().join("copy");
    succeeded(&output(Command::new("cp").arg("--archive").arg(dir.path()).arg(&copy)));
    tpm.power_off();
    let mut locked = Starting::locked(&copy, &options);
    says(&locked.log(), &["Keyslot 1 (tpm2) does not open", "there is no TPM"]);
    // The engine and its keeper may not have met yet.
    wait_for("status to say that it is locked, and why", || {
        let status = locked.cli(&["status"]);
        let text = format!("{}{}", stdout(&status), stderr(&status));
        (text.contains("locked") && text.contains("there is no TPM")).then_some(())
    });
    refused(&locked.cli(&["unlock", "--machine"]), &["there is no TPM"]);
    succeeded(&locked.cli(&["unlock", "--recovery-file", &key]));
    locked.ready();
}

#[test]
fn another_tpm_is_told_before_anything_is_sent_and_sealing_anew_moves_to_it() {
    let (dir, files) = (TempDir::new("moved"), TempDir::new("files"));
    let (old, new) = (Swtpm::new(), Swtpm::new());
    let key = recovery(&Instance::start(dir.path(), &with(&old)), &files);
    {
        let mut locked = Starting::locked(dir.path(), &with(&new));
        says(&locked.log(), &["this is another TPM, or it was cleared", "merlon unlock --recovery"]);
        succeeded(&locked.cli(&["unlock", "--recovery-file", &key]));
        locked.ready();
        let doctor = locked.cli(&["doctor"]);
        refused(&doctor, &[]);
        says(&stdout(&doctor), &["another TPM, or it was cleared", "keyslot reseal 1"]);
        succeeded(&locked.cli(&["keyslot", "reseal", "1"]));
        succeeded(&locked.cli(&["keyslot", "test", "1"]));
    }
    assert_eq!(opened_by(&Instance::start(dir.path(), &with(&new))), ("tpm2".to_owned(), 1));
    says(&Starting::locked(dir.path(), &with(&old)).log(), &["another TPM"]);
}

#[test]
fn a_changed_pcr_is_named_and_sealing_anew_accepts_it() {
    let (dir, files, tpm) = (TempDir::new("pcr"), TempDir::new("files"), Swtpm::new());
    tpm.extend(SECURE_BOOT);
    let key = recovery(&Instance::start(dir.path(), &with(&tpm)), &files);
    tpm.extend(SECURE_BOOT);
    {
        let mut locked = Starting::locked(dir.path(), &with(&tpm));
        says(&locked.log(), &["PCR 7 differ", "merlon keyslot reseal 1"]);
        // Asked again it fails again, and the TPM counts nothing.
        refused(&locked.cli(&["unlock", "--machine"]), &["PCR 7"]);
        succeeded(&locked.cli(&["unlock", "--recovery-file", &key]));
        locked.ready();
        let doctor = stdout(&locked.cli(&["doctor"]));
        says(&doctor, &["PCR 7", "it does not open", "0 of 3 failures"]);
        succeeded(&locked.cli(&["keyslot", "reseal", "1"]));
        assert!(!stdout(&locked.cli(&["doctor"])).contains("it does not open"));
    }
    assert_eq!(opened_by(&Instance::start(dir.path(), &with(&tpm))), ("tpm2".to_owned(), 1));
}

#[test]
fn a_pin_is_needed_counted_and_its_last_try_not_burnt_by_mistake() {
    let (dir, files, tpm) = (TempDir::new("pin"), TempDir::new("files"), Swtpm::new());
    let (right, wrong) = (write(files.path(), "right", "4711 0815\n"), write(files.path(), "wrong", "4711 0816\n"));
    let (key, id) = {
        let instance = Instance::start(dir.path(), &with(&tpm));
        let key = recovery(&instance, &files);
        let id = add(&instance, &["tpm2", "--pcrs", "none", "--pin-file", &right]);
        instance.cli_ok(&["keyslot", "test", &id, "--pin-file", &right]);
        instance.cli_ok(&["keyslot", "remove", "1"]);
        // Sealing anew needs no PIN.
        instance.cli_ok(&["keyslot", "reseal", &id]);
        (key, id)
    };
    {
        let mut locked = Starting::locked(dir.path(), &with(&tpm));
        refused(&locked.cli(&["unlock", "--pin-file", &wrong]), &["wrong PIN; 2 more tries"]);
        let opened = locked.cli(&["unlock", "--pin-file", &right]);
        succeeded(&opened);
        says(&stderr(&opened), &[&format!("unlocked by keyslot {id}")]);
        locked.ready();
    }
    let mut locked = Starting::locked(dir.path(), &with(&tpm));
    refused(&locked.cli(&["unlock", "--pin-file", &wrong]), &["wrong PIN; 1 more tr"]);
    let last = "one more wrong PIN would lock the TPM";
    refused(&locked.cli(&["unlock", "--pin-file", &wrong]), &[last, "--force"]);
    refused(&locked.cli(&["unlock", "--pin-file", &right]), &[last]);
    refused(&locked.cli(&["unlock", "--pin-file", &wrong, "--force"]), &[]);
    refused(&locked.cli(&["unlock", "--pin-file", &right, "--force"]), &["locked out", "unlock --recovery`"]);
    succeeded(&locked.cli(&["unlock", "--recovery-file", &key]));
    locked.ready();
    let doctor = locked.cli(&["doctor"]);
    refused(&doctor, &[]);
    says(&stdout(&doctor), &["3 of 3 failures", "tpm2_dictionarylockout", "lockoutAuth"]);
}

#[test]
fn a_firmware_update_that_was_prepared_starts_by_itself_once() {
    let (dir, mut tpm) = (TempDir::new("firmware"), Swtpm::new());
    tpm.extend(SECURE_BOOT);
    {
        let instance = Instance::start(dir.path(), &with(&tpm));
        let prepared = instance.cli(&["keyslot", "reseal", "1", "--next-boot-once"]);
        succeeded(&prepared);
        says(&stderr(&prepared), &["opens the next start, once", "keyslot reseal 1"]);
        assert_eq!(slots(&instance).len(), 2);
    }
    tpm.restart();
    tpm.extend(SECURE_BOOT);
    tpm.extend(SECURE_BOOT);
    {
        let instance = Instance::start(dir.path(), &with(&tpm));
        let left = slots(&instance);
        assert!(left.len() == 1 && left[0]["id"] == 1, "the slot for one start is gone: {left:?}");
        says(&instance.log(), &["reseal"]);
        instance.cli_ok(&["keyslot", "reseal", "1"]);
    }
    assert_eq!(opened_by(&Instance::start(dir.path(), &with(&tpm))), ("tpm2".to_owned(), 1));
}

#[test]
fn a_tpm_that_hangs_does_not_stop_a_start_that_a_file_can_make() {
    let (dir, tpm) = (TempDir::new("hangs"), Swtpm::new());
    add(&Instance::start(dir.path(), &with(&tpm)), &["file"]);
    tpm.hang();
    {
        let instance = Instance::start(dir.path(), &with(&tpm));
        assert_eq!(opened_by(&instance).0, "file");
        says(&instance.log(), &["Keyslot 1 (tpm2) does not open"]);
        let seals = children(instance.pid()).into_iter().filter(|(_, name)| name == "merlon-seal");
        assert_eq!(seals.count(), 0, "what hung was ended");
    }
    tpm.go_on();
    assert_eq!(opened_by(&Instance::start(dir.path(), &with(&tpm))).0, "tpm2");
}

#[test]
fn a_tpm_that_dies_half_way_does_not_stop_a_start_that_a_file_can_make() {
    let (dir, mut tpm) = (TempDir::new("dies"), Swtpm::new());
    add(&Instance::start(dir.path(), &with(&tpm)), &["file"]);
    tpm.hang();
    {
        let mut starting = Starting::new(dir.path(), &with(&tpm));
        wait_for("merlon-seal", || {
            children(starting.pid()).iter().any(|(_, name)| name == "merlon-seal").then_some(())
        });
        tpm.power_off();
        starting.ready();
        says(&starting.log(), &["Keyslot 1 (tpm2) does not open"]);
        says(&stdout(&starting.cli(&["status"])), &["opened by file"]);
    }
    tpm.restart();
    assert_eq!(opened_by(&Instance::start(dir.path(), &with(&tpm))).0, "tpm2");
}

/// `openssl`, which must succeed.
fn openssl(arguments: &[&str]) {
    succeeded(&output(Command::new("openssl").args(arguments)));
}

#[test]
fn with_a_policy_key_a_changed_machine_needs_a_signature_and_no_new_sealing() {
    let (dir, files, tpm) = (TempDir::new("signed"), TempDir::new("files"), Swtpm::new());
    let file = |name: &str| files.path().join(name).display().to_string();
    let (key, public, other) = (file("key.pem"), file("public.pem"), file("other.pem"));
    for key in [&key, &other] {
        openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key]);
    }
    openssl(&["pkey", "-in", &key, "-pubout", "-out", &public]);
    let (policy, signature) = (file("policy.bin"), file("policy.sig"));
    let sign = |key: &str| openssl(&["dgst", "-sha256", "-sign", key, "-out", &signature, &policy]);
    tpm.extend(SECURE_BOOT);
    let id = {
        let instance = Instance::start(dir.path(), &with(&tpm));
        let _ = recovery(&instance, &files);
        let id = add(&instance, &["tpm2", "--pcrs", "7", "--policy-key", &public]);
        let hex = instance.cli_ok(&["keyslot", "policy", &id, "--out", &policy]);
        assert_eq!((hex.trim().len(), fs::read(&policy).unwrap().len()), (64, 32));
        sign(&key);
        instance.cli_ok(&["keyslot", "authorize", &id, "--signature-file", &signature]);
        instance.cli_ok(&["keyslot", "test", &id]);
        instance.cli_ok(&["keyslot", "remove", "1"]);
        id
    };
    let opened = ("tpm2".to_owned(), id.parse().unwrap());
    assert_eq!(opened_by(&Instance::start(dir.path(), &with(&tpm))), opened);
    tpm.extend(SECURE_BOOT);
    {
        let mut locked = Starting::locked(dir.path(), &with(&tpm));
        says(&locked.log(), &["no signature for the machine's present state"]);
        succeeded(&locked.cli(&["keyslot", "policy", &id, "--out", &policy]));
        // The TPM judges a signature when it is used, so it may be refused at once or then.
        sign(&other);
        let foreign = locked.cli(&["keyslot", "authorize", &id, "--signature-file", &signature]);
        let opened = locked.cli(&["unlock", "--machine"]);
        assert!(!opened.status.success(), "{}{}", stderr(&foreign), stderr(&opened));
        sign(&key);
        succeeded(&locked.cli(&["keyslot", "authorize", &id, "--signature-file", &signature]));
        succeeded(&locked.cli(&["unlock", "--machine"]));
        locked.ready();
    }
    assert_eq!(opened_by(&Instance::start(dir.path(), &with(&tpm))), opened);
}

#[test]
fn the_doctor_shows_tpm_slots_and_pcrs() {
    let tpm = Swtpm::new();
    tpm.extend(SECURE_BOOT);
    let instance = Instance::with(&with(&tpm));
    let doctor = instance.cli(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(0), "{}{}", stdout(&doctor), stderr(&doctor));
    let emulator = format!("{}: an emulator", tpm.tcti());
    let expected = [
        emulator.as_str(),
        "0 of 3 failures",
        "lockoutAuth",
        "tpm2, last sealed",
        "the TPM's storage root key is the pinned one",
        "then and now",
        "counter",
    ];
    says(&stdout(&doctor), &expected);
    let json = instance.cli_ok(&["doctor", "--json"]);
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let slot = lines.iter().filter(|line| line["what"] == "keyslot 1").count();
    assert!(slot >= 3, "sealed, storage root key, PCR 7: {lines:?}");
    assert!(lines.iter().all(|line| line["verdict"] != "wrong"), "{lines:?}");
}

#[test]
fn an_emulator_that_is_not_permitted_ends_the_start_with_key_and_remedy() {
    let (dir, tpm) = (TempDir::new("emulator"), Swtpm::new());
    let options = Options { config: format!("[tpm]\ntcti = '{}'\n", tpm.tcti()), ..Options::default() };
    let Err((status, log)) = Instance::try_start(dir.path(), &options) else { panic!("it started") };
    assert_eq!(status.code(), Some(78), "{log}");
    says(&log, &["tpm.tcti", "an emulator", "tpm.allow_emulator = true"]);
}

#[test]
fn the_environment_does_not_choose_the_tpm() {
    let (dir, tpm) = (TempDir::new("environment"), Swtpm::new());
    let set = ["TCTI", "TPM2TOOLS_TCTI", "TSS2_TCTI", "MERLON_TPM_TCTI"];
    for (number, name) in set.into_iter().enumerate() {
        let dir = dir.path().join(number.to_string());
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        // A device that no machine has: without it a machine's own TPM would be used.
        let config = "[tpm]\ntcti = 'device:/dev/tpmrm999'\n".to_owned();
        let options = Options { config, environment: vec![(name.to_owned(), tpm.tcti())], ..Options::default() };
        match Instance::try_start(&dir, &options) {
            Ok(instance) => assert_eq!(opened_by(&instance).0, "file", "{name}"),
            // What looks like a setting of ours is told.
            Err((status, log)) => {
                assert_eq!((name, status.code()), ("MERLON_TPM_TCTI", Some(78)), "{log}");
                says(&log, &["MERLON_TPM_TCTI", "configuration file only"]);
            }
        }
    }
}

#[test]
fn a_token_opens_the_next_start_by_its_configured_pin_or_by_one_given_by_hand() {
    let (dir, files, hsm) = (TempDir::new("token"), TempDir::new("files"), SoftHsm::with_aes("merlon"));
    let pin = write(files.path(), "pin", &format!("{}\n", SoftHsm::PIN));
    let wrong = write(files.path(), "wrong", "000000\n");
    let without = format!("[tpm]\nfirst_slot = false\n{}", hsm.config());
    let by_itself = Options { config: format!("{without}pin_file = '{pin}'\n"), ..Options::default() };
    let by_hand = Options { config: without, ..Options::default() };
    let id = {
        let instance = Instance::start(dir.path(), &by_itself);
        assert_eq!(opened_by(&instance).0, "file");
        let _ = recovery(&instance, &files);
        let id = add(&instance, &["pkcs11", "--uri", "pkcs11:token=merlon;id=%01"]);
        instance.cli_ok(&["keyslot", "test", &id]);
        let gone = instance.cli(&["keyslot", "add", "pkcs11", "--uri", "pkcs11:token=gone;id=%01"]);
        assert_eq!(gone.status.code(), Some(3), "{}", stderr(&gone));
        instance.cli_ok(&["keyslot", "remove", "1"]);
        id
    };
    let opened = ("pkcs11".to_owned(), id.parse().unwrap());
    assert_eq!(opened_by(&Instance::start(dir.path(), &by_itself)), opened);
    let mut locked = Starting::locked(dir.path(), &by_hand);
    refused(&locked.cli(&["unlock", "--pin-file", &wrong]), &["the token refuses the PIN"]);
    let opened = locked.cli(&["unlock", "--pin-file", &pin]);
    succeeded(&opened);
    says(&stderr(&opened), &[&format!("unlocked by keyslot {id}")]);
    locked.ready();
}
