//! Heads that are accepted, and what is read from them.

use super::*;
use crate::http::start_line::Version;
use crate::http::target::HostKind;
use crate::http::{Framing, Method, Target, TargetScheme};

#[test]
fn a_request_keeps_its_positions() {
    let text = b"GET /a?b=%20|<> HTTP/1.1\r\nhOsT:  Example.COM:8080 \t\r\nX-Empty:\r\nContent-Type: a/b\r\n\r\nnext";
    let head = request(text).unwrap().unwrap();
    assert_eq!((head.start, head.head_len), (0, text.len() - 4));
    assert_eq!(head.method, Method::Get);
    assert_eq!(head.method_span.of(text), b"GET");
    assert_eq!(head.target, Target::Origin);
    assert_eq!(head.target_span.of(text), b"/a?b=%20|<>");
    assert_eq!((head.version, head.framing, head.keep_alive), (Version::Http11, Framing::None, true));
    let host = head.host.unwrap();
    assert_eq!((host.host_name(text), host.port, host.kind), ("example.com".into(), Some(8080), HostKind::Name));
    assert_eq!(head.content_type.unwrap().of(text), b"a/b");
    assert_eq!(head.bytes(text), &text[..text.len() - 4]);
}

#[test]
fn one_crlf_too_many_is_skipped_and_only_one() {
    let head = request(b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().unwrap();
    assert_eq!((head.start, head.head_len), (2, 29));
    assert_eq!(request(b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), Err(HeadError::RequestLine));
}

#[test]
fn odd_bytes_in_a_path_pass() {
    let text = b"GET /\xff\xc3\"{}\\^`|#x HTTP/1.1\r\nHost: h\r\nX: \x80\xff\t\r\n\r\n";
    assert_eq!(request(text).unwrap().unwrap().target_span.of(text), b"/\xff\xc3\"{}\\^`|#x");
}

#[test]
fn targets_by_method() {
    let absolute = b"GET HTTP://[::1]:81?x HTTP/1.1\r\nHost: h\r\n\r\n";
    let Target::Absolute { scheme, authority, path } = request(absolute).unwrap().unwrap().target else {
        panic!("not absolute")
    };
    assert_eq!((scheme, authority.kind, authority.port), (TargetScheme::Http, HostKind::V6, Some(81)));
    assert_eq!((authority.host_name(absolute), path.of(absolute)), ("::1".into(), &b"?x"[..]));

    let connect = b"CONNECT Example.org.:443 HTTP/1.1\r\nHost: example.org\r\n\r\n";
    let Target::Authority(authority) = request(connect).unwrap().unwrap().target else { panic!("not an authority") };
    assert_eq!((authority.host_name(connect), authority.port), ("example.org".into(), Some(443)));

    let options = request(b"OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n").unwrap().unwrap();
    assert_eq!(options.target, Target::Asterisk);
    let v4 = request(b"GET https://127.0.0.1/ HTTP/1.0\r\n\r\n").unwrap().unwrap();
    assert!(
        matches!(v4.target, Target::Absolute { scheme: TargetScheme::Https, authority, .. } if authority.kind == HostKind::V4)
    );
}

#[test]
fn targets_that_are_refused() {
    for (line, expected) in [
        ("GET * HTTP/1.1", HeadError::InvalidTarget),
        ("GET example.com HTTP/1.1", HeadError::InvalidTarget),
        ("GET example.com:80 HTTP/1.1", HeadError::InvalidTarget),
        ("GET http:/h/ HTTP/1.1", HeadError::InvalidTarget),
        ("GET ftp://h/ HTTP/1.1", HeadError::UnsupportedScheme),
        ("GET http://u:p@h/ HTTP/1.1", HeadError::UserInfo),
        ("GET http:///x HTTP/1.1", HeadError::InvalidAuthority),
        ("GET http://:80/ HTTP/1.1", HeadError::InvalidAuthority),
        ("GET http://h:0/ HTTP/1.1", HeadError::InvalidAuthority),
        ("GET http://h:65536/ HTTP/1.1", HeadError::InvalidAuthority),
        ("GET http://h:+80/ HTTP/1.1", HeadError::InvalidAuthority),
        ("GET http://h:80:80/ HTTP/1.1", HeadError::InvalidAuthority),
        ("GET http://h\\x/ HTTP/1.1", HeadError::InvalidAuthority),
        ("GET http://h\u{e9}/ HTTP/1.1", HeadError::InvalidAuthority),
        ("GET http://h%2/ HTTP/1.1", HeadError::InvalidAuthority),
        ("GET http://[::1/ HTTP/1.1", HeadError::InvalidAuthority),
        ("GET http://[::1%25eth0]/ HTTP/1.1", HeadError::InvalidAuthority),
        ("GET http://[127.0.0.1]/ HTTP/1.1", HeadError::InvalidAuthority),
        ("GET http://::1/ HTTP/1.1", HeadError::InvalidAuthority),
        ("CONNECT h HTTP/1.1", HeadError::InvalidAuthority),
        ("CONNECT h: HTTP/1.1", HeadError::InvalidAuthority),
        ("CONNECT /x HTTP/1.1", HeadError::InvalidAuthority),
        ("CONNECT http://h:80 HTTP/1.1", HeadError::InvalidAuthority),
        ("CONNECT u@h:80 HTTP/1.1", HeadError::UserInfo),
        ("connect h:80 HTTP/1.1", HeadError::InvalidTarget),
    ] {
        let text = format!("{line}\r\nHost: h\r\n\r\n");
        assert_eq!(request(text.as_bytes()), Err(expected), "{line}");
    }
}

#[test]
fn connection_expectation_and_upgrade() {
    let alive = |fields: &str| request(&with_fields(fields)).unwrap().unwrap().keep_alive;
    assert!(alive(""));
    assert!(!alive("Connection: Close\r\n"));
    assert!(!alive("Connection: keep-alive\r\nConnection: x, close\r\n"));
    let old = |field: &str| {
        let text = format!("GET / HTTP/1.0\r\n{field}\r\n");
        request(text.as_bytes()).unwrap().unwrap().keep_alive
    };
    assert!(!old("") && old("Connection: keep-alive\r\n") && !old("Proxy-Connection: keep-alive\r\n"));

    let upgraded = with_fields("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n");
    assert_eq!(request(&upgraded).unwrap().unwrap().upgrade.unwrap().of(&upgraded), b"websocket");
    assert!(request(&with_fields("Upgrade: websocket\r\n")).unwrap().unwrap().upgrade.is_none());

    assert!(request(&with_fields("Expect: 100-Continue\r\n")).unwrap().unwrap().expect_continue);
    assert!(!request(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap().unwrap().expect_continue);
}

#[test]
fn limits_hold_to_the_byte() {
    let text = b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n";
    let parse = |max_bytes, max_fields| {
        let limits = HeadLimits { max_bytes, max_fields };
        incrementally(text, |buffer| RequestHead::parse(buffer, &limits))
    };
    assert!(parse(text.len(), 2).unwrap().is_some());
    assert_eq!(parse(text.len() - 1, 2), Err(HeadError::TooLarge { limit: text.len() - 1 }));
    assert_eq!(parse(10, 2), Err(HeadError::TooLarge { limit: 10 }));
    assert_eq!(parse(text.len(), 1), Err(HeadError::TooManyFields { limit: 1 }));
    // More fields than fit into the first try on the stack.
    for count in [47, 48, 49, 127] {
        let many = with_fields(&"A: b\r\n".repeat(count));
        assert!(request(&many).unwrap().is_some(), "{count}");
    }
    assert_eq!(request(&with_fields(&"A: b\r\n".repeat(128))), Err(HeadError::TooManyFields { limit: 128 }));
}

#[test]
fn responses_are_read() {
    let text = b"HTTP/1.1 200 \xe9t\xe9 OK\r\nContent-Type: x\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc";
    let head = response(text).unwrap().unwrap();
    assert_eq!((head.status, head.head_len), (200, text.len() - 3));
    assert_eq!(head.reason.of(text), b"\xe9t\xe9 OK");
    assert_eq!(head.content_encoding.unwrap().of(text), b"br");
    assert_eq!(head.content_type.unwrap().of(text), b"x");
    for line in ["HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.0 999 x"] {
        assert!(response(format!("{line}\r\n\r\n").as_bytes()).unwrap().is_some(), "{line}");
    }
    let interim = |line: &str| response(format!("{line}\r\n\r\n").as_bytes()).unwrap().unwrap().is_interim();
    assert!(interim("HTTP/1.1 100 Continue") && interim("HTTP/1.1 103 x") && !interim("HTTP/1.1 101 x"));
    for (line, expected) in [
        ("ICY 200 OK", HeadError::NotHttp),
        ("SSH-2.0-x", HeadError::NotHttp),
        ("HTTP/2 200", HeadError::UnsupportedVersion),
        ("HTTP/1.2 200 OK", HeadError::UnsupportedVersion),
        ("HTTP/1.1  200 OK", HeadError::StatusLine),
        ("HTTP/1.1 099 OK", HeadError::StatusLine),
        ("HTTP/1.1 20 OK", HeadError::StatusLine),
        ("HTTP/1.1 2000 OK", HeadError::StatusLine),
        ("HTTP/1.1\t200 OK", HeadError::StatusLine),
        ("HTTP/x 200 OK", HeadError::StatusLine),
        ("HTTP/1.1", HeadError::StatusLine),
        ("HTTP/1.1 200 a\0b", HeadError::ControlByte { line: 1 }),
    ] {
        assert_eq!(response(format!("{line}\r\n\r\n").as_bytes()), Err(expected), "{line}");
    }
}

/// Damages good heads at random: whatever comes out, it is the same at once and byte by byte, and never a panic.
#[test]
fn damaged_heads_give_one_answer_however_they_are_cut() {
    let seeds: [&[u8]; 3] = [
        b"POST http://a.b:80/x?y HTTP/1.1\r\nHost: a.b\r\nContent-Length: 5\r\nConnection: close\r\nProxy-Authorization: Basic eA==\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n",
        b"CONNECT [::1]:443 HTTP/1.0\r\nUpgrade:\r\nConnection: upgrade , x\r\n\r\n",
    ];
    let odd = b"\r\n\0 \t:,;\x7f\x80aG/1";
    let mut dice = Dice(0x5eed);
    let mut accepted = 0;
    for _ in 0..4_000 {
        let mut text = seeds[dice.roll(seeds.len())].to_vec();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(text.len());
            match dice.roll(3) {
                0 => text[at] = odd[dice.roll(odd.len())],
                1 => text.insert(at, odd[dice.roll(odd.len())]),
                _ => drop(text.remove(at)),
            }
        }
        accepted += u32::from(matches!(request(&text), Ok(Some(_))));
        let mut answer = b"HTTP/1.1 200 OK\r\n".to_vec();
        answer.extend_from_slice(text.splitn(2, |&byte| byte == b'\n').nth(1).unwrap_or_default());
        let _ = response(&answer);
        assert_ne!(request(&text), Err(HeadError::Malformed), "{}", text.escape_ascii());
        assert_ne!(response(&answer), Err(HeadError::Malformed), "{}", answer.escape_ascii());
    }
    assert!(accepted > 100, "{accepted}");
}
