//! Request targets and authorities. Owns which text names a host and port; resolves nothing and permits nothing.
//!
//! Hosts are held to the letter (two readers that take different parts for the host are an attack); paths are not:
//! any byte from `!` up but DEL passes, because testers send odd bytes on purpose and they decide no framing.

use super::{HeadError, Method, Span};

/// A parsed request target. Spans point into the head's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/path?query`.
    Origin,
    /// `http://host:port/path?query`; `path` is what follows the authority and may be empty.
    Absolute {
        /// http or https.
        scheme: TargetScheme,
        /// Where to.
        authority: Authority,
        /// What follows the authority.
        path: Span,
    },
    /// `host:port`, only with CONNECT; the port is always there.
    Authority(Authority),
    /// `*`, only with OPTIONS.
    Asterisk,
}

/// The schemes a proxy request may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetScheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl TargetScheme {
    /// The port that no port means.
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// What a host is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostKind {
    /// A name.
    Name,
    /// Four decimal numbers.
    V4,
    /// An address in brackets.
    V6,
}

/// A host with its port, if one is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// The whole text.
    pub(crate) span: Span,
    /// The host without brackets.
    pub(crate) host: Span,
    /// What the host is written as.
    pub(crate) kind: HostKind,
    /// The port, if given and not empty.
    pub(crate) port: Option<u16>,
}

impl Authority {
    /// The host as Merlon names it: lower case, no brackets, no trailing dot.
    pub(crate) fn host_name(&self, buffer: &[u8]) -> String {
        let text = self.host.of(buffer);
        let text = text.strip_suffix(b".").unwrap_or(text);
        String::from_utf8_lossy(text).to_ascii_lowercase()
    }

    /// Whether both name the same host and port, `default_port` standing in where none is given.
    pub(super) fn agrees(&self, other: &Self, buffer: &[u8], default_port: u16) -> bool {
        self.kind == other.kind
            && self.host.of(buffer).eq_ignore_ascii_case(other.host.of(buffer))
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

/// Parses the target of a request with this method.
pub(super) fn parse_target(buffer: &[u8], span: Span, method: Method) -> Result<Target, HeadError> {
    let text = span.of(buffer);
    if method == Method::Connect {
        let authority = target_authority(buffer, span)?;
        return match authority.port {
            Some(_) => Ok(Target::Authority(authority)),
            None => Err(HeadError::InvalidAuthority),
        };
    }
    match text {
        [b'/', ..] => Ok(Target::Origin),
        b"*" if method == Method::Options => Ok(Target::Asterisk),
        _ => absolute(buffer, span),
    }
}

fn absolute(buffer: &[u8], span: Span) -> Result<Target, HeadError> {
    let text = span.of(buffer);
    let colon = memchr::memchr(b':', text).ok_or(HeadError::InvalidTarget)?;
    let Some(rest) = text[colon..].strip_prefix(b"://") else {
        return Err(HeadError::InvalidTarget);
    };
    let scheme = match &text[..colon] {
        name if name.eq_ignore_ascii_case(b"http") => TargetScheme::Http,
        name if name.eq_ignore_ascii_case(b"https") => TargetScheme::Https,
        _ => return Err(HeadError::UnsupportedScheme),
    };
    let length = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let start = span.end - rest.len();
    let authority = target_authority(buffer, Span { start, end: start + length })?;
    Ok(Target::Absolute { scheme, authority, path: Span { start: start + length, end: span.end } })
}

fn target_authority(buffer: &[u8], span: Span) -> Result<Authority, HeadError> {
    if span.of(buffer).contains(&b'@') {
        return Err(HeadError::UserInfo);
    }
    match parse_authority(buffer, span) {
        Some(authority) if authority.host.start < authority.host.end => Ok(authority),
        _ => Err(HeadError::InvalidAuthority),
    }
}

/// Parses `host`, `host:port`, `[v6]` or `[v6]:port`. The host may be empty (a Host field may be); none if malformed.
pub(super) fn parse_authority(buffer: &[u8], span: Span) -> Option<Authority> {
    let text = span.of(buffer);
    let (host, kind, after) = if let Some(inner) = text.strip_prefix(b"[") {
        let close = memchr::memchr(b']', inner)?;
        let address = std::str::from_utf8(&inner[..close]).ok()?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        (Span { start: span.start + 1, end: span.start + 1 + close }, HostKind::V6, &inner[close + 1..])
    } else {
        let length = memchr::memchr(b':', text).unwrap_or(text.len());
        let name = &text[..length];
        if !is_registered_name(name) {
            return None;
        }
        (Span { start: span.start, end: span.start + length }, name_kind(name), &text[length..])
    };
    let port = match after {
        [] | b":" => None,
        [b':', digits @ ..] => Some(parse_port(digits)?),
        _ => return None,
    };
    Some(Authority { span, host, kind, port })
}

fn name_kind(name: &[u8]) -> HostKind {
    let is_v4 = name.first().is_some_and(u8::is_ascii_digit)
        && std::str::from_utf8(name).is_ok_and(|text| text.parse::<std::net::Ipv4Addr>().is_ok());
    if is_v4 { HostKind::V4 } else { HostKind::Name }
}

/// The reg-name of RFC 3986, at most 255 bytes.
fn is_registered_name(name: &[u8]) -> bool {
    if name.len() > 255 {
        return false;
    }
    if name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-') {
        return true;
    }
    let mut rest = name;
    while let [byte, tail @ ..] = rest {
        rest = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => tail,
            (byte, tail) if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => tail,
            _ => return false,
        };
    }
    true
}

fn parse_port(digits: &[u8]) -> Option<u16> {
    if digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    u16::try_from(number).ok().filter(|&port| port != 0)
}
