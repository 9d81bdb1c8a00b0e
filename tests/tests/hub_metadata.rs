//! What a hub says of itself, and to whom it speaks at all.

use merlon_tests::hub::{Hub, Options};

#[test]
fn a_hub_says_when_it_is_ready_and_stops_clean() {
    let mut hub = Hub::new();
    let health = hub.get("/health");
    assert_eq!((health.status, &health.json["ready"]), (200, &true.into()));
    assert_eq!(health.json["name"], "merlon-hub");
    assert_eq!(hub.issuer, format!("http://{}", hub.address));
    let begun = hub.log();
    assert_eq!(hub.stop().code(), Some(0), "{begun}");
    hub.restart(&Options::default());
    assert_eq!(hub.get("/health").json["ready"], true);
}
