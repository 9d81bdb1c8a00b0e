//! Redirect URIs: which may be registered (RFC 6749, 3.1.2; RFC 8252, 7), and whether one that is asked for is one of
//! those (RFC 9700, 2.1: byte for byte, but for the port of a loopback address). Pure; it never fetches anything.

/// The longest redirect URI, in bytes.
const MAX_URI: usize = 512;

/// May this be registered?
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(uri: &str) -> Result<(), &'static str> {
    if uri.len() > MAX_URI {
        return Err("a redirect URI has at most 512 bytes");
    }
    // RFC 3986: what is left after this is unreserved, reserved, or an escape.
    let fit =
        |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}');
    if !uri.bytes().all(fit) {
        return Err("a redirect URI is ASCII and escaped as RFC 3986 has it");
    }
    if uri.contains('#') {
        return Err("a redirect URI has no fragment");
    }
    let Some((scheme, rest)) = uri.split_once(':') else {
        return Err("a redirect URI is absolute");
    };
    match scheme {
        "https" => match authority(rest) {
            Some(authority) if !host(authority).is_empty() && !authority.contains('@') => Ok(()),
            _ => Err("an https redirect URI names a host, and no user"),
        },
        "http" => match authority(rest) {
            Some(authority) if is_loopback(host(authority)) && !authority.contains('@') => Ok(()),
            _ => Err("an http redirect URI is on 127.0.0.1, [::1] or localhost; use https elsewhere"),
        },
        // RFC 8252, 7.1: the reversed domain name of the application.
        private
            if private.contains('.') && private.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) =>
        {
            Ok(())
        }
        _ => Err("a redirect URI is https, http on loopback, or has a scheme like com.example.app"),
    }
}

/// Is `asked` one of `registered`?
pub(crate) fn permitted<'a>(registered: impl IntoIterator<Item = &'a str>, asked: &str) -> bool {
    registered.into_iter().any(|one| one == asked || same_but_for_the_port(one, asked))
}

/// RFC 8252, 7.3: a native application cannot know its port beforehand. For addresses only: `localhost` is a name.
fn same_but_for_the_port(registered: &str, asked: &str) -> bool {
    let (Some(a), Some(b)) = (split(registered), split(asked)) else {
        return false;
    };
    matches!(a.0, "127.0.0.1" | "[::1]") && a == b
}

/// Host and the rest of an http URI whose port, if there is one, is a number.
fn split(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http:")?;
    let authority = authority(rest)?;
    let host = host(authority);
    let port = &authority[host.len()..];
    let fits = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    fits.then(|| (host, &rest[2 + authority.len()..]))
}

fn authority(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix("//")?;
    Some(&rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())])
}

/// The authority without its port.
fn host(authority: &str) -> &str {
    let from = authority.rfind(']').unwrap_or(0);
    authority[from..].find(':').map_or(authority, |at| &authority[..from + at])
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "[::1]" | "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        for uri in [
            "https://app.example/cb",
            "https://app.example:8443/cb?x=1",
            "http://127.0.0.1/cb",
            "http://[::1]:8080/cb",
            "http://localhost:3000/",
            "com.example.app:/cb",
        ] {
            assert_eq!(check(uri), Ok(()), "{uri}");
        }
        let long = format!("https://app.example/{}", "a".repeat(512));
        for uri in [
            "",
            "/cb",
            "https:///cb",
            "https://user@app.example/cb",
            "https://app.example/cb#x",
            "http://app.example/cb",
            "http://127.0.0.1.app.example/cb",
            "http://127.0.0.1@app.example/cb",
            "http://localhost.app.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://app.example/\u{e9}",
            "https://app.example/a b",
            &long,
        ] {
            assert!(check(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn only_the_port_of_a_loopback_address_may_differ() {
        let registered =
            ["https://app.example/cb", "http://127.0.0.1/cb", "http://[::1]:1/cb", "http://localhost:1/cb"];
        let ask = |uri| permitted(registered, uri);
        for uri in ["https://app.example/cb", "http://127.0.0.1:5555/cb", "http://[::1]/cb", "http://localhost:1/cb"] {
            assert!(ask(uri), "{uri}");
        }
        for uri in [
            "https://app.example/cb/",
            "https://app.example/cb?x",
            "https://app.example:443/cb",
            "HTTPS://app.example/cb",
            "https://app.example/%63b",
            "http://127.0.0.1:5555/cb/../x",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:1@evil.example/cb",
            "http://127.0.0.2/cb",
            "http://localhost:2/cb",
            "http://[::1]:x/cb",
            "",
        ] {
            assert!(!ask(uri), "{uri}");
        }
    }
}
