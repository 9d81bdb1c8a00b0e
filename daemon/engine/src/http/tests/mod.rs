//! Tests of the codec, by theme.

mod chunked;
mod edits;
mod framing;
mod heads;
mod refused;

use super::{HeadError, HeadLimits, RequestHead, ResponseHead};

/// Parses at once and byte by byte, and insists on the same outcome.
fn request(text: &[u8]) -> Result<Option<RequestHead>, HeadError> {
    incrementally(text, |buffer| RequestHead::parse(buffer, &HeadLimits::default()))
}

fn response(text: &[u8]) -> Result<Option<ResponseHead>, HeadError> {
    incrementally(text, |buffer| ResponseHead::parse(buffer, &HeadLimits::default()))
}

fn incrementally<T: Copy + PartialEq + std::fmt::Debug>(
    text: &[u8],
    parse: impl Fn(&[u8]) -> Result<Option<T>, HeadError>,
) -> Result<Option<T>, HeadError> {
    let at_once = parse(text);
    let mut stepwise = Ok(None);
    for end in 0..=text.len() {
        stepwise = parse(&text[..end]);
        if stepwise != Ok(None) {
            break;
        }
    }
    assert_eq!(at_once, stepwise, "{}", text.escape_ascii());
    at_once
}

/// A complete request with these field lines (and a good Host).
fn with_fields(fields: &str) -> Vec<u8> {
    format!("POST /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n").into_bytes()
}

/// Numbers for random tests: the same each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}
