//! The rollback counter, as far as it can be seen without a TPM: a counter that cannot be read keeps the instance
//! locked until that is accepted. What a counter says is tested beside `generation.rs`, with one of its own.

use std::fs;

use merlon_wire::admin::{AdminRefusal, Request, Response};

use crate::support::{Running, Scratch, Starting};

const COUNTER: &str = "[tpm]\nfirst_slot = false\ncounter = true\n";

fn warnings(running: &Running) -> String {
    match running.administer(&Request::Status).admin() {
        Response::Status(status) => status.warnings.join(" "),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_counter_that_cannot_be_made_is_told_and_stops_nothing() {
    let scratch = Scratch::new();
    let mut running = Starting::with_config(&scratch, COUNTER).spawn();
    assert!(!running.ready());
    let told = warnings(&running);
    assert!(told.contains("The rollback counter does not move"), "{told}");
    let made = running.administer(&Request::CreateToken { role: "viewer", label: "x" });
    assert!(matches!(made.admin(), Response::Token { .. }));
    let reset = running.administer(&Request::CounterReset);
    assert!(matches!(reset.admin(), Response::Refused(AdminRefusal::NoSeal(_))), "{:?}", reset.admin());
}

#[test]
fn only_what_was_found_can_be_accepted() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let open = running.administer(&Request::AcceptRollback("secrets.db"));
    assert_eq!(open.admin(), Response::Refused(AdminRefusal::AlreadyUnlocked));
    let off = running.administer(&Request::CounterReset);
    assert_eq!(off.admin(), Response::Refused(AdminRefusal::CounterOff));
    running.stop();
    fs::remove_file(scratch.file("file.key")).unwrap();
    let mut running = Starting::new(&scratch).spawn();
    assert!(running.ready());
    for name in ["secrets.db", "keyslots", "counter", "file.key"] {
        let refused = running.administer(&Request::AcceptRollback(name));
        assert_eq!(refused.admin(), Response::Refused(AdminRefusal::NothingToAccept(name.to_owned())));
    }
}
