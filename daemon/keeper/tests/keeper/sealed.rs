//! Slots that `merlon-seal` or systemd opens: made, opened at a start or by a person, sealed anew.

use std::fs;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use merlon_wire::admin::{AdminRefusal, KeyReport, NewKeyslot, Request, Response, UnlockWith};
use merlon_wire::keeper::LockState;
use merlon_wire::seal::Failure;

use crate::support::format::{self, Keys};
use crate::support::seal::{FakeSeal, Mood};
use crate::support::{Running, Scratch, Starting, add_recovery};

/// A machine with a TPM, as far as the keeper can see.
pub(crate) const TPM: &str = "[tpm]\ntcti = \"swtpm:host=127.0.0.1,port=2321\"\nallow_emulator = true\n";
/// A machine without one.
pub(crate) const NO_TPM: &str = "[tpm]\ntcti = \"device:/dev/tpmrm999\"\n";

/// Starts a keeper with a way to `merlon-seal`; whether it is locked.
pub(crate) fn start(scratch: &Scratch, config: &str, seal: &FakeSeal) -> (Running, bool) {
    let mut running = Starting::with_seal(scratch, config, seal).spawn();
    let locked = running.ready();
    (running, locked)
}

/// Adds a slot, which must succeed: its id, and what is said about it.
pub(crate) fn add(running: &Running, new: NewKeyslot<'_>) -> (u32, Vec<String>) {
    made(running.administer(&Request::AddKeyslot(new)).admin())
}

