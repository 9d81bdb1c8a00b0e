//! The URL in a proof (`htu`, RFC 9449, 4.2) and the one that was asked, made comparable as RFC 3986, 6.2.2 and 6.2.3
//! have it: scheme and host without case, no default port, a path of at least `/`, one form of percent-encoding; query
//! and fragment don't count (RFC 9449, 4.3). Dot segments are not resolved: who sends them gets no match.

/// The longest URL that is looked at, in bytes.
const MAX_URL: usize = 4096;

/// None for what is no http or https URL with a host.
pub(crate) fn normal(url: &str) -> Option<String> {
    if url.len() > MAX_URL || url.bytes().any(|b| b.is_ascii_control() || b == b' ') {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => "443",
        "http" => "80",
        _ => return None,
    };
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return None;
    }
    let (host, port) = match authority.rfind(':') {
        // The colons of an IPv6 address stand inside its brackets.
        Some(at) if !authority[at..].contains(']') => (&authority[..at], &authority[at + 1..]),
        _ => (authority, ""),
    };
    if host.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let port = port.trim_start_matches('0');
    let port = if port.is_empty() || port == default_port { String::new() } else { format!(":{port}") };
    let path = if path.is_empty() { "/".to_owned() } else { percent(path)? };
    Some(format!("{scheme}://{}{port}{path}", percent(host)?.to_ascii_lowercase()))
}

/// Upper-case digits in escapes, and none for what needs none.
fn percent(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 3).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_one_url_are_one() {
        for url in [
            "https://host.example/a/b",
            "HTTPS://Host.Example/a/b",
            "https://host.example:443/a/b",
            "https://host.example:0443/a/b",
            "https://host.example:/a/b",
            "https://host.example/a/b?q=1#f",
            "https://host.example/%61/b",
            "https://h%6fst.example/a/b",
        ] {
            assert_eq!(normal(url).as_deref(), Some("https://host.example/a/b"), "{url}");
        }
        assert_eq!(normal("http://[::1]:80").as_deref(), Some("http://[::1]/"));
        assert_eq!(normal("http://[::1]:8080?x").as_deref(), Some("http://[::1]:8080/"));
        assert_eq!(normal("https://h/%c3%a4").as_deref(), Some("https://h/%C3%A4"));
    }

    #[test]
    fn different_urls_stay_different() {
        let base = normal("https://host.example/a");
        for url in [
            "http://host.example/a",
            "https://host.example:8443/a",
            "https://host.example/A",
            "https://host.example/a/",
            "https://host.example/x/../a",
            "https://host.example/%2561",
            "https://host.example.evil/a",
        ] {
            assert!(normal(url).is_some() && normal(url) != base, "{url}");
        }
    }

    #[test]
    fn what_is_no_such_url_is_none() {
        let long = format!("https://h/{}", "a".repeat(MAX_URL));
        for url in [
            "",
            "host",
            "ftp://h/",
            "https://",
            "https:///a",
            "https://u@h/",
            "https://h:x/",
            "https://h/%zz",
            "https://h/%e",
            "https://h/%é",
            "https://h/a b",
            &long,
        ] {
            assert_eq!(normal(url), None, "{url}");
        }
    }
}
