//! Request and status lines. Owns how a first line is split; judges no target (see `target`).

use super::{HeadError, Span};

/// The two versions spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The methods that framing or relaying cares for. Case-sensitive, so `get` is [`Method::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// GET.
    Get,
    /// HEAD: its responses have no body.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// CONNECT: what follows is a tunnel.
    Connect,
    /// OPTIONS: may have the target `*`.
    Options,
    /// Any other token; its text is in the request's bytes.
    Other,
}

impl Method {
    fn of(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}

/// A split request line.
pub(super) struct RequestLine {
    pub(super) method: Method,
    pub(super) method_span: Span,
    pub(super) target: Span,
    pub(super) version: Version,
}

/// A split status line.
pub(super) struct StatusLine {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) reason: Span,
}

/// The line without its CRLF, checked for stray CR and control bytes. `line` includes the LF and is number `number`.
pub(super) fn strip_line_end(line: &[u8], number: usize) -> Result<&[u8], HeadError> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let (text, has_cr) = match text.strip_suffix(b"\r") {
        Some(text) => (text, true),
        None => (text, false),
    };
    // One branch in the common case; which byte it was matters only once there is one.
    if text.iter().fold(false, |bad, &byte| bad | is_control(byte)) {
        let first = text.iter().copied().find(|&byte| is_control(byte));
        return Err(if first == Some(b'\r') {
            HeadError::BareCr { line: number }
        } else {
            HeadError::ControlByte { line: number }
        });
    }
    if has_cr { Ok(text) } else { Err(HeadError::BareLf { line: number }) }
}

/// Bytes that no line may hold: the controls but HTAB.
pub(super) fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// Bytes of a token (RFC 9110, 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Splits the request line that begins at `start` in `buffer`; `line_end` is one past its LF.
pub(super) fn request_line(buffer: &[u8], start: usize, line_end: usize) -> Result<RequestLine, HeadError> {
    let line = strip_line_end(&buffer[start..line_end], 1)?;
    if line == b"PRI * HTTP/2.0" {
        return Err(HeadError::Http2Preface);
    }
    let Some(first) = memchr::memchr(b' ', line) else {
        return Err(HeadError::RequestLine);
    };
    let method = &line[..first];
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return Err(HeadError::RequestLine);
    }
    let Some(second) = memchr::memrchr(b' ', line).filter(|&second| second > first) else {
        let target = &line[first + 1..];
        let is_http09 = method == b"GET" && !target.is_empty() && !target.contains(&b'\t');
        return Err(if is_http09 { HeadError::Http09 } else { HeadError::RequestLine });
    };
    let target = &line[first + 1..second];
    if target.is_empty() || target.iter().any(|&byte| byte == b' ' || byte == b'\t') {
        return Err(HeadError::RequestLine);
    }
    Ok(RequestLine {
        method: Method::of(method),
        method_span: Span { start, end: start + first },
        target: Span { start: start + first + 1, end: start + second },
        version: version(&line[second + 1..]).map_err(|kind| match kind {
            NoVersion::Other => HeadError::UnsupportedVersion,
            NoVersion::Malformed => HeadError::RequestLine,
        })?,
    })
}

/// Splits the status line at the beginning of `buffer`; `line_end` is one past its LF.
pub(super) fn status_line(buffer: &[u8], line_end: usize) -> Result<StatusLine, HeadError> {
    let line = strip_line_end(&buffer[..line_end], 1)?;
    let (name, rest) = match memchr::memchr(b' ', line) {
        Some(space) => (&line[..space], &line[space + 1..]),
        None => (line, &line[line.len()..]),
    };
    let version = version(name).map_err(|kind| match kind {
        NoVersion::Other => HeadError::UnsupportedVersion,
        NoVersion::Malformed => HeadError::StatusLine,
    })?;
    let (digits, rest) = rest.split_first_chunk::<3>().ok_or(HeadError::StatusLine)?;
    if !digits.iter().all(u8::is_ascii_digit) || digits[0] == b'0' {
        return Err(HeadError::StatusLine);
    }
    let status = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let reason = match rest {
        [] => rest,
        [b' ', reason @ ..] => reason,
        _ => return Err(HeadError::StatusLine),
    };
    Ok(StatusLine { version, status, reason: Span::within(buffer, reason) })
}

enum NoVersion {
    Other,
    Malformed,
}

fn version(text: &[u8]) -> Result<Version, NoVersion> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, rest @ ..] if major.is_ascii_digit() => match rest {
            [] => Err(NoVersion::Other),
            [b'.', minor] if minor.is_ascii_digit() => Err(NoVersion::Other),
            _ => Err(NoVersion::Malformed),
        },
        _ => Err(NoVersion::Malformed),
    }
}
