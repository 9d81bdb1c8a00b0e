//! Signed policies, signed by openssl as a user does.

use std::fs;
use std::path::Path;
use std::process::Command;

use merlon_wire::seal::{Approval, Failure, Tpm2Object, Tpm2Seal, Tpm2Unseal};

use crate::ask::{Keeper, PIN, SECRET, plain, value};
use crate::swtpm::Swtpm;

fn openssl(dir: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A key pair; answers the public key as an uncompressed point.
fn key(dir: &Path, name: &str) -> Vec<u8> {
    openssl(dir, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name]);
    let public = openssl(dir, &["ec", "-in", name, "-pubout", "-outform", "DER", "-conv_form", "uncompressed"]);
    public[public.len() - 65..].to_vec()
}

/// Over a file with the policy's 32 bytes.
fn sign(dir: &Path, key: &str, policy: &[u8]) -> Vec<u8> {
    fs::write(dir.join("policy"), policy).unwrap();
    openssl(dir, &["dgst", "-sha256", "-sign", key, "-out", "signature", "policy"]);
    fs::read(dir.join("signature")).unwrap()
}

fn unseal(keeper: &Keeper, object: &Tpm2Object, approvals: &[(&[u8], &[u8])]) -> Result<[u8; 32], Failure> {
    let approvals = approvals.iter().map(|(policy, signature)| Approval { policy, signature }).collect();
    keeper.unseal(Tpm2Unseal { approvals, ..plain(object) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_signature_opens_before_and_after_a_change_of_the_machine() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    tpm.extend(7);
    let point = key(tpm.dir(), "key.pem");
    let (object, _) = keeper.seal(Tpm2Seal { policy_key: &point, ..value(Some(vec![4, 7])) }).unwrap();
    assert_eq!(object.policy_key, point);
    let before = keeper.describe(&[7, 4]).policy;
    assert_eq!(unseal(&keeper, &object, &[]), Err(Failure::NoSignature { policy: hex(&before) }));
    let signed = sign(tpm.dir(), "key.pem", &before);
    assert_eq!(unseal(&keeper, &object, &[(&before, &signed)]), Ok(SECRET));

    tpm.extend(4);
    let after = keeper.describe(&[4, 7]).policy;
    assert_ne!(before, after);
    assert_eq!(unseal(&keeper, &object, &[(&before, &signed)]), Err(Failure::NoSignature { policy: hex(&after) }));
    let again = sign(tpm.dir(), "key.pem", &after);
    assert_eq!(unseal(&keeper, &object, &[(&before, &signed), (&after, &again)]), Ok(SECRET));
}

#[test]
fn a_signature_by_another_key_or_over_another_policy_does_not_open() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let point = key(tpm.dir(), "key.pem");
    key(tpm.dir(), "other.pem");
    let (object, notes) = keeper.seal(Tpm2Seal { policy_key: &point, ..value(None) }).unwrap();
    assert_eq!(object.pcrs.len(), 1, "a key signs PCRs, so PCR 7 is taken although it is zero");
    assert!(notes[0].contains("PCR 7 measure nothing"), "{notes:?}");
    let policy = keeper.describe(&[7]).policy;
    let foreign = sign(tpm.dir(), "other.pem", &policy);
    let elsewhere = sign(tpm.dir(), "key.pem", &[1; 32]);
    let good = sign(tpm.dir(), "key.pem", &policy);
    assert_eq!(unseal(&keeper, &object, &[(&policy, &foreign)]), Err(Failure::BadSignature));
    assert_eq!(unseal(&keeper, &object, &[(&policy, &elsewhere)]), Err(Failure::BadSignature));
    assert_eq!(unseal(&keeper, &object, &[(&policy, b"no DER")]), Err(Failure::BadSignature));
    let all: [(&[u8], &[u8]); 3] = [(&policy, &foreign), (&policy, b""), (&policy, &good)];
    assert_eq!(unseal(&keeper, &object, &all), Ok(SECRET), "one that fits is enough");
}

#[test]
fn a_signed_policy_and_a_pin_are_both_needed() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let point = key(tpm.dir(), "key.pem");
    let wanted = Tpm2Seal { auth: &PIN, policy_key: &point, ..value(Some(vec![7])) };
    let (object, _) = keeper.seal(wanted).unwrap();
    let policy = keeper.describe(&[7]).policy;
    let signature = sign(tpm.dir(), "key.pem", &policy);
    let approvals = vec![Approval { policy: &policy, signature: &signature }];
    let open = |auth| keeper.unseal(Tpm2Unseal { auth, approvals: approvals.clone(), ..plain(&object) });
    assert_eq!(open(&PIN).unwrap(), SECRET);
    assert!(matches!(open(&[9; 32]), Err(Failure::WrongPin { .. })));
    assert!(matches!(keeper.open_with(&object, &PIN, false), Err(Failure::NoSignature { .. })));
}

#[test]
fn what_is_no_key_is_refused_when_sealing() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let mut off_the_curve = key(tpm.dir(), "key.pem");
    off_the_curve[64] ^= 1;
    for bad in [&off_the_curve[..], &[4; 64], &[3; 65], &[4]] {
        let refused = keeper.seal(Tpm2Seal { policy_key: bad, ..value(None) }).unwrap_err();
        assert!(matches!(refused, Failure::Request(_)), "{refused}");
    }
    let point = key(tpm.dir(), "key.pem");
    let refused = keeper.seal(Tpm2Seal { policy_key: &point, ..value(Some(Vec::new())) }).unwrap_err();
    assert!(refused.to_string().contains("PCRs"), "{refused}");
}
