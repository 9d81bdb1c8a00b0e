//! `http://merlon.invalid/`: the one name that the proxy answers itself, with the CA certificate. Only what is public
//! anyway is here; the API is never reachable through the proxy.

use super::Proxy;
use super::conn::Conn;
use crate::http::{Framing, Method, RequestHead, Target};

/// The name (RFC 2606 reserves `.invalid`, so it can be no real host).
pub(crate) const HOST: &str = "merlon.invalid";

/// Answers; true if the connection can go on.
pub(crate) async fn serve(proxy: &Proxy, conn: &mut Conn, head: &RequestHead) -> bool {
    let Some(ca) = proxy.ca.get() else { return false };
    let buffer = conn.reader.buffered();
    let path = match head.target {
        Target::Absolute { path, .. } => path.of(buffer),
        _ => head.target_span.of(buffer),
    };
    let html = {
        let text = head.bytes(buffer);
        memchr::memmem::find(text, b"text/html").is_some()
    };
    let response = match (head.method, path) {
        (Method::Get | Method::Head, b"" | b"/") if html => {
            let fingerprint = &ca.fingerprint;
            let body = format!(
                "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Merlon</title>\n\
                 <h1>This browser goes through Merlon</h1>\n\
                 <p><a href=\"/ca.pem\">Download the CA certificate</a> and trust it for websites.</p>\n\
                 <p>SHA-256: <code>{fingerprint}</code><br>Compare it with <code>merlon ca fingerprint</code> on the instance's host first.</p>\n</html>\n"
            );
            response("200 OK", "text/html; charset=utf-8", body.as_bytes(), head.method)
        }
        (Method::Get | Method::Head, b"" | b"/" | b"/ca.pem") => {
            response("200 OK", "application/x-pem-file", ca.pem.as_bytes(), head.method)
        }
        (Method::Get | Method::Head, b"/ca.crt") => {
            response("200 OK", "application/x-x509-ca-cert", &ca.der, head.method)
        }
        _ => response("404 Not Found", "text/plain", b"merlon.invalid has /, /ca.pem and /ca.crt\n", head.method),
    };
    let goes_on = head.keep_alive && head.framing == Framing::None;
    drop(conn.reader.take_mut(head.head_len));
    conn.writer.send(&response).await.is_ok() && goes_on
}

fn response(status: &str, content_type: &str, body: &[u8], method: Method) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'\r\nX-Content-Type-Options: nosniff\r\n\r\n",
        body.len()
    )
    .into_bytes();
    if method != Method::Head {
        out.extend_from_slice(body);
    }
    out
}
