//! One range of bytes (RFC 9110, 14.1.2 and 14.2). Pure.

use std::ops::Range;

/// What a `Range` header asks of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it: no header, one of another unit, a malformed one, or several ranges (which may be answered by all).
    All,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that it does not have.
    Beyond,
}

/// What `header` asks of a representation of `size` bytes.
pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(set) = header.and_then(|header| {
        let (unit, set) = header.split_once('=')?;
        unit.eq_ignore_ascii_case("bytes").then_some(set.trim())
    }) else {
        return Wanted::All;
    };
    let Some((first, last)) = set.split_once('-').filter(|_| !set.contains(',')) else {
        return Wanted::All;
    };
    match (number(first), number(last)) {
        (Number::Is(first), Number::Is(last)) if first > last => Wanted::All,
        (Number::Is(first), Number::Is(_) | Number::Empty) if first >= size => Wanted::Beyond,
        (Number::Is(first), Number::Is(last)) => Wanted::Part(first..last.saturating_add(1).min(size)),
        (Number::Is(first), Number::Empty) => Wanted::Part(first..size),
        (Number::Empty, Number::Is(0)) => Wanted::Beyond,
        (Number::Empty, Number::Is(_)) if size == 0 => Wanted::Beyond,
        (Number::Empty, Number::Is(count)) => Wanted::Part(size.saturating_sub(count)..size),
        _ => Wanted::All,
    }
}

enum Number {
    Empty,
    Is(u64),
    Wrong,
}

fn number(text: &str) -> Number {
    match text {
        "" => Number::Empty,
        _ if !text.bytes().all(|b| b.is_ascii_digit()) => Number::Wrong,
        // More digits than fit are a number all the same, beyond every end.
        _ => Number::Is(text.parse().unwrap_or(u64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_what_the_standard_says() {
        for (header, size, expected) in [
            ("bytes=0-0", 10, Wanted::Part(0..1)),
            ("bytes=2-5", 10, Wanted::Part(2..6)),
            ("BYTES=2-", 10, Wanted::Part(2..10)),
            ("bytes=5-99", 10, Wanted::Part(5..10)),
            ("bytes=0-18446744073709551615", 10, Wanted::Part(0..10)),
            ("bytes=0-99999999999999999999999", 10, Wanted::Part(0..10)),
            ("bytes=-3", 10, Wanted::Part(7..10)),
            ("bytes=-99", 10, Wanted::Part(0..10)),
            ("bytes=10-", 10, Wanted::Beyond),
            ("bytes=99999999999999999999999-", 10, Wanted::Beyond),
            ("bytes=0-", 0, Wanted::Beyond),
            ("bytes=-0", 10, Wanted::Beyond),
            ("bytes=-1", 0, Wanted::Beyond),
            ("bytes=5-2", 10, Wanted::All),
            ("bytes=0-1,3-4", 10, Wanted::All),
            ("bytes=-", 10, Wanted::All),
            ("bytes=a-b", 10, Wanted::All),
            ("bytes=+1-2", 10, Wanted::All),
            ("lines=1-2", 10, Wanted::All),
            ("bytes", 10, Wanted::All),
            ("", 10, Wanted::All),
        ] {
            assert_eq!(wanted(Some(header), size), expected, "{header} of {size}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
    }
}