pub(crate) fn made(response: Response<'_>) -> (u32, Vec<String>) {
    match response {
        Response::Keyslot(id) => (id, Vec::new()),
        Response::KeyslotWithNotes { id, notes } => (id, notes),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn tpm2<'a>() -> NewKeyslot<'a> {
    NewKeyslot::Tpm2 { pcrs: Some(vec![7]), pin: b"", policy_key: b"" }
}

fn unlock(running: &Running, with: UnlockWith<'_>) -> Result<u32, AdminRefusal> {
    match running.administer(&Request::Unlock(with)).admin() {
        Response::Keyslot(id) => Ok(id),
        Response::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

fn pin(pin: &[u8]) -> UnlockWith<'_> {
    UnlockWith::Pin { pin, force: false }
}

fn report(running: &Running) -> KeyReport {
    match running.administer(&Request::KeyReport).admin() {
        Response::KeyReport(report) => report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_first_start_seals_to_the_tpm_and_each_later_one_unseals_once() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    seal.state().notes = vec!["The TPM has no lockout password.".into()];
    let (running, locked) = start(&scratch, TPM, &seal);
    assert!(!locked);
    assert_eq!(seal.asked(), ["Seal", "Unseal"], "and it was tried out");
    let status = running.status();
    assert_eq!((status.slots, status.opened_by.as_deref()), (vec!["tpm2".to_owned()], Some("tpm2")));
    assert!(status.warnings.contains(&"The TPM has no lockout password.".to_owned()), "{:?}", status.warnings);
    assert!(!scratch.file("file.key").exists());
    let report = report(&running);
    let slot = &report.tpm2_slots[0];
    assert_eq!((slot.id, slot.srk_matches, slot.pin, slot.signed, slot.once), (1, true, false, false, false));
    assert_eq!(slot.pcrs.iter().map(|pcr| (pcr.index, pcr.then == pcr.now)).collect::<Vec<_>>(), [(7, true)]);
    assert_eq!(report.tpm.unwrap().lockout_after, 32);
    assert_eq!(report.notes[0], "The instance was opened by keyslot 1 (tpm2).");
    running.stop();
    seal.asked();

    let before = scratch.keys();
    let (running, locked) = start(&scratch, TPM, &seal);
    assert!(!locked);
    assert_eq!(seal.asked(), ["Unseal"]);
    assert_eq!(running.status().opened_by.as_deref(), Some("tpm2"));
    running.stop();
    assert!(scratch.keys() == before, "an ordinary start writes nothing");

    // What is documented is enough to come by the master key, given what the TPM gives.
    let secret = seal.state().kept.values().next().unwrap().secret.clone();
    let slot = format::slot(&scratch.keeper(), "tpm2");
    let material = format::derive(&secret, &format::hex(&slot["tpm2"]["salt"]), "merlon v1 tpm2");
    assert!(Keys::with(&scratch.keeper(), &slot, &material).is_some());
}

#[test]
fn without_a_tpm_nothing_is_asked_and_nothing_is_said() {
    for config in [NO_TPM.to_owned(), format!("{TPM}first_slot = false\n")] {
        let (scratch, seal) = (Scratch::new(), FakeSeal::new());
        for _ in 0..2 {
            let (running, locked) = start(&scratch, &config, &seal);
            assert!(!locked);
            let status = running.status();
            assert_eq!(status.slots, ["file"]);
            assert!(status.warnings.iter().all(|warning| warning.starts_with("recovery")), "{:?}", status.warnings);
            running.stop();
        }
        // A TPM that comes later is not spoken to either: the file slot is all there is to open.
        start(&scratch, TPM, &seal).0.stop();
        assert_eq!(seal.asked(), [""; 0]);
    }
}

#[test]
fn a_changed_pcr_is_told_and_resealed_after_recovery() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let (running, _) = start(&scratch, TPM, &seal);
    let (_, recovery) = add_recovery(&running);
    running.stop();
    seal.state().pcrs[7] = [8; 32];

    let (running, locked) = start(&scratch, TPM, &seal);
    assert!(locked);
    let warnings = running.status().warnings.join("\n");
    assert!(warnings.contains("Keyslot 1 (tpm2)") && warnings.contains("PCR 7"), "{warnings}");
    assert!(warnings.contains("`merlon keyslot reseal 1`"), "{warnings}");
    let slots = report(&running).tpm2_slots;
    assert_ne!(slots[0].pcrs[0].then, slots[0].pcrs[0].now);
    assert_eq!(
        unlock(&running, UnlockWith::Machine),
        Err(AdminRefusal::Seal(Failure::PcrMismatch { changed: vec![7] }))
    );
    let sealed_before = slots[0].sealed_us;
    assert_eq!(unlock(&running, UnlockWith::Recovery(recovery.as_bytes())), Ok(2));
    let test = || running.administer(&Request::TestKeyslot { id: 1, secret: b"" });
    assert_eq!(test().admin(), Response::Refused(AdminRefusal::Seal(Failure::PcrMismatch { changed: vec![7] })));
    assert_eq!(made(running.administer(&Request::Reseal { id: 1, next_boot_once: false }).admin()).0, 1);
    assert_eq!(test().admin(), Response::Keyslot(1));
    let warnings = running.status().warnings.join("\n");
    assert!(!warnings.contains("Keyslot 1"), "what was mended is no longer warned of: {warnings}");
    assert!(report(&running).tpm2_slots[0].sealed_us > sealed_before);
    running.stop();
    let (running, locked) = start(&scratch, TPM, &seal);
    assert!(!locked);
    assert_eq!(running.status().opened_by.as_deref(), Some("tpm2"));

    // Not everything can be sealed anew.
    let refused = |id| running.administer(&Request::Reseal { id, next_boot_once: false });
    assert_eq!(refused(2).admin(), Response::Refused(AdminRefusal::OtherKind(2, "tpm2".into())));
    assert_eq!(refused(9).admin(), Response::Refused(AdminRefusal::NoSuchSlot(9)));
}

#[test]
fn a_locked_instance_opens_by_itself_once_the_tpm_is_back() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    start(&scratch, TPM, &seal).0.stop();
    seal.set(Mood::Fails(Failure::NoDevice { device: "/dev/tpmrm0".into(), why: "no such file".into() }));
    let (running, locked) = start(&scratch, TPM, &seal);
    assert!(locked);
    assert!(matches!(unlock(&running, UnlockWith::Machine), Err(AdminRefusal::Seal(Failure::NoDevice { .. }))));
    seal.set(Mood::Works);
    assert_eq!(unlock(&running, UnlockWith::Machine), Ok(1));
    assert_eq!(unlock(&running, UnlockWith::Machine), Err(AdminRefusal::AlreadyUnlocked));
    let status = running.status();
    assert_eq!(status.state, LockState::Unlocked);
    assert!(!status.warnings.iter().any(|warning| warning.contains("does not open")), "{:?}", status.warnings);
}

#[test]
fn a_pin_is_needed_at_a_start_and_not_to_seal_anew() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let (running, _) = start(&scratch, NO_TPM, &seal);
    let slot = |pin| NewKeyslot::Tpm2 { pcrs: Some(vec![7, 4, 7]), pin, policy_key: b"" };
    for bad in [&b"123"[..], &[b'1'; 1025]] {
        let refused = running.administer(&Request::AddKeyslot(slot(bad)));
        assert_eq!(refused.admin(), Response::Refused(AdminRefusal::PinLength));
    }
    assert_eq!(seal.asked(), [""; 0]);
    let (id, _) = add(&running, slot(b"2580 2580"));
    let Response::Keyslots(list) = running.administer(&Request::ListKeyslots).admin() else { panic!() };
    assert_eq!((list[0].kind.as_str(), list[0].detail.as_str()), ("tpm2", "PCRs 4 7, PIN"));
    let test = |secret| running.administer(&Request::TestKeyslot { id, secret });
    assert_eq!(test(b"2580 2580").admin(), Response::Keyslot(id));
    assert!(matches!(test(b"").admin(), Response::Refused(AdminRefusal::SlotFailed(why)) if why.contains("PIN")));
    running.stop();
    fs::remove_file(scratch.file("file.key")).unwrap();
    seal.asked();

    for round in 0..2 {
        let (running, locked) = start(&scratch, NO_TPM, &seal);
        assert!(locked, "a person is needed");
        assert_eq!(seal.asked(), [""; 0], "and no try is wasted");
        assert_eq!(unlock(&running, pin(b"2580 2581")), Err(AdminRefusal::Seal(Failure::WrongPin { tries_left: 3 })));
        assert!(!seal.state().forced);
        assert_eq!(unlock(&running, UnlockWith::Pin { pin: b"2580 2580", force: true }), Ok(id), "{round}");
        assert!(seal.state().forced);
        assert_eq!(running.status().opened_by.as_deref(), Some("tpm2"));
        assert_eq!(made(running.administer(&Request::Reseal { id, next_boot_once: false }).admin()).0, id);
        running.stop();
        seal.asked();
    }

    // A TPM that gives up everything gives up nothing: half of the PIN never went there.
    let slot = format::slot(&scratch.keeper(), "tpm2");
    let salt = format::hex(&slot["tpm2"]["salt"]);
    let state = seal.state();
    for kept in state.kept.values() {
        for info in ["merlon v1 tpm2", "merlon v1 tpm2 pin"] {
            for known in [kept.secret.clone(), [&kept.secret[..], &kept.auth].concat()] {
                assert!(Keys::with(&scratch.keeper(), &slot, &format::derive(&known, &salt, info)).is_none());
            }
        }
    }
    // With the PIN the documented way leads there.
    let halves = format::argon2id(b"2580 2580", &slot["argon2id"], 64);
    let kept = state.kept.get(&format::hex(&slot["tpm2"]["private"])).unwrap();
    assert_eq!(kept.auth, halves[..32]);
    let material = format::derive(&[&kept.secret, &halves[32..]].concat(), &salt, "merlon v1 tpm2 pin");
    assert!(Keys::with(&scratch.keeper(), &slot, &material).is_some());
}

#[test]
fn a_slot_for_the_next_start_opens_it_whatever_changed_and_is_gone() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let (running, _) = start(&scratch, TPM, &seal);
    let once = || made(running.administer(&Request::Reseal { id: 1, next_boot_once: true }).admin());
    assert_eq!(once().0, 2);
    let (id, notes) = once();
    assert_eq!(id, 3);
    assert!(notes.iter().any(|note| note.contains("`merlon keyslot reseal 1`")), "{notes:?}");
    assert_eq!(running.status().slots, ["tpm2", "tpm2"], "a second one takes the first one's place");
    let refused = running.administer(&Request::RemoveKeyslot(1));
    assert_eq!(refused.admin(), Response::Refused(AdminRefusal::LastSlot), "it does not count as a slot that stays");
    running.stop();
    seal.state().pcrs[7] = [9; 32];
    seal.asked();

    let (running, locked) = start(&scratch, TPM, &seal);
    assert!(!locked);
    assert_eq!(seal.asked(), ["Unseal"], "it is tried first");
    let status = running.status();
    assert_eq!(status.slots, ["tpm2"]);
    let told = status.warnings.iter().any(|note| note.contains("Keyslot 3") && note.contains("reseal 1`"));
    assert!(told, "{:?}", status.warnings);
    running.stop();

    // Whoever does not seal anew is locked out the next time; whoever does is not.
    let copy = scratch.copy_without(&[]);
    let (running, locked) = start(&copy, TPM, &seal);
    assert!(locked);
    running.stop();
    seal.state().pcrs[7] = [7; 32];
    let (running, _) = start(&scratch, TPM, &seal);
    running.administer(&Request::Reseal { id: 1, next_boot_once: true });
    running.stop();
    seal.state().pcrs[7] = [9; 32];
    let (running, _) = start(&scratch, TPM, &seal);
    assert_eq!(made(running.administer(&Request::Reseal { id: 1, next_boot_once: false }).admin()).0, 1);
    running.stop();
    assert!(!start(&scratch, TPM, &seal).1);
}

