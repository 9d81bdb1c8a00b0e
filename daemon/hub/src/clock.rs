//! The time, as rows and tokens have it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000;

/// Microseconds since 1970-01-01 UTC.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Whole seconds since 1970-01-01 UTC of a time in microseconds.
pub(crate) fn seconds(us: i64) -> u64 {
    u64::try_from(us / SECOND).unwrap_or(0)
}
