//! `merlon keyslot rotate` at a hub: the keeper's part at once, the database's at the next start.

use merlon_tests::browser::{PASSWORD, first_account, signed_in};
use merlon_tests::hub::{Hub, Options};
use merlon_tests::process::stderr;

#[test]
fn all_keys_of_a_hub_are_replaced_twice_and_nothing_is_lost() {
    let mut hub = Hub::new();
    drop(first_account(&hub, "alice"));
    for round in 0..2 {
        let rotated = hub.cli(&["keyslot", "rotate"]);
        let said = stderr(&rotated);
        assert!(rotated.status.success(), "round {round}: {said}");
        assert!(said.contains("gets its new key when the hub starts again"), "{said}");
        // Until then the old key opens it.
        let mut alice = signed_in(&hub.issuer, "alice", PASSWORD);
        assert_eq!(alice.get("/").status, 200);
        hub.kill();
        hub.restart(&Options::default());
        assert!(hub.log().matches("the database has its new key").count() > round, "{}", hub.log());
        assert_eq!(signed_in(&hub.issuer, "alice", PASSWORD).get("/").status, 200);
    }
    assert_eq!(hub.stop().code(), Some(0));
}
