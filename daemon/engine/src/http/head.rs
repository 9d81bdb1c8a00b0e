//! Request and response heads: the incremental reader over the caller's kept buffer.
//!
//! `parse` is called again with the whole buffer whenever more bytes have come; the outcome does not depend on how
//! they were cut. Errors of lines win over errors of meaning (lengths, Host, target), and among lines the first wins.
//! `httparse` reads the fields; it takes LF for CRLF, so that is checked here.

use httparse::{EMPTY_HEADER, Header, Status};

use super::fields::{Coding, FieldFacts, Framing};
use super::start_line::{Method, Version, request_line, status_line};
use super::target::{Authority, Target, parse_target};
use super::{HeadError, Span, diagnose};

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    /// Bytes from the first of the start line to the blank line.
    pub(crate) max_bytes: usize,
    /// Header fields.
    pub(crate) max_fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_bytes: 64 * 1024, max_fields: 128 }
    }
}

/// A complete request head. Spans point into the buffer it was parsed from, which starts with this head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestHead {
    /// Where the request line begins: 0, or 2 after one CRLF too many of the request before (RFC 9112, 2.2).
    pub(crate) start: usize,
    /// One past the blank line: how many bytes of the buffer this head takes.
    pub(crate) head_len: usize,
    /// Method.
    pub(crate) method: Method,
    /// Its text.
    pub(crate) method_span: Span,
    /// Target.
    pub(crate) target: Target,
    /// Its text.
    pub(crate) target_span: Span,
    /// Version.
    pub(crate) version: Version,
    /// How the body ends; never `UntilClose` nor `Tunnel`.
    pub(crate) framing: Framing,
    /// Whether the client keeps the connection open after this exchange.
    pub(crate) keep_alive: bool,
    /// The protocols asked for by Upgrade, if Connection names it (HTTP/1.1 only).
    pub(crate) upgrade: Option<Span>,
    /// The client waits for a 100 before it sends the body (HTTP/1.1 only).
    pub(crate) expect_continue: bool,
    /// The Host field. Its host may be empty; it is there in every HTTP/1.1 request.
    pub(crate) host: Option<Authority>,
    /// The value of Proxy-Authorization. A secret: see [`super::redacted`].
    pub(crate) proxy_authorization: Option<Span>,
    /// A Proxy-Connection field is there.
    pub(crate) proxy_connection: bool,
    /// The value of Content-Type.
    pub(crate) content_type: Option<Span>,
}

impl RequestHead {
    /// Reads the head at the beginning of `buffer`; none if it is not complete yet.
    ///
    /// # Errors
    /// The shape that is refused; [`HeadError::status`] is the status to answer with. The connection cannot be used
    /// further.
    pub(crate) fn parse(buffer: &[u8], limits: &HeadLimits) -> Result<Option<Self>, HeadError> {
        if buffer.first() == Some(&0x16) {
            return Err(HeadError::TlsOnPlain);
        }
        let start = if buffer.starts_with(b"\r\n") { 2 } else { 0 };
        let Some(window) = Window::of(buffer, start, limits)? else {
            return Ok(None);
        };
        let line = request_line(buffer, start, window.line_end)?;
        window.fields(limits, |fields, head_len| {
            let facts = FieldFacts::read(buffer, fields, line.version, true)?;
            let http11 = line.version == Version::Http11;
            if http11 && facts.host.is_none() {
                return Err(HeadError::MissingHost);
            }
            Ok(Self {
                start,
                head_len,
                method: line.method,
                method_span: line.method_span,
                target: parse_target(buffer, line.target, line.method)?,
                target_span: line.target,
                version: line.version,
                framing: request_framing(line.method, &facts)?,
                keep_alive: facts.keep_alive(line.version),
                upgrade: facts.upgrade.filter(|_| http11 && facts.connection_upgrade),
                expect_continue: http11 && facts.expect_continue,
                host: facts.host,
                proxy_authorization: facts.proxy_authorization,
                proxy_connection: facts.proxy_connection,
                content_type: facts.content_type,
            })
        })
    }

    /// The head's exact bytes.
    pub(crate) fn bytes<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        Span { start: self.start, end: self.head_len }.of(buffer)
    }
}

/// A complete response head. Spans point into the buffer it was parsed from, which starts with this head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    /// One past the blank line: how many bytes of the buffer this head takes.
    pub(crate) head_len: usize,
    /// Version.
    pub(crate) version: Version,
    /// Status, 100 to 999.
    pub(crate) status: u16,
    /// The reason phrase; may be empty.
    pub(crate) reason: Span,
    /// Whether the server keeps the connection open; worth nothing if the body runs until close.
    pub(crate) keep_alive: bool,
    /// The protocols that Upgrade names.
    pub(crate) upgrade: Option<Span>,
    /// The value of Content-Type.
    pub(crate) content_type: Option<Span>,
    /// The value of Content-Encoding.
    pub(crate) content_encoding: Option<Span>,
    content_length: Option<u64>,
    coding: Option<Coding>,
}

