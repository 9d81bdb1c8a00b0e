//! Tokens, assertions, proofs and key sets of strangers: no panic, and no signature that nobody made is taken.

#![no_main]

use libfuzzer_sys::fuzz_target;
use merlon_jose::proof::ProofExpect;
use merlon_jose::{Jwks, access_token, assertion, proof};

fuzz_target!(|text: (&str, &str)| {
    let (token, set) = text;
    let keys = Jwks::parse(set.as_bytes()).unwrap_or_default();
    let expect = access_token::Expect { issuer: "https://hub.example", audience: None, now: 1_800_000_000, leeway: 0 };
    assert!(access_token::verify(token, &keys, &expect).is_err());
    assert!(assertion::verify(token, &keys, "cli_a", &["https://hub.example"], 1_800_000_000).is_err());
    let expect = ProofExpect {
        method: "POST",
        url: "https://hub.example/token",
        now: 1_800_000_000,
        access_token: None,
        nonce: None,
    };
    // A proof has its key with it, but nobody signs by chance.
    assert!(proof::verify(token, &expect).is_err());
});
