//! Sign-ins under way, in memory only: what each waits for, and when it may be polled again. The clock is handed in, and
//! nothing here speaks to anybody.
//!
//! The id of a sign-in is known to whoever reads along at its beginning; its verifier only to the client that began it.
//! Without the verifier there is no answer that differs from that for an id that never was.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use merlon_sandbox::secret::{SecretBuf, ct_eq};

/// Sign-ins under way at once.
pub(super) const MOST: usize = 64;
/// Of one address.
const MOST_OF_ONE: usize = 16;
/// What a server adds by `slow_down` (RFC 8628, 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// The longest pause between polls, whatever went wrong.
const SLOWEST: Duration = Duration::from_secs(120);

/// What a poll needs of a sign-in. Shared, so that no secret is copied.
pub(super) struct SignIn {
    /// `device_code`
    pub(super) device_code: SecretBuf,
    /// The claim code that was checked at the beginning.
    pub(super) claim_code: Option<SecretBuf>,
    /// What the client is, as it said.
    pub(super) label: String,
}

struct Pending {
    challenge: [u8; 32],
    address: Option<IpAddr>,
    ends: Instant,
    interval: Duration,
    not_before: Instant,
    /// A poll is being relayed.
    busy: bool,
    sign_in: Arc<SignIn>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Table(HashMap<String, Pending>);

/// What a poll may do.
pub(super) enum Turn {
    /// Nothing by this id and verifier.
    None,
    /// Its time is over.
    Expired,
    /// It came too early, or another poll is under way; seconds to wait.
    Wait(u32),
    /// Ask the server now, then [`Table::settle`].
    Ask(Arc<SignIn>),
}

/// What came of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Not approved yet.
    Pending,
    /// Not approved yet, and polled too fast for the server.
    SlowDown,
    /// No answer that could be used (RFC 8628, 3.5: poll less often).
    NoAnswer,
    /// The client must send a proof of another kind; nothing was decided, and it may do so at once.
    Again,
    /// Tokens, or an error that ends it.
    Over,
}

/// There is no room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Table {
    /// Puts one in place.
    ///
    /// # Errors
    /// [`Full`], before or for this address.
    pub(super) fn insert(
        &mut self,
        id: String,
        challenge: [u8; 32],
        address: Option<IpAddr>,
        (life, interval): (Duration, Duration),
        sign_in: SignIn,
        now: Instant,
    ) -> Result<(), Full> {
        self.room(address, now)?;
        let pending = Pending {
            challenge,
            address,
            ends: now + life,
            interval,
            not_before: now + interval,
            busy: false,
            sign_in: Arc::new(sign_in),
        };
        self.0.insert(id, pending);
        Ok(())
    }

    /// Is there room for one more, of this address?
    ///
    /// # Errors
    /// [`Full`]
    pub(super) fn room(&mut self, address: Option<IpAddr>, now: Instant) -> Result<(), Full> {
        // What has expired is kept a while, so that its client hears why; not at the cost of others.
        if self.0.len() >= MOST {
            self.0.retain(|_, pending| pending.ends > now);
        }
        let of_one = self.0.values().filter(|pending| address.is_some() && pending.address == address).count();
        match self.0.len() < MOST && of_one < MOST_OF_ONE {
            true => Ok(()),
            false => Err(Full),
        }
    }

    /// What this poll may do.
    pub(super) fn turn(&mut self, id: &str, verifier: &str, now: Instant) -> Turn {
        let Some(pending) = self.0.get_mut(id) else { return Turn::None };
        if !ct_eq(digest(&SHA256, verifier.as_bytes()).as_ref(), &pending.challenge) {
            return Turn::None;
        }
        if pending.ends <= now {
            self.0.remove(id);
            return Turn::Expired;
        }
        if pending.busy || now < pending.not_before {
            return Turn::Wait(seconds(pending.interval.max(pending.not_before.saturating_duration_since(now))));
        }
        pending.busy = true;
        Turn::Ask(Arc::clone(&pending.sign_in))
    }

    /// Notes what came of a poll; the seconds to wait before the next one.
    pub(super) fn settle(&mut self, id: &str, outcome: Outcome, now: Instant) -> u32 {
        let Some(pending) = self.0.get_mut(id) else { return 0 };
        pending.busy = false;
        match outcome {
            Outcome::Over => {
                self.0.remove(id);
                return 0;
            }
            Outcome::Again => {
                pending.not_before = now;
                return 0;
            }
            Outcome::Pending => {}
            // For this and all later polls.
            Outcome::SlowDown => pending.interval = (pending.interval + SLOWER).min(SLOWEST),
            Outcome::NoAnswer => pending.interval = (pending.interval * 2).min(SLOWEST),
        }
        pending.not_before = now + pending.interval;
        seconds(pending.interval)
    }
}

