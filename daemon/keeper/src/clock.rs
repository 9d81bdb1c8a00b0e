//! The time of day, for what is stored and signed, and the time since start, for limits.

use std::time::{Duration, Instant, SystemTime};

/// Microseconds since 1970-01-01 UTC; 0 for a clock set before that.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A clock that never goes back, whatever happens to the time of day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uptime(Instant);

impl Uptime {
    /// Starts at 0.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Since the start.
    pub(crate) fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
