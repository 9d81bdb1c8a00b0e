//! Limits on failed tries, as token buckets in a table of bounded size. The clock is handed in.
//!
//! Passwords and access tokens are generated and have 128 bits or more, so guessing is hopeless at any speed; the
//! limits keep guessing from costing the keeper its time. A proxy user who is guessed at too fast is refused until
//! the bucket fills again, the right password included. An access token is looked up first and a right one always
//! passes: its holder must not be locked out by strangers, who cannot be told apart.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Failures in a row.
    pub(crate) burst: u32,
    /// Failures a second, in the long run.
    pub(crate) per_second: u32,
}

/// Failures per key, for at most `capacity` keys; when there are more, the fullest bucket (the least guessed at) goes.
#[derive(Debug)]
pub(crate) struct Limiter<K> {
    rate: Rate,
    capacity: usize,
    buckets: HashMap<K, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    filled: Duration,
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    /// An empty table.
    pub(crate) fn new(rate: Rate, capacity: usize) -> Self {
        Self { rate, capacity, buckets: HashMap::with_capacity(capacity) }
    }

    /// May this key be tried now?
    pub(crate) fn permits(&self, key: &K, now: Duration) -> bool {
        self.buckets.get(key).is_none_or(|bucket| self.level(bucket, now) >= 1.0)
    }

    /// Counts a failed try.
    pub(crate) fn failed(&mut self, key: &K, now: Duration) {
        let left = self.buckets.get(key).map_or(f64::from(self.rate.burst), |bucket| self.level(bucket, now));
        if !self.buckets.contains_key(key) && self.buckets.len() >= self.capacity {
            self.make_room(now);
        }
        self.buckets.insert(key.clone(), Bucket { left: (left - 1.0).max(0.0), filled: now });
    }

    fn level(&self, bucket: &Bucket, now: Duration) -> f64 {
        let gained = now.saturating_sub(bucket.filled).as_secs_f64() * f64::from(self.rate.per_second);
        (bucket.left + gained).min(f64::from(self.rate.burst))
    }

    fn make_room(&mut self, now: Duration) {
        let full = f64::from(self.rate.burst);
        let levels: Vec<(K, f64)> = self.buckets.iter().map(|(key, b)| (key.clone(), self.level(b, now))).collect();
        for (key, level) in &levels {
            if *level >= full {
                self.buckets.remove(key);
            }
        }
        if self.buckets.len() >= self.capacity
            && let Some((key, _)) = levels.iter().max_by(|a, b| a.1.total_cmp(&b.1))
        {
            self.buckets.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, per_second: 2 };

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn failures_empty_a_bucket_and_time_fills_it() {
        let mut limiter = Limiter::new(RATE, 8);
        for _ in 0..3 {
            assert!(limiter.permits(&"a", at(0)));
            limiter.failed(&"a", at(0));
        }
        assert!(!limiter.permits(&"a", at(0)));
        assert!(!limiter.permits(&"a", at(499)));
        assert!(limiter.permits(&"a", at(500)));
        assert!(limiter.permits(&"b", at(0)), "others are not touched");
        limiter.failed(&"a", at(500));
        assert!(!limiter.permits(&"a", at(500)));
        // Never more than a burst, however long it rests; a clock that goes back gives nothing.
        for _ in 0..3 {
            limiter.failed(&"a", at(1_000_000));
        }
        assert!(!limiter.permits(&"a", at(1_000_000)));
        assert!(!limiter.permits(&"a", at(0)));
    }

    #[test]
    fn the_table_is_bounded_and_keeps_those_that_are_guessed_at() {
        let mut limiter = Limiter::new(RATE, 4);
        for _ in 0..3 {
            limiter.failed(&0, at(0));
        }
        for key in 1..1000 {
            limiter.failed(&key, at(0));
            assert!(limiter.buckets.len() <= 4);
        }
        assert!(!limiter.permits(&0, at(0)), "the emptiest bucket stays");
    }
}
