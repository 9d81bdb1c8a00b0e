//! Passwords: Argon2id (RFC 9106) on threads of their own, two at a time, behind a queue of bounded length, so that
//! signing in cannot take the hub's memory or its other requests' time. Stored as PHC strings with their parameters.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::BASE64_NOPAD;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::random::{self, NoRandomness};

/// Memory in KiB and passes of new hashes: OWASP's first choice of 2024 (RFC 9106 recommends more where there is time).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// Lengths in bytes.
const SALT: usize = 16;
const HASH: usize = 32;
/// At work at once, and waiting for it.
const AT_WORK: usize = 2;
const QUEUE: usize = 32;
/// The shortest and the longest password.
const MIN_CHARACTERS: usize = 12;
const MAX_BYTES: usize = 256;

/// A password as it was typed. Wiped when dropped.
pub(crate) struct Password(Zeroizing<String>);

/// Why a text will not do as a new password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("a password has at least {MIN_CHARACTERS} characters; a few words that do not belong together will do")]
    Short,
    #[error("a password has at most {MAX_BYTES} bytes")]
    Long,
    #[error("the password is the account's name, or one character again and again")]
    Simple,
}

/// Why a password was neither hashed nor checked.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Too many wait already.
    #[error("too many people sign in at this moment; try again in a few seconds")]
    Busy,
    /// A stored hash cannot be read, or its cost is none that this program uses.
    #[error("a stored password hash cannot be read; restore the hub's database from a backup")]
    Damaged,
    /// The system failed.
    #[error("a password could not be hashed, for want of memory or of a thread")]
    Failed,
    /// The system failed.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl Password {
    /// As typed at sign-in. None: longer than any password.
    pub(crate) fn typed(text: String) -> Option<Self> {
        let text = Zeroizing::new(text);
        (text.len() <= MAX_BYTES).then_some(Self(text))
    }

    /// As chosen for an account of this name.
    ///
    /// # Errors
    /// [`Unfit`].
    pub(crate) fn chosen(text: String, name: &str) -> Result<Self, Unfit> {
        let password = Self::typed(text).ok_or(Unfit::Long)?;
        let first = password.0.chars().next();
        if password.0.chars().count() < MIN_CHARACTERS {
            Err(Unfit::Short)
        } else if password.0.eq_ignore_ascii_case(name) || password.0.chars().all(|c| Some(c) == first) {
            Err(Unfit::Simple)
        } else {
            Ok(password)
        }
    }
}

/// Where passwords are hashed.
pub(crate) struct Passwords {
    queue: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Passwords {
    /// With all its turns free.
    pub(crate) fn new() -> Self {
        Self { queue: Arc::new(Semaphore::new(AT_WORK + QUEUE)), turns: Arc::new(Semaphore::new(AT_WORK)) }
    }

    /// The PHC string of a new password.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub(crate) async fn hash(&self, password: Password) -> Result<String, PasswordError> {
        let salt = random::bytes::<SALT>()?;
        let hash =
            self.work(password, Stored { memory_kib: MEMORY_KIB, passes: PASSES, salt, hash: [0; HASH] }).await?;
        let encode = |bytes: &[u8]| BASE64_NOPAD.encode(bytes);
        Ok(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${}${}", encode(&salt), encode(&*hash)))
    }

    /// Is it the password of this PHC string? Without one, for an unknown account, it takes as long and is wrong.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub(crate) async fn verify(&self, password: Password, stored: Option<&str>) -> Result<bool, PasswordError> {
        let nobody = Stored { memory_kib: MEMORY_KIB, passes: PASSES, salt: [0; SALT], hash: [0; HASH] };
        let expected = match stored {
            Some(text) => Stored::parse(text).ok_or(PasswordError::Damaged)?,
            None => nobody,
        };
        let right = expected.hash;
        let hash = self.work(password, expected).await?;
        Ok(verify_slices_are_equal(&*hash, &right).is_ok() && stored.is_some())
    }

    async fn work(&self, password: Password, cost: Stored) -> Result<Zeroizing<[u8; HASH]>, PasswordError> {
        let place = self.queue.clone().try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            // The turn lasts as long as the work, also when whoever asked has gone.
            let _held = (place, turn);
            let params =
                Params::new(cost.memory_kib, cost.passes, 1, Some(HASH)).map_err(|_| PasswordError::Damaged)?;
            let mut hash = Zeroizing::new([0; HASH]);
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(password.0.as_bytes(), &cost.salt, &mut *hash)
                .map_err(|_| PasswordError::Failed)?;
            Ok(hash)
        });
        done.await.map_err(|_| PasswordError::Failed)?
    }
}

/// A PHC string, read.
struct Stored {
    memory_kib: u32,
    passes: u32,
    salt: [u8; SALT],
    hash: [u8; HASH],
}

impl Stored {
    /// Within bounds, so that an altered row cannot take all memory.
    fn parse(text: &str) -> Option<Self> {
        let (cost, rest) = text.strip_prefix("$argon2id$v=19$m=")?.split_once(",p=1$")?;
        let (memory, passes) = cost.split_once(",t=")?;
        let (salt, hash) = rest.split_once('$')?;
        let memory_kib = memory.parse().ok().filter(|kib| (MEMORY_KIB..=256 * 1024).contains(kib))?;
        let passes = passes.parse().ok().filter(|passes| (1..=10).contains(passes))?;
        let decode = |text: &str| BASE64_NOPAD.decode(text.as_bytes()).ok();
        Some(Self { memory_kib, passes, salt: decode(salt)?.try_into().ok()?, hash: decode(hash)?.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Password {
        Password::typed(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn the_right_password_and_no_other_is_right() {
        let passwords = Passwords::new();
        let stored = passwords.hash(typed("correct horse battery")).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(passwords.verify(typed("correct horse battery"), Some(&stored)).await.unwrap());
        assert!(!passwords.verify(typed("correct horse batterY"), Some(&stored)).await.unwrap());
        assert!(!passwords.verify(typed("correct horse battery"), None).await.unwrap());
        assert_ne!(stored, passwords.hash(typed("correct horse battery")).await.unwrap(), "salted");
        for bad in ["", "$argon2id$v=19$m=99999999,t=2,p=1$AAAA$AAAA", &stored[..stored.len() - 4]] {
            assert!(matches!(passwords.verify(typed("x"), Some(bad)).await, Err(PasswordError::Damaged)), "{bad}");
        }
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let passwords = Passwords::new();
        let _all = passwords.queue.clone().try_acquire_many_owned(34).unwrap();
        assert!(matches!(passwords.verify(typed("x"), None).await, Err(PasswordError::Busy)));
    }

    #[test]
    fn new_passwords_are_long_and_not_the_name() {
        let chosen = |text: &str| Password::chosen(text.to_owned(), "administrator").err();
        assert_eq!(chosen("twelve chars"), None);
        assert_eq!(chosen("eleven char"), Some(Unfit::Short));
        assert_eq!(chosen("Administrator"), Some(Unfit::Simple));
        assert_eq!(chosen(&"x".repeat(20)), Some(Unfit::Simple));
        assert_eq!(chosen(&"xy".repeat(129)), Some(Unfit::Long));
    }
}