#[test]
fn a_signed_policy_opens_a_locked_instance() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let (running, _) = start(&scratch, NO_TPM, &seal);
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let policy_key = key.public_key().as_ref().to_vec();
    for bad in [&policy_key[..64], &[3; 65], &[0]] {
        let refused =
            running.administer(&Request::AddKeyslot(NewKeyslot::Tpm2 { pcrs: None, pin: b"", policy_key: bad }));
        assert_eq!(refused.admin(), Response::Refused(AdminRefusal::PolicyKey));
    }
    let (plain, _) = add(&running, tpm2());
    let (id, _) = add(&running, NewKeyslot::Tpm2 { pcrs: Some(vec![7]), pin: b"", policy_key: &policy_key });
    assert_eq!(running.administer(&Request::RemoveKeyslot(plain)).admin(), Response::Keyslot(plain));
    running.stop();
    fs::remove_file(scratch.file("file.key")).unwrap();

    let (running, locked) = start(&scratch, NO_TPM, &seal);
    assert!(locked);
    let policy = || match running.administer(&Request::Policy(id)).admin() {
        Response::Policy { digest, pcrs, authorized } => {
            assert_eq!(pcrs, [7]);
            (digest, authorized)
        }
        other => panic!("{other:?}"),
    };
    let (digest, authorized) = policy();
    assert!(!authorized);
    // The file slot beside it lacks its file; each is told.
    let Err(AdminRefusal::SlotFailed(why)) = unlock(&running, UnlockWith::Machine) else { panic!() };
    let hex = data_encoding::HEXLOWER.encode(&digest);
    assert!(why.contains(&hex) && why.contains(&format!("authorize {id}")) && why.contains("file.key"), "{why}");
    let sign = |policy: &[u8]| key.sign(&SystemRandom::new(), policy).unwrap().as_ref().to_vec();
    let authorize =
        |id, policy: &[u8], signature: &[u8]| running.administer(&Request::Authorize { id, policy, signature });
    let bad = || Response::Refused(AdminRefusal::Seal(Failure::BadSignature));
    assert_eq!(authorize(id, &digest, &sign(b"another policy")).admin(), bad());
    assert_eq!(authorize(id, &digest[1..], &sign(&digest[1..])).admin(), bad());
    assert_eq!(
        authorize(1, &digest, &sign(&digest)).admin(),
        Response::Refused(AdminRefusal::OtherKind(1, "tpm2".into()))
    );
    // For the present state, and ahead of time for one to come.
    assert_eq!(authorize(id, b"", &sign(&digest)).admin(), Response::Done);
    assert!(policy().1);
    assert_eq!(unlock(&running, UnlockWith::Machine), Ok(id));
    running.stop();
    let (running, locked) = start(&scratch, NO_TPM, &seal);
    assert!(!locked, "the signature is kept");
    assert_eq!(running.administer(&Request::RemoveKeyslot(1)).admin(), Response::Keyslot(1));
    assert_eq!(running.administer(&Request::AddKeyslot(NewKeyslot::File)).admin(), Response::Keyslot(id + 1));
    assert_eq!(running.administer(&Request::RemoveKeyslot(id)).admin(), Response::Keyslot(id));
    let kept = fs::read_to_string(scratch.file("policy-signatures.json")).unwrap();
    assert_eq!(kept, "[]", "signatures go with their slot");
}

