//! `merlon-seal` with a PKCS#11 token. The token is SoftHSM's, or a module of the test's own where it has to misbehave.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic, in its helpers as well")]

mod ask;
mod finding;
mod modules;
mod pins;
mod values;
