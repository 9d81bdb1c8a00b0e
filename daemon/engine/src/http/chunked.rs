//! The chunked transfer coding, pushed: it finds the end of a body whose raw bytes are relayed unchanged, and points at
//! the payload for the recorder. Owns the grammar of RFC 9112, 7.1; copies nothing and keeps no bytes.
//!
//! Stricter than the grammar of old servers on purpose: no blanks around a size, CRLF everywhere, no trailer that
//! would change framing or routing if a reader merged it into the head.

use std::ops::Range;

use super::start_line::{is_control, is_token};

/// Bounds of what a sender may add around the payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkedLimits {
    /// Extension bytes on one size line.
    pub(crate) max_extension: usize,
    /// Bytes of the trailer section.
    pub(crate) max_trailers: usize,
    /// Fields of the trailer section.
    pub(crate) max_trailer_fields: usize,
}

impl Default for ChunkedLimits {
    fn default() -> Self {
        Self { max_extension: 4 * 1024, max_trailers: 16 * 1024, max_trailer_fields: 64 }
    }
}

/// Why a chunked body is refused. Nothing of the slice that was fed should be relayed; close both connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChunkedError {
    /// No digit, or a byte that is none.
    #[error("a chunk size is not a plain hexadecimal number followed by CRLF or `;`")]
    Size,
    /// More than 16 digits.
    #[error("a chunk size has more than 16 digits; readers with smaller numbers would wrap around")]
    SizeTooLong,
    /// Too many extension bytes.
    #[error("a chunk extension is longer than is allowed")]
    ExtensionTooLong,
    /// CR without LF.
    #[error("the chunked body holds a CR without LF where a line should end (request smuggling)")]
    BareCr,
    /// LF without CR.
    #[error("the chunked body holds an LF without CR where a line should end (request smuggling)")]
    BareLf,
    /// NUL or another control byte in an extension or a trailer.
    #[error("a chunk extension or trailer holds a NUL or another control byte")]
    ControlByte,
    /// The payload is not followed by CRLF.
    #[error("a chunk is longer or shorter than its size says")]
    DataEnd,
    /// A malformed trailer line.
    #[error("a trailer line is no `name: value`")]
    Trailer,
    /// A folded trailer line.
    #[error("a trailer line begins with a blank (obsolete line folding)")]
    TrailerFolding,
    /// Too many trailer bytes or fields.
    #[error("the trailer section is larger than is allowed")]
    TrailersTooLarge,
    /// A trailer that must not be one.
    #[error("a trailer is named Content-Length, Transfer-Encoding or Host; readers that merge it would be misled")]
    ForbiddenTrailer,
}

/// Something found in the slice that was fed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Payload.
    Data(Range<usize>),
    /// Raw bytes of trailer lines, with their CRLF but without the closing blank line.
    Trailers(Range<usize>),
}

/// How far a slice was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes that belong to the body: the whole slice, or less if the body ended in it.
    pub(crate) consumed: usize,
    /// The body has ended.
    pub(crate) done: bool,
}

/// The decoder of one body. A connection that ends before `done` was reported cut the body off: the caller's error.
#[derive(Clone, Debug)]
pub(crate) struct ChunkedDecoder {
    limits: ChunkedLimits,
    state: State,
    /// Digits, extension bytes or trailer bytes so far, by state.
    count: usize,
    trailer_fields: usize,
    /// The beginning of the trailer's name, lower case; as long as the longest forbidden one.
    name: [u8; 17],
    name_length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

impl ChunkedDecoder {
    /// A decoder at the beginning of a body.
    pub(crate) fn new(limits: ChunkedLimits) -> Self {
        Self { limits, state: State::Size(0), count: 0, trailer_fields: 0, name: [0; 17], name_length: 0 }
    }

