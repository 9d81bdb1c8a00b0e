//! The proxy: takes client connections, intercepts HTTP, relays it byte for byte and records it. It owns the client
//! side and the traffic; it never opens a socket (the dialer does), never holds a CA key (the keeper does), and never
//! imports `api` or `auth`: nothing that a client of the proxy sends can reach the API.
//!
//! | module | does |
//! |---|---|
//! | [`listener`] | accepts, bounds, drains |
//! | [`requests`] | reads heads, decides where each goes |
//! | [`exchange`] | one request and its answer |
//! | [`tunnel`] | CONNECT |
//! | [`upstream`], [`leaf`], [`tls`] | the way to the origin, the face to the client |

mod auth;
mod conn;
mod exchange;
mod failure;
mod leaf;
pub(crate) mod listener;
mod own;
mod relay;
mod reply;
mod requests;
mod stream;
pub(crate) mod tls;
mod tunnel;
mod turned_away;
mod upstream;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use merlon_config::{Config, HostPattern, Limits};
use tokio::sync::watch;

pub(crate) use leaf::{KeyError, LeafKey, Leaves, is_fresh};
pub(crate) use turned_away::TurnedAway;

use crate::http::HeadLimits;
use crate::links::Links;
use crate::store::Recorder;

/// Everything that the connections of the proxy share. A reload makes another one for the connections that come after it.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// Keeper and dialer.
    pub(crate) links: Links,
    /// Leaf certificates.
    pub(crate) leaves: Arc<Leaves>,
    /// TLS towards clients.
    pub(crate) client_tls: tls::ClientFacing,
    /// TLS towards origins.
    pub(crate) origin_tls: Arc<rustls::ClientConfig>,
    /// Where flows go.
    pub(crate) recorder: Recorder,
    /// Bounds.
    pub(crate) limits: Limits,
    /// Bounds of heads.
    pub(crate) head_limits: HeadLimits,
    /// Hosts that are relayed unread.
    pub(crate) passthrough: Vec<HostPattern>,
    /// The CA certificate, for clients to fetch; none until the instance is unlocked and open.
    pub(crate) ca: Arc<OnceLock<Ca>>,
    /// Who failed to authenticate.
    pub(crate) turned_away: Arc<TurnedAway>,
    /// Turns true when the instance stops.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// The CA certificate in the forms that clients take.
#[derive(Clone)]
pub(crate) struct Ca {
    /// RFC 7468.
    pub(crate) pem: String,
    /// X.690.
    pub(crate) der: Vec<u8>,
    /// SHA-256 of the DER, upper-case hex with colons.
    pub(crate) fingerprint: String,
}

impl Ca {
    /// From the certificate's DER.
    pub(crate) fn new(der: Vec<u8>) -> Self {
        let base64 = data_encoding::BASE64.encode(&der);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in base64.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
        let hex: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        Self { pem, der, fingerprint: hex.join(":") }
    }
}

/// How long a connection without a request still waits for one when the instance stops: what its client has sent, or is
/// sending, is answered with the word that it is the last.
const LAST_CALL: Duration = Duration::from_millis(500);

impl Proxy {
    /// Takes over what of the configuration can change while the engine runs.
    pub(crate) fn set(&mut self, config: &Config, origin_tls: Arc<rustls::ClientConfig>) {
        self.origin_tls = origin_tls;
        // Whoever supervises the engine waits for as long as was said at the start.
        self.limits = Limits { drain_seconds: self.limits.drain_seconds, ..config.limits.clone() };
        self.head_limits = head_limits(&config.limits);
        self.passthrough.clone_from(&config.proxy.passthrough);
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Completes when a connection without a request has no more time to send one.
    async fn last_call(&self) {
        // The other end lives as long as the engine.
        let _ = self.stopping.clone().wait_for(|stop| *stop).await;
        tokio::time::sleep(LAST_CALL).await;
    }

    fn passes_through(&self, host: &str) -> bool {
        self.passthrough.iter().any(|pattern| pattern.matches(host))
    }

    fn stall(&self) -> Duration {
        Duration::from_secs(self.limits.stall_seconds.into())
    }
}

/// The bounds of heads, out of all limits.
pub(crate) fn head_limits(limits: &Limits) -> HeadLimits {
    let size = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    HeadLimits { max_bytes: size(limits.head_bytes), max_fields: size(limits.head_fields) }
}
