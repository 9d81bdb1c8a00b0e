//! Which names this instance goes by, and whether a request was meant for it.
//!
//! A web page may make its own name point to this host (DNS rebinding), and a browser sends whatever a page asks it to.
//! So a request over TCP must name the instance by a name that no stranger can give it, and a request that comes from a
//! page must come from a page of this instance. On the Unix socket there is no name to judge and no browser to come
//! from. Pure: headers in, verdict out.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use merlon_api::ProblemCode;
use merlon_config::HostPattern;

use crate::api::{Arrival, Refused};

/// The names of this instance, besides localhost, the loopback addresses and the address that was connected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sites {
    allowed: Vec<HostPattern>,
    host_name: Option<String>,
}

/// `HOST[:PORT]` of a header, normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Authority {
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

impl Sites {
    /// `allowed` is `api.allowed_hosts`; `host_name` is what the system calls this host.
    pub(crate) fn new(allowed: Vec<HostPattern>, host_name: Option<&str>) -> Self {
        let host_name = host_name.map(|name| name.trim_end_matches('.').to_ascii_lowercase()).filter(|n| !n.is_empty());
        Self { allowed, host_name }
    }

    /// Was the request meant for this instance, and does it come from nowhere or from this instance?
    ///
    /// # Errors
    /// `host_refused`, `origin_refused`.
    pub(crate) fn judge(&self, arrival: &Arrival, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
        let origin = headers.get(ORIGIN);
        let (tls, local) = match arrival {
            Arrival::Unix if origin.is_none() => return Ok(()),
            Arrival::Unix => {
                return Err(Refused::new(ProblemCode::OriginRefused, "no web page talks to a Unix socket"));
            }
            Arrival::Tcp { tls, local, .. } => (*tls, local.ip().to_canonical()),
        };
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Refused::new(ProblemCode::HostRefused, "a request has exactly one `Host` header"));
        };
        let host = host.to_str().ok().and_then(Authority::parse).ok_or_else(|| refuse_host("the `Host` header"))?;
        if !self.includes(&host.host, local) {
            return Err(refuse_host("the `Host` header"));
        }
        // An absolute target names a host too; it must be the same.
        if uri.authority().is_some_and(|target| Authority::parse(target.as_str()).as_ref() != Some(&host)) {
            return Err(refuse_host("the target of the request"));
        }
        match origin {
            None => Ok(()),
            Some(origin) if origin.to_str().is_ok_and(|origin| host.is_origin(origin, tls)) => Ok(()),
            Some(_) => Err(Refused::new(
                ProblemCode::OriginRefused,
                "the `Origin` header names another site than the `Host` header; pages of other sites may not use this API",
            )),
        }
    }

    fn includes(&self, host: &Host, local: IpAddr) -> bool {
        match host {
            Host::Address(address) if address.is_loopback() || *address == local => true,
            Host::Address(address) => self.allows(&address.to_string()),
            Host::Name(name) => name == "localhost" || self.host_name.as_ref() == Some(name) || self.allows(name),
        }
    }

    fn allows(&self, host: &str) -> bool {
        self.allowed.iter().any(|pattern| pattern.matches(host))
    }
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                let address: std::net::Ipv6Addr = address.parse().ok()?;
                (Host::Address(IpAddr::V6(address).to_canonical()), port)
            }
            None => {
                let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
                let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
                if name.is_empty() || name.len() > 253 || !name.bytes().all(known) {
                    return None;
                }
                (name.parse().map(Host::Address).unwrap_or(Host::Name(name)), port)
            }
        };
        let port = match port.strip_prefix(':') {
            Some("") => None,
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some(port.parse().ok()?),
            Some(_) => return None,
            None if port.is_empty() => None,
            None => return None,
        };
        Some(Self { host, port })
    }

    /// Is this origin (RFC 6454) the site that was asked?
    fn is_origin(&self, origin: &str, tls: bool) -> bool {
        let (scheme, default_port) = if tls { ("https://", 443) } else { ("http://", 80) };
        let Some(origin) = origin.strip_prefix(scheme).and_then(Self::parse) else {
            return false;
        };
        origin.host == self.host && origin.port.unwrap_or(default_port) == self.port.unwrap_or(default_port)
    }
}

