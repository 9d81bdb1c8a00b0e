//! What header fields say about the message. One pass, no allocation; owns framing, judges no start line.

use httparse::Header;

use super::start_line::{Version, is_token};
use super::target::{Authority, parse_authority};
use super::{HeadError, Span};

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body.
    None,
    /// So many bytes.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// Everything up to the end of the connection (responses only).
    UntilClose,
    /// No HTTP any more: both directions are relayed as they are (responses only).
    Tunnel,
}

/// Transfer-Encoding, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Exactly `chunked`.
    Chunked,
    /// Other codings, then `chunked`.
    OthersThenChunked,
    /// Codings without `chunked`.
    Others,
}

/// The facts of a field section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldFacts {
    pub(super) content_length: Option<u64>,
    pub(super) coding: Option<Coding>,
    pub(super) connection_close: bool,
    pub(super) connection_keep_alive: bool,
    pub(super) connection_upgrade: bool,
    pub(super) upgrade: Option<Span>,
    pub(super) expect_continue: bool,
    pub(super) host: Option<Authority>,
    pub(super) proxy_authorization: Option<Span>,
    pub(super) proxy_connection: bool,
    pub(super) content_type: Option<Span>,
    pub(super) content_encoding: Option<Span>,
}

impl FieldFacts {
    /// Reads the fields, whose slices lie in `buffer`. `request` says which side's rules hold.
    pub(super) fn read(
        buffer: &[u8],
        fields: &[Header<'_>],
        version: Version,
        request: bool,
    ) -> Result<Self, HeadError> {
        let mut facts = Self::default();
        for field in fields {
            let name = field.name.as_bytes();
            let value = field.value;
            let is = |expected: &[u8]| name.eq_ignore_ascii_case(expected);
            match name.len() {
                4 if request && is(b"host") => {
                    if facts.host.is_some() {
                        return Err(HeadError::RepeatedHost);
                    }
                    let host = parse_authority(buffer, Span::within(buffer, value));
                    facts.host = Some(host.ok_or(HeadError::InvalidHost)?);
                }
                6 if request && is(b"expect") => {
                    facts.expect_continue = value.eq_ignore_ascii_case(b"100-continue");
                }
                7 if is(b"upgrade") => facts.upgrade = Some(Span::within(buffer, value)),
                10 if is(b"connection") => facts.connection(value),
                12 if is(b"content-type") => {
                    facts.content_type = Some(Span::within(buffer, value));
                }
                14 if is(b"content-length") => facts.length(value)?,
                16 if is(b"content-encoding") => {
                    facts.content_encoding = Some(Span::within(buffer, value));
                }
                16 if is(b"proxy-connection") => facts.proxy_connection = true,
                17 if is(b"transfer-encoding") => {
                    if facts.coding.is_some() {
                        return Err(HeadError::RepeatedTransferEncoding);
                    }
                    facts.coding = Some(coding(value)?);
                }
                19 if request && is(b"proxy-authorization") => {
                    if facts.proxy_authorization.is_some() {
                        return Err(HeadError::RepeatedProxyAuthorization);
                    }
                    facts.proxy_authorization = Some(Span::within(buffer, value));
                }
                _ => {}
            }
        }
        if facts.coding.is_some() {
            if facts.content_length.is_some() {
                return Err(HeadError::LengthAndTransferEncoding);
            }
            if version == Version::Http10 {
                return Err(HeadError::TransferEncodingInHttp10);
            }
        }
        Ok(facts)
    }

    /// Whether the sender keeps the connection open after this message.
    pub(super) fn keep_alive(&self, version: Version) -> bool {
        !self.connection_close && (version == Version::Http11 || self.connection_keep_alive)
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            match option.len() {
                5 if option.eq_ignore_ascii_case(b"close") => self.connection_close = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.connection_upgrade = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.connection_keep_alive = true,
                _ => {}
            }
        }
    }

    /// One Content-Length. RFC 9110 8.6 lets a recipient merge identical repeats (`5, 5` or two fields); we refuse
    /// them, because what we relay is what was sent, and the next reader need not merge them as we would.
    fn length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        let mut parts = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        let first = decimal(parts.next().unwrap_or_default()).ok_or(HeadError::InvalidContentLength)?;
        let mut repeated = false;
        for part in parts {
            repeated = true;
            if decimal(part).ok_or(HeadError::InvalidContentLength)? != first {
                return Err(HeadError::ConflictingContentLength);
            }
        }
        match self.content_length.replace(first) {
            Some(earlier) if earlier != first => Err(HeadError::ConflictingContentLength),
            Some(_) => Err(HeadError::RepeatedContentLength),
            None if repeated => Err(HeadError::RepeatedContentLength),
            None => Ok(()),
        }
    }
}

/// Digits only, no sign, no blank, 64 bits, at most 20 of them.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0u64, |sum, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

fn coding(value: &[u8]) -> Result<Coding, HeadError> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Coding::Chunked);
    }
    let mut last_is_chunked = false;
    for element in value.split(|&byte| byte == b',') {
        let element = element.trim_ascii();
        // After `chunked` nothing may come, not even an empty element.
        if last_is_chunked || element.is_empty() {
            return Err(HeadError::InvalidTransferEncoding);
        }
        let name_length = element.iter().take_while(|&&byte| is_token(byte)).count();
        let parameters = element[name_length..].trim_ascii_start();
        if name_length == 0 || !(parameters.is_empty() || parameters.starts_with(b";")) {
            return Err(HeadError::InvalidTransferEncoding);
        }
        if element.eq_ignore_ascii_case(b"chunked") {
            last_is_chunked = true;
        } else if element.windows(7).any(|part| part.eq_ignore_ascii_case(b"chunked")) {
            return Err(HeadError::InvalidTransferEncoding);
        }
    }
    Ok(if last_is_chunked { Coding::OthersThenChunked } else { Coding::Others })
}
