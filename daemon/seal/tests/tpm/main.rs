//! `merlon-seal` from outside, against one emulated TPM per test: what it is asked, what it answers, what the TPM says
//! afterwards.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod activation;
mod ask;
mod counters;
mod faults;
mod pins;
mod policies;
mod tap;
mod time;
mod values;
mod wire;

#[path = "../../../../tests/src/swtpm.rs"]
#[expect(unreachable_pub, reason = "it is the tests' of whole instances too")]
mod swtpm;
