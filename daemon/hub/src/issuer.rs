//! The issuer (RFC 8414, 2): where the hub is for others, and what every URL that it gives out begins with.

use std::net::IpAddr;

/// The longest issuer, in bytes; what a keeper takes in a claim.
const MAX: usize = 400;

/// Why a text is no issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IssuerError {
    #[error("it begins with neither https:// nor http://")]
    Scheme,
    #[error(
        "plain http is for loopback only; give an https issuer, with tls_cert and tls_key or behind a trusted proxy"
    )]
    Plain,
    #[error("it has a query or a fragment, which RFC 8414 forbids")]
    Query,
    #[error("it ends with a slash; leave it out")]
    Slash,
    #[error("its host is missing or is not written as a host and port are")]
    Host,
    #[error("its path has other characters than letters, digits, hyphens, dots, underscores and tildes")]
    Path,
    #[error("it is longer than {MAX} bytes")]
    Long,
}

/// A valid issuer. Clones are cheap enough for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issuer {
    text: String,
    /// Where the path begins.
    path: usize,
}

impl Issuer {
    /// Judges it (RFC 8414, 2).
    ///
    /// # Errors
    /// [`IssuerError`].
    pub(crate) fn parse(text: &str) -> Result<Self, IssuerError> {
        if text.len() > MAX {
            return Err(IssuerError::Long);
        }
        let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(IssuerError::Scheme),
        };
        if text.contains(['?', '#']) {
            return Err(IssuerError::Query);
        }
        if text.ends_with('/') {
            return Err(IssuerError::Slash);
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let host = host_of(authority).ok_or(IssuerError::Host)?;
        if !secure && !is_loopback(host) {
            return Err(IssuerError::Plain);
        }
        let path = text.len() - rest.len() + authority.len();
        let plain = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~'))
        };
        if !text[path..].split('/').skip(1).all(plain) {
            return Err(IssuerError::Path);
        }
        Ok(Self { text: text.to_owned(), path })
    }

    /// As text, byte for byte.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port: what browsers call its origin.
    pub(crate) fn origin(&self) -> &str {
        &self.text[..self.path]
    }

    /// Its path: empty, or `/a/b` without a slash at its end.
    pub(crate) fn path(&self) -> &str {
        &self.text[self.path..]
    }

    /// It is https.
    pub(crate) fn is_secure(&self) -> bool {
        self.text.starts_with("https://")
    }

    /// A URL below it; `path` begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
}

/// The host of `host[:port]`, without brackets; none if it is not written as one.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some("1"))?)
        }
        None => authority.split_once(':').unwrap_or((authority, "1")),
    };
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.' | b':');
    let number = port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    (!host.is_empty() && host.bytes().all(plain) && number).then_some(host)
}

/// `localhost` and the loopback addresses.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m4_the_issuer_is_https_or_on_loopback_and_has_no_query_and_no_fragment() {
        for good in [
            "https://hub.example",
            "https://hub.example:8444/a/b",
            "http://127.0.0.1:8444",
            "http://localhost:1",
            "http://[::1]:8444/x",
            "https://192.0.2.1",
        ] {
            assert_eq!(Issuer::parse(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("http://hub.example", IssuerError::Plain),
            ("http://192.168.1.1:8444", IssuerError::Plain),
            ("ftp://hub.example", IssuerError::Scheme),
            ("hub.example", IssuerError::Scheme),
            ("https://hub.example/?a", IssuerError::Query),
            ("https://hub.example#a", IssuerError::Query),
            ("https://hub.example/", IssuerError::Slash),
            ("https://", IssuerError::Slash),
            ("https://:1", IssuerError::Host),
            ("https://user@hub.example", IssuerError::Host),
            ("https://hub.example:0", IssuerError::Host),
            ("https://hub.example:x", IssuerError::Host),
            ("https://HUB.example", IssuerError::Host),
            ("https://[::1", IssuerError::Host),
            ("https://hub.example//a", IssuerError::Path),
            ("https://hub.example/..", IssuerError::Path),
            ("https://hub.example/a%20b", IssuerError::Path),
        ] {
            assert_eq!(Issuer::parse(bad), Err(why), "{bad}");
        }
        assert_eq!(Issuer::parse(&format!("https://{}", "a".repeat(400))), Err(IssuerError::Long));
    }

    #[test]
    fn an_issuer_knows_its_parts() {
        let issuer = Issuer::parse("https://hub.example:8444/a/b").unwrap();
        assert_eq!(issuer.origin(), "https://hub.example:8444");
        assert_eq!(issuer.path(), "/a/b");
        assert_eq!(issuer.url("/token"), "https://hub.example:8444/a/b/token");
        assert_eq!(Issuer::parse("http://[::1]:1").unwrap().path(), "");
    }
}
