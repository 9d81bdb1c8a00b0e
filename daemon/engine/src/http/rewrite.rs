//! The few edits a head gets on its way: what a plain forward proxy must change, what a recording must not keep, and the
//! word of an instance that stops. Everything else stays byte for byte: order, case and spacing of the fields.

use std::borrow::Cow;

use super::target::Target;
use super::{Method, RequestHead};

/// The head to send to the origin for a plain (not tunnelled) proxy request: the absolute-form target becomes
/// origin-form, the Proxy-Connection and Proxy-Authorization lines are dropped, and a Host that disagrees with the
/// target is replaced by the target's authority (RFC 9112, 3.2.2; a missing one, HTTP/1.0, is added). A Host that
/// agrees keeps its bytes.
///
/// Inside an intercepted tunnel nothing is for the proxy and nothing should be changed: use [`RequestHead::bytes`].
pub(crate) fn upstream_head<'a>(buffer: &'a [u8], head: &RequestHead) -> Cow<'a, [u8]> {
    let drops: &[&[u8]] = match (head.proxy_authorization.is_some(), head.proxy_connection) {
        (false, false) => &[],
        _ => &[b"proxy-authorization", b"proxy-connection"],
    };
    let Target::Absolute { scheme, authority, path } = head.target else {
        return without(buffer, head, drops);
    };
    let agrees = |default_port| head.host.is_some_and(|host| host.agrees(&authority, buffer, default_port));
    let keeps_host = agrees(scheme.default_port());
    let line_end = line_end(buffer, head.start, head.head_len);
    let mut out = Vec::with_capacity(head.head_len + 16);
    out.extend_from_slice(head.method_span.of(buffer));
    out.push(b' ');
    origin_target(&mut out, path.of(buffer), head.method);
    out.extend_from_slice(&buffer[head.target_span.end..line_end]);
    let put_host = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"Host: ");
        out.extend_from_slice(authority.span.of(buffer));
        out.extend_from_slice(b"\r\n");
    };
    if head.host.is_none() {
        put_host(&mut out);
    }
    if keeps_host && drops.is_empty() {
        out.extend_from_slice(&buffer[line_end..head.head_len]);
        return Cow::Owned(out);
    }
    for line in lines(buffer, line_end, head.head_len) {
        if !keeps_host && named(line, b"host") {
            put_host(&mut out);
        } else if !drops.iter().any(|name| named(line, name)) {
            out.extend_from_slice(line);
        }
    }
    Cow::Owned(out)
}

/// The head as it may be recorded: without the Proxy-Authorization line, which holds a password of ours.
pub(crate) fn redacted<'a>(buffer: &'a [u8], head: &RequestHead) -> Cow<'a, [u8]> {
    match head.proxy_authorization {
        Some(_) => without(buffer, head, &[b"proxy-authorization"]),
        None => Cow::Borrowed(head.bytes(buffer)),
    }
}

/// A response head for a client whose connection ends after this answer because the instance stops: with a `Connection:
/// close` line before the blank one. It beats a `keep-alive` that the origin may have sent (RFC 9112, 9.3).
pub(crate) fn closing(head: &[u8]) -> Vec<u8> {
    let blank = if head.ends_with(b"\r\n") { 2 } else { 1 };
    let (fields, blank) = head.split_at(head.len().saturating_sub(blank));
    [fields, b"Connection: close\r\n", blank].concat()
}

/// The origin-form of an absolute target: `*` for OPTIONS with no path (RFC 9112, 3.2.4), else at least `/`.
fn origin_target(out: &mut Vec<u8>, path: &[u8], method: Method) {
    match path {
        [] if method == Method::Options => out.push(b'*'),
        [b'/', ..] => out.extend_from_slice(path),
        _ => {
            out.push(b'/');
            out.extend_from_slice(path);
        }
    }
}

fn without<'a>(buffer: &'a [u8], head: &RequestHead, names: &[&[u8]]) -> Cow<'a, [u8]> {
    if names.is_empty() {
        return Cow::Borrowed(head.bytes(buffer));
    }
    let line_end = line_end(buffer, head.start, head.head_len);
    let mut out = Vec::with_capacity(head.head_len);
    out.extend_from_slice(&buffer[head.start..line_end]);
    for line in lines(buffer, line_end, head.head_len) {
        if !names.iter().any(|name| named(line, name)) {
            out.extend_from_slice(line);
        }
    }
    Cow::Owned(out)
}

fn line_end(buffer: &[u8], start: usize, end: usize) -> usize {
    memchr::memchr(b'\n', &buffer[start..end]).map_or(end, |length| start + length + 1)
}

/// The lines of `buffer[start..end]` with their line ends; the last is the blank one.
fn lines(buffer: &[u8], start: usize, end: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = &buffer[start..end];
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, tail) = rest.split_at(line_end(rest, 0, rest.len()));
        rest = tail;
        Some(line)
    })
}

fn named(line: &[u8], name: &[u8]) -> bool {
    line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name)
}
