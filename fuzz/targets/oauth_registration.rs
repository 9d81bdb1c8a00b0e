//! Client metadata: no panic, and what is registered can be registered again as it is, to the same.

#![no_main]
#![expect(dead_code, reason = "the parsers are included as source; a target uses a part of them")]

#[path = "../../daemon/hub/src/clients.rs"]
mod clients;
#[path = "../../daemon/hub/src/random.rs"]
mod random;

mod oauth;

use libfuzzer_sys::fuzz_target;
use oauth::registration::{judge, members};

fuzz_target!(|bytes: &[u8]| {
    let Ok(sent) = members(bytes) else { return };
    let fit = match judge(&sent, None) {
        Ok(fit) => fit,
        Err(unfit) => return assert_eq!(unfit.to_string().lines().count(), 1),
    };
    let mut told = serde_json::to_value(&fit.metadata).unwrap();
    told["token_endpoint_auth_method"] = fit.auth.as_str().into();
    let again = members(told.to_string().as_bytes()).map(|told| judge(&told, Some(fit.kind)));
    if let Ok(again) = again {
        let again = again.unwrap();
        // An empty list of scopes asks for the default.
        assert!(again == fit || fit.metadata.scope.is_empty());
    }
});
