//! How fast secrets that people type may be guessed at: by the place a guess comes from, by the account it is aimed at,
//! and for user codes by the whole hub. Pure: the clock is handed in.
//!
//! An empty bucket refuses right guesses too, and fills again by itself. So that a stranger who guesses at somebody's
//! password cannot keep them out, a browser in which the account was signed in before has a bucket of its own.

use std::net::IpAddr;
use std::time::Duration;

use crate::limits::{Limiter, Rate, TooMany, place};

/// Keys of one table at most.
const KEYS: usize = 10_000;

/// Limits on what people type.
pub(crate) struct SignInLimits {
    by_place: Limiter<IpAddr>,
    by_account: Limiter<(String, bool)>,
    codes_by_place: Limiter<IpAddr>,
    codes_by_account: Limiter<String>,
    codes: Limiter<()>,
}

impl SignInLimits {
    /// Full buckets. `wrong_codes`: wrong user codes a minute that the whole hub bears.
    pub(crate) fn new(wrong_codes: u32) -> Self {
        let seconds = Duration::from_secs;
        let hub = Rate { burst: wrong_codes, each: seconds(60) / wrong_codes.max(1) };
        Self {
            by_place: Limiter::new(Rate { burst: 20, each: seconds(10) }, KEYS),
            by_account: Limiter::new(Rate { burst: 10, each: seconds(30) }, KEYS),
            codes_by_place: Limiter::new(Rate { burst: 10, each: seconds(20) }, KEYS),
            codes_by_account: Limiter::new(Rate { burst: 10, each: seconds(20) }, KEYS),
            codes: Limiter::new(hub, 1),
        }
    }

    /// May somebody at this place try a password or an invitation?
    ///
    /// # Errors
    /// [`TooMany`].
    pub(crate) fn may_try(&self, address: IpAddr, now_us: i64) -> Result<(), TooMany> {
        self.by_place.take(&place(address), now_us)
    }

    /// May this account's password be tried? `known`: in a browser in which it was signed in before.
    ///
    /// # Errors
    /// [`TooMany`].
    pub(crate) fn may_try_account(&self, name: &str, known: bool, now_us: i64) -> Result<(), TooMany> {
        self.by_account.take(&(name.to_owned(), known), now_us)
    }

    /// The try was right: it does not count.
    pub(crate) fn was_right(&self, address: IpAddr, name: &str, known: bool, now_us: i64) {
        self.by_place.give_back(&place(address), now_us);
        self.by_account.give_back(&(name.to_owned(), known), now_us);
    }

    /// May this account, from this place, try a user code (RFC 8628, 5.1)?
    ///
    /// # Errors
    /// [`TooMany`].
    pub(crate) fn may_try_code(&self, address: IpAddr, account: &str, now_us: i64) -> Result<(), TooMany> {
        self.codes.look(&(), now_us)?;
        self.codes_by_place.look(&place(address), now_us)?;
        self.codes_by_account.look(&account.to_owned(), now_us)
    }

    /// A user code was wrong, expired or used.
    pub(crate) fn wrong_code(&self, address: IpAddr, account: &str, now_us: i64) {
        self.codes.count(&(), now_us);
        self.codes_by_place.count(&place(address), now_us);
        self.codes_by_account.count(&account.to_owned(), now_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn v2_wrong_codes_are_bounded_by_place_by_account_and_by_the_hub() {
        let limits = SignInLimits::new(25);
        for _ in 0..10 {
            limits.may_try_code(ip(1), "a", 0).unwrap();
            limits.wrong_code(ip(1), "a", 0);
        }
        assert!(limits.may_try_code(ip(1), "b", 0).is_err(), "the place");
        assert!(limits.may_try_code(ip(2), "a", 0).is_err(), "the account");
        limits.may_try_code(ip(2), "b", 0).unwrap();
        for n in 0..15 {
            limits.wrong_code(ip(100 + n), &format!("x{n}"), 0);
        }
        assert!(limits.may_try_code(ip(2), "b", 0).is_err(), "the hub");
        limits.may_try_code(ip(2), "b", 3_000_000).unwrap();
        assert!(limits.may_try_code(ip(1), "b", 3_000_000).is_err(), "the place, still");
    }

    #[test]
    fn guesses_of_strangers_do_not_keep_a_known_browser_out() {
        let limits = SignInLimits::new(300);
        for _ in 0..10 {
            limits.may_try_account("alice", false, 0).unwrap();
        }
        let refused = limits.may_try_account("alice", false, 0).unwrap_err();
        assert_eq!(refused.after, Duration::from_secs(30));
        limits.may_try_account("alice", true, 0).unwrap();
        limits.may_try_account("alice", false, 30_000_000).unwrap();
    }
}
