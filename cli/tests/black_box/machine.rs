//! Machine slots (TPM, PKCS#11, credential), unlocking by them, and how the doctor sees them, against a fake keeper.

use std::sync::mpsc;

use merlon_wire::admin::{
    AdminRefusal, KeyReport, Keyslot, NewKeyslot, PcrThenNow, Request, Response, Tpm2Slot, UnlockWith,
};
use merlon_wire::keeper::LockState;
use merlon_wire::seal::{Failure, POLICY_KEY_LEN, Tpm2Report};

use crate::fake::Instance;
use crate::keeper::{slot, status};

/// A public key that was made for this test.
const POLICY_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaGlMWAbraPeOzIG5cKVVX/q+ABzE\n\
    Ku+z6W55wmn+zcKSmWG8DNwi6T7w1mRGrlLhYsNKKP53GcreCD6d2w4MKA==\n\
    -----END PUBLIC KEY-----\n";

fn refused(failure: Failure) -> Response<'static> {
    Response::Refused(AdminRefusal::Seal(failure))
}

#[test]
fn a_tpm_slot_is_asked_for_as_it_was_typed_and_its_notes_are_shown() {
    let instance = Instance::keeper(|request| match request {
        Request::AddKeyslot(NewKeyslot::Tpm2 { pcrs, pin, policy_key }) => match (pcrs.as_deref(), *pin, *policy_key) {
            (None, b"", b"") => Response::KeyslotWithNotes {
                id: 4,
                notes: vec!["PCR 7 measures nothing, so the keyslot is bound to no PCR.".into()],
            },
            (Some([7, 11]), b"1234", b"") => Response::Keyslot(5),
            (Some([]), b"", b"") => Response::Keyslot(6),
            (Some([7]), b"", key) if key.len() == POLICY_KEY_LEN && key[..2] == [4, 0x68] => Response::Keyslot(7),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    });
    let add = |more: &[&str]| instance.run(&[&["keyslot", "add", "tpm2"], more].concat());
    add(&[]).ended(0, &["keyslot 4: added", "note: PCR 7 measures nothing"]);
    let quiet = add(&["--quiet"]);
    quiet.ended(0, &["note: PCR 7 measures nothing"]);
    assert!(!quiet.err.contains("added"), "{}", quiet.err);
    let json = add(&["--json"]);
    json.ended(0, &["note: PCR 7"]);
    assert_eq!(json.out, "{\"done\":\"added\",\"id\":4}\n");
    let pin = instance.file("pin", "1234\n");
    add(&["--pcrs", "11,7", "--pin-file", &pin]).ended(0, &["keyslot 5: added"]);
    add(&["--pcrs", "none"]).ended(0, &["keyslot 6: added"]);
    let key = instance.file("policy.pem", POLICY_KEY);
    add(&["--pcrs", "7", "--policy-key", &key]).ended(0, &["keyslot 7: added"]);
}

#[test]
fn wrong_arguments_of_a_tpm_slot_ask_nobody_and_say_what_is_wanted() {
    let instance = Instance::keeper(|request| panic!("{request:?}"));
    let add = |more: &[&str]| instance.run(&[&["keyslot", "add", "tpm2"], more].concat());
    add(&["--pcrs", "24"]).ended(2, &["0 to 23", "none"]);
    add(&["--pcrs", "7", "--pin", "--pin-file", "f"]).ended(2, &["cannot be used with"]);
    add(&["--pin-file", "/nonexistent"]).ended(1, &["the PIN cannot be read"]);
    add(&["--policy-key", "/nonexistent"]).ended(1, &["the policy key cannot be read"]);
    let private = instance.file("private.pem", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n");
    add(&["--policy-key", &private]).ended(1, &["holds no policy key", "private key", "hint: openssl pkey"]);
    let rsa = instance.file("rsa.pem", "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkq\n-----END PUBLIC KEY-----\n");
    add(&["--policy-key", &rsa]).ended(1, &["only P-256", "no RSA"]);
    // Nothing can be typed here.
    let stopped = Instance::keeper(|_| Response::Done);
    stopped
        .run(&["keyslot", "add", "tpm2", "--pin"])
        .ended(2, &["no terminal", "hint: merlon keyslot add tpm2 --pin-file FILE"]);
}

#[test]
fn a_token_slot_takes_its_pin_from_the_configuration_or_a_file_and_never_from_the_uri() {
    let instance = Instance::keeper(|request| match request {
        Request::AddKeyslot(NewKeyslot::Pkcs11 { uri: "pkcs11:token=t;id=%01", pin: None }) => Response::Keyslot(4),
        Request::AddKeyslot(NewKeyslot::Pkcs11 { uri: "pkcs11:token=t;id=%01", pin: Some(b"1234") }) => {
            Response::Keyslot(5)
        }
        Request::AddKeyslot(NewKeyslot::Pkcs11 { uri: "pkcs11:token=gone", .. }) => {
            refused(Failure::NoToken("gone".into()))
        }
        Request::AddKeyslot(NewKeyslot::Pkcs11 { uri: "pkcs11:", .. }) => refused(Failure::Uri("no token".into())),
        Request::AddKeyslot(NewKeyslot::Pkcs11 { .. }) => refused(Failure::NoModule),
        other => panic!("{other:?}"),
    });
    let add = |more: &[&str]| instance.run(&[&["keyslot", "add", "pkcs11"], more].concat());
    add(&["--uri", "pkcs11:token=t;id=%01"]).ended(0, &["keyslot 4: added"]);
    let pin = instance.file("pin", "1234\n");
    add(&["--uri", "pkcs11:token=t;id=%01", "--pin-file", &pin]).ended(0, &["keyslot 5: added"]);
    add(&["--uri", "pkcs11:token=gone"]).ended(3, &["no token is labelled `gone`"]);
    add(&["--uri", "pkcs11:"]).ended(2, &["no PKCS#11 URI"]);
    add(&["--uri", "pkcs11:object=x"]).ended(1, &["pkcs11.module"]);
    add(&[]).ended(2, &["--uri"]);
    add(&["--uri", "token=t"]).ended(2, &["pkcs11:"]);
    add(&["--uri", "pkcs11:token=t?pin-value=1234"]).ended(2, &["--pin-file"]);
}

#[test]
fn a_credential_slot_says_what_is_missing() {
    let instance = Instance::keeper(|request| match request {
        Request::AddKeyslot(NewKeyslot::Credential) => Response::Refused(AdminRefusal::NoCredential),
        other => panic!("{other:?}"),
    });
    instance.run(&["keyslot", "add", "credential"]).ended(1, &["merlon-key", "LoadCredentialEncrypted="]);
}

#[test]
fn slots_are_tested_with_their_pin_and_failures_name_the_slot() {
    let instance = Instance::keeper(|request| match request {
        Request::ListKeyslots => Response::Keyslots(vec![
            slot(1, "tpm2"),
            Keyslot { pin: true, ..slot(4, "tpm2") },
            Keyslot { pin: true, ..slot(5, "pkcs11") },
        ]),
        Request::TestKeyslot { id: 1, secret: b"" } => refused(Failure::PcrMismatch { changed: vec![4, 7] }),
        Request::TestKeyslot { id: 4, secret: b"2468" } => Response::Keyslot(4),
        Request::TestKeyslot { id: 4, .. } => refused(Failure::WrongPin { tries_left: 2 }),
        Request::TestKeyslot { id: 5, secret: b"2468" } => Response::Keyslot(5),
        Request::TestKeyslot { id: 5, secret: b"" } => refused(Failure::PinNeeded),
        other => panic!("{other:?}"),
    });
    let pin = instance.file("pin", "2468\n");
    let wrong = instance.file("wrong", "1111\n");
    let test = |more: &[&str]| instance.run(&[&["keyslot", "test"], more].concat());
    test(&["1"]).ended(1, &["PCR 4, 7 differ", "`merlon keyslot reseal 1`"]);
    test(&["1", "--pin-file", &pin]).ended(2, &["keyslot 1 has no PIN"]);
    test(&["4", "--pin-file", &pin]).ended(0, &["keyslot 4: opens"]);
    test(&["4", "--pin-file", &wrong]).ended(1, &["wrong PIN; 2 more tries"]);
    test(&["4"]).ended(2, &["no terminal", "hint: merlon keyslot test 4 --pin-file FILE"]);
    test(&["4", "--passphrase-file", &pin]).ended(2, &["kind tpm2"]);
    test(&["4", "--pin-file", &pin, "--recovery-file", &pin]).ended(2, &["cannot be used with"]);
    test(&["5"]).ended(1, &["the token asks for its PIN", "hint: merlon keyslot test 5 --pin-file FILE"]);
    test(&["5", "--pin-file", &pin]).ended(0, &["keyslot 5: opens"]);
}

#[test]
fn a_slot_is_sealed_anew_or_the_next_start_prepared() {
    let instance = Instance::keeper(|request| match request {
        Request::Reseal { id: 1, next_boot_once: false } => Response::Keyslot(1),
        Request::Reseal { id: 1, next_boot_once: true } => {
            Response::KeyslotWithNotes { id: 6, notes: vec!["It is bound to no PCR.".into()] }
        }
        Request::Reseal { id: 2, .. } => Response::Refused(AdminRefusal::OtherKind(2, "tpm2".into())),
        Request::Reseal { id: 9, .. } => Response::Refused(AdminRefusal::NoSuchSlot(9)),
        Request::Reseal { .. } => Response::Refused(AdminRefusal::NoSeal("it ended early".into())),
        other => panic!("{other:?}"),
    });
    instance.run(&["keyslot", "reseal", "1"]).ended(0, &["keyslot 1: sealed to the machine as it is now"]);
    instance.run(&["keyslot", "reseal", "1", "--next-boot-once"]).ended(
        0,
        &["keyslot 6: opens the next start, once", "note: It is bound to no PCR.", "merlon keyslot reseal 1"],
    );
    instance.run(&["keyslot", "reseal", "2"]).ended(2, &["keyslot 2 is no tpm2 slot"]);
    instance.run(&["keyslot", "reseal", "9"]).ended(3, &["there is no keyslot 9"]);
    instance.run(&["keyslot", "reseal", "3"]).ended(1, &["merlon-seal did not do its work", "hint: merlon doctor"]);
    instance.run(&["keyslot", "reseal"]).ended(2, &["<ID>"]);
}

#[test]
fn a_policy_is_printed_and_written_to_be_signed() {
    let instance = Instance::keeper(|request| match request {
        Request::Policy(4) => Response::Policy { digest: [0xab; 32], pcrs: vec![7, 11], authorized: false },
        Request::Policy(5) => Response::Policy { digest: [1; 32], pcrs: Vec::new(), authorized: true },
        Request::Policy(_) => refused(Failure::NoDevice { device: "/dev/tpmrm0".into(), why: "gone".into() }),
        other => panic!("{other:?}"),
    });
    let out = instance.dir.join("policy.bin");
    let shown = instance.run(&["keyslot", "policy", "4", "--out", out.to_str().unwrap()]);
    shown.ended(0, &["over PCR 7, 11", "merlon keyslot authorize 4 --signature-file FILE"]);
    assert_eq!(shown.out, format!("{}\n", "ab".repeat(32)));
    assert_eq!(std::fs::read(&out).unwrap(), [0xab; 32]);
    instance.run(&["keyslot", "policy", "5"]).ended(0, &["over no PCR", "kept already"]);
    let json: serde_json::Value =
        serde_json::from_str(&instance.run(&["keyslot", "policy", "4", "--json"]).out).unwrap();
    assert_eq!(json, serde_json::json!({ "id": 4, "policy": "ab".repeat(32), "pcrs": [7, 11], "authorized": false }));
    instance.run(&["keyslot", "policy", "6"]).ended(1, &["there is no TPM at /dev/tpmrm0"]);
}

#[test]
fn a_signature_is_handed_over_as_it_is_and_nonsense_is_not() {
    const SIGNATURE: [u8; 8] = [0x30, 6, 2, 1, 1, 2, 1, 1];
    let (told, heard) = mpsc::channel();
    let instance = Instance::keeper(move |request| match request {
        Request::Authorize { id: 4, policy, signature } if *signature == SIGNATURE => {
            told.send(policy.to_vec()).unwrap();
            Response::Done
        }
        Request::Authorize { id: 5, .. } => refused(Failure::BadSignature),
        Request::Authorize { .. } => Response::Refused(AdminRefusal::TooMany("signatures".into())),
        other => panic!("{other:?}"),
    });
    let write = |name: &str, bytes: &[u8]| {
        let path = instance.dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let signature = write("sig", &SIGNATURE);
    let authorize =
        |id: &str, more: &[&str]| instance.run(&[&["keyslot", "authorize", id, "--signature-file"], more].concat());
    authorize("4", &[&signature]).ended(0, &["the signature is kept", "merlon unlock --machine"]);
    assert_eq!(heard.recv().unwrap(), b"");
    let binary = write("binary", &[9; 32]);
    authorize("4", &[&signature, "--policy-file", &binary]).ended(0, &[]);
    assert_eq!(heard.recv().unwrap(), [9; 32]);
    let hex = write("hex", format!("{}\n", "09".repeat(32)).as_bytes());
    authorize("4", &[&signature, "--policy-file", &hex]).ended(0, &[]);
    assert_eq!(heard.recv().unwrap(), [9; 32]);
    authorize("5", &[&signature]).ended(1, &["the signature does not fit", "`merlon keyslot authorize 5"]);
    authorize("6", &[&signature]).ended(1, &["too many signatures"]);
    for wrong in [&b""[..], b"MEUCIQ==", &[0x30, 7, 2, 1, 1, 2, 1, 1], &[0x30; 300]] {
        authorize("4", &[&write("wrong", wrong)]).ended(1, &["holds no signature", "hint: openssl dgst"]);
    }
    for wrong in [&[9; 31][..], &[9; 33], b"zz"] {
        authorize("4", &[&signature, "--policy-file", &write("wrong", wrong)])
            .ended(1, &["holds no policy", "32 bytes"]);
    }
    authorize("4", &["/nonexistent"]).ended(1, &["the signature cannot be read"]);
    instance.run(&["keyslot", "authorize", "4"]).ended(2, &["--signature-file"]);
}

#[test]
fn an_instance_is_opened_by_pin_or_by_its_machine() {
    let instance = Instance::keeper(|request| match request {
        Request::Status => status(LockState::Locked, &["tpm2", "recovery"]),
        Request::ListKeyslots => {
            Response::Keyslots(vec![Keyslot { pin: true, ..slot(4, "tpm2") }, slot(5, "recovery")])
        }
        Request::Unlock(UnlockWith::Pin { pin: b"2468", force: true }) => Response::Keyslot(4),
        Request::Unlock(UnlockWith::Pin { pin: b"2468", force: false }) => {
            refused(Failure::LastTry { wait_seconds: 600 })
        }
        Request::Unlock(UnlockWith::Pin { .. }) => refused(Failure::Lockout { wait_seconds: 600 }),
        Request::Unlock(UnlockWith::Machine) => Response::KeyslotWithNotes {
            id: 6,
            notes: vec!["Keyslot 6 was for one start and is removed; run `merlon keyslot reseal 1`.".into()],
        },
        other => panic!("{other:?}"),
    });
    let pin = instance.file("pin", "2468\n");
    instance.run(&["unlock", "--pin-file", &pin]).ended(1, &["one more wrong PIN would lock the TPM", "--force"]);
    instance.run(&["unlock", "--pin-file", &pin, "--force"]).ended(0, &["unlocked by keyslot 4"]);
    let wrong = instance.file("wrong", "1\n");
    instance.run(&["unlock", "--pin-file", &wrong]).ended(1, &["locked out", "`merlon unlock --recovery`"]);
    instance.run(&["unlock", "--machine"]).ended(0, &["unlocked by keyslot 6", "note: ", "merlon keyslot reseal 1"]);
    let json = instance.run(&["unlock", "--machine", "--json"]);
    assert_eq!(json.out, "{\"keyslot\":6,\"locked\":false}\n");
    // Nothing can be typed here, and the slots decide what would have been asked for.
    instance.run(&["unlock"]).ended(2, &["no terminal", "hint: merlon unlock --pin-file FILE"]);
    instance.run(&["unlock", "--force"]).ended(2, &["hint: merlon unlock --pin-file FILE"]);
    instance.run(&["unlock", "--machine", "--force"]).ended(2, &["cannot be used with"]);
    instance.run(&["unlock", "--machine", "--pin-file", &pin]).ended(2, &["cannot be used with"]);
    instance.run(&["unlock", "--pin-file", &pin, "--recovery"]).ended(2, &["cannot be used with"]);
}

#[test]
fn an_instance_that_only_machines_open_says_so() {
    let instance = Instance::keeper(|request| match request {
        Request::Status => status(LockState::Locked, &["tpm2"]),
        Request::ListKeyslots => Response::Keyslots(vec![slot(1, "tpm2")]),
        Request::Unlock(UnlockWith::Machine) => refused(Failure::OtherTpm),
        other => panic!("{other:?}"),
    });
    instance.run(&["unlock"]).ended(3, &["no keyslot that a person could open", "merlon unlock --machine"]);
    instance.run(&["unlock", "--machine"]).ended(1, &["this is another TPM", "`merlon keyslot reseal 1`"]);
}

#[test]
fn a_command_in_a_message_names_the_instance() {
    let instance = Instance::keeper(|request| match request {
        Request::Reseal { .. } => refused(Failure::OtherTpm),
        other => panic!("{other:?}"),
    });
    let mut command = crate::fake::program();
    command.arg("--data-dir").arg(&instance.dir).args(["keyslot", "reseal", "3"]);
    let expected = format!("`merlon --data-dir {} keyslot reseal 3`", instance.dir.display());
    crate::fake::Ran::of(command.output().unwrap()).ended(1, &[&expected]);
}

#[test]
fn the_doctor_shows_how_the_keys_stand() {
    let report = || KeyReport {
        tpm: Ok(Tpm2Report {
            tcti: "device:/dev/tpmrm0".into(),
            resource_manager: true,
            maker: "IBM".into(),
            srk_name: vec![1; 34],
            pcrs: Vec::new(),
            policy: [0; 32],
            lockout_counter: 3,
            lockout_after: 32,
            lockout_interval: 600,
            lockout_auth_set: false,
        }),
        tpm2_slots: vec![Tpm2Slot {
            id: 4,
            srk_matches: true,
            pcrs: vec![PcrThenNow { index: 7, then: [0xab; 32], now: [0xcd; 32] }],
            pin: true,
            signed: true,
            once: false,
            sealed_us: 0,
        }],
        secret_memory: "locked".into(),
        counter: "off".into(),
        notes: vec!["Keyslot 4 (tpm2) does not open: \u{1b}[31m.".into()],
    };
    let instance = Instance::keeper(move |request| match request {
        Request::KeyReport => Response::KeyReport(report()),
        Request::Policy(4) => Response::Policy { digest: [0; 32], pcrs: vec![7], authorized: false },
        Request::Status => status(LockState::Locked, &["tpm2"]),
        other => panic!("{other:?}"),
    });
    // Its API does not answer, and its keeper does.
    let ran = instance.run(&["doctor"]);
    ran.ended(69, &["is not running"]);
    for part in [
        "device:/dev/tpmrm0, behind the kernel's resource manager (IBM)",
        "3 of 32 failures",
        "tpm2_changeauth -c lockout",
        "PCR 7: abababababab… then, cdcdcdcdcdcd… now",
        "merlon keyslot policy 4",
        "does not open: \\x1b[31m",
    ] {
        assert!(ran.out.contains(part), "`{part}` is not in {}", ran.out);
    }
    let json = instance.run(&["doctor", "--json"]);
    let lines: Vec<serde_json::Value> = json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lockout = lines.iter().find(|line| line["what"] == "lockoutAuth").unwrap();
    assert_eq!(lockout["verdict"], "warning");
    assert!(lines.iter().any(|line| line["what"] == "keyslot 4" && line["verdict"] == "wrong"), "{lines:?}");
}
