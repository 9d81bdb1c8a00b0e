//! `[identity]` of an instance, and `[hub]` of a hub.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Cidr, ListenAddress};

/// The authorization server that people sign in with. Without an issuer the instance knows local tokens only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// The issuer (RFC 8414): https, or http on loopback; no query, no fragment. A hub of ours or any compliant
    /// authorization server. Default: none.
    pub issuer: Option<String>,
    /// The client id of a client that was registered by hand, for servers without dynamic registration. Default: none.
    pub client_id: Option<String>,
    /// File with the secret of that client; one line end at its end does not count. Default: none.
    pub client_secret_file: Option<PathBuf>,
    /// File with a registration key of the hub (RFC 7591 calls it an initial access token), which also claims the instance
    /// for its maker. Without it the credential `registration-key` is used, if systemd passes one. Default: none.
    pub registration_key_file: Option<PathBuf>,
    /// What the instance is called at the server. Default: its name and the host's.
    pub name: Option<String>,
    /// Scopes to ask a server for that does not know ours, space-separated. Default: `openid offline_access`.
    pub scope: String,
    /// The resource to ask tokens for (RFC 8707), and the audience that they must have, where the server is not a hub of
    /// ours. Default: none; then the audience must be the client id.
    pub resource: Option<String>,
    /// PEM files with more roots for the server's certificate, besides the system's. Default: none.
    pub ca: Vec<PathBuf>,
    /// An HTTP proxy through which the server is reached, `http://HOST:PORT`. Default: none.
    pub proxy: Option<String>,
    /// Seconds after which the server is asked again whether a session still stands, 5 to 3600. Default 60.
    pub recheck_seconds: u32,
    /// Tell a hub of ours the version and that the instance lives. Default true.
    pub report: bool,
    /// What others than the owner are here, by their subject at a server that is not a hub of ours: `viewer`, `operator`
    /// or `owner`. Default: none.
    pub members: BTreeMap<String, String>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: None,
            client_secret_file: None,
            registration_key_file: None,
            name: None,
            scope: "openid offline_access".to_owned(),
            resource: None,
            ca: Vec::new(),
            proxy: None,
            recheck_seconds: 60,
            report: true,
            members: BTreeMap::new(),
        }
    }
}

/// Who may register a client at a hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Anybody, within the limits; an instance is then claimed with its own claim code.
    #[default]
    Open,
    /// Whoever has a registration key.
    Key,
}

/// A hub. An instance's configuration leaves this section alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hub {
    /// Listeners, at least one. Default `["127.0.0.1:8444"]`.
    pub listen: Vec<ListenAddress>,
    /// The issuer: https, or http on loopback; no query, no fragment, no `/` at its end. Default: made of the first listener.
    pub issuer: Option<String>,
    /// PEM chain of the listeners' certificate. Without it the hub speaks plain HTTP: on loopback, or to a trusted proxy.
    pub tls_cert: Option<PathBuf>,
    /// PEM key of the certificate.
    pub tls_key: Option<PathBuf>,
    /// Reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Default: none.
    pub trusted_proxies: Vec<Cidr>,
    /// Who may register a client. Default `open`.
    pub registration: Registration,
    /// Registered clients at most, 1 to 100000. Default 2000.
    pub clients: u32,
    /// Minutes after which a client that was never used is removed, 5 to 10080. Default 60.
    pub unused_minutes: u32,
    /// Seconds that an access token lives, 30 to 86400. Default 600.
    pub access_seconds: u32,
    /// Days without use after which a refresh token ends, 1 to 365. Default 30.
    pub refresh_idle_days: u32,
    /// Seconds that a device code lives, 30 to 1800. Default 600.
    pub device_seconds: u32,
    /// Seconds between two polls of a device code, 1 to 60. Default 5.
    pub device_interval: u32,
    /// Seconds in which a refresh whose answer was lost may be repeated, 0 to 300. Default 30.
    pub refresh_grace_seconds: u32,
    /// Hours without use after which a browser must sign in again, 1 to 720. Default 12.
    pub browser_hours: u32,
    /// Days after which signing keys are rotated, 1 to 3650. Default 90.
    pub key_days: u32,
    /// Wrong user codes that the whole hub bears in a minute, 10 to 100000. Default 300.
    pub wrong_codes: u32,
    /// Connections at once, 1 to 100000. Default 4000.
    pub connections: u32,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8444)))],
            issuer: None,
            tls_cert: None,
            tls_key: None,
            trusted_proxies: Vec::new(),
            registration: Registration::Open,
            clients: 2000,
            unused_minutes: 60,
            access_seconds: 600,
            refresh_idle_days: 30,
            device_seconds: 600,
            device_interval: 5,
            refresh_grace_seconds: 30,
            browser_hours: 12,
            key_days: 90,
            wrong_codes: 300,
            connections: 4000,
        }
    }
}
