//! How often strangers may begin to sign in: each of it is a request to the authorization server in the instance's name.
//! Token buckets, for each address and for all together, in bounded memory. The clock is handed in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Sign-ins in a row from one address, and seconds until there is one more.
const OF_ONE: (f64, f64) = (10.0, 6.0);
/// The same for all together.
const OF_ALL: (f64, f64) = (60.0, 1.0);
/// Addresses that are told apart.
const ADDRESSES: usize = 1024;

/// Counts beginnings.
pub(super) struct Limits {
    all: Bucket,
    each: HashMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    filled: Instant,
}

impl Bucket {
    fn full(burst: f64, now: Instant) -> Self {
        Self { left: burst, filled: now }
    }

    fn level(&self, (burst, seconds): (f64, f64), now: Instant) -> f64 {
        (self.left + now.saturating_duration_since(self.filled).as_secs_f64() / seconds).min(burst)
    }

    /// Takes one; how long to wait if there is none.
    fn take(&mut self, rate: (f64, f64), now: Instant) -> Result<(), Duration> {
        let level = self.level(rate, now);
        *self = Self { left: level, filled: now };
        if level < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - level) * rate.1));
        }
        self.left -= 1.0;
        Ok(())
    }
}

impl Limits {
    pub(super) fn new(now: Instant) -> Self {
        Self { all: Bucket::full(OF_ALL.0, now), each: HashMap::new() }
    }

    /// May this address begin now? None: the owner's socket, which only the common limit holds.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn begin(&mut self, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        if let Some(address) = address.map(network) {
            if self.each.len() >= ADDRESSES && !self.each.contains_key(&address) {
                self.each.retain(|_, bucket| bucket.level(OF_ONE, now) < OF_ONE.0);
            }
            // Where even that leaves no room, the common limit alone holds.
            if self.each.len() < ADDRESSES || self.each.contains_key(&address) {
                self.each.entry(address).or_insert(Bucket::full(OF_ONE.0, now)).take(OF_ONE, now)?;
            }
        }
        self.all.take(OF_ALL, now)
    }
}

/// One IPv6 network of 64 bits is one customer.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn one_address_is_held_and_others_go_on() {
        let now = Instant::now();
        let mut limits = Limits::new(now);
        for _ in 0..10 {
            limits.begin(address("2001:db8::1"), now).unwrap();
        }
        let wait = limits.begin(address("2001:db8::ffff:2"), now).unwrap_err();
        assert!((Duration::from_secs(5)..=Duration::from_secs(6)).contains(&wait), "{wait:?}");
        limits.begin(address("2001:db8:0:1::1"), now).unwrap();
        limits.begin(address("192.0.2.1"), now).unwrap();
        limits.begin(address("2001:db8::1"), now + Duration::from_secs(7)).unwrap();
    }

    #[test]
    fn all_together_are_held_and_memory_is_bounded() {
        let start = Instant::now();
        let mut limits = Limits::new(start);
        let mut passed = 0;
        for number in 0..5000u32 {
            passed += u32::from(limits.begin(Some(IpAddr::from(number.to_be_bytes())), start).is_ok());
        }
        assert_eq!(passed, 60);
        assert!(limits.each.len() <= ADDRESSES);
        assert!(limits.begin(None, start).is_err(), "the owner's socket, too");
        assert!(limits.begin(None, start + Duration::from_secs(2)).is_ok());
    }
}
