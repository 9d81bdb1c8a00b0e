//! How long one run takes, from the start of the process to its end.

use std::time::{Duration, Instant};

use crate::ask::{Keeper, SECRET, value};
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
fn an_unseal_takes_no_time_that_a_start_would_notice() {
    let times = measure(9);
    // Far above what it takes (some 10 ms), so that a busy machine does not fail it.
    assert!(times[times.len() / 2] < Duration::from_millis(1000), "{times:?}");
}

#[test]
#[ignore = "a measurement, for a quiet machine: cargo test -p merlon-seal -- --ignored --nocapture"]
fn figures() {
    let times = measure(50);
    println!("unseal, whole process, 50 runs: median {:?}, 90 % {:?}, least {:?}", times[25], times[45], times[0]);
    assert!(times[25] < Duration::from_millis(100), "{times:?}");
}
