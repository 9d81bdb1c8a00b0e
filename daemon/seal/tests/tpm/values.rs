//! Sealing and unsealing by the machine alone.

use merlon_wire::seal::Failure;

use crate::ask::{Keeper, SECRET, value};
use crate::swtpm::Swtpm;

#[test]
fn what_was_sealed_comes_back_also_after_a_restart() {
    let mut tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let (object, notes) = keeper.seal(value(Some(Vec::new()))).unwrap();
    assert!(object.pcrs.is_empty() && !object.pin && object.policy_key.is_empty());
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("bound to the TPM only"), "{notes:?}");
    assert_eq!(keeper.open(&object), Ok(SECRET));
    tpm.restart();
    assert_eq!(keeper.open(&object), Ok(SECRET));
    let public = tpm.tool("tpm2_readpublic", &["-c", "0x81000001"]).stdout;
    let public = String::from_utf8(public).unwrap();
    let name: String = object.srk_name.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(public.contains(&name), "{public}\n{name}");
    for attribute in ["fixedtpm", "fixedparent", "noda", "restricted", "decrypt"] {
        assert!(public.contains(attribute), "{public}");
    }
}

#[test]
fn pcr_7_is_the_default_where_it_measures_something() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let (object, notes) = keeper.seal(value(None)).unwrap();
    assert!(object.pcrs.is_empty());
    assert!(notes[0].contains("PCR 7 measures nothing"), "{notes:?}");
    tpm.extend(7);
    let (object, notes) = keeper.seal(value(None)).unwrap();
    assert_eq!(object.pcrs.iter().map(|pcr| pcr.index).collect::<Vec<_>>(), [7]);
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(keeper.open(&object), Ok(SECRET));
}

#[test]
fn a_changed_pcr_is_named_and_a_new_seal_opens_again() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    tpm.extend(7);
    // More than the eight that a TPM gives at a time, in no order.
    let pcrs = vec![14, 0, 1, 2, 3, 4, 5, 6, 7, 9, 7];
    let (object, _) = keeper.seal(value(Some(pcrs.clone()))).unwrap();
    assert_eq!(object.pcrs.len(), 10);
    assert_eq!(keeper.open(&object), Ok(SECRET));
    tpm.extend(4);
    tpm.extend(14);
    assert_eq!(keeper.open(&object), Err(Failure::PcrMismatch { changed: vec![4, 14] }));
    assert_eq!(keeper.describe(&[]).lockout_counter, 0);
    let (again, _) = keeper.seal(value(Some(pcrs))).unwrap();
    assert_eq!(keeper.open(&again), Ok(SECRET));
}

#[test]
fn another_tpm_is_told_before_anything_is_sent() {
    let (first, second) = (Swtpm::new(), Swtpm::new());
    let (object, _) = Keeper::of(&first).seal(value(None)).unwrap();
    let keeper = Keeper::of(&second);
    // No key at all, then one of its own.
    assert_eq!(keeper.open(&object), Err(Failure::OtherTpm));
    assert!(keeper.describe(&[]).srk_name.is_empty(), "unsealing makes no key");
    keeper.seal(value(None)).unwrap();
    assert_eq!(keeper.open(&object), Err(Failure::OtherTpm));
    // The first one, cleared: its keys are others now.
    first.tool("tpm2_clear", &[]);
    let keeper = Keeper::of(&first);
    keeper.seal(value(None)).unwrap();
    assert_eq!(keeper.open(&object), Err(Failure::OtherTpm));
}

#[test]
fn a_damaged_object_is_refused() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    tpm.extend(7);
    let (object, _) = keeper.seal(value(None)).unwrap();
    for at in 0..object.private.len() {
        // Each kind of field once: sizes, the integrity value, what is encrypted.
        if [0, 1, 2, 20, 34, 60, object.private.len() - 1].contains(&at) {
            let mut damaged = object.clone();
            damaged.private[at] ^= 0x40;
            assert_eq!(keeper.open(&damaged), Err(Failure::Damaged), "private, byte {at}");
        }
    }
    for at in [0, 3, 5, 9, 20, object.public.len() - 1] {
        let mut damaged = object.clone();
        damaged.public[at] ^= 0x40;
        assert_eq!(keeper.open(&damaged), Err(Failure::Damaged), "public, byte {at}");
    }
    let mut cut = object.clone();
    cut.public.truncate(20);
    assert_eq!(keeper.open(&cut), Err(Failure::Damaged));
    // A policy with other PCRs than were sealed.
    let mut other = object.clone();
    other.pcrs[0].index = 8;
    assert!(matches!(keeper.open(&other), Err(Failure::PcrMismatch { .. })));
    other.pcrs.clear();
    assert_eq!(keeper.open(&other), Err(Failure::Damaged));
    assert_eq!(keeper.open(&object), Ok(SECRET));
}

#[test]
fn a_key_that_others_put_there_is_used_and_never_replaced() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    tpm.tool("tpm2_createprimary", &["-C", "o", "-G", "rsa2048", "-c", "rsa.ctx"]);
    tpm.tool("tpm2_evictcontrol", &["-C", "o", "-c", "rsa.ctx", "0x81000001"]);
    tpm.tool("tpm2_flushcontext", &["-t"]);
    let before = tpm.tool("tpm2_readpublic", &["-c", "0x81000001"]).stdout;
    let (object, _) = keeper.seal(value(None)).unwrap();
    assert_eq!(keeper.open(&object), Ok(SECRET));
    assert_eq!(tpm.tool("tpm2_readpublic", &["-c", "0x81000001"]).stdout, before);
}

#[test]
fn what_is_no_storage_key_is_refused_and_left_there() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let signing = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|noda";
    tpm.tool("tpm2_createprimary", &["-C", "o", "-G", "ecc256", "-a", signing, "-c", "sign.ctx"]);
    tpm.tool("tpm2_evictcontrol", &["-C", "o", "-c", "sign.ctx", "0x81000001"]);
    tpm.tool("tpm2_flushcontext", &["-t"]);
    let before = tpm.tool("tpm2_readpublic", &["-c", "0x81000001"]).stdout;
    assert_eq!(keeper.seal(value(None)).unwrap_err(), Failure::NotAStorageKey("it is not restricted".to_owned()));
    assert_eq!(tpm.tool("tpm2_readpublic", &["-c", "0x81000001"]).stdout, before);
}

#[test]
fn an_owner_password_only_matters_where_no_key_is_there_yet() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    tpm.tool("tpm2_changeauth", &["-c", "owner", "owner-password"]);
    assert_eq!(keeper.seal(value(None)).unwrap_err(), Failure::OwnerAuth);
    tpm.tool("tpm2_changeauth", &["-c", "owner", "-p", "owner-password"]);
    let (object, _) = keeper.seal(value(None)).unwrap();
    tpm.tool("tpm2_changeauth", &["-c", "owner", "owner-password"]);
    assert_eq!(keeper.open(&object), Ok(SECRET));
    keeper.seal(value(None)).unwrap();
}
