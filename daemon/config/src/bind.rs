//! The bind policy: what "public" means, and what is refused. Judged on the address of a socket that exists.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Who can reach a bound address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// This host only.
    Loopback,
    /// Anybody who can reach the address; the reason is part of the refusal.
    Public(&'static str),
}

/// Who can reach this address? Everything that is not loopback is public; an IPv4-mapped address is its IPv4 address.
#[must_use]
pub fn exposure(address: IpAddr) -> Exposure {
    let address = address.to_canonical();
    if address.is_loopback() {
        return Exposure::Loopback;
    }
    Exposure::Public(match address {
        _ if address.is_unspecified() => "it stands for every address of this host",
        _ if address.is_multicast() => "it is a multicast address",
        IpAddr::V4(v4) if v4.is_private() => "it is a private address, reachable from its network",
        IpAddr::V4(v4) if v4.is_link_local() => "it is a link-local address, reachable from its link",
        IpAddr::V4(v4) if v4.octets()[0] == 100 && v4.octets()[1] & 0xC0 == 64 => {
            "it is a shared (CGNAT) address, reachable from the provider's network"
        }
        IpAddr::V6(v6) if v6.is_unique_local() => "it is a unique local address, reachable from its network",
        IpAddr::V6(v6) if v6.is_unicast_link_local() => "it is a link-local address, reachable from its link",
        _ => "it is a global address",
    })
}

/// A proxy listener on an address that is not loopback, without the override. Programs end with exit code 78.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicBind {
    address: SocketAddr,
    reason: &'static str,
}

/// May the proxy listen here? Unix sockets need no judgement.
///
/// # Errors
/// [`PublicBind`] for every address that is not loopback, unless `allow_public` is set.
pub fn judge_proxy_bind(address: SocketAddr, allow_public: bool) -> Result<Exposure, PublicBind> {
    match exposure(address.ip()) {
        Exposure::Public(reason) if !allow_public => Err(PublicBind { address, reason }),
        exposure => Ok(exposure),
    }
}

impl std::error::Error for PublicBind {}

impl fmt::Display for PublicBind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, reason } = self;
        write!(
            f,
            "the proxy refuses to listen on {address}: {reason}, and whoever reaches an open proxy can use it.\n\
             Two safe ways:\n  \
             1. listen on 127.0.0.1 and reach it through a tunnel: ssh -L 8080:127.0.0.1:8080 HOST (or WireGuard)\n  \
             2. set `proxy.allow_public_bind = true` (or --allow-public-proxy): proxy authentication is then on; \
             create a user with `merlon proxy-user add NAME`"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_loopback_is_public() {
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(exposure(address.parse().unwrap()), Exposure::Loopback, "{address}");
        }
        for address in [
            "0.0.0.0",
            "::",
            "8.8.8.8",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "fd00::1",
            "fe80::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "::ffff:0.0.0.0",
            "224.0.0.1",
            "ff02::1",
        ] {
            assert!(matches!(exposure(address.parse().unwrap()), Exposure::Public(_)), "{address}");
        }
    }

    #[test]
    fn the_refusal_names_the_address_the_override_and_both_safe_ways() {
        let text = judge_proxy_bind("0.0.0.0:8080".parse().unwrap(), false).unwrap_err().to_string();
        for needle in ["0.0.0.0:8080", "proxy.allow_public_bind", "--allow-public-proxy", "ssh -L", "authentication"] {
            assert!(text.contains(needle), "{needle} in {text}");
        }
        assert!(judge_proxy_bind("0.0.0.0:8080".parse().unwrap(), true).is_ok());
    }
}
