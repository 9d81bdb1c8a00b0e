//! The HTTP/1 codec of the proxy: heads, targets, framing, chunked bodies, the few edits of a head, and error pages.
//!
//! Pure: bytes in, facts out. It owns what counts as one message and where that message ends; it opens nothing, waits
//! for nothing and decides nothing about where a request may go. A head is never rebuilt from parsed parts: positions
//! ([`Span`]) point into the bytes that the peer sent, and those bytes are what is relayed and recorded.
//!
//! Where two readers could disagree on where a message ends, the message is refused: each such shape is a variant of
//! [`HeadError`] or [`ChunkedError`] of its own.

mod chunked;
mod diagnose;
mod error;
mod fields;
mod head;
mod page;
mod rewrite;
mod start_line;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use chunked::{ChunkedDecoder, ChunkedError, ChunkedLimits, Piece};
pub(crate) use error::HeadError;
pub(crate) use fields::Framing;
pub(crate) use head::{HeadLimits, RequestHead, ResponseHead};
pub(crate) use page::{ErrorPage, error_page};
pub(crate) use rewrite::{closing, redacted, upstream_head};
pub(crate) use start_line::Method;
pub(crate) use target::{Target, TargetScheme};

/// A range of bytes in the buffer that a head was parsed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
}

impl Span {
    /// The bytes meant; empty if `buffer` is not the one that was parsed.
    pub(crate) fn of(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Where `part`, a slice of `whole`, lies in it.
    fn within(whole: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
        Self { start, end: start + part.len() }
    }
}
