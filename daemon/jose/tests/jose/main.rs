//! Tokens from outside, whole and tampered with.

#![expect(clippy::unwrap_used, reason = "tests")]

mod access_tokens;
mod assertions;
mod keys;
mod maker;
mod proofs;
