//! One entry in the journal's native protocol: text fields as `NAME=value`, and any other value with its length.
//!
//! It must not decide what is said; it makes sure that a value cannot pretend to be another field.

/// A value longer than this is cut. An entry has one long field, and must fit into a datagram.
const LONGEST: usize = 32 * 1024;

const CUT: &str = " … (cut)";

/// The bytes of an entry.
#[derive(Default)]
pub(super) struct Entry {
    bytes: Vec<u8>,
}

impl Entry {
    /// Adds a field.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        let (value, cut) = match value.get(..value.floor_char_boundary(LONGEST)) {
            Some(start) if start.len() < value.len() => (start, CUT),
            _ => (value, ""),
        };
        self.bytes.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            // A line break would begin the next field: such a value is told by its length.
            let len = (value.len() + cut.len()) as u64;
            self.bytes.push(b'\n');
            self.bytes.extend_from_slice(&len.to_le_bytes());
        } else {
            self.bytes.push(b'=');
        }
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.extend_from_slice(cut.as_bytes());
        self.bytes.push(b'\n');
    }

    /// The datagram.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Escapes what would act on a terminal: control characters but for the line break, and those that turn the direction
/// of writing around.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => escaped.push('\n'),
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                escaped.extend(character.escape_unicode());
            }
            control if control.is_control() => escaped.extend(control.escape_default()),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, value: &str) -> Vec<u8> {
        let mut entry = Entry::default();
        entry.field(name, value);
        entry.as_bytes().to_vec()
    }

    #[test]
    fn a_value_with_a_line_break_begins_no_field() {
        assert_eq!(entry("MESSAGE", "plain"), b"MESSAGE=plain\n");
        let forged = "two\nPRIORITY=0";
        assert_eq!(entry("MESSAGE", forged), b"MESSAGE\n\x0e\0\0\0\0\0\0\0two\nPRIORITY=0\n");
    }

    #[test]
    fn a_value_that_is_too_long_is_cut_between_characters() {
        let long = "ä".repeat(LONGEST);
        let bytes = entry("MESSAGE", &long);
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.ends_with("ä … (cut)\n"));
        assert_eq!(bytes.len(), "MESSAGE=".len() + LONGEST + CUT.len() + 1);
        let broken = format!("\n{long}");
        let bytes = entry("M", &broken);
        let len = u64::from_le_bytes(bytes[2..10].try_into().unwrap());
        assert_eq!(usize::try_from(len).unwrap(), bytes.len() - 11);
    }

    #[test]
    fn nothing_reaches_a_terminal_that_acts_on_it() {
        assert_eq!(escape("a\x1b[2Jb\r\u{9b}c\nd\te"), "a\\u{1b}[2Jb\\r\\u{9b}c\nd\\te");
        assert_eq!(escape("exe\u{202e}txt ü"), "exe\\u{202e}txt ü");
    }
}
