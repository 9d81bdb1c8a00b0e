//! Token buckets by key, in tables of bounded size. The clock is handed in, in microseconds.
//!
//! A bucket that is empty refuses until it fills again; it never stays shut for longer than its rate says, so that nobody
//! can lock somebody else out for good.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much a bucket holds, and how fast it fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// At once.
    pub(crate) burst: u32,
    /// The time in which one comes back.
    pub(crate) each: Duration,
}

/// A refusal: when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// Until one is there again; at least a second.
    pub(crate) after: Duration,
}

/// Buckets for at most `capacity` keys; when there are more, the fullest (the least used) goes.
#[derive(Debug)]
pub(crate) struct Limiter<K> {
    rate: Rate,
    capacity: usize,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at_us: i64,
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    /// An empty table.
    pub(crate) fn new(rate: Rate, capacity: usize) -> Self {
        Self { rate, capacity, buckets: Mutex::default() }
    }

    /// Is there one left? Takes none.
    ///
    /// # Errors
    /// [`TooMany`].
    pub(crate) fn look(&self, key: &K, now_us: i64) -> Result<(), TooMany> {
        let level = self.buckets().get(key).map_or(self.full(), |bucket| self.level(bucket, now_us));
        self.judge(level)
    }

    /// Takes one, if there is one left.
    ///
    /// # Errors
    /// [`TooMany`]; nothing was taken.
    pub(crate) fn take(&self, key: &K, now_us: i64) -> Result<(), TooMany> {
        let mut buckets = self.buckets();
        let level = buckets.get(key).map_or(self.full(), |bucket| self.level(bucket, now_us));
        self.judge(level)?;
        self.put(&mut buckets, key, level - 1.0, now_us);
        Ok(())
    }

    /// Takes one also where none is left: for failures, which are counted when they have happened.
    pub(crate) fn count(&self, key: &K, now_us: i64) {
        let mut buckets = self.buckets();
        let level = buckets.get(key).map_or(self.full(), |bucket| self.level(bucket, now_us));
        self.put(&mut buckets, key, (level - 1.0).max(0.0), now_us);
    }

    /// Gives one back that was taken: for tries that turned out right.
    pub(crate) fn give_back(&self, key: &K, now_us: i64) {
        let mut buckets = self.buckets();
        if let Some(level) = buckets.get(key).map(|bucket| self.level(bucket, now_us)) {
            self.put(&mut buckets, key, (level + 1.0).min(self.full()), now_us);
        }
    }

    fn judge(&self, level: f64) -> Result<(), TooMany> {
        if level >= 1.0 {
            return Ok(());
        }
        let after = self.rate.each.mul_f64(1.0 - level).max(Duration::from_secs(1));
        Err(TooMany { after })
    }

    fn put(&self, buckets: &mut HashMap<K, Bucket>, key: &K, left: f64, at_us: i64) {
        if !buckets.contains_key(key) && buckets.len() >= self.capacity {
            self.make_room(buckets, at_us);
        }
        buckets.insert(key.clone(), Bucket { left, at_us });
    }

    /// Drops the buckets that are full again; if none is, the fullest.
    fn make_room(&self, buckets: &mut HashMap<K, Bucket>, now_us: i64) {
        buckets.retain(|_, bucket| self.level(bucket, now_us) < self.full());
        if buckets.len() >= self.capacity {
            let level = |bucket: &Bucket| self.level(bucket, now_us);
            let fullest = buckets.iter().max_by(|a, b| level(a.1).total_cmp(&level(b.1))).map(|(key, _)| key.clone());
            if let Some(key) = fullest {
                buckets.remove(&key);
            }
        }
    }

    /// A clock that goes back gives nothing.
    fn level(&self, bucket: &Bucket, now_us: i64) -> f64 {
        let passed = Duration::from_micros(u64::try_from(now_us - bucket.at_us).unwrap_or(0));
        (bucket.left + passed.as_secs_f64() / self.rate.each.as_secs_f64()).min(self.full())
    }

    fn full(&self) -> f64 {
        f64::from(self.rate.burst)
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<K, Bucket>> {
        // No code that can panic runs under the lock; a poisoned table would still be whole.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands for one place in the network: an IPv4 address, or the /64 of an IPv6 address, whose holder has all of it.
pub(crate) fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let net = address.to_bits() >> 64 << 64;
            std::net::Ipv6Addr::from_bits(net).into()
        }
    }
}

/// Keys of one table at most.
const KEYS: usize = 10_000;

/// The limits that several endpoints share.
pub(crate) struct Limits {
    /// Failed client authentication, by place.
    pub(crate) failed_auth_by_place: Limiter<IpAddr>,
    /// Failed client authentication, by place and client id: a stranger somewhere else locks no client out.
    pub(crate) failed_auth_by_client: Limiter<(IpAddr, String)>,
    /// Device authorizations, by place.
    pub(crate) device_by_place: Limiter<IpAddr>,
    /// Registrations without a registration key, by place.
    pub(crate) registrations_by_place: Limiter<IpAddr>,
    /// Wrong registration keys and registration access tokens, by place.
    pub(crate) wrong_registration_by_place: Limiter<IpAddr>,
}

impl Limits {
    /// Empty tables.
    pub(crate) fn new() -> Self {
        let each = Duration::from_millis;
        Self {
            failed_auth_by_place: Limiter::new(Rate { burst: 200, each: each(500) }, KEYS),
            failed_auth_by_client: Limiter::new(Rate { burst: 20, each: each(3000) }, KEYS),
            device_by_place: Limiter::new(Rate { burst: 30, each: each(2_000) }, KEYS),
            registrations_by_place: Limiter::new(Rate { burst: 60, each: each(30_000) }, KEYS),
            wrong_registration_by_place: Limiter::new(Rate { burst: 30, each: each(2_000) }, KEYS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, each: Duration::from_secs(10) };

    fn at(seconds: i64) -> i64 {
        seconds * 1_000_000
    }

    #[test]
    fn a_bucket_empties_and_fills_and_says_when() {
        let limiter = Limiter::new(RATE, 8);
        for _ in 0..3 {
            limiter.take(&"a", at(0)).unwrap();
        }
        assert_eq!(limiter.take(&"a", at(0)), Err(TooMany { after: Duration::from_secs(10) }));
        assert_eq!(limiter.take(&"a", at(4)), Err(TooMany { after: Duration::from_secs(6) }));
        limiter.take(&"b", at(0)).unwrap();
        limiter.take(&"a", at(10)).unwrap();
        assert!(limiter.look(&"a", at(10)).is_err());
        // Never more than a burst, however long it rests; a clock that goes back gives nothing.
        for _ in 0..3 {
            limiter.take(&"a", at(100_000)).unwrap();
        }
        assert!(limiter.look(&"a", at(100_000)).is_err());
        assert!(limiter.look(&"a", at(0)).is_err());
    }

    #[test]
    fn the_table_is_bounded_and_keeps_those_that_ask_most() {
        let limiter = Limiter::new(RATE, 4);
        for _ in 0..5 {
            limiter.count(&0, at(0));
        }
        for key in 1..1000 {
            limiter.count(&key, at(0));
            assert!(limiter.buckets().len() <= 4);
        }
        assert!(limiter.look(&0, at(0)).is_err(), "the emptiest bucket stays");
    }

    #[test]
    fn an_ipv6_network_is_one_place() {
        let place = |text: &str| place(text.parse().unwrap());
        assert_eq!(place("2001:db8::1"), place("2001:db8::ffff:1"));
        assert_ne!(place("2001:db8::1"), place("2001:db8:0:1::1"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
    }
}
