//! No key outside of secret memory: what root finds in the memory of a working keeper.

use merlon_wire::admin::{NewKeyslot, Request as Admin, UnlockWith};
use merlon_wire::identity::{Credential, Registration, SessionKey};
use merlon_wire::keeper::{Request, Response};

use crate::claim::code;
use crate::hub;
use crate::identity::{credential, registration, store};
use crate::sealed::{NO_TPM, add, tpm2};
use crate::sessions::{begin, start};
use crate::support::format::{self, Keys};
use crate::support::memory::scan;
use crate::support::seal::FakeSeal;
use crate::support::{Running, Scratch, Starting, add_recovery, public_key};

/// Everything a keeper does with keys, several times.
fn work(running: &Running) {
    let key = public_key();
    for _ in 0..3 {
        let (mut link, _) = running.link();
        for id in 1..4 {
            link.ask(&Request::CreateProject { name: &format!("p{id}") }).unwrap();
            link.ask(&Request::ProjectKey { id }).unwrap();
        }
        for _ in 0..20 {
            let answer = link.ask(&Request::IssueLeaf { host: "example.com", public_key: &key }).unwrap();
            assert!(matches!(answer.link(), Response::Leaf(_)));
        }
        link.ask(&Request::VerifyToken { token: b"merlon_x" }).unwrap();
        link.ask(&Request::VerifyProxyUser { user: "u", password: b"p" }).unwrap();
        link.ask(&Request::ListProjects).unwrap();
        store(&mut link, registration("one"));
        for request in [Request::SignAssertion, Request::SignProof { method: "POST", url: "https://h", nonce: "" }] {
            let answer = link.ask(&request).unwrap();
            assert!(matches!(answer.link(), Response::Jwt(_)));
        }
        running.administer(&Admin::CreateToken { role: "viewer", label: "x" });
        running.administer(&Admin::TestKeyslot { id: 1, secret: b"" });
        running.administer(&Admin::AuditVerify);
        running.administer(&Admin::AuditList { before: None, limit: 100 });
        running.administer(&Admin::AddKeyslot(NewKeyslot::Passphrase(b"correct horse battery")));
        let (_, recovery) = add_recovery(running);
        running.administer(&Admin::ConfirmRecovery(recovery.as_bytes()));
    }
}

