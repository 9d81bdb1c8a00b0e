//! Forms of the token and device endpoints and of the verification page: no panic; what is read is what a strict encoder
//! wrote; scopes, user codes, verifiers and redirect URIs never grow by being read.

#![no_main]
#![expect(dead_code, reason = "the parsers are included as source; a target uses a part of them")]

#[path = "../../daemon/hub/src/clients.rs"]
mod clients;
mod oauth;
#[path = "../../daemon/hub/src/random.rs"]
mod random;

use libfuzzer_sys::fuzz_target;
use oauth::{pkce, redirect, scope::Scopes, urlencoded, user_code::UserCode};

fuzz_target!(|bytes: &[u8]| {
    let Ok(parameters) = urlencoded::parse(bytes) else {
        return;
    };
    for (place, (name, value)) in parameters.iter().enumerate() {
        assert!(name.len() + value.len() <= bytes.len());
        assert!(parameters[..place].iter().all(|(before, _)| before != name));
        if let Ok(scopes) = Scopes::parse(value) {
            assert_eq!(Scopes::stored(&scopes.to_string()), scopes);
        }
        if let Some(code) = UserCode::typed(value) {
            assert_eq!(UserCode::typed(&code.shown()), Some(code));
        }
        if redirect::check(value).is_ok() {
            assert!(redirect::permitted([value.as_str()], value));
            assert!(!redirect::permitted([value.as_str()], &format!("{value}x")) || value.starts_with("http:"));
        }
        if let Some(challenge) = pkce::Challenge::parse(value) {
            assert!(!pkce::verify(challenge.as_str(), value), "no challenge is its own verifier");
        }
    }
});