    /// Reads on. `piece` is called in order with ranges of `input`.
    ///
    /// # Errors
    /// What is wrong; the decoder cannot be used further.
    pub(crate) fn feed(&mut self, input: &[u8], mut piece: impl FnMut(Piece)) -> Result<Progress, ChunkedError> {
        let mut at = 0;
        // Where trailer bytes that were not handed over yet begin.
        let mut trailers = 0;
        while self.state != State::Done {
            if let State::Data(left) = self.state {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(input.len() - at);
                if here > 0 {
                    piece(Piece::Data(at..at + here));
                    at += here;
                }
                let left = left - here as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data(left) };
                if left > 0 {
                    break;
                }
            }
            let Some(&byte) = input.get(at) else { break };
            let before = self.state;
            self.state = self.step(byte)?;
            match (before, self.state) {
                (State::SizeLf(_), State::TrailerStart) => trailers = at + 1,
                (State::TrailerStart, State::EndLf) => hand_over(trailers..at, &mut piece),
                _ => {}
            }
            at += 1;
        }
        if matches!(self.state, State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerLf) {
            hand_over(trailers..at, &mut piece);
        }
        Ok(Progress { consumed: at, done: self.state == State::Done })
    }

    fn step(&mut self, byte: u8) -> Result<State, ChunkedError> {
        Ok(match self.state {
            State::Size(size) => match (hex(byte), byte) {
                (Some(_), _) if self.count == 16 => return Err(ChunkedError::SizeTooLong),
                (Some(digit), _) => {
                    self.count += 1;
                    State::Size(size << 4 | u64::from(digit))
                }
                _ if self.count == 0 => return Err(ChunkedError::Size),
                (None, b'\r') => State::SizeLf(size),
                (None, b'\n') => return Err(ChunkedError::BareLf),
                (None, b';') => {
                    self.count = 0;
                    State::Extension(size)
                }
                _ => return Err(ChunkedError::Size),
            },
            State::Extension(size) => match byte {
                b'\r' => State::SizeLf(size),
                b'\n' => return Err(ChunkedError::BareLf),
                byte if is_control(byte) => return Err(ChunkedError::ControlByte),
                _ if self.count == self.limits.max_extension => {
                    return Err(ChunkedError::ExtensionTooLong);
                }
                _ => {
                    self.count += 1;
                    State::Extension(size)
                }
            },
            State::SizeLf(size) => {
                self.count = 0;
                match (byte, size) {
                    (b'\n', 0) => State::TrailerStart,
                    (b'\n', size) => State::Data(size),
                    _ => return Err(ChunkedError::BareCr),
                }
            }
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => State::Size(0),
            State::DataCr | State::DataLf => return Err(ChunkedError::DataEnd),
            State::EndLf if byte == b'\n' => State::Done,
            State::EndLf => return Err(ChunkedError::BareCr),
            State::TrailerStart if byte == b'\r' => State::EndLf,
            State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerLf => {
                self.count += 1;
                if self.count > self.limits.max_trailers {
                    return Err(ChunkedError::TrailersTooLarge);
                }
                self.trailer(byte)?
            }
            // `feed` handles payload in bulk and stops at the end.
            state @ (State::Data(_) | State::Done) => state,
        })
    }

    fn trailer(&mut self, byte: u8) -> Result<State, ChunkedError> {
        Ok(match (self.state, byte) {
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::TrailerLf, _) => return Err(ChunkedError::BareCr),
            (_, b'\n') => return Err(ChunkedError::BareLf),
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, byte) if is_control(byte) => {
                return Err(ChunkedError::ControlByte);
            }
            (State::TrailerValue, _) => State::TrailerValue,
            (State::TrailerStart, b' ' | b'\t') => return Err(ChunkedError::TrailerFolding),
            (State::TrailerStart, byte) if is_token(byte) => {
                self.trailer_fields += 1;
                if self.trailer_fields > self.limits.max_trailer_fields {
                    return Err(ChunkedError::TrailersTooLarge);
                }
                self.name_length = 0;
                self.name_byte(byte);
                State::TrailerName
            }
            (State::TrailerName, b':') => {
                let name = self.name.get(..self.name_length).unwrap_or_default();
                if matches!(name, b"content-length" | b"transfer-encoding" | b"host") {
                    return Err(ChunkedError::ForbiddenTrailer);
                }
                State::TrailerValue
            }
            (State::TrailerName, byte) if is_token(byte) => {
                self.name_byte(byte);
                State::TrailerName
            }
            _ => return Err(ChunkedError::Trailer),
        })
    }

    fn name_byte(&mut self, byte: u8) {
        if let Some(place) = self.name.get_mut(self.name_length) {
            *place = byte.to_ascii_lowercase();
        }
        self.name_length += 1;
    }
}

fn hand_over(range: Range<usize>, piece: &mut impl FnMut(Piece)) {
    if !range.is_empty() {
        piece(Piece::Trailers(range));
    }
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
