//! Values of the configuration, parsed once.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// Where a listener is bound: `ADDR:PORT` (an IP address, never a name) or `unix:/absolute/path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// TCP; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(format!("`{text}` needs an absolute path after `unix:`"))
            };
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            format!("`{text}` is no listen address; write an IP address and a port like 127.0.0.1:8080, [::1]:8080, or unix:/path")
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How a TPM is reached, in the words of libtss2 ("TPM Command Transmission Interface"), but only these: the kernel's
/// device with its resource manager, and an emulator on loopback. What libtss2 takes besides is refused here, because
/// it ignores what it does not understand and then goes somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tcti {
    /// `device:/dev/tpmrm0` (or another number).
    Device(PathBuf),
    /// `swtpm:host=127.0.0.1,port=2321`
    Swtpm(SocketAddr),
}

impl Tcti {
    /// It is no real TPM.
    #[must_use]
    pub fn is_emulator(&self) -> bool {
        matches!(self, Self::Swtpm(_))
    }
}

impl Default for Tcti {
    fn default() -> Self {
        Self::Device("/dev/tpmrm0".into())
    }
}

impl FromStr for Tcti {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let device = |path: &str| {
            let number = path.strip_prefix("/dev/tpmrm")?;
            let digits = (1..=3).contains(&number.len()) && number.bytes().all(|c| c.is_ascii_digit());
            digits.then(|| Self::Device(path.into()))
        };
        let swtpm = |rest: &str| {
            let (host, port) = rest.strip_prefix("host=")?.split_once(",port=")?;
            let address = SocketAddr::new(host.parse().ok()?, port.parse().ok()?);
            (address.ip().is_loopback() && address.port() != 0).then_some(Self::Swtpm(address))
        };
        let parsed = match text.split_once(':') {
            Some(("device", path)) => device(path),
            Some(("swtpm", rest)) => swtpm(rest),
            _ => None,
        };
        parsed.ok_or_else(|| {
            format!(
                "`{text}` names no TPM; write device:/dev/tpmrm0, or for an emulator swtpm:host=127.0.0.1,port=2321"
            )
        })
    }
}

impl fmt::Display for Tcti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(f, "device:{}", path.display()),
            Self::Swtpm(address) => write!(f, "swtpm:host={},port={}", address.ip(), address.port()),
        }
    }
}

/// A block of addresses, `10.0.0.0/8`; a bare address is a block of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Is the address inside? IPv4-mapped addresses must be normalised by the caller.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                u32::from(network) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                u128::from(network) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no block of addresses; write 10.0.0.0/8, fd00::/8, or one address");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| wrong())?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| wrong())?;
        if prefix > longest {
            return Err(wrong());
        }
        Ok(Self { network, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// A host, or with a leading `*.` every name below it. `*.example.com` does not match `example.com`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern(String);

impl HostPattern {
    /// Does the host (lower case, no trailing dot) match?
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => self.0 == host,
        }
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_prefix("*.").unwrap_or(&lower);
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b':');
        if name.is_empty() || name.len() > 253 || !name.bytes().all(allowed) {
            return Err(format!("`{text}` is no host; write example.com, *.example.com, or an IP address"));
        }
        Ok(Self(lower))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
as_text!(Cidr, HostPattern, ListenAddress, Tcti);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listen_address_is_an_address_never_a_name() {
        assert_eq!("127.0.0.1:0".parse(), Ok(ListenAddress::Tcp("127.0.0.1:0".parse().unwrap())));
        assert_eq!("unix:/run/x.sock".parse(), Ok(ListenAddress::Unix("/run/x.sock".into())));
        for wrong in ["localhost:80", ":8080", "8080", "unix:x", "", "127.0.0.1"] {
            assert!(wrong.parse::<ListenAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_block_holds_what_its_prefix_says() {
        let inside = |block: &str, address: &str| block.parse::<Cidr>().unwrap().contains(address.parse().unwrap());
        assert!(inside("10.0.0.0/8", "10.255.0.1"));
        assert!(!inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("0.0.0.0/0", "203.0.113.9"));
        assert!(inside("fd00::/8", "fd12::1"));
        assert!(!inside("fd00::/8", "10.0.0.1"));
        assert!(inside("192.0.2.7", "192.0.2.7"));
        assert!("10.0.0.0/33".parse::<Cidr>().is_err());
    }

    #[test]
    fn a_star_matches_names_below_only() {
        let pattern: HostPattern = "*.Example.com".parse().unwrap();
        assert!(pattern.matches("a.example.com"));
        assert!(!pattern.matches("example.com"));
        assert!(!pattern.matches("badexample.com"));
        assert!("a b".parse::<HostPattern>().is_err());
    }
}
