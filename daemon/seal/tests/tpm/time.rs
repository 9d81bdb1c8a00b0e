//! How long one run takes, from the start of the process to its end.

use std::time::{Duration, Instant};

use crate::ask::{self, Keeper, SECRET, value};
use crate::swtpm::Swtpm;

/// Times of whole runs, sorted.
fn measure(runs: usize) -> Vec<Duration> {
    let tpm = Swtpm::new();
    tpm.extend(7);
    let keeper = Keeper::of(&tpm);
    let (object, _) = keeper.seal(value(None)).unwrap();
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(keeper.open(&object), Ok(SECRET));
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times
}

#[test]
#[ignore = "a measurement, which `make bench` makes"]
fn figures() {
    ask::TRACE.store(false, std::sync::atomic::Ordering::Relaxed);
    let times = measure(50);
    let ms = |at: usize| times[at].as_secs_f64() * 1e3;
    println!("unseal: median {:.1} ms, 90 % {:.1} ms, least {:.1} ms of {} runs", ms(25), ms(45), ms(0), times.len());
}
