//! Points in time on the wire: RFC 3339, UTC, always with microseconds, so that they sort as text.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};

/// Microseconds since 1970-01-01 UTC; written `2026-01-31T23:59:59.000001Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A text that is no point in time of this API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTimestamp(String);

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400;
/// 0000-01-01 and the last microsecond of 9999, beyond which RFC 3339 has no words. A wild clock stops there.
const RANGE: (i64, i64) = (-62_167_219_200 * SECOND, 253_402_300_800 * SECOND - 1);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.clamp(RANGE.0, RANGE.1);
        let seconds = micros.div_euclid(SECOND);
        let (year, month, day) = date(seconds.div_euclid(DAY));
        let time = seconds.rem_euclid(DAY);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", micros.rem_euclid(SECOND))
    }
}

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        parse(text).map(Self).ok_or_else(|| BadTimestamp(text.to_owned()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339 in UTC with microseconds.",
            "examples": ["2026-01-31T23:59:59.000001Z"],
        })
    }
}

impl std::error::Error for BadTimestamp {}

impl fmt::Display for BadTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no time; write it like 2026-01-31T23:59:59Z", self.0)
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Years are counted from March, so
/// that a leap day is the last of its year.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The inverse of [`date`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn parse(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z')?;
    let (main, fraction) = text.split_once('.').unwrap_or((text, ""));
    let shape = b"0000-00-00T00:00:00";
    let fits = |(byte, shape): (u8, u8)| {
        if shape == b'0' { byte.is_ascii_digit() } else { byte == shape }
    };
    if main.len() != shape.len() || !main.bytes().zip(*shape).all(fits) {
        return None;
    }
    if fraction.len() > 6 || !fraction.bytes().all(|b| b.is_ascii_digit()) || text.ends_with('.') {
        return None;
    }
    let number = |range: std::ops::Range<usize>| main[range].parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let known_day = (1..=12).contains(&month) && day >= 1 && date(days(year, month, day)) == (year, month, day);
    if !known_day || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
    Some((days(year, month, day) * DAY + hour * 3600 + minute * 60 + second) * SECOND + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_and_read() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400 * SECOND, "2000-02-29T00:00:00.000000Z"),
            (1_769_903_999 * SECOND + 1, "2026-01-31T23:59:59.000001Z"),
            (4_107_542_400 * SECOND, "2100-03-01T00:00:00.000000Z"),
            (RANGE.1, "9999-12-31T23:59:59.999999Z"),
            (RANGE.0, "0000-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(Timestamp(micros).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(micros)));
        }
        assert_eq!("2026-01-31T23:59:59.5Z".parse(), Ok(Timestamp(1_769_903_999 * SECOND + 500_000)));
    }

    #[test]
    fn every_day_of_eight_hundred_years_comes_back() {
        for day in -146_097..146_097 {
            let (year, month, day_of_month) = date(day);
            assert_eq!(days(year, month, day_of_month), day);
        }
    }

    #[test]
    fn a_wild_clock_stays_within_what_can_be_written() {
        assert_eq!(Timestamp(i64::MAX).to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp(i64::MIN).to_string(), "0000-01-01T00:00:00.000000Z");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for wrong in [
            "",
            "now",
            "2026-01-31",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.0000001Z",
            "+026-01-01T00:00:00Z",
        ] {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
    }
}
