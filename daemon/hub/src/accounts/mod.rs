//! Accounts: how a person proves to be one, how one comes to be, and the browsers that are signed in. Rows are in
//! [`crate::store::accounts`] and [`crate::store::browsers`], pages in [`crate::pages`].
//!
//! Nobody signs up: the first account takes the setup code, every other one an invitation.

pub(crate) mod code;
pub(crate) mod limits;
pub(crate) mod name;
pub(crate) mod password;
pub(crate) mod setup;

use std::path::PathBuf;

use limits::SignInLimits;
use password::Passwords;

/// What the handlers of accounts share.
pub(crate) struct Accounts {
    /// Argon2id, off the threads that serve requests.
    pub(crate) passwords: Passwords,
    /// How fast passwords, invitations and user codes may be guessed at.
    pub(crate) limits: SignInLimits,
    /// The store's directory, where the setup code lies.
    pub(crate) dir: PathBuf,
}

impl Accounts {
    /// Nobody was here yet. `wrong_codes`: what `[hub]` says.
    pub(crate) fn new(wrong_codes: u32, dir: PathBuf) -> Self {
        Self { passwords: Passwords::new(), limits: SignInLimits::new(wrong_codes), dir }
    }
}
