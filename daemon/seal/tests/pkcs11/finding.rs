//! Which token and which key a URI names.

use merlon_tests::softhsm::SoftHsm;
use merlon_wire::seal::{Failure, Mechanism};

use crate::ask::{AES, LABEL, PIN, RSA, Seal};

#[test]
fn exactly_one_token_has_to_fit() {
    let hsm = SoftHsm::with_aes(LABEL);
    hsm.token("twin");
    hsm.token("twin");
    let seal = Seal::new(hsm);
    let failure = seal.wrap("pkcs11:token=nobody;id=%01", PIN).failure();
    assert_eq!(failure, Failure::NoToken("nobody".into()));
    let failure = seal.wrap("pkcs11:token=merlon%20lab;serial=0;id=%01", PIN).failure();
    assert_eq!(failure, Failure::NoToken("merlon lab (serial 0)".into()));
    let failure = seal.wrap("pkcs11:token=twin;id=%01", PIN).failure().to_string();
    assert!(failure.contains("2 tokens fit it; add ;serial="), "{failure}");
    let whole = "pkcs11:token=merlon%20lab;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;id=%01";
    assert_eq!(seal.wrap(whole, PIN).object().mechanism, Mechanism::AesGcm);
}

#[test]
fn exactly_one_key_has_to_fit() {
    let hsm = SoftHsm::with_aes(LABEL);
    hsm.tool(LABEL, &["--keygen", "--key-type", "AES:32", "--id", "03", "--label", "a", "--usage-decrypt"]);
    hsm.tool(LABEL, &["--keygen", "--key-type", "AES:32", "--id", "03", "--label", "b", "--usage-decrypt"]);
    let seal = Seal::new(hsm);
    assert_eq!(seal.wrap("pkcs11:token=merlon%20lab;id=%09", PIN).failure(), Failure::Key(0));
    assert_eq!(seal.wrap("pkcs11:token=merlon%20lab;id=%03", PIN).failure(), Failure::Key(2));
    assert_eq!(seal.wrap("pkcs11:token=merlon%20lab;id=%01;type=private", PIN).failure(), Failure::Key(0));
    for one in ["pkcs11:token=merlon%20lab;id=%03;object=b", "pkcs11:token=merlon%20lab;object=a;type=secret-key"] {
        assert_eq!(seal.wrap(one, PIN).object().mechanism, Mechanism::AesGcm);
    }
}

#[test]
fn a_key_that_wants_the_pin_for_each_use_is_refused_before_it_is_used() {
    let hsm = SoftHsm::new();
    hsm.token(LABEL);
    hsm.tool(LABEL, &["--keypairgen", "--key-type", "rsa:2048", "--id", "02", "--usage-decrypt", "--always-auth"]);
    let failure = Seal::new(hsm).wrap(RSA, PIN).failure().to_string();
    assert!(failure.contains("CKA_ALWAYS_AUTHENTICATE") && failure.contains("make another key"), "{failure}");
}

#[test]
fn a_uri_that_brings_a_pin_is_refused_before_anything_is_loaded() {
    let seal = Seal::new(SoftHsm::new());
    let failure = seal.wrap(&format!("{AES}?pin-value={}", SoftHsm::PIN), None).failure();
    let text = failure.to_string();
    assert!(matches!(failure, Failure::Uri(_)) && text.contains("pin_file") && !text.contains(SoftHsm::PIN), "{text}");
}