#[test]
fn a_token_opens_with_its_configured_pin_at_a_start_or_with_a_typed_one_by_hand() {
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let (running, _) = start(&scratch, NO_TPM, &seal);
    let uri = "pkcs11:token=merlon;id=%01";
    let new = |uri, pin| running.administer(&Request::AddKeyslot(NewKeyslot::Pkcs11 { uri, pin }));
    assert_eq!(new(uri, None).admin(), Response::Refused(AdminRefusal::Seal(Failure::PinNeeded)));
    assert_eq!(new(uri, Some(b"9999")).admin(), Response::Refused(AdminRefusal::Seal(Failure::TokenPin)));
    let with_pin = format!("{uri}?pin-value=1234");
    assert!(matches!(new(&with_pin, None).admin(), Response::Refused(AdminRefusal::Seal(Failure::Uri(_)))));
    let (typed, _) = made(new(uri, Some(b"1234")).admin());
    running.stop();
    fs::remove_file(scratch.file("file.key")).unwrap();
    seal.asked();

    let (running, locked) = start(&scratch, NO_TPM, &seal);
    assert!(locked);
    assert_eq!(seal.asked(), [""; 0], "no PIN, no try");
    assert_eq!(unlock(&running, pin(b"0000")), Err(AdminRefusal::Seal(Failure::TokenPin)));
    assert_eq!(seal.asked(), ["Unwrap"], "tried once");
    assert_eq!(unlock(&running, pin(b"1234")), Ok(typed));
    running.stop();

    // The configuration says where the PIN is.
    seal.state().configured_pin = Some(b"1234".to_vec());
    let config = format!("{NO_TPM}[pkcs11]\npin_file = \"/etc/merlon/pin\"\n");
    seal.asked();
    let (running, locked) = start(&scratch, &config, &seal);
    assert!(!locked);
    assert_eq!(seal.asked(), ["Unwrap"]);
    assert_eq!(running.status().opened_by.as_deref(), Some("pkcs11"));
    let (configured, _) = add(&running, NewKeyslot::Pkcs11 { uri, pin: None });
    assert_eq!(running.administer(&Request::RemoveKeyslot(typed)).admin(), Response::Keyslot(typed));
    let Response::Keyslots(list) = running.administer(&Request::ListKeyslots).admin() else { panic!() };
    assert_eq!(list[0].detail, format!("{uri}, aes-gcm, configured PIN"));
    running.stop();
    // A slot made so opens at a start even where the keeper cannot see that there is a PIN.
    let (running, locked) = start(&scratch, NO_TPM, &seal);
    assert!(!locked);
    assert_eq!(made(running.administer(&Request::TestKeyslot { id: configured, secret: b"" }).admin()).0, configured);
    let slot = format::slot(&scratch.keeper(), "pkcs11");
    let state = seal.state();
    let kept = state.kept.get(&format::hex(&slot["pkcs11"]["ciphertext"])).unwrap();
    let material = format::derive(&kept.secret, &format::hex(&slot["pkcs11"]["salt"]), "merlon v1 pkcs11");
    assert!(Keys::with(&scratch.keeper(), &slot, &material).is_some());
}

