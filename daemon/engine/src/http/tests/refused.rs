//! The table of smuggling shapes: each is refused, by the variant that names it.

use super::*;

/// Shapes of single lines, put after a good request line or status line.
#[test]
fn malformed_lines() {
    for (lines, expected) in [
        ("A: b\nC: d\r\n", HeadError::BareLf { line: 2 }),
        ("A: b\r\nC: d\n", HeadError::BareLf { line: 3 }),
        ("\n", HeadError::BareLf { line: 2 }),
        ("A: b\r\n\n", HeadError::BareLf { line: 3 }),
        ("A:\n", HeadError::BareLf { line: 2 }),
        ("A: b\rC: d\r\n", HeadError::BareCr { line: 2 }),
        ("A: b\r\r\n", HeadError::BareCr { line: 2 }),
        ("A: b\r\n\r\r\n", HeadError::BareCr { line: 3 }),
        ("\rA: b\r\n", HeadError::BareCr { line: 2 }),
        ("A: b\0c\r\n", HeadError::ControlByte { line: 2 }),
        ("A: \x0bb\r\n", HeadError::ControlByte { line: 2 }),
        ("A: b\x7f\r\n", HeadError::ControlByte { line: 2 }),
        ("A\0: b\r\n", HeadError::ControlByte { line: 2 }),
        ("A: b\r\n c\r\n", HeadError::ObsoleteFolding { line: 3 }),
        ("A: b\r\n\tc\r\n", HeadError::ObsoleteFolding { line: 3 }),
        (" A: b\r\n", HeadError::ObsoleteFolding { line: 2 }),
        ("A: b\r\n \r\n", HeadError::ObsoleteFolding { line: 3 }),
        ("A : b\r\n", HeadError::BlankBeforeColon { line: 2 }),
        ("A\t: b\r\n", HeadError::BlankBeforeColon { line: 2 }),
        (": b\r\n", HeadError::EmptyName { line: 2 }),
        ("A B: c\r\n", HeadError::FieldName { line: 2 }),
        ("A\u{e9}: c\r\n", HeadError::FieldName { line: 2 }),
        ("A(: c\r\n", HeadError::FieldName { line: 2 }),
        ("nothing\r\n", HeadError::FieldName { line: 2 }),
    ] {
        let text = format!("GET / HTTP/1.1\r\n{lines}Host: h\r\n\r\n");
        assert_eq!(request(text.as_bytes()), Err(expected), "{}", text.escape_debug());
        let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        assert_eq!(response(text.as_bytes()), Err(expected), "{}", text.escape_debug());
    }
}

#[test]
fn a_line_error_is_told_before_the_head_is_complete() {
    assert_eq!(request(b"GET / HTTP/1.1\nHost: h\n\n"), Err(HeadError::BareLf { line: 1 }));
    assert_eq!(request(b"GET / HTTP/1.1\r\nHost: h\n"), Err(HeadError::BareLf { line: 2 }));
    assert_eq!(request(b"GET / HTTP/1.1\r\nA : b\r\n"), Err(HeadError::BlankBeforeColon { line: 2 }));
    // An unfinished line is not judged yet.
    assert_eq!(request(b"GET / HTTP/1.1\r\nA : b\r"), Ok(None));
}