fn refuse_host(what: &str) -> Refused {
    Refused::new(
        ProblemCode::HostRefused,
        format!(
            "{what} is not a name of this instance; use localhost, the address it listens on or the host's name, or \
             add the name to `api.allowed_hosts` in its configuration"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(arrival: &Arrival, host: &[&str], origin: Option<&str>, uri: &str) -> Option<ProblemCode> {
        let sites =
            Sites::new(vec!["*.team.example".parse().unwrap(), "198.51.100.7".parse().unwrap()], Some("Vault."));
        let mut headers = HeaderMap::new();
        for host in host {
            headers.append(HOST, host.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        sites.judge(arrival, &uri.parse().unwrap(), &headers).err().map(|refused| refused.code())
    }

    fn tcp(tls: bool) -> Arrival {
        Arrival::Tcp { tls, local: "192.0.2.4:8443".parse().unwrap(), peer: IpAddr::from([192, 0, 2, 9]) }
    }

    #[test]
    fn own_names_are_served_and_others_refused() {
        for host in [
            "localhost",
            "LOCALHOST:8443",
            "localhost.",
            "127.0.0.1:1",
            "127.8.8.8",
            "[::1]:8443",
            "[::ffff:127.0.0.1]",
            "192.0.2.4:9",
            "localhost:",
            "vault",
            "a.team.example:443",
            "198.51.100.7",
        ] {
            assert_eq!(judge(&tcp(true), &[host], None, "/"), None, "{host}");
        }
        for host in [
            "evil.example",
            "team.example",
            "localhost.evil.example",
            "192.0.2.5",
            "169.254.169.254",
            "",
            ":80",
            "localhost:x",
            "localhost:99999",
            "[::1",
            "[::1]x",
            "::1",
            "a b",
            "user@localhost",
            "0.0.0.0",
        ] {
            assert_eq!(judge(&tcp(true), &[host], None, "/"), Some(ProblemCode::HostRefused), "{host}");
        }
    }

    #[test]
    fn exactly_one_host_and_the_same_in_the_target() {
        assert_eq!(judge(&tcp(true), &[], None, "/"), Some(ProblemCode::HostRefused));
        assert_eq!(judge(&tcp(true), &["localhost", "localhost"], None, "/"), Some(ProblemCode::HostRefused));
        assert_eq!(judge(&tcp(true), &["localhost"], None, "http://localhost/"), None);
        assert_eq!(judge(&tcp(true), &["localhost"], None, "http://evil.example/"), Some(ProblemCode::HostRefused));
    }

    #[test]
    fn only_pages_of_this_very_site_may_ask() {
        let refused = Some(ProblemCode::OriginRefused);
        assert_eq!(judge(&tcp(true), &["localhost:8443"], Some("https://localhost:8443"), "/"), None);
        assert_eq!(judge(&tcp(true), &["localhost"], Some("https://localhost:443"), "/"), None);
        assert_eq!(judge(&tcp(false), &["localhost:80"], Some("http://localhost"), "/"), None);
        for origin in [
            "null",
            "http://localhost:8443",
            "https://localhost",
            "https://127.0.0.1:8443",
            "https://evil.example:8443",
            "https://localhost:8443.evil.example",
            "https://localhost:8443/",
            "",
        ] {
            assert_eq!(judge(&tcp(true), &["localhost:8443"], Some(origin), "/"), refused, "{origin}");
        }
    }

    #[test]
    fn on_the_unix_socket_names_do_not_matter_and_pages_do_not_come() {
        assert_eq!(judge(&Arrival::Unix, &["anything at all"], None, "/"), None);
        assert_eq!(judge(&Arrival::Unix, &[], None, "/"), None);
        assert_eq!(
            judge(&Arrival::Unix, &["localhost"], Some("http://localhost"), "/"),
            Some(ProblemCode::OriginRefused)
        );
    }
}
