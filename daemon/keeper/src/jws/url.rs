//! Which URLs may stand in a token: https, or http where it does not leave the machine. Nothing is fetched from them.

use std::net::IpAddr;

use merlon_wire::identity::MAX_URL;

/// Checks an issuer or endpoint without query and fragment (RFC 8414, 2). The error says what is wrong.
pub(crate) fn check(url: &str) -> Result<(), &'static str> {
    if url.contains('?') {
        return Err("it has a query");
    }
    check_with_query(url)
}

/// The same, and it may have a query.
pub(crate) fn check_with_query(url: &str) -> Result<(), &'static str> {
    if url.len() > MAX_URL {
        return Err("it is longer than 512 bytes");
    }
    if !url.bytes().all(|c| c.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&c)) {
        return Err("it holds a character that no URL has");
    }
    if url.contains('#') {
        return Err("it has a fragment");
    }
    let (scheme, rest) = url.split_once("://").ok_or("it is no https URL")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = host_of(authority).ok_or("it names no host, or more than host and port")?;
    match scheme {
        "https" => Ok(()),
        "http" if is_loopback(host) => Ok(()),
        "http" => Err("http is for loopback only; use https"),
        _ => Err("it is no https URL"),
    }
}

/// The host of `HOST`, `HOST:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`.
fn host_of(authority: &str) -> Option<&str> {
    if authority.contains('@') {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    (port && !host.is_empty()).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_taken_and_http_on_loopback_only() {
        for url in [
            "https://h",
            "https://hub.example/",
            "https://hub.example:8443/a/b",
            "https://[2001:db8::1]:1/x",
            "http://127.0.0.1:8444",
            "http://127.1.2.3/token",
            "http://[::1]:80/",
            "http://localhost:1/token",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        assert_eq!(check_with_query("https://h/reg?client_id=a%20b"), Ok(()));
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("https://h/{}", "a".repeat(MAX_URL));
        for url in [
            "",
            "https://",
            "https:///x",
            "HTTPS://h",
            "ftp://h",
            "file:///etc/passwd",
            "http://hub.example",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://127.0.0.1@hub.example",
            "https://user@h",
            "https://h:0",
            "https://h:",
            "https://h:99999",
            "https://h:80:80",
            "https://[::1",
            "https://[::1]x",
            "https://h/?q",
            "https://h#f",
            "https://h/ ",
            "https://h/\n",
            "https://h/é",
            "https://h\\x",
            "javascript:alert(1)",
            &long,
        ] {
            assert!(check(url).is_err(), "{url:?}");
        }
    }
}
