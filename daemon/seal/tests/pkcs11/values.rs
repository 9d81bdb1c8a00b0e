//! What is encrypted decrypts, and nothing else does.

use merlon_tests::softhsm::SoftHsm;
use merlon_wire::seal::{Failure, Mechanism, Pkcs11Object};

use crate::ask::{AAD, AES, LABEL, PIN, RSA, SECRET, Seal, find};

#[test]
fn an_aes_key_encrypts_and_decrypts_and_the_value_is_not_in_clear() {
    let seal = Seal::new(SoftHsm::with_aes(LABEL));
    let said = seal.wrap(AES, PIN);
    assert_eq!(said.stderr, "");
    let object = said.object();
    assert_eq!((object.mechanism, object.nonce.len(), object.ciphertext.len()), (Mechanism::AesGcm, 12, 48));
    assert_eq!(find(&object.ciphertext, &SECRET[..8]), None);
    let again = seal.wrap(AES, PIN).object();
    assert_ne!(object.nonce, again.nonce, "a nonce was used twice");
    for object in [object, again] {
        assert_eq!(seal.unwrap(AES, PIN, &object, AAD).secret(), SECRET);
    }
}

#[test]
fn an_rsa_pair_encrypts_and_decrypts_by_what_the_token_knows() {
    let hsm = SoftHsm::new();
    hsm.token(LABEL);
    hsm.rsa(LABEL, "02");
    let seal = Seal::new(hsm);
    let object = seal.wrap(RSA, PIN).object();
    // SoftHSM takes no other hash.
    assert_eq!((object.mechanism, object.nonce.len(), object.ciphertext.len()), (Mechanism::RsaOaepSha1, 0, 384));
    assert_eq!(seal.unwrap(RSA, PIN, &object, AAD).secret(), SECRET);

    let mut altered = object.clone();
    altered.ciphertext[100] ^= 1;
    assert!(matches!(seal.unwrap(RSA, PIN, &altered, AAD).failure(), Failure::TokenKey(_)));
    // An object of the other kind needs a key that is not there.
    let aes = Pkcs11Object { mechanism: Mechanism::AesGcm, nonce: vec![0; 12], ciphertext: vec![0; 48] };
    assert_eq!(seal.unwrap("pkcs11:token=merlon%20lab;id=%02", PIN, &aes, AAD).failure(), Failure::Key(0));
}

#[test]
fn what_was_altered_or_belongs_to_another_keyslot_does_not_decrypt() {
    let seal = Seal::new(SoftHsm::with_aes(LABEL));
    let object = seal.wrap(AES, PIN).object();
    let refused = |object: &Pkcs11Object, aad: &[u8]| match seal.unwrap(AES, PIN, object, aad).failure() {
        Failure::TokenKey(code) => assert!(code.starts_with("CKR_") || code.contains("lengths"), "{code}"),
        other => panic!("{other}"),
    };
    refused(&object, b"instance, keyslot 8");
    refused(&object, b"");
    refused(&Pkcs11Object { nonce: vec![7; 12], ..object.clone() }, AAD);
    refused(&Pkcs11Object { nonce: Vec::new(), ..object.clone() }, AAD);
    refused(&Pkcs11Object { ciphertext: object.ciphertext[..47].to_vec(), ..object.clone() }, AAD);
    refused(&Pkcs11Object { ciphertext: Vec::new(), ..object.clone() }, AAD);
    refused(&Pkcs11Object { ciphertext: vec![0; 20_000], ..object.clone() }, AAD);
    assert_eq!(seal.unwrap(AES, PIN, &object, AAD).secret(), SECRET);
}

#[test]
fn another_key_under_the_same_name_does_not_decrypt() {
    let seal = Seal::new(SoftHsm::with_aes(LABEL));
    let object = seal.wrap(AES, PIN).object();
    seal.hsm.tool(LABEL, &["--delete-object", "--type", "secrkey", "--id", "01"]);
    seal.hsm.aes(LABEL, "01");
    let failure = seal.unwrap(AES, PIN, &object, AAD).failure();
    assert!(failure.to_string().contains("another key under the same label"), "{failure}");
}
