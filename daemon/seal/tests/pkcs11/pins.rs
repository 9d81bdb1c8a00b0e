//! Where a PIN comes from, and how often it is tried.

use std::fs;

use merlon_tests::softhsm::SoftHsm;
use merlon_wire::seal::Failure;

use crate::ask::{AAD, AES, LABEL, PIN, SECRET, Seal, write};

#[test]
fn a_wrong_pin_is_told_and_the_right_one_works_afterwards() {
    let seal = Seal::new(SoftHsm::with_aes(LABEL));
    let object = seal.wrap(AES, PIN).object();
    for wrong in [&b"000000"[..], b"1", &[b'9'; 400]] {
        let failure = seal.unwrap(AES, Some(wrong), &object, AAD).failure();
        assert_eq!(failure, Failure::TokenPin, "{failure}");
    }
    assert_eq!(seal.unwrap(AES, PIN, &object, AAD).secret(), SECRET);
}

#[test]
fn without_any_pin_it_asks_for_one_and_tries_none() {
    let seal = Seal::new(SoftHsm::with_aes(LABEL));
    assert_eq!(seal.wrap(AES, None).failure(), Failure::PinNeeded);
    assert_eq!(seal.wrap(AES, Some(b"")).failure(), Failure::PinNeeded);
}

#[test]
fn the_pin_comes_from_the_file_or_the_credential_if_none_is_given() {
    let mut seal = Seal::new(SoftHsm::with_aes(LABEL));
    let object = seal.wrap(AES, PIN).object();
    let credentials = seal.hsm.dir().join("credentials");
    fs::create_dir(&credentials).unwrap();
    write(&credentials.join("pkcs11-pin"), SoftHsm::PIN, 0o400);
    seal.environment.push(("CREDENTIALS_DIRECTORY", credentials));
    assert_eq!(seal.unwrap(AES, None, &object, AAD).secret(), SECRET);

    // The file beats the credential, and the request beats the file.
    let file = seal.hsm.dir().join("pin");
    seal.configure(&format!("pin_file = '{}'\n", file.display()));
    write(&file, "000000\n", 0o600);
    assert_eq!(seal.unwrap(AES, None, &object, AAD).failure(), Failure::TokenPin);
    assert_eq!(seal.unwrap(AES, PIN, &object, AAD).secret(), SECRET);
    write(&file, &format!("{}\n", SoftHsm::PIN), 0o600);
    assert_eq!(seal.unwrap(AES, None, &object, AAD).secret(), SECRET);
}

#[test]
fn a_pin_file_that_others_can_read_or_that_is_none_is_refused_by_name() {
    let seal = Seal::new(SoftHsm::with_aes(LABEL));
    let file = seal.hsm.dir().join("pin");
    seal.configure(&format!("pin_file = '{}'\n", file.display()));
    let refused = |said: &str| {
        let failure = seal.wrap(AES, None).failure();
        let text = failure.to_string();
        assert!(matches!(failure, Failure::PinSource(_)) && text.contains(said), "{text}");
        assert!(text.contains(file.to_str().unwrap()), "{text}");
    };
    refused("No such file");
    write(&file, SoftHsm::PIN, 0o644);
    refused("chmod 0600");
    write(&file, "\n", 0o600);
    refused("is empty");
    write(&file, &"1".repeat(2000), 0o600);
    refused("larger than");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    refused("no regular file");
}
