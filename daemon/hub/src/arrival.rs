//! How a request came: from which address, and whether nobody on the way could read it. Decided for each request by the
//! listener; handlers take it as an extractor. What a request says of its own way counts only where the peer is a proxy
//! that the configuration trusts, and is taken out of it in any case.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use merlon_config::Cidr;

/// How a request came. An extractor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The client's address: the peer's, or what a trusted proxy says.
    pub(crate) address: IpAddr,
    /// By TLS, by loopback, or by TLS to a trusted proxy.
    pub(crate) secure: bool,
}

impl<S: Sync> FromRequestParts<S> for Arrival {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // The listener puts it there. A request without is treated as the least trusted one.
        let nowhere = Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), secure: false };
        Ok(parts.extensions.get().copied().unwrap_or(nowhere))
    }
}

/// What proxies say, and what they say of client certificates.
const SAID: [&str; 9] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-real-ip",
    "x-forwarded-client-cert",
    "x-ssl-client-cert",
    "client-cert",
];

impl Arrival {
    /// Decides for one request, and takes out of it what it says of its way.
    pub(crate) fn of(peer: IpAddr, tls: bool, headers: &mut HeaderMap, trusted: &[Cidr]) -> Self {
        let peer = peer.to_canonical();
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        let mut arrival = Self { address: peer, secure: tls || peer.is_loopback() };
        if !trusted.is_empty() && is_trusted(peer) {
            let proto = headers.get_all("x-forwarded-proto").iter().next_back().and_then(|value| value.to_str().ok());
            let way = headers.contains_key("x-forwarded-for");
            if let Some(proto) = proto {
                let last = proto.rsplit(',').next().unwrap_or_default().trim();
                arrival.secure = last.eq_ignore_ascii_case("https");
            } else if way {
                // It passed a request on and does not say how that came.
                arrival.secure = tls;
            }
            arrival.address = client(headers, peer, is_trusted);
        }
        for name in SAID {
            headers.remove(HeaderName::from_static(name));
        }
        arrival
    }
}

/// The last address on the way that is no trusted proxy's. What stands before it anybody can have written.
fn client(headers: &HeaderMap, peer: IpAddr, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer;
    let fields = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = fields.flat_map(|field| field.split(',')).map(str::trim).collect();
    for hop in hops.iter().rev() {
        let Some(address) = parse(hop) else { break };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// With or without a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn judge(peer: &str, fields: &[(&'static str, &str)], trusted: &[&str]) -> (String, bool) {
        let trusted: Vec<Cidr> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let mut headers = headers(fields);
        let arrival = Arrival::of(peer.parse().unwrap(), false, &mut headers, &trusted);
        assert!(headers.is_empty(), "what a request says of its way is taken out of it");
        (arrival.address.to_string(), arrival.secure)
    }

    #[test]
    fn a7_what_a_request_says_of_its_way_counts_from_trusted_proxies_only() {
        let said = [("x-forwarded-for", "198.51.100.7"), ("x-forwarded-proto", "https")];
        let other = ("192.0.2.9".to_owned(), false);
        assert_eq!(judge("192.0.2.9", &said, &[]), other);
        assert_eq!(judge("192.0.2.9", &said, &["10.0.0.0/8"]), other);
        assert_eq!(judge("127.0.0.1", &said, &[]), ("127.0.0.1".to_owned(), true));
        assert_eq!(judge("192.0.2.9", &said, &["192.0.2.0/24"]), ("198.51.100.7".to_owned(), true));
    }

    #[test]
    fn a7_of_a_chain_the_last_hop_that_is_not_trusted_counts() {
        let trusted = ["10.0.0.0/8"];
        let chain =
            |list: &str| judge("10.0.0.1", &[("x-forwarded-for", list), ("x-forwarded-proto", "https")], &trusted).0;
        assert_eq!(chain("203.0.113.1, 198.51.100.7, 10.0.0.2"), "198.51.100.7");
        assert_eq!(chain("203.0.113.1, nonsense, 10.0.0.2"), "10.0.0.2");
        assert_eq!(chain("198.51.100.7:4711"), "198.51.100.7");
        assert_eq!(chain("[2001:db8::1]:4711"), "2001:db8::1");
        assert_eq!(chain("[2001:db8::1]"), "2001:db8::1");
    }

    #[test]
    fn a1_a_trusted_proxy_says_whether_the_client_came_by_tls() {
        let trusted = ["127.0.0.0/8"];
        let way = ("x-forwarded-for", "198.51.100.7");
        let secure = |fields: &[(&'static str, &str)]| judge("127.0.0.1", fields, &trusted).1;
        assert!(secure(&[way, ("x-forwarded-proto", "https")]));
        assert!(!secure(&[way, ("x-forwarded-proto", "http")]));
        assert!(!secure(&[way, ("x-forwarded-proto", "https, http")]));
        assert!(!secure(&[way]));
        assert!(secure(&[]), "a program on this host, not through the proxy");
    }
}
