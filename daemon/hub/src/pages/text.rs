//! How foreign text and times are shown. Names are hostile input: what could reorder, hide or break a line is made
//! visible, and no name is long. Escaping for HTML is the templates'. Pure.

use crate::clock;

/// Characters of a foreign text that are shown.
const MAX: usize = 80;

/// A foreign text, safe to look at.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(MAX));
    for (place, c) in text.trim().chars().enumerate() {
        if place == MAX {
            shown.push('…');
            break;
        }
        if is_deceptive(c) {
            shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A control, a mark of direction, a joiner or blank without width, another kind of line end, a tag: nothing that a name
/// needs, all that can make one look like another.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A time, to the minute: `2026-11-21 22:08 UTC`.
pub(crate) fn time(us: i64) -> String {
    let seconds = clock::seconds(us);
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// How long ago: `just now`, `5 minutes ago`, `3 days ago`.
pub(crate) fn ago(us: i64, now_us: i64) -> String {
    let seconds = clock::seconds(now_us.saturating_sub(us).max(0));
    let (count, unit) = match seconds {
        0..60 => return "just now".to_owned(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// Year, month and day of a day after 1970-01-01, by the Gregorian calendar. Eras of 400 years begin on 1 March, so that
/// a leap day is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_the_eye_is_made_visible() {
        assert_eq!(shown("Büro «7» 日本 <b>"), "Büro «7» 日本 <b>");
        assert_eq!(shown("a\u{202e}b\u{200b}\n\0c"), "a⟨U+202E⟩b⟨U+200B⟩⟨U+000A⟩⟨U+0000⟩c");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), MAX + 1);
        for c in ['\u{2066}', '\u{2069}', '\u{200f}', '\u{feff}', '\u{e0041}', '\u{85}', '\u{2028}', '\u{ad}'] {
            assert!(shown(&format!("a{c}b")).contains("U+"), "{:x}", u32::from(c));
        }
    }

    #[test]
    fn times_are_written_by_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (1_709_251_200, "2024-03-01 00:00 UTC"),
            (4_102_444_799, "2099-12-31 23:59 UTC"),
        ] {
            assert_eq!(time(seconds * clock::SECOND), text);
        }
        let now = 1_000_000 * clock::SECOND;
        for (before, text) in
            [(0, "just now"), (61, "1 minute ago"), (7200, "2 hours ago"), (-9, "just now"), (90_000, "1 day ago")]
        {
            assert_eq!(ago(now - before * clock::SECOND, now), text);
        }
    }
}
