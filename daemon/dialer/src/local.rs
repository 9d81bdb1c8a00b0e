//! Which addresses lead back to this host, asked of the kernel's own routing.
//!
//! A UDP socket that is "connected" sends nothing; the kernel only looks up the route and picks a source address. For
//! an address of the host itself the source it picks is that very address. This needs no netlink socket, sees addresses
//! that come and go, and follows the host's routing as the connection itself will.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::policy::Host;

/// Any port: nothing is sent. Port 9 is "discard".
const NO_MATTER: u16 = 9;

/// This host.
pub(crate) struct ThisHost;

impl Host for ThisHost {
    fn is_local(&self, address: IpAddr) -> bool {
        if address.is_loopback() || address.is_unspecified() {
            return true;
        }
        match source_towards(address) {
            Ok(source) => source.to_canonical() == address.to_canonical(),
            Err(error) => !is_unroutable(&error),
        }
    }
}

fn source_towards(address: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::from((any, 0)))?;
    socket.connect(SocketAddr::from((address, NO_MATTER)))?;
    Ok(socket.local_addr()?.ip())
}

/// The kernel knows no way there (or no such family), so it is no address of this host. Anything else, such as too many
/// open files, leaves doubt.
fn is_unroutable(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let known = [
        Errno::ENETUNREACH,
        Errno::EHOSTUNREACH,
        Errno::ENETDOWN,
        Errno::EADDRNOTAVAIL,
        Errno::EAFNOSUPPORT,
        Errno::EINVAL,
        Errno::EACCES,
    ];
    error.raw_os_error().is_some_and(|code| known.contains(&Errno::from_raw(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_its_aliases_are_local() {
        for address in ["127.0.0.1", "127.0.0.2", "::1", "0.0.0.0", "::"] {
            assert!(ThisHost.is_local(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn documentation_addresses_are_not() {
        for address in ["192.0.2.77", "2001:db8::77", "203.0.113.1"] {
            assert!(!ThisHost.is_local(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn doubt_counts_as_local() {
        assert!(!is_unroutable(&io::Error::from_raw_os_error(nix::libc::EMFILE)));
        assert!(is_unroutable(&io::Error::from_raw_os_error(nix::libc::ENETUNREACH)));
    }
}
