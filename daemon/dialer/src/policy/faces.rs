//! What an address stands for: itself, and every IPv4 address that it carries inside.
//!
//! `::ffff:10.0.0.1` *is* 10.0.0.1 and is connected as such. The transition forms (NAT64, 6to4, Teredo and the like) are
//! connected as they are, but some router may deliver them to the IPv4 address inside, so that one is judged too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The address as it will be connected: IPv4-mapped ones as IPv4.
pub(super) fn normalise(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::from((v4, address.port())),
        IpAddr::V6(_) => address,
    }
}

/// The address and those it carries; all of them must pass.
pub(super) fn faces(address: IpAddr) -> Vec<IpAddr> {
    let mut faces = vec![address];
    if let IpAddr::V6(v6) = address {
        faces.extend(carried(v6).into_iter().flatten().map(IpAddr::V4));
    }
    faces
}

fn carried(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let bits = u128::from(address);
    let last = v4(bits);
    match address.segments() {
        // Neither :: nor ::1 is an IPv4-compatible address (RFC 4291, 2.5.5.1).
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None, None],
        [0, 0, 0, 0, 0, 0, _, _] => [Some(last), None],
        // Mapped; only if nobody normalised it.
        [0, 0, 0, 0, 0, 0xffff, _, _] => [Some(last), None],
        // IPv4-translated (RFC 2765).
        [0, 0, 0, 0, 0xffff, 0, _, _] => [Some(last), None],
        // NAT64, well-known prefix (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => [Some(last), None],
        // NAT64, local prefix of 48 bits (RFC 8215): used with /48, around the reserved octet, or with /96.
        [0x64, 0xff9b, 1, _, _, _, _, _] => {
            let around = v4((bits >> 48) & 0xffff_0000 | (bits >> 40) & 0xffff);
            [around, last].map(|carried| (!carried.is_unspecified()).then_some(carried))
        }
        // 6to4 (RFC 3056).
        [0x2002, _, _, _, _, _, _, _] => [Some(v4(bits >> 80)), None],
        // Teredo (RFC 4380): the server, and the client's address with every bit flipped.
        [0x2001, 0, _, _, _, _, _, _] => [Some(v4(bits >> 64)), Some(v4(!bits))],
        _ => [None, None],
    }
}

/// The low 32 bits.
fn v4(bits: u128) -> Ipv4Addr {
    let [.., a, b, c, d] = bits.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(address: &str) -> Vec<String> {
        faces(address.parse().unwrap()).iter().skip(1).map(ToString::to_string).collect()
    }

    #[test]
    fn a_mapped_address_is_connected_as_ipv4() {
        assert_eq!(normalise("[::ffff:10.0.0.1]:80".parse().unwrap()), "10.0.0.1:80".parse().unwrap());
        assert_eq!(normalise("[2001:db8::1]:80".parse().unwrap()), "[2001:db8::1]:80".parse().unwrap());
    }

    #[test]
    fn transition_addresses_show_what_they_carry() {
        assert_eq!(inside("::ffff:10.0.0.1"), ["10.0.0.1"]);
        assert_eq!(inside("::10.0.0.1"), ["10.0.0.1"]);
        assert_eq!(inside("::ffff:0:10.0.0.1"), ["10.0.0.1"]);
        assert_eq!(inside("64:ff9b::10.0.0.1"), ["10.0.0.1"]);
        assert_eq!(inside("2002:a00:1::1"), ["10.0.0.1"]);
        // 64:ff9b:1::/48, RFC 6052 2.2: bits 48 to 63 and 72 to 87.
        assert_eq!(inside("64:ff9b:1:a9fe:a9:fe00::"), ["169.254.169.254"]);
        assert_eq!(inside("64:ff9b:1::169.254.169.254"), ["169.254.169.254"]);
        // The example of RFC 4380, 4: server 65.54.227.120, client 192.0.2.45.
        assert_eq!(inside("2001:0:4136:e378:8000:63bf:3fff:fdd2"), ["65.54.227.120", "192.0.2.45"]);
    }

    #[test]
    fn ordinary_addresses_carry_nothing() {
        for address in ["::", "::1", "2001:db8::1", "fe80::1", "fd00::1", "10.0.0.1"] {
            assert!(inside(address).is_empty(), "{address}");
        }
    }
}
