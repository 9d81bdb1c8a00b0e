//! Where a response ends, by request method and status.

use super::*;
use crate::http::{Framing, Method};

#[test]
fn framing_by_method_and_status() {
    let framing = |method, status: u16, fields: &str| {
        let text = format!("HTTP/1.1 {status} x\r\n{fields}\r\n");
        response(text.as_bytes()).unwrap().unwrap().framing(method, false).unwrap()
    };
    let length = "Content-Length: 7\r\n";
    let chunked = "Transfer-Encoding: Chunked\r\n";
    for (method, status, fields, expected) in [
        (Method::Get, 200, length, Framing::Length(7)),
        (Method::Get, 200, "Content-Length: 0\r\n", Framing::Length(0)),
        (Method::Get, 200, chunked, Framing::Chunked),
        (Method::Get, 200, "Transfer-Encoding: gzip, chunked\r\n", Framing::Chunked),
        (Method::Get, 200, "Transfer-Encoding: gzip\r\n", Framing::UntilClose),
        (Method::Get, 200, "", Framing::UntilClose),
        (Method::Get, 404, "", Framing::UntilClose),
        (Method::Head, 200, length, Framing::None),
        (Method::Head, 200, chunked, Framing::None),
        (Method::Get, 100, length, Framing::None),
        (Method::Get, 199, chunked, Framing::None),
        (Method::Get, 204, length, Framing::None),
        (Method::Get, 304, length, Framing::None),
        (Method::Get, 205, "", Framing::UntilClose),
        (Method::Connect, 200, length, Framing::Tunnel),
        (Method::Connect, 299, chunked, Framing::Tunnel),
        (Method::Connect, 407, length, Framing::Length(7)),
        (Method::Other, 200, length, Framing::Length(7)),
    ] {
        assert_eq!(framing(method, status, fields), expected, "{method:?} {status} {fields}");
    }
}

#[test]
fn a_switch_of_protocols_must_have_been_asked_for() {
    let head = response(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n").unwrap().unwrap();
    assert_eq!(head.framing(Method::Get, true), Ok(Framing::Tunnel));
    assert_eq!(head.framing(Method::Get, false), Err(HeadError::UnaskedSwitch));
    assert!(head.upgrade.is_some());
}

#[test]
fn framing_of_requests() {
    let framing = |fields: &str| request(&with_fields(fields)).unwrap().unwrap().framing;
    assert_eq!(framing(""), Framing::None);
    assert_eq!(framing("Content-Length: 18446744073709551615\r\n"), Framing::Length(u64::MAX));
    assert_eq!(framing("Content-Length: 007\r\n"), Framing::Length(7));
    assert_eq!(framing("Transfer-Encoding:  CHUNKED \r\n"), Framing::Chunked);
}
