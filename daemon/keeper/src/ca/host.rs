//! Names that may stand in a leaf certificate.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use merlon_wire::keeper::MAX_HOST;

const MAX_LABEL: usize = 63;

/// A host as it stands in a certificate: an address, or a DNS name in lower case without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// `iPAddress`.
    Ip(IpAddr),
    /// `dNSName`.
    Dns(String),
}

impl Host {
    /// Parses what the engine sent; never a wildcard. The error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err("the name is empty");
        }
        if name.len() > MAX_HOST {
            return Err("the name is longer than 253 bytes");
        }
        if !name.is_ascii() {
            return Err("the name is not in ASCII; internationalised names are sent as A-labels (xn--…)");
        }
        if name.contains('*') {
            return Err("wildcards are never issued");
        }
        if !name.split('.').all(|label| (1..=MAX_LABEL).contains(&label.len())) {
            return Err("a part between dots is empty or longer than 63 bytes");
        }
        if !name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.')) {
            return Err("only letters, digits, hyphens, underscores and dots may stand in a name");
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|c| c.is_ascii_digit()) {
            return Err("a name that ends in a number would be taken for an IPv4 address");
        }
        Ok(Self::Dns(name.to_ascii_lowercase()))
    }

    /// `localhost` and the loopback addresses.
    pub(crate) fn loopback() -> Vec<Self> {
        vec![
            Self::Dns("localhost".to_owned()),
            Self::Ip(Ipv4Addr::LOCALHOST.into()),
            Self::Ip(Ipv6Addr::LOCALHOST.into()),
        ]
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Dns(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart_and_made_plain() {
        let dns = |name: &str| Ok(Host::Dns(name.to_owned()));
        assert_eq!(Host::parse("Example.COM."), dns("example.com"));
        assert_eq!(Host::parse("localhost"), dns("localhost"));
        assert_eq!(Host::parse("xn--bcher-kva.example"), dns("xn--bcher-kva.example"));
        assert_eq!(Host::parse("_dmarc.a-b_c.example"), dns("_dmarc.a-b_c.example"));
        assert_eq!(Host::parse("192.0.2.1"), Ok(Host::Ip("192.0.2.1".parse().unwrap())));
        assert_eq!(Host::parse("2001:DB8::1"), Ok(Host::Ip("2001:db8::1".parse().unwrap())));
        let long = format!("{}.example", "a".repeat(63));
        assert_eq!(Host::parse(&long), dns(&long));
        let longest = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        assert_eq!(longest.len(), 253);
        assert_eq!(Host::parse(&longest), dns(&longest));
    }

    #[test]
    fn everything_else_is_refused() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join(".");
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "*",
            "*.example.com",
            "a.*.com",
            "a b",
            "a\0b",
            "a\nb",
            "bücher.example",
            "a/b",
            "a:80",
            "[::1]",
            "fe80::1%eth0",
            "127.1",
            "1",
            "256.256.256.256",
            "1.2.3.4.5",
            "0x7f.1",
            "a@b",
            "a,b",
            "DNS:a\r\n",
            &long_label,
            &long_name,
        ] {
            assert!(Host::parse(text).is_err(), "{text:?}");
        }
    }
}
