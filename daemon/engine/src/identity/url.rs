//! Where the authorization server and its endpoints are. An address is https, or http to this very host (RFC 8414, 2;
//! RFC 6749, 3.2): anything else is refused before a byte is sent. No IO.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::Uri;
use merlon_wire::identity::MAX_URL;

/// Why an address is none that is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` {why}")]
pub(crate) struct BadUrl {
    url: String,
    why: &'static str,
}

/// An endpoint, as the server wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    text: String,
    /// TLS is spoken.
    pub(super) https: bool,
    /// What is dialled and verified: a name, or an address without brackets.
    pub(super) host: String,
    /// The port that is dialled.
    pub(super) port: u16,
    /// Host and port as they stand in the address: for `Host`.
    pub(super) authority: String,
    /// Path and query, as they stand in the address.
    pub(super) target: String,
}

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub(crate) fn parse(text: &str) -> Result<Self, BadUrl> {
        let wrong = |why| BadUrl { url: super::answers::printable(text), why };
        if text.len() > MAX_URL {
            return Err(wrong("is too long for an address"));
        }
        // The parser cuts a fragment off without a word.
        if text.contains('#') {
            return Err(wrong("has a fragment, which no endpoint may have"));
        }
        let uri: Uri = text.parse().map_err(|_| wrong("is no address"))?;
        let authority = uri.authority().ok_or_else(|| wrong("is no absolute address"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("names a user, which no endpoint may"));
        }
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("is neither https nor http")),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("names no host"));
        }
        if !https && !is_loopback(&host) {
            return Err(wrong("is plain http, which only an address of this very host may be; use https"));
        }
        Ok(Self {
            text: text.to_owned(),
            https,
            host,
            port: authority.port_u16().unwrap_or(if https { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            target: uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        })
    }

    /// As the server wrote it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// An address that this issuer named. One elsewhere must not send the instance to plain services of its own host.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub(super) fn of(issuer: &Issuer, text: &str) -> Result<Self, BadUrl> {
        let endpoint = Self::parse(text)?;
        match issuer.0.https && !endpoint.https {
            true => Err(BadUrl { url: endpoint.text, why: "is plain http, and the issuer is not" }),
            false => Ok(endpoint),
        }
    }

    /// Scheme and authority.
    fn origin(&self) -> &str {
        &self.text[..self.text.len() - self.path_len()]
    }

    fn path_len(&self) -> usize {
        let after = self.text.find("://").map_or(0, |at| at + 3);
        self.text[after..].find(['/', '?']).map_or(0, |at| self.text.len() - after - at)
    }
}

/// An issuer (RFC 8414, 2): an address without query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issuer(Endpoint);

impl Issuer {
    /// Reads an issuer.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub(crate) fn parse(text: &str) -> Result<Self, BadUrl> {
        let endpoint = Endpoint::parse(text)?;
        if endpoint.target.contains('?') {
            return Err(BadUrl { url: text.to_owned(), why: "has a query, which no issuer may have" });
        }
        Ok(Self(endpoint))
    }

    /// Byte for byte as configured.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Where its metadata may be, in the order in which to look: RFC 8414, 3.1 (the well-known part goes between host and
    /// path), then OpenID Connect Discovery 1.0, 4 (behind the path), which some servers serve alone.
    ///
    /// # Errors
    /// [`BadUrl`] if the addresses become too long.
    pub(super) fn metadata(&self) -> Result<[Endpoint; 2], BadUrl> {
        let (origin, path) = (self.0.origin(), &self.as_str()[self.0.origin().len()..]);
        let path = path.trim_end_matches('/');
        Ok([
            Endpoint::parse(&format!("{origin}/.well-known/oauth-authorization-server{path}"))?,
            Endpoint::parse(&format!("{origin}{path}/.well-known/openid-configuration"))?,
        ])
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || match host.parse() {
            Ok(IpAddr::V4(address)) => address.is_loopback(),
            Ok(IpAddr::V6(address)) => address == Ipv6Addr::LOCALHOST,
            Err(_) => false,
        }
}

/// The proxy through which the server is reached: `http://HOST:PORT`.
///
/// # Errors
/// [`BadUrl`].
pub(super) fn proxy(text: &str) -> Result<(String, u16), BadUrl> {
    let wrong = || BadUrl { url: text.to_owned(), why: "is no proxy; write http://HOST:PORT" };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wrong)?;
    if uri.scheme_str() != Some("http") || uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
        return Err(wrong());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((host, authority.port_u16().ok_or_else(wrong)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a2_http_is_for_this_very_host_only() {
        for good in ["https://hub.example/a", "http://127.0.0.1:1/x", "http://[::1]/x?y=z", "http://localhost:9"] {
            assert!(Endpoint::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://hub.example/a",
            "http://127.0.0.1.example/",
            "http://10.0.0.1/",
            "ftp://localhost/",
            "/token",
            "https://",
            "https://u:p@h/",
            "https://h/#f",
            "http://localhost@evil.example/",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a2_an_issuer_elsewhere_names_no_plain_service_of_this_host() {
        let (near, far) = (Issuer::parse("http://127.0.0.1:1").unwrap(), Issuer::parse("https://h").unwrap());
        assert!(Endpoint::of(&near, "http://127.0.0.1:2/t").is_ok());
        assert!(Endpoint::of(&far, "https://127.0.0.1:2/t").is_ok());
        assert!(Endpoint::of(&far, "http://127.0.0.1:2/t").is_err());
    }

    #[test]
    fn an_endpoint_keeps_its_path_and_query_byte_for_byte() {
        let endpoint = Endpoint::parse("https://[2001:db8::1]:8444/a%2Fb/../c?x=%20y").unwrap();
        assert_eq!(endpoint.target, "/a%2Fb/../c?x=%20y");
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("2001:db8::1", 8444));
        assert_eq!(endpoint.authority, "[2001:db8::1]:8444");
        assert_eq!(Endpoint::parse("https://h").unwrap().target, "/");
    }

    #[test]
    fn metadata_is_between_host_and_path_or_behind_the_path() {
        let of = |issuer: &str| Issuer::parse(issuer).unwrap().metadata().unwrap().map(|e| e.as_str().to_owned());
        assert_eq!(
            of("https://h:1/a/b"),
            [
                "https://h:1/.well-known/oauth-authorization-server/a/b",
                "https://h:1/a/b/.well-known/openid-configuration"
            ]
        );
        let plain = ["https://h/.well-known/oauth-authorization-server", "https://h/.well-known/openid-configuration"];
        assert_eq!(of("https://h"), plain);
        assert_eq!(of("https://h/"), plain);
        assert!(Issuer::parse("https://h/?x").is_err());
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        assert_eq!(proxy("http://[::1]:3128").unwrap(), ("::1".to_owned(), 3128));
        for bad in ["http://h", "https://h:1", "h:1", "http://u:p@h:1", "http://h:1/x"] {
            assert!(proxy(bad).is_err(), "{bad}");
        }
    }
}