#[test]
fn a_credential_of_systemd_opens_a_start() {
    let scratch = Scratch::new();
    let credentials = scratch.path("credentials");
    fs::create_dir(&credentials).unwrap();
    let with = |bytes: Option<&[u8]>| {
        match bytes {
            Some(bytes) => fs::write(credentials.join("merlon-key"), bytes).unwrap(),
            None => fs::remove_file(credentials.join("merlon-key")).unwrap(),
        }
        let mut running = Starting::new(&scratch).credentials(&credentials).spawn();
        let locked = running.ready();
        (running, locked)
    };
    let running = Running::start(&scratch);
    let new = |running: &Running| running.administer(&Request::AddKeyslot(NewKeyslot::Credential));
    assert_eq!(new(&running).admin(), Response::Refused(AdminRefusal::NoCredential));
    running.stop();

    let key: Vec<u8> = (0..40).collect();
    let (running, _) = with(Some(&key));
    let (id, _) = made(new(&running).admin());
    assert_eq!(new(&running).admin(), Response::Refused(AdminRefusal::SlotExists("credential".into())));
    assert_eq!(running.status().slots, ["credential", "file"]);
    running.stop();
    fs::remove_file(scratch.file("file.key")).unwrap();
    let (running, locked) = with(Some(&key));
    assert!(!locked);
    assert_eq!(running.status().opened_by.as_deref(), Some("credential"));
    assert_eq!(running.administer(&Request::TestKeyslot { id, secret: b"" }).admin(), Response::Keyslot(id));
    running.stop();
    let slot = format::slot(&scratch.keeper(), "credential");
    let material = format::derive(&key, b"", "merlon v1 credential");
    assert!(Keys::with(&scratch.keeper(), &slot, &material).is_some());

    for (bytes, needle) in [
        (Some(&key[..31]), "31 bytes"),
        (Some(&[1; 5000][..]), "more than 4096 bytes"),
        (Some(&[1; 40][..]), "does not decrypt"),
        (None, "no credential"),
    ] {
        let (running, locked) = with(bytes);
        assert!(locked, "{needle}");
        let warnings = running.status().warnings.join("\n");
        assert!(warnings.contains("(credential)") && warnings.contains(needle), "{needle}: {warnings}");
        running.stop();
    }
}