/// What a scan may find: SQLCipher's key is shielded, and the signing library holds one copy of the scalar, as a number.
fn check(running: &Running, keys: &Keys, more: &[(&'static str, &[u8])], locked_memory: bool) {
    let project = keys.project.as_deref().unwrap();
    let mut wanted: Vec<(&'static str, &[u8])> = vec![
        ("master key", &keys.master),
        ("file key", &keys.file),
        ("page key", &keys.pages),
        ("value key", &keys.values),
        ("CA scalar", &keys.ca_scalar),
        ("audit key", &keys.audit),
        ("project key", project),
    ];
    wanted.extend(keys.identity.as_deref().map(|key| ("identity key", key)));
    wanted.extend(more);
    let scan = scan(running.child.id(), &wanted, locked_memory);
    assert!(scan.bytes > 1 << 20, "{} bytes were read", scan.bytes);
    let (signing, strays): (Vec<_>, Vec<_>) =
        scan.found.into_iter().partition(|found| (found.key, found.form) == ("CA scalar", "reversed"));
    assert!(strays.is_empty(), "{strays:#?}");
    assert_eq!(signing.len(), 1, "{signing:#?}");
}

#[test]
fn a_working_keeper_has_no_key_outside_of_secret_memory() {
    if !nix::unistd::geteuid().is_root() {
        // The keeper is not dumpable: nobody but root can even try.
        let scratch = Scratch::new();
        let running = Running::start(&scratch);
        assert!(std::fs::File::open(format!("/proc/{}/mem", running.child.id())).is_err());
        return;
    }
    for (config, locked_memory) in [("", false), ("[keeper]\nmemfd_secret = false\n", true)] {
        let scratch = Scratch::new();
        // The first start, in which keys are made.
        let mut first = Starting::with_config(&scratch, config).spawn();
        assert!(!first.ready());
        work(&first);
        let copy = scratch.copy_without(&[]);
        check(&first, &Keys::read(&copy.keeper()), &[], locked_memory);
        first.stop();

        // A later one, in which they are unwrapped.
        let keys = Keys::read(&scratch.copy_without(&[]).keeper());
        let mut later = Starting::with_config(&scratch, config).spawn();
        assert!(!later.ready());
        work(&later);
        check(&later, &keys, &[], locked_memory);
        later.stop();
    }
}

#[test]
fn what_was_typed_or_shown_does_not_stay() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let typed = b"a passphrase of some length, typed once";
    running.administer(&Admin::AddKeyslot(NewKeyslot::Passphrase(typed)));
    let (_, recovery) = add_recovery(&running);
    running.link().0.ask(&Request::CreateProject { name: "p" }).unwrap();
    running.stop();
    let keys = Keys::read(&scratch.copy_without(&[]).keeper());
    std::fs::remove_file(scratch.file("file.key")).unwrap();
    let mut running = Starting::new(&scratch).spawn();
    assert!(running.ready());
    running.administer(&Admin::Unlock(UnlockWith::Passphrase(b"a wrong passphrase")));
    running.administer(&Admin::Unlock(UnlockWith::Passphrase(typed)));
    running.administer(&Admin::ConfirmRecovery(recovery.as_bytes()));
    let token = running.administer(&Admin::CreateToken { role: "viewer", label: "x" });
    let merlon_wire::admin::Response::Token { token, .. } = token.admin() else { panic!() };
    let (mut link, _) = running.link();
    link.ask(&Request::VerifyToken { token: token.as_bytes() }).unwrap();
    link.ask(&Request::ProjectKey { id: 1 }).unwrap();
    let secret = b"a client secret of some length, given by a server";
    store(&mut link, Registration { secret, ..registration("one") });
    assert_eq!(credential(&mut link, Credential::ClientSecret).unwrap(), secret);
    let session_token = b"the token of a person, of some length";
    begin(&mut link, start(SessionKey::Token(session_token), None)).unwrap();
    let claim_code = code(&running).unwrap();
    let plain_code = claim_code.replace('-', "");
    let signed = link.ask(&Request::SignAssertion).unwrap();
    let Response::Jwt(assertion) = signed.link() else { panic!() };
    let more: [(&'static str, &[u8]); 8] = [
        ("passphrase", typed),
        ("recovery key", recovery.as_bytes()),
        ("token", token.as_bytes()),
        ("client secret", secret),
        ("token of a session", session_token),
        ("claim code", claim_code.as_bytes()),
        ("plain claim code", plain_code.as_bytes()),
        ("assertion", assertion.as_bytes()),
    ];
    check(&running, &keys, &more, false);
}

#[test]
fn sealed_secrets_and_pins_stay_nowhere_else() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (scratch, seal) = (Scratch::new(), FakeSeal::new());
    let credentials = scratch.path("credentials");
    std::fs::create_dir(&credentials).unwrap();
    let credential = b"forty bytes that systemd has decrypted..";
    std::fs::write(credentials.join("merlon-key"), credential).unwrap();
    let start = || {
        let mut running = Starting::with_seal(&scratch, NO_TPM, &seal).credentials(&credentials).spawn();
        assert!(!running.ready());
        running
    };
    let running = start();
    running.link().0.ask(&Request::CreateProject { name: "p" }).unwrap();
    let pin = b"a PIN of some length, typed once";
    let token_pin = b"the PIN of a token, as it was typed";
    seal.state().token_pin = token_pin.to_vec();
    add(&running, tpm2());
    let (id, _) = add(&running, NewKeyslot::Tpm2 { pcrs: None, pin, policy_key: b"" });
    add(&running, NewKeyslot::Pkcs11 { uri: "pkcs11:token=merlon", pin: Some(token_pin) });
    add(&running, NewKeyslot::Credential);
    running.administer(&Admin::TestKeyslot { id, secret: pin });
    running.administer(&Admin::TestKeyslot { id, secret: b"a PIN that is the wrong one" });
    running.administer(&Admin::Reseal { id, next_boot_once: false });
    let keys = Keys::read(&scratch.copy_without(&[]).keeper());
    let halves = format::argon2id(pin, &format::slot_with(&scratch.keeper(), id)["argon2id"], 64);
    let secrets: Vec<Vec<u8>> = seal.state().kept.values().map(|kept| kept.secret.clone()).collect();
    assert_eq!(secrets.len(), 4);
    let mut more: Vec<(&'static str, &[u8])> = vec![
        ("PIN", pin),
        ("PIN of the token", token_pin),
        ("first half", &halves[..32]),
        ("second half", &halves[32..]),
        ("credential", credential),
    ];
    more.extend(secrets.iter().map(|secret| ("sealed secret", secret.as_slice())));
    check(&running, &keys, &more, false);
    running.stop();
    // A start that the TPM opens.
    let running = start();
    assert_eq!(running.status().opened_by.as_deref(), Some("tpm2"));
    check(&running, &keys, &more, false);
}

#[test]
fn replacing_all_keys_leaves_neither_the_old_nor_the_new_ones_in_memory() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let typed = b"a passphrase of some length, typed twice";
    running.administer(&Admin::AddKeyslot(NewKeyslot::Passphrase(typed)));
    running.link().0.ask(&Request::CreateProject { name: "p" }).unwrap();
    running.stop();
    let old = Keys::read(&scratch.copy_without(&[]).keeper());
    let running = Running::start(&scratch);
    let rotated = running.administer(&Admin::Rotate(typed));
    let merlon_wire::admin::Response::RecoveryKey { key, .. } = rotated.admin() else { panic!() };
    let (mut link, _) = running.link();
    let work = link.ask(&Request::NextRekey { after: 0 }).unwrap();
    assert!(matches!(work.link(), Response::Rekey { waiting: 1, project: Some(_) }));
    assert_eq!(link.ask(&Request::Rekeyed { id: 1 }).unwrap().link(), Response::Done);
    let new = Keys::read(&scratch.copy_without(&[]).keeper());
    let more: [(&'static str, &[u8]); 2] = [("passphrase", typed), ("recovery key", key.as_bytes())];
    check(&running, &old, &more, false);
    check(&running, &new, &more, false);
}

#[test]
fn the_scan_finds_what_is_there() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let answer = running.link().0.ask(&Request::CaCertificate).unwrap();
    let Response::CaCertificate(der) = answer.link() else { panic!() };
    let found = scan(running.child.id(), &[("certificate", &der[100..132])], false).found;
    assert!(!found.is_empty());
}

#[test]
fn a_hubs_signing_keys_and_tokens_stay_nowhere_else() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new();
    let running = hub::start(&scratch);
    let (mut link, _) = running.link();
    for _ in 0..3 {
        link.ask(&Request::RotateSigningKeys).unwrap();
        let token = hub::sign(&mut link, vec![hub::claims()]).unwrap().remove(0);
        let found = scan(running.child.id(), &[("access token", token.as_bytes())], false).found;
        assert!(found.is_empty(), "{found:#?}");
    }
    let copy = scratch.copy_without(&[]);
    let keys = format::signing_keys(&copy.keeper());
    assert_eq!(keys.len(), 3, "one of each state");
    let all: Vec<(&'static str, &[u8])> = keys.iter().map(|(state, key)| (*state, key.as_slice())).collect();
    let found = scan(running.child.id(), &all, false).found;
    // The library holds one copy of the one that signs, as a number.
    let (signing, strays): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|found| (found.key, found.form) == ("current", "reversed"));
    assert!(strays.is_empty(), "{strays:#?}");
    assert_eq!(signing.len(), 1, "{signing:#?}");
}
