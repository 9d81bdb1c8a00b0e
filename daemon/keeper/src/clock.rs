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

/// RFC 3339 in UTC with microseconds; a wild clock stops at the years 0 and 9999.
pub(crate) fn rfc3339(us: i64) -> String {
    const SECOND: i64 = 1_000_000;
    let us = us.clamp(-62_167_219_200 * SECOND, 253_402_300_800 * SECOND - 1);
    let seconds = us.div_euclid(SECOND);
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let time = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", us.rem_euclid(SECOND))
}

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar, which repeats every 400 years.
fn date(days: i64) -> (i64, i64, i64) {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    // From 1600-01-01, a year that begins a cycle.
    let days = days + 135_140;
    let (mut year, mut rest) = (1600 + days.div_euclid(146_097) * 400, days.rem_euclid(146_097));
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if rest < length {
            break;
        }
        rest -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.000000Z"),
            (-62_167_219_200, "0000-01-01T00:00:00.000000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1_000_000), text);
        }
        assert_eq!(rfc3339(i64::MAX), "9999-12-31T23:59:59.999999Z");
        assert_eq!(rfc3339(i64::MIN), "0000-01-01T00:00:00.000000Z");
    }
}
