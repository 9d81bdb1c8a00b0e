//! PINs and the dictionary attack logic.

use merlon_wire::seal::{Failure, Tpm2Seal};

use crate::ask::{Keeper, PIN, SECRET, WRONG, value};
use crate::swtpm::Swtpm;

fn with_pin(auth: &[u8; 32]) -> Tpm2Seal<'_> {
    Tpm2Seal { auth, ..value(Some(Vec::new())) }
}

#[test]
fn a_pin_opens_and_a_wrong_one_says_how_many_tries_are_left() {
    let tpm = Swtpm::new();
    tpm.tool("tpm2_dictionarylockout", &["-s", "-n", "5", "-t", "1000", "-l", "1000"]);
    let keeper = Keeper::of(&tpm);
    let (object, notes) = keeper.seal(with_pin(&PIN)).unwrap();
    assert!(object.pin);
    assert!(notes.iter().any(|note| note.contains("lockout authorisation is not set")), "{notes:?}");
    assert_eq!(keeper.open_with(&object, &PIN, false), Ok(SECRET));
    assert_eq!(keeper.open_with(&object, &WRONG, false), Err(Failure::WrongPin { tries_left: 4 }));
    assert_eq!(keeper.open_with(&object, &WRONG, false), Err(Failure::WrongPin { tries_left: 3 }));
    assert_eq!(keeper.open_with(&object, &PIN, false), Ok(SECRET));
    assert!(matches!(keeper.open(&object), Err(Failure::Request(_))), "a PIN is missing");
    assert_eq!(keeper.describe(&[]).lockout_counter, 2);
}

#[test]
fn a_pin_and_pcrs_are_both_needed() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    tpm.extend(7);
    let (object, _) = keeper.seal(Tpm2Seal { auth: &PIN, ..value(None) }).unwrap();
    assert_eq!(keeper.open_with(&object, &PIN, false), Ok(SECRET));
    tpm.extend(7);
    assert_eq!(keeper.open_with(&object, &PIN, false), Err(Failure::PcrMismatch { changed: vec![7] }));
    assert_eq!(keeper.open_with(&object, &WRONG, false), Err(Failure::PcrMismatch { changed: vec![7] }));
    assert_eq!(keeper.describe(&[]).lockout_counter, 0, "a changed PCR costs no try");
}

#[test]
fn the_last_try_needs_force_and_after_it_the_tpm_is_locked() {
    let tpm = Swtpm::new();
    tpm.tool("tpm2_dictionarylockout", &["-s", "-n", "2", "-t", "1000", "-l", "1000"]);
    let keeper = Keeper::of(&tpm);
    let (object, _) = keeper.seal(with_pin(&PIN)).unwrap();
    assert_eq!(keeper.open_with(&object, &WRONG, false), Err(Failure::WrongPin { tries_left: 1 }));
    assert_eq!(keeper.open_with(&object, &PIN, false), Err(Failure::LastTry { wait_seconds: 1000 }));
    assert_eq!(keeper.describe(&[]).lockout_counter, 1, "nothing was tried");
    assert_eq!(keeper.open_with(&object, &PIN, true), Ok(SECRET));
    assert_eq!(keeper.open_with(&object, &WRONG, true), Err(Failure::Lockout { wait_seconds: 1000 }));
    assert_eq!(keeper.open_with(&object, &PIN, true), Err(Failure::Lockout { wait_seconds: 1000 }));
    tpm.tool("tpm2_dictionarylockout", &["--clear-lockout"]);
    assert_eq!(keeper.open_with(&object, &PIN, false), Ok(SECRET));
}

#[test]
fn a_lockout_does_not_lock_out_what_has_no_pin() {
    let tpm = Swtpm::new();
    tpm.tool("tpm2_dictionarylockout", &["-s", "-n", "1", "-t", "1000", "-l", "1000"]);
    let keeper = Keeper::of(&tpm);
    let (with, _) = keeper.seal(with_pin(&PIN)).unwrap();
    let (without, _) = keeper.seal(value(Some(Vec::new()))).unwrap();
    assert_eq!(keeper.open_with(&with, &WRONG, true), Err(Failure::Lockout { wait_seconds: 1000 }));
    assert_eq!(keeper.open(&without), Ok(SECRET));
}

#[test]
fn a_pin_may_end_in_zeroes() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let mut auth = PIN;
    auth[30] = 0;
    auth[31] = 0;
    let (object, _) = keeper.seal(with_pin(&auth)).unwrap();
    assert_eq!(keeper.open_with(&object, &auth, false), Ok(SECRET));
}

#[test]
fn a_set_lockout_password_is_seen() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    assert!(!keeper.describe(&[]).lockout_auth_set);
    tpm.tool("tpm2_changeauth", &["-c", "lockout", "lockout-password"]);
    let report = keeper.describe(&[]);
    assert!(report.lockout_auth_set && report.lockout_after > 0 && report.lockout_interval > 0, "{report:?}");
    let (_, notes) = keeper.seal(Tpm2Seal { auth: &PIN, ..value(Some(vec![16])) }).unwrap();
    assert!(notes.iter().all(|note| !note.contains("lockout authorisation")), "{notes:?}");
}
