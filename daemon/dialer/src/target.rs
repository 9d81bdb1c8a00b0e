//! What a request names: a host, parsed once. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name (RFC 1035, 2.3.4), without a trailing dot.
const LONGEST_NAME: usize = 253;
/// The longest label.
const LONGEST_LABEL: usize = 63;

/// A host as the engine names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// An address needs no resolving.
    Address(IpAddr),
    /// `localhost` and all below it are this host, whatever a name server says (RFC 6761, 6.3).
    Localhost,
    /// Another name.
    Name(Name),
}

/// A DNS name in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    text: String,
    complete: bool,
}

impl Name {
    /// Without a trailing dot.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// It ended in a dot: no search list applies.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }
}

impl Target {
    /// Takes an IPv4 address in four decimal parts, an IPv6 address without brackets or zone, or a name of letters,
    /// digits, `-` and `_`. Shorthands of addresses (`127.1`, `0x7f000001`) are none of these: what they mean depends on
    /// who reads them.
    pub(crate) fn parse(host: &str) -> Option<Self> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Self::Address(address));
        }
        let (text, complete) = host.strip_suffix('.').map_or((host, false), |text| (text, true));
        let label = |label: &str| {
            (1..=LONGEST_LABEL).contains(&label.len())
                && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
        };
        let last = text.rsplit('.').next().unwrap_or_default();
        if text.len() > LONGEST_NAME || !text.split('.').all(label) || is_number(last) {
            return None;
        }
        let text = text.to_ascii_lowercase();
        if text == "localhost" || text.ends_with(".localhost") {
            return Some(Self::Localhost);
        }
        Some(Self::Name(Name { text, complete }))
    }
}

/// The addresses of `localhost`.
pub(crate) const LOCALHOST: [IpAddr; 2] = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];

/// A last label that makes the whole an IPv4 address to some readers (WHATWG URL, "ends in a number").
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    label.bytes().all(|c| c.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(host: &str) -> Option<(String, bool)> {
        match Target::parse(host) {
            Some(Target::Name(name)) => Some((name.as_str().to_owned(), name.is_complete())),
            _ => None,
        }
    }

    #[test]
    fn addresses_localhost_and_names_are_told_apart() {
        assert_eq!(Target::parse("10.0.0.1"), Some(Target::Address("10.0.0.1".parse().unwrap())));
        assert_eq!(Target::parse("::1"), Some(Target::Address("::1".parse().unwrap())));
        for localhost in ["localhost", "LocalHost.", "a.b.localhost", "x.localhost."] {
            assert_eq!(Target::parse(localhost), Some(Target::Localhost), "{localhost}");
        }
        assert_eq!(name("Example.COM"), Some(("example.com".into(), false)));
        assert_eq!(name("example.com."), Some(("example.com".into(), true)));
        assert_eq!(name("_dmarc.a-b.test"), Some(("_dmarc.a-b.test".into(), false)));
        assert_eq!(name("notlocalhost"), Some(("notlocalhost".into(), false)));
    }

    #[test]
    fn what_is_neither_is_refused() {
        let long_label = format!("{}.test", "a".repeat(64));
        let long_name = "a.".repeat(127) + "a";
        for host in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a/b",
            "[::1]",
            "fe80::1%eth0",
            "a\0b",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.0x1",
            "10.0.0.256",
            "10.0.0.1.",
            "1.2.3.4.5",
            "häuser.test",
            "a:80",
            long_label.as_str(),
            long_name.as_str(),
        ] {
            assert_eq!(Target::parse(host), None, "{host}");
        }
    }
}