impl ResponseHead {
    /// Reads the head at the beginning of `buffer`; none if it is not complete yet.
    ///
    /// # Errors
    /// The shape that is refused; the answer to the client is a 502, and the connection cannot be used further.
    pub(crate) fn parse(buffer: &[u8], limits: &HeadLimits) -> Result<Option<Self>, HeadError> {
        let expected = b"HTTP/";
        let seen = buffer.len().min(expected.len());
        if buffer[..seen] != expected[..seen] {
            return Err(HeadError::NotHttp);
        }
        let Some(window) = Window::of(buffer, 0, limits)? else {
            return Ok(None);
        };
        let line = status_line(buffer, window.line_end)?;
        window.fields(limits, |fields, head_len| {
            let facts = FieldFacts::read(buffer, fields, line.version, false)?;
            Ok(Self {
                head_len,
                version: line.version,
                status: line.status,
                reason: line.reason,
                keep_alive: facts.keep_alive(line.version),
                upgrade: facts.upgrade,
                content_type: facts.content_type,
                content_encoding: facts.content_encoding,
                content_length: facts.content_length,
                coding: facts.coding,
            })
        })
    }

    /// How this response's body ends, given the request it answers (RFC 9112, 6.3). After [`Framing::UntilClose`] the
    /// client's connection has to be closed too: nothing else tells it the end.
    ///
    /// # Errors
    /// [`HeadError::UnaskedSwitch`] for a 101 that the request did not ask for.
    pub(crate) fn framing(&self, method: Method, asked_upgrade: bool) -> Result<Framing, HeadError> {
        Ok(match (self.status, method) {
            (101, _) if asked_upgrade => Framing::Tunnel,
            (101, _) => return Err(HeadError::UnaskedSwitch),
            (200..=299, Method::Connect) => Framing::Tunnel,
            (100..=199 | 204 | 304, _) | (_, Method::Head) => Framing::None,
            _ => match (self.coding, self.content_length) {
                (Some(Coding::Chunked | Coding::OthersThenChunked), _) => Framing::Chunked,
                (Some(Coding::Others), _) => Framing::UntilClose,
                (None, Some(length)) => Framing::Length(length),
                (None, None) => Framing::UntilClose,
            },
        })
    }

    /// A 1xx that another response follows (101 is final).
    pub(crate) fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }
}

fn request_framing(method: Method, facts: &FieldFacts) -> Result<Framing, HeadError> {
    let framing = match (facts.coding, facts.content_length) {
        (Some(Coding::Chunked), _) => Framing::Chunked,
        (Some(_), _) => return Err(HeadError::UnsupportedTransferEncoding),
        (None, Some(length)) => Framing::Length(length),
        (None, None) => Framing::None,
    };
    match framing {
        // Some clients send `Content-Length: 0` with CONNECT.
        Framing::Chunked | Framing::Length(1..) if method == Method::Connect => Err(HeadError::ConnectWithBody),
        framing => Ok(framing),
    }
}

/// The bytes that a head may take, once its first line is complete.
struct Window<'a> {
    buffer: &'a [u8],
    /// The limit does not reach beyond this.
    end: usize,
    /// One past the LF of the first line.
    line_end: usize,
}

/// Fields that fit on the stack without a second try; browsers send about 15.
const FEW_FIELDS: usize = 48;

impl<'a> Window<'a> {
    fn of(buffer: &'a [u8], start: usize, limits: &HeadLimits) -> Result<Option<Self>, HeadError> {
        let end = buffer.len().min(start.saturating_add(limits.max_bytes));
        match memchr::memchr(b'\n', &buffer[start..end]) {
            Some(length) => Ok(Some(Self { buffer, end, line_end: start + length + 1 })),
            None if end < buffer.len() => Err(HeadError::TooLarge { limit: limits.max_bytes }),
            None => Ok(None),
        }
    }

    /// Reads the field section and hands it to `finish` with the length of the head.
    fn fields<T>(
        &self,
        limits: &HeadLimits,
        finish: impl FnOnce(&[Header<'_>], usize) -> Result<T, HeadError>,
    ) -> Result<Option<T>, HeadError> {
        let section = &self.buffer[self.line_end..self.end];
        let mut few = [EMPTY_HEADER; FEW_FIELDS];
        let mut many;
        let mut parsed = httparse::parse_headers(section, &mut few[..limits.max_fields.min(FEW_FIELDS)]);
        if parsed == Err(httparse::Error::TooManyHeaders) && limits.max_fields > FEW_FIELDS {
            many = vec![EMPTY_HEADER; limits.max_fields];
            parsed = httparse::parse_headers(section, &mut many);
        }
        match parsed {
            Ok(Status::Complete((length, fields))) => {
                let head_len = self.line_end + length;
                if self.lines_end_in_crlf(fields, head_len) {
                    return finish(fields, head_len).map(Some);
                }
            }
            Ok(Status::Partial) if !has_bare_lf(section) => return self.unfinished(limits),
            Ok(Status::Partial) | Err(_) => {}
        }
        match diagnose::field_lines(&self.buffer[..self.end], self.line_end, limits.max_fields)? {
            true => Err(HeadError::Malformed),
            false => self.unfinished(limits),
        }
    }

    fn unfinished<T>(&self, limits: &HeadLimits) -> Result<Option<T>, HeadError> {
        if self.end < self.buffer.len() {
            return Err(HeadError::TooLarge { limit: limits.max_bytes });
        }
        Ok(None)
    }

    /// `httparse` has seen that each line ends in LF; a CR before it is all that is left to check.
    fn lines_end_in_crlf(&self, fields: &[Header<'_>], head_len: usize) -> bool {
        let each = fields.iter().skip(1).all(|field| {
            let name = Span::within(self.buffer, field.name.as_bytes()).start;
            self.buffer[name - 2] == b'\r'
        });
        each && self.buffer[..head_len].ends_with(b"\r\n\r\n")
    }
}

fn has_bare_lf(section: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', section).any(|at| at == 0 || section[at - 1] != b'\r')
}
