//! What each process may do, as data.
//!
//! Owned here: one file per process, and the groups of system calls that several of them share. No code.

mod calls;
mod dialer;
mod engine;
mod hub;
mod keeper;
mod seal_pkcs11;
mod seal_tpm;

pub use dialer::{DIALER, DIALER_LINKING};
pub use engine::ENGINE;
pub use hub::HUB;
pub use keeper::{KEEPER, KEEPER_LINKING};
pub use seal_pkcs11::{SEAL_PKCS11, SEAL_PKCS11_ATTACHED};
pub use seal_tpm::{SEAL_EMULATOR, SEAL_TPM};

use crate::profile::Profile;

/// All profiles.
pub const ALL: &[&Profile] = &[
    &KEEPER,
    &KEEPER_LINKING,
    &ENGINE,
    &HUB,
    &DIALER,
    &DIALER_LINKING,
    &SEAL_TPM,
    &SEAL_EMULATOR,
    &SEAL_PKCS11,
    &SEAL_PKCS11_ATTACHED,
];