/// Rounded up.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "v";
    const FIVE: Duration = Duration::from_secs(5);

    fn sign_in() -> SignIn {
        let secret = |text: &[u8]| SecretBuf::from_slice(text).unwrap();
        SignIn { device_code: secret(b"d"), claim_code: None, label: String::new() }
    }

    fn insert(table: &mut Table, id: &str, address: Option<IpAddr>, now: Instant) -> Result<(), Full> {
        let challenge = digest(&SHA256, VERIFIER.as_bytes()).as_ref().try_into().unwrap();
        table.insert(id.into(), challenge, address, (Duration::from_secs(600), FIVE), sign_in(), now)
    }

    fn asks(table: &mut Table, now: Instant) -> bool {
        matches!(table.turn("a", VERIFIER, now), Turn::Ask(_))
    }

    fn table(now: Instant) -> Table {
        let mut table = Table::default();
        insert(&mut table, "a", None, now).unwrap();
        table
    }

    #[test]
    fn the_id_alone_yields_nothing() {
        let now = Instant::now();
        let mut table = table(now);
        for (id, verifier) in [("a", "w"), ("a", ""), ("b", VERIFIER), ("", "")] {
            assert!(matches!(table.turn(id, verifier, now + FIVE), Turn::None), "{id} {verifier}");
        }
        assert!(asks(&mut table, now + FIVE), "wrong verifiers harm nobody");
    }

    #[test]
    fn p9_at_least_the_interval_lies_between_polls() {
        let now = Instant::now();
        let mut table = table(now);
        assert!(matches!(table.turn("a", VERIFIER, now), Turn::Wait(5)));
        assert!(asks(&mut table, now + FIVE));
        assert!(matches!(table.turn("a", VERIFIER, now + FIVE), Turn::Wait(5)), "one poll at a time");
        assert_eq!(table.settle("a", Outcome::Pending, now + FIVE), 5);
        assert!(!asks(&mut table, now + FIVE * 2 - Duration::from_millis(1)));
        assert!(asks(&mut table, now + FIVE * 2));
    }

    #[test]
    fn p5_slow_down_adds_five_seconds_for_this_and_all_later_polls() {
        let mut now = Instant::now();
        let mut table = table(now);
        for (outcome, interval) in
            [(Outcome::SlowDown, 10), (Outcome::Pending, 10), (Outcome::SlowDown, 15), (Outcome::Pending, 15)]
        {
            now += Duration::from_secs(20);
            assert!(asks(&mut table, now));
            assert_eq!(table.settle("a", outcome, now), interval);
            assert!(!asks(&mut table, now + Duration::from_secs(u64::from(interval)) - Duration::from_millis(1)));
        }
    }

    #[test]
    fn p8_without_an_answer_polls_come_ever_more_seldom() {
        let mut now = Instant::now();
        let mut table = table(now);
        let mut intervals = Vec::new();
        for _ in 0..6 {
            now += SLOWEST;
            match table.turn("a", VERIFIER, now) {
                Turn::Ask(_) => intervals.push(table.settle("a", Outcome::NoAnswer, now)),
                Turn::Expired => break,
                Turn::Wait(_) | Turn::None => panic!("it may be polled"),
            }
        }
        assert_eq!(intervals, [10, 20, 40, 80]);
    }

    #[test]
    fn p7_what_is_over_is_gone_and_what_has_expired_says_so_once() {
        let now = Instant::now();
        let mut over = table(now);
        assert!(asks(&mut over, now + FIVE));
        over.settle("a", Outcome::Over, now + FIVE);
        assert!(matches!(over.turn("a", VERIFIER, now + FIVE * 2), Turn::None));
        let late = now + Duration::from_secs(600);
        let mut expired = table(now);
        assert!(matches!(expired.turn("a", VERIFIER, late), Turn::Expired));
        assert!(matches!(expired.turn("a", VERIFIER, late), Turn::None));
    }

    #[test]
    fn a_proof_with_another_nonce_may_come_at_once() {
        let now = Instant::now();
        let mut table = table(now);
        assert!(asks(&mut table, now + FIVE));
        table.settle("a", Outcome::Again, now + FIVE);
        assert!(asks(&mut table, now + FIVE));
    }

    #[test]
    fn their_number_is_bounded_for_one_address_and_for_all() {
        let now = Instant::now();
        let mut table = Table::default();
        let address = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        for number in 0..16 {
            insert(&mut table, &format!("one{number}"), address(1), now).unwrap();
        }
        assert_eq!(insert(&mut table, "more", address(1), now), Err(Full));
        for number in 16..64 {
            insert(&mut table, &format!("all{number}"), address(number), now).unwrap();
        }
        assert_eq!(insert(&mut table, "more", address(200), now), Err(Full));
        assert_eq!(insert(&mut table, "more", None, now), Err(Full));
        insert(&mut table, "more", address(1), now + Duration::from_secs(601)).unwrap();
        assert_eq!(table.0.len(), 1);
    }
}
