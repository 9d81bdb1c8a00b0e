//! Makes text from elsewhere safe to show on a terminal. Hosts, paths and header fields are chosen by attackers.
//!
//! Everything that could move the cursor, change colours, reorder or hide text becomes a visible escape: control
//! characters (C0, DEL, C1), bidirectional and zero-width formatting, line separators, tags. Pure; prints nothing.

use std::fmt::Write as _;

/// May this character be shown as it is?
fn is_plain(c: char) -> bool {
    !(c.is_control()
        || matches!(
            c,
            '\u{AD}'
                | '\u{34F}'
                | '\u{61C}'
                | '\u{115F}'..='\u{1160}'
                | '\u{17B4}'..='\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}'
                | '\u{FFA0}'
                | '\u{FFF0}'..='\u{FFFB}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{E0000}'..='\u{E0FFF}'
        ))
}

fn push(out: &mut String, c: char) {
    if is_plain(c) {
        out.push(c);
    } else if (c as u32) < 0x100 {
        let _ = write!(out, "\\x{:02x}", c as u32);
    } else {
        let _ = write!(out, "\\u{{{:x}}}", c as u32);
    }
}

/// One line: every line end and tab becomes visible too.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut out, c));
    out
}

/// Several lines: `\n` and `\t` stay.
pub(crate) fn block(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\n' | '\t') { out.push(c) } else { push(&mut out, c) }
    }
    out
}

/// Several lines of raw bytes: CR LF counts as one line end, what is not UTF-8 becomes `\xNN`.
pub(crate) fn bytes(raw: &[u8]) -> String {
    let mut out = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        let mut chars = chunk.valid().chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\r' if chars.peek() == Some(&'\n') => {}
                '\n' | '\t' => out.push(c),
                _ => push(&mut out, c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// JSON stays the same value, with everything that a terminal could act on written as a `\u` escape.
pub(crate) fn json(text: &str) -> String {
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    // Outside of strings JSON is plain ASCII, so whatever is not plain stands inside one.
    let mut out = String::with_capacity(text.len() + 16);
    let mut units = [0u16; 2];
    for c in text.chars() {
        if is_plain(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// The cells that a terminal gives to a plain character: 0 for combining marks, 2 for East Asian wide and pictographs.
pub(crate) fn cells(c: char) -> usize {
    match c as u32 {
        0x20..=0x7E => 1,
        0x300..=0x36F
        | 0x483..=0x489
        | 0x591..=0x5BD
        | 0x610..=0x61A
        | 0x64B..=0x65F
        | 0x1AB0..=0x1AFF
        | 0x1DC0..=0x1DFF
        | 0x20D0..=0x20FF
        | 0xFE20..=0xFE2F => 0,
        0x1100..=0x115F
        | 0x2E80..=0x303E
        | 0x3041..=0xA4CF
        | 0xA960..=0xA97F
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F000..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// Width of a plain line in cells.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(cells).sum()
}

/// Cuts a plain line to at most `limit` cells, the last of them `…` if something was cut.
pub(crate) fn truncate(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        if used + cells(c) + 1 > limit {
            break;
        }
        used += cells(c);
        out.push(c);
    }
    if limit > 0 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_becomes_visible() {
        assert_eq!(line("/a\x1b[2Jb\r\n\t\x07"), "/a\\x1b[2Jb\\x0d\\x0a\\x09\\x07");
        assert_eq!(line("c1:\u{9b}31m del:\u{7f}"), "c1:\\x9b31m del:\\x7f");
        assert_eq!(line("evil\u{202e}moc.elgoog\u{200b}"), "evil\\u{202e}moc.elgoog\\u{200b}");
        assert_eq!(line("grüße 漢字"), "grüße 漢字");
    }

    #[test]
    fn a_block_keeps_its_lines_and_nothing_else() {
        assert_eq!(block("a\n\tb\rc\x1b"), "a\n\tb\\x0dc\\x1b");
        assert_eq!(
            bytes(b"GET / HTTP/1.1\r\nX: \xff\x1b]0;t\x07\r\n\r\nx\ry"),
            "GET / HTTP/1.1\nX: \\xff\\x1b]0;t\\x07\n\nx\\x0dy"
        );
    }

    #[test]
    fn escaped_json_is_the_same_value() {
        let value = serde_json::json!({ "path": "\u{9b}31m\u{1b}\u{7f}\u{202e}\u{e0041}ok" });
        let text = json(&value.to_string());
        assert!(text.chars().all(is_plain), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn truncation_counts_cells() {
        assert_eq!(truncate("abcdef", 6), "abcdef");
        assert_eq!(truncate("abcdefg", 6), "abcde…");
        assert_eq!(truncate("漢字漢字", 5), "漢字…");
        assert_eq!(truncate("漢字漢字", 4), "漢…");
        assert_eq!(truncate("abc", 0), "");
        assert_eq!(width("e\u{301}a"), 2);
    }
}