#[test]
fn malformed_request_lines() {
    for (line, expected) in [
        ("GET /", HeadError::Http09),
        ("GET", HeadError::RequestLine),
        ("", HeadError::RequestLine),
        ("POST /", HeadError::RequestLine),
        (" GET / HTTP/1.1", HeadError::RequestLine),
        ("GET  / HTTP/1.1", HeadError::RequestLine),
        ("GET /  HTTP/1.1", HeadError::RequestLine),
        ("GET / HTTP/1.1 ", HeadError::RequestLine),
        ("GET /a b HTTP/1.1", HeadError::RequestLine),
        ("GET\t/ HTTP/1.1", HeadError::RequestLine),
        ("GET /\t HTTP/1.1", HeadError::RequestLine),
        ("G(T / HTTP/1.1", HeadError::RequestLine),
        ("GET / http/1.1", HeadError::RequestLine),
        ("GET / HTTP/1.10", HeadError::RequestLine),
        ("GET / HTTP/1.2", HeadError::UnsupportedVersion),
        ("GET / HTTP/2.0", HeadError::UnsupportedVersion),
        ("GET / HTTP/0.9", HeadError::UnsupportedVersion),
        ("GET / HTTP/3", HeadError::UnsupportedVersion),
        ("GET /\0 HTTP/1.1", HeadError::ControlByte { line: 1 }),
        ("GET /\x7f HTTP/1.1", HeadError::ControlByte { line: 1 }),
        ("GET / HTTP/1.1\r", HeadError::BareCr { line: 1 }),
        ("GET /\rx HTTP/1.1", HeadError::BareCr { line: 1 }),
    ] {
        let text = format!("{line}\r\nHost: h\r\n\r\n");
        assert_eq!(request(text.as_bytes()), Err(expected), "{}", line.escape_debug());
    }
    assert_eq!(request(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Err(HeadError::Http2Preface));
    assert_eq!(request(b"\x16\x03\x01\x02\x00\x01"), Err(HeadError::TlsOnPlain));
}

#[test]
fn lengths_and_codings() {
    for (fields, expected) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", HeadError::LengthAndTransferEncoding),
        ("transfer-encoding: chunked\r\ncontent-length: 0\r\n", HeadError::LengthAndTransferEncoding),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", HeadError::RepeatedContentLength),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", HeadError::ConflictingContentLength),
        ("Content-Length: 5, 5\r\n", HeadError::RepeatedContentLength),
        ("Content-Length: 5, 6\r\n", HeadError::ConflictingContentLength),
        ("Content-Length: 5,\r\n", HeadError::InvalidContentLength),
        ("Content-Length:\r\n", HeadError::InvalidContentLength),
        ("Content-Length: +5\r\n", HeadError::InvalidContentLength),
        ("Content-Length: -5\r\n", HeadError::InvalidContentLength),
        ("Content-Length: 0x5\r\n", HeadError::InvalidContentLength),
        ("Content-Length: 5 5\r\n", HeadError::InvalidContentLength),
        ("Content-Length: 5.0\r\n", HeadError::InvalidContentLength),
        ("Content-Length: 1_000\r\n", HeadError::InvalidContentLength),
        ("Content-Length: 18446744073709551616\r\n", HeadError::InvalidContentLength),
        ("Content-Length: 000000000000000000005\r\n", HeadError::InvalidContentLength),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", HeadError::RepeatedTransferEncoding),
        ("Transfer-Encoding: chunked, chunked\r\n", HeadError::InvalidTransferEncoding),
        ("Transfer-Encoding: chunked, gzip\r\n", HeadError::InvalidTransferEncoding),
        ("Transfer-Encoding: chunked,\r\n", HeadError::InvalidTransferEncoding),
        ("Transfer-Encoding: ,chunked\r\n", HeadError::InvalidTransferEncoding),
        ("Transfer-Encoding: xchunked\r\n", HeadError::InvalidTransferEncoding),
        ("Transfer-Encoding: \"chunked\"\r\n", HeadError::InvalidTransferEncoding),
        ("Transfer-Encoding: chunked;a=b\r\n", HeadError::InvalidTransferEncoding),
        ("Transfer-Encoding: gzip chunked\r\n", HeadError::InvalidTransferEncoding),
        ("Transfer-Encoding:\r\n", HeadError::InvalidTransferEncoding),
        ("Transfer-Encoding: \u{e9}\r\n", HeadError::InvalidTransferEncoding),
    ] {
        assert_eq!(request(&with_fields(fields)), Err(expected), "{fields}");
        let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        assert_eq!(response(text.as_bytes()), Err(expected), "{fields}");
    }
    for fields in ["gzip, chunked", "gzip", "identity", "gzip;q=1"] {
        let text = with_fields(&format!("Transfer-Encoding: {fields}\r\n"));
        let refused = request(&text).unwrap_err();
        assert_eq!((refused, refused.status()), (HeadError::UnsupportedTransferEncoding, 501), "{fields}");
    }
    for line in ["POST / HTTP/1.0", "HTTP/1.0 200 OK"] {
        let text = format!("{line}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let refused = if line.starts_with('P') {
            request(text.as_bytes()).unwrap_err()
        } else {
            response(text.as_bytes()).unwrap_err()
        };
        assert_eq!(refused, HeadError::TransferEncodingInHttp10);
    }
}

#[test]
fn hosts_and_credentials() {
    let get = |fields: &str| request(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes());
    assert_eq!(get(""), Err(HeadError::MissingHost));
    assert_eq!(get("Host: a\r\nHost: a\r\n"), Err(HeadError::RepeatedHost));
    for host in ["a b", "a/b", "u@h", "h:x", "h:0", "h:99999", "[::1", "[x]", "a,b:1:2", "a\\b", "a?b", "\u{e9}", "%zz"]
    {
        assert_eq!(get(&format!("Host: {host}\r\n")), Err(HeadError::InvalidHost), "{host}");
    }
    for host in ["", "h", "h:", "h:65535", "[2001:db8::1]:8443", "a_b.c", "%41", "127.0.0.1:1"] {
        assert!(get(&format!("Host: {host}\r\n")).is_ok(), "{host}");
    }
    let twice = "Host: h\r\nProxy-Authorization: a\r\nproxy-authorization: b\r\n";
    assert_eq!(get(twice), Err(HeadError::RepeatedProxyAuthorization));
    let connect = |field: &str| request(format!("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n{field}\r\n").as_bytes());
    assert_eq!(connect("Content-Length: 1\r\n"), Err(HeadError::ConnectWithBody));
    assert_eq!(connect("Transfer-Encoding: chunked\r\n"), Err(HeadError::ConnectWithBody));
    assert!(connect("Content-Length: 0\r\n").is_ok());
}

#[test]
fn statuses_of_refusals() {
    assert_eq!(HeadError::TooLarge { limit: 1 }.status(), 431);
    assert_eq!(HeadError::UnsupportedVersion.status(), 505);
    assert_eq!(HeadError::BareLf { line: 1 }.status(), 400);
    assert!(HeadError::BareLf { line: 3 }.to_string().starts_with("line 3 ends in LF without CR"));
}
