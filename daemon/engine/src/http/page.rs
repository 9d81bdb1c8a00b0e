//! Pages that the proxy answers with itself: complete HTTP/1.1 responses that say what failed, why, and what to do.
//!
//! Nothing in them is active: all text is escaped, the policy forbids every load but the inline style, and they are
//! never cached, so that a page cannot outlive the fault it reports.

use std::fmt::Write as _;

/// An answer of the proxy's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorPage<'a> {
    /// Status. With 407, the challenge for Basic over realm `Merlon` is added.
    pub(crate) status: u16,
    /// What failed, in a few words.
    pub(crate) title: &'a str,
    /// Why.
    pub(crate) why: &'a str,
    /// What the user can do next.
    pub(crate) what_to_do: &'a str,
    /// The connection is closed after this answer.
    pub(crate) close: bool,
    /// The request was HEAD: no body.
    pub(crate) head_only: bool,
}

/// The bytes of the response.
pub(crate) fn error_page(page: &ErrorPage<'_>) -> Vec<u8> {
    let body = html(page);
    let mut out = String::with_capacity(body.len() + 512);
    // Writing to a String cannot fail.
    let _ = write!(out, "HTTP/1.1 {} {}\r\n", page.status, reason(page.status));
    out.push_str("Content-Type: text/html; charset=utf-8\r\n");
    let _ = write!(out, "Content-Length: {}\r\n", body.len());
    out.push_str(
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Referrer-Policy: no-referrer\r\n\
         Cache-Control: no-store\r\n",
    );
    if page.status == 407 {
        out.push_str("Proxy-Authenticate: Basic realm=\"Merlon\", charset=\"UTF-8\"\r\n");
    }
    if page.close {
        out.push_str("Connection: close\r\n");
    }
    out.push_str("\r\n");
    if !page.head_only {
        out.push_str(&body);
    }
    out.into_bytes()
}

fn html(page: &ErrorPage<'_>) -> String {
    let mut out = String::with_capacity(1024);
    out.push_str(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>",
    );
    let _ = write!(out, "{} ", page.status);
    escape(&mut out, page.title);
    out.push_str(
        "</title>\n<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}\
         p{white-space:pre-wrap;overflow-wrap:anywhere}footer{color:#666}</style>\n<h1>",
    );
    escape(&mut out, page.title);
    out.push_str("</h1>\n<p>");
    escape(&mut out, page.why);
    out.push_str("</p>\n<p><strong>What to do:</strong> ");
    escape(&mut out, page.what_to_do);
    let _ =
        write!(out, "</p>\n<footer>Status {}, answered by the Merlon proxy, not by the site.</footer>\n", page.status);
    out.push_str("</html>\n");
    out
}

/// Text for an HTML element or a quoted attribute.
fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(character),
            // Controls and direction overrides could make the page say what it does not.
            character
                if character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.push('\u{fffd}');
            }
            character => out.push(character),
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        _ => "Error",
    }
}
