//! What is sent upstream, what is recorded, and the proxy's own pages.

use super::*;
use crate::http::{ErrorPage, closing, error_page, redacted, upstream_head};

fn upstream(text: &str) -> String {
    let head = request(text.as_bytes()).unwrap().unwrap();
    String::from_utf8(upstream_head(text.as_bytes(), &head).into_owned()).unwrap()
}

#[test]
fn only_what_must_change_changes() {
    assert_eq!(
        upstream(
            "GET http://a.b/x?y HTTP/1.1\r\nuser-AGENT:  z \r\nProxy-connection: keep-alive\r\nHOST:A.b:80\r\n\
             proxy-AUTHORIZATION: Basic c2VjcmV0\r\nproxy-authorization-x: keep\r\nX:\t1\r\n\r\nbody"
        ),
        "GET /x?y HTTP/1.1\r\nuser-AGENT:  z \r\nHOST:A.b:80\r\nproxy-authorization-x: keep\r\nX:\t1\r\n\r\n"
    );
    let origin = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(upstream(origin), origin);
    assert_eq!(upstream(&format!("\r\n{origin}")), origin);
}

#[test]
fn the_target_decides_the_host() {
    for (target, host, expected) in [
        ("http://a.b/", "Host: other", "Host: a.b"),
        ("http://a.b:81/", "hOST:  a.b", "Host: a.b:81"),
        ("http://[::1]:81/", "Host: [::1]:81", "Host: [::1]:81"),
        ("https://a.b/", "Host: a.b:443", "Host: a.b:443"),
        ("https://a.b/", "Host: a.b:80", "Host: a.b"),
        ("http://A.B/", "host: a.b:", "host: a.b:"),
        ("http://a.b/", "Host:", "Host: a.b"),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nA: 1\r\n{host}\r\nB: 2\r\n\r\n");
        assert_eq!(upstream(&text), format!("GET / HTTP/1.1\r\nA: 1\r\n{expected}\r\nB: 2\r\n\r\n"), "{target} {host}");
    }
    assert_eq!(upstream("GET http://a.b/ HTTP/1.0\r\nA: 1\r\n\r\n"), "GET / HTTP/1.0\r\nHost: a.b\r\nA: 1\r\n\r\n");
}

#[test]
fn targets_become_origin_form() {
    for (method, target, expected) in [
        ("GET", "http://h", "/"),
        ("GET", "http://h?q", "/?q"),
        ("GET", "http://h#f", "/#f"),
        ("GET", "http://h//x", "//x"),
        ("OPTIONS", "http://h", "*"),
        ("OPTIONS", "http://h/", "/"),
        ("OPTIONS", "http://h?q", "/?q"),
    ] {
        let text = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(upstream(&text), format!("{method} {expected} HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
}

#[test]
fn a_recording_holds_no_proxy_password() {
    let text = b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\nProxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: x\r\n\r\n";
    let head = request(text).unwrap().unwrap();
    assert_eq!(head.proxy_authorization.unwrap().of(text), b"Basic c2VjcmV0");
    assert_eq!(&*redacted(text, &head), b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\nProxy-Connection: x\r\n\r\n");
}

fn page(status: u16, close: bool, head_only: bool) -> String {
    let page = ErrorPage {
        status,
        title: "No <way>",
        why: "\"host\" & 'port' \u{202e}\u{1b}",
        what_to_do: "Go on.",
        close,
        head_only,
    };
    String::from_utf8(error_page(&page)).unwrap()
}

#[test]
fn pages_are_complete_escaped_and_inert() {
    let text = page(502, true, false);
    let head = response(text.as_bytes()).unwrap().unwrap();
    let body = &text[head.head_len..];
    assert_eq!(head.framing(crate::http::Method::Get, false), Ok(crate::http::Framing::Length(body.len() as u64)));
    assert!(!head.keep_alive && head.status == 502);
    for expected in ["default-src 'none'", "nosniff", "no-store"] {
        assert!(text[..head.head_len].contains(expected), "{expected}");
    }
    assert!(body.contains("No &lt;way&gt;") && body.contains("&quot;host&quot; &amp; &#39;port&#39; \u{fffd}\u{fffd}"));
    assert!(!body.contains("<way") && !text.contains("Proxy-Authenticate"));

    let head_only = page(502, true, true);
    assert_eq!(head_only, text[..head.head_len]);
    let challenge = page(407, false, false);
    assert!(challenge.contains("\r\nProxy-Authenticate: Basic realm=\"Merlon\""));
    assert!(response(challenge.as_bytes()).unwrap().unwrap().keep_alive);
}

#[test]
fn an_answer_that_is_the_last_says_so_and_is_otherwise_as_it_came() {
    let head = "HTTP/1.1 200 OK\r\nX:  1\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(
        String::from_utf8(closing(head.as_bytes())).unwrap(),
        "HTTP/1.1 200 OK\r\nX:  1\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(closing(b"HTTP/1.1 204 \r\n\r\n"), b"HTTP/1.1 204 \r\nConnection: close\r\n\r\n");
}
