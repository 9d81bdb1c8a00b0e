//! Says which line of a refused field section is wrong, and how. Runs only once the fast reader has refused it or a
//! bare LF was seen; it accepts nothing by itself.
//!
//! It looks at complete lines only and stops at the first bad one, so that the same bytes give the same error however
//! they were cut on the way.

use super::HeadError;
use super::start_line::{is_token, strip_line_end};

/// Walks the field lines that begin at `start`. `Ok(true)` means that the blank line was reached with nothing amiss,
/// `Ok(false)` that more bytes are needed to tell.
pub(super) fn field_lines(buffer: &[u8], start: usize, max_fields: usize) -> Result<bool, HeadError> {
    let mut at = start;
    // The request or status line was line 1.
    let mut number = 1;
    while let Some(length) = memchr::memchr(b'\n', &buffer[at..]) {
        number += 1;
        let line = &buffer[at..=at + length];
        at += length + 1;
        if line == b"\r\n" {
            return Ok(true);
        }
        if number - 1 > max_fields {
            return Err(HeadError::TooManyFields { limit: max_fields });
        }
        field_line(line, number)?;
    }
    Ok(false)
}

fn field_line(line: &[u8], number: usize) -> Result<(), HeadError> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(HeadError::ObsoleteFolding { line: number });
    }
    let text = strip_line_end(line, number)?;
    let name_length = text.iter().take_while(|&&byte| is_token(byte)).count();
    match text[name_length..].first() {
        Some(b':') if name_length == 0 => Err(HeadError::EmptyName { line: number }),
        Some(b':') => Ok(()),
        Some(b' ' | b'\t') if text[name_length..].trim_ascii_start().starts_with(b":") => {
            Err(HeadError::BlankBeforeColon { line: number })
        }
        _ => Err(HeadError::FieldName { line: number }),
    }
}
