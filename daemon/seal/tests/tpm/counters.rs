//! The NV counter.

use merlon_wire::seal::{Counter, Failure, Request};

use crate::ask::{Keeper, PIN, WRONG, counter};
use crate::swtpm::Swtpm;

#[test]
fn a_counter_rises_stays_over_a_restart_and_goes() {
    let mut tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let (index, first) = keeper.count(&Request::DefineCounter { auth: &PIN }).unwrap();
    assert!((0x0180_0100..=0x01bf_ffff).contains(&index) && first > 0);
    assert_eq!(keeper.count(&Request::ReadCounter(counter(index))), Ok((index, first)));
    assert_eq!(keeper.count(&Request::MoveCounter(counter(index))), Ok((index, first + 1)));
    tpm.restart();
    assert_eq!(keeper.count(&Request::MoveCounter(counter(index))), Ok((index, first + 2)));
    // Removed; what is made afterwards begins above it, perhaps at the same place.
    keeper.count(&Request::RemoveCounter(counter(index))).unwrap();
    assert_eq!(keeper.count(&Request::ReadCounter(counter(index))), Err(Failure::NoCounter(index)));
    let (_, next) = keeper.count(&Request::DefineCounter { auth: &PIN }).unwrap();
    assert!(next > first + 2, "{next}");
}

#[test]
fn two_counters_do_not_meet() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let (first, _) = keeper.count(&Request::DefineCounter { auth: &PIN }).unwrap();
    let (second, _) = keeper.count(&Request::DefineCounter { auth: &PIN }).unwrap();
    assert_ne!(first, second);
}

#[test]
fn a_counter_of_somebody_else_is_not_moved_or_removed() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let (index, value) = keeper.count(&Request::DefineCounter { auth: &PIN }).unwrap();
    let foreign = || Counter { index, auth: &WRONG };
    for request in [Request::MoveCounter(foreign()), Request::ReadCounter(foreign()), Request::RemoveCounter(foreign())]
    {
        assert_eq!(keeper.count(&request), Err(Failure::NoCounter(index)));
    }
    let unauthorised = keeper.count(&Request::ReadCounter(Counter { index, auth: &[] }));
    assert!(matches!(unauthorised, Err(Failure::Request(_))));
    assert_eq!(keeper.count(&Request::ReadCounter(counter(index))), Ok((index, value)));
    assert_eq!(keeper.describe(&[]).lockout_counter, 0);
    let outside = Request::RemoveCounter(counter(0x0100_0001));
    assert_eq!(keeper.count(&outside), Err(Failure::NoCounter(0x0100_0001)));
}

#[test]
fn a_cleared_tpm_has_no_counter_and_gets_no_key_by_a_look() {
    let tpm = Swtpm::new();
    let keeper = Keeper::of(&tpm);
    let (index, _) = keeper.count(&Request::DefineCounter { auth: &PIN }).unwrap();
    tpm.tool("tpm2_clear", &[]);
    assert_eq!(keeper.count(&Request::ReadCounter(counter(index))), Err(Failure::NoCounter(index)));
    assert_eq!(keeper.count(&Request::MoveCounter(counter(index))), Err(Failure::NoCounter(index)));
    assert!(keeper.describe(&[]).srk_name.is_empty());
}
