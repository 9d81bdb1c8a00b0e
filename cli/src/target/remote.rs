//! An instance that is asked over TCP: its address, and how its certificate is known. Pure.

use std::fmt;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use hyper::Uri;

use crate::book::Entry;
use crate::error::CliError;

/// SHA-256 of a certificate in DER.
pub(crate) type Pin = [u8; 32];

/// An instance that is asked over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    /// Trusts this certificate, or what it signed, and nothing else.
    pub(crate) pin: Option<Pin>,
}

impl Remote {
    /// # Errors
    /// Wrong use: it is no address of an API, or would show the token to the network.
    pub(crate) fn parse(url: &str) -> Result<Self, CliError> {
        let wrong = |why: &str| {
            CliError::usage("the address of the instance cannot be used").because(why).hint("--url https://HOST:8443")
        };
        let (remote, path) = Self::server(url).map_err(|why| wrong(&why))?;
        match path.as_str() {
            "" => Ok(remote),
            _ => Err(wrong("it goes on after the port; only scheme, host and port belong there")),
        }
    }

    /// A server by its URL, and the path below which it serves, without a `/` at its end.
    pub(crate) fn server(url: &str) -> Result<(Self, String), String> {
        let wrong = |why: &str| why.to_owned();
        let uri: Uri = url.parse().map_err(|e| format!("it is no URL: {e}"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("it begins with neither https:// nor http://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it holds a user name or password; the token goes into a file, see --token-file"));
        }
        if uri.query().is_some() || url.contains('#') {
            return Err(wrong("it has a query or a fragment"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let address = host.parse::<std::net::IpAddr>();
        let loopback = host == "localhost" || address.is_ok_and(|ip| ip.to_canonical().is_loopback());
        if !tls && !loopback {
            return Err(wrong(
                "plain http:// would show the token and the traffic to the network; it is for loopback only",
            ));
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok((Self { tls, host, port, token_file: None, ca_file: None, pin: None }, path))
    }

    /// # Errors
    /// Wrong use: somebody wrote something else into the file.
    pub(crate) fn of_entry(entry: &Entry) -> Result<Self, CliError> {
        let pin = entry.pin.as_deref().map(parse_pin).transpose()?;
        Ok(Self { ca_file: entry.ca_file.clone(), pin, ..Self::parse(&entry.url)? })
    }

    /// As it is written down, always alike for one instance.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }

    /// `HOST:PORT`, with brackets around IPv6.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instance at {}", self.url())
    }
}

/// A fingerprint as `merlon ca fingerprint` and other programs print it: hex, in any case, with or without colons.
///
/// # Errors
/// Wrong use: it is something else.
pub(crate) fn parse_pin(text: &str) -> Result<Pin, CliError> {
    let hex: String = text.trim().chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
    let pin = HEXLOWER.decode(hex.as_bytes()).ok().and_then(|bytes| Pin::try_from(bytes).ok());
    pin.ok_or_else(|| {
        CliError::usage(format!("`{text}` is no fingerprint"))
            .because("a SHA-256 has 64 hexadecimal digits")
            .hint("on the instance's host: merlon ca fingerprint")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn an_address_is_scheme_host_and_port() {
        let ok = Remote::parse("https://merlon.example:8443").unwrap();
        assert_eq!((ok.tls, ok.authority().as_str()), (true, "merlon.example:8443"));
        assert_eq!(Remote::parse("https://[::1]:8443/").unwrap().authority(), "[::1]:8443");
        assert_eq!(Remote::parse("https://h").unwrap().url(), Remote::parse("https://h:443/").unwrap().url());
        assert_eq!(Remote::parse("http://127.0.0.1:9").unwrap().authority(), "127.0.0.1:9");
        for wrong in [
            "merlon.example",
            "http://merlon.example",
            "https://u:p@h",
            "https://h/x",
            "https://h?x",
            "https://h/#x",
            "ftp://h",
            "https://",
        ] {
            assert_eq!(Remote::parse(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn an_issuer_may_have_a_path() {
        let (server, path) = Remote::server("https://h.example/tenant/").unwrap();
        assert_eq!((server.url().as_str(), path.as_str()), ("https://h.example:443", "/tenant"));
        assert!(Remote::server("http://h.example").is_err());
    }

    #[test]
    fn a_fingerprint_may_have_colons() {
        let plain = "00ff".repeat(16);
        let colons = "00:FF:".repeat(16);
        assert_eq!(parse_pin(&plain).unwrap(), parse_pin(colons.trim_end_matches(':')).unwrap());
        for wrong in ["", "00", "xyz", &format!("{plain}00")] {
            assert_eq!(parse_pin(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }
}
