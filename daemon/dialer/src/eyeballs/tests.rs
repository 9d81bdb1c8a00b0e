//! Races on a paused clock, between made-up hosts.

use std::sync::{Arc, Mutex};

use tokio::time::{Instant, sleep};

use super::*;

/// When each address was tried, in milliseconds, and what it does.
#[derive(Clone, Default)]
struct Net {
    script: Arc<Vec<(SocketAddr, u64, Option<io::ErrorKind>)>>,
    tried: Arc<Mutex<Vec<(u64, SocketAddr)>>>,
    open: Arc<Mutex<usize>>,
}

/// Counts attempts that are alive.
struct Alive(Arc<Mutex<usize>>);

impl Drop for Alive {
    fn drop(&mut self) {
        *self.0.lock().unwrap() -= 1;
    }
}

impl Net {
    fn new(script: &[(&str, u64, Option<io::ErrorKind>)]) -> Self {
        let script = script.iter().map(|&(address, after, end)| (address.parse().unwrap(), after, end)).collect();
        Self { script: Arc::new(script), ..Self::default() }
    }

    async fn race(&self, limit: u64) -> Result<SocketAddr, (SocketAddr, io::ErrorKind)> {
        let start = Instant::now();
        let addresses: Vec<_> = self.script.iter().map(|&(address, ..)| address).collect();
        let attempt = |address: SocketAddr| {
            let net = self.clone();
            let now = u64::try_from(start.elapsed().as_millis()).unwrap();
            net.tried.lock().unwrap().push((now, address));
            *net.open.lock().unwrap() += 1;
            let alive = Alive(net.open.clone());
            async move {
                let _alive = alive;
                let &(_, after, end) = net.script.iter().find(|&&(listed, ..)| listed == address).unwrap();
                sleep(Duration::from_millis(after)).await;
                end.map_or(Ok(()), |kind| Err(kind.into()))
            }
        };
        let limit = Duration::from_millis(limit);
        let result = race(addresses[0], &addresses[1..], limit, attempt).await;
        result.map(|(address, ())| address).map_err(|failed| (failed.address, failed.error.kind()))
    }

    fn starts(&self) -> Vec<u64> {
        self.tried.lock().unwrap().iter().map(|&(at, _)| at).collect()
    }
}

const SIX: &str = "[2001:db8::1]:1";
const SIX_B: &str = "[2001:db8::2]:1";
const FOUR: &str = "192.0.2.1:1";
const FOUR_B: &str = "192.0.2.2:1";
const FOREVER: u64 = 1_000_000;

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

#[test]
fn families_alternate_and_ipv6_is_first() {
    let sorted = |list: &[&str]| interleave(list.iter().map(|a| at(a)).collect());
    assert_eq!(sorted(&[FOUR, FOUR_B, SIX, SIX_B]), [at(SIX), at(FOUR), at(SIX_B), at(FOUR_B)]);
    assert_eq!(sorted(&[FOUR, SIX, FOUR_B]), [at(SIX), at(FOUR), at(FOUR_B)]);
    assert_eq!(sorted(&[FOUR_B, FOUR]), [at(FOUR_B), at(FOUR)]);
    assert_eq!(sorted(&[]), []);
}

#[tokio::test(start_paused = true)]
async fn a_fast_first_address_is_tried_alone() {
    let net = Net::new(&[(SIX, 240, None), (FOUR, 1, None)]);
    assert_eq!(net.race(10_000).await, Ok(at(SIX)));
    assert_eq!(net.starts(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_address_is_joined_by_the_next_after_250_ms() {
    let net = Net::new(&[(SIX, FOREVER, None), (FOUR, FOREVER, None), (SIX_B, 10, None), (FOUR_B, 10, None)]);
    let start = Instant::now();
    assert_eq!(net.race(10_000).await, Ok(at(SIX_B)));
    assert_eq!(net.starts(), [0, 250, 500]);
    assert_eq!(start.elapsed(), Duration::from_millis(510));
    tokio::task::yield_now().await;
    assert_eq!(*net.open.lock().unwrap(), 0, "the losers must be dropped");
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_address_may_still_win() {
    let net = Net::new(&[(SIX, 300, None), (FOUR, 100, None)]);
    assert_eq!(net.race(10_000).await, Ok(at(SIX)));
    assert_eq!(net.starts(), [0, 250]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_address_is_followed_at_once() {
    let refused = Some(io::ErrorKind::ConnectionRefused);
    let net = Net::new(&[(SIX, 0, refused), (FOUR, 7, refused), (FOUR_B, 5, None)]);
    let start = Instant::now();
    assert_eq!(net.race(10_000).await, Ok(at(FOUR_B)));
    assert_eq!(net.starts(), [0, 0, 7]);
    assert_eq!(start.elapsed(), Duration::from_millis(12));
}

#[tokio::test(start_paused = true)]
async fn the_limit_holds_over_all_addresses() {
    for script in [&[(SIX, FOREVER, None)][..], &[(SIX, FOREVER, None), (FOUR, FOREVER, None)]] {
        let net = Net::new(script);
        let start = Instant::now();
        let last = script.last().unwrap().0;
        assert_eq!(net.race(10_000).await, Err((at(last), io::ErrorKind::TimedOut)));
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }
}

#[tokio::test(start_paused = true)]
async fn the_most_telling_error_is_reported() {
    let refused = Some(io::ErrorKind::ConnectionRefused);
    let unreachable = Some(io::ErrorKind::NetworkUnreachable);
    let net = Net::new(&[(SIX, 0, unreachable), (FOUR, 5, refused), (SIX_B, 6, unreachable)]);
    assert_eq!(net.race(10_000).await, Err((at(FOUR), io::ErrorKind::ConnectionRefused)));
    let net = Net::new(&[(SIX, 0, unreachable), (FOUR, FOREVER, None)]);
    assert_eq!(net.race(10_000).await, Err((at(FOUR), io::ErrorKind::TimedOut)));
    let net = Net::new(&[(SIX, 3, unreachable)]);
    assert_eq!(net.race(10_000).await, Err((at(SIX), io::ErrorKind::NetworkUnreachable)));
}
