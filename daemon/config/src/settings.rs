//! The settings of an instance, section by section, with their defaults and bounds.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Cidr, ConfigError, HostPattern, Hub, Identity, ListenAddress, Tcti};

/// Everything that can be configured. Unknown fields are errors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[proxy]`
    pub proxy: Proxy,
    /// `[api]`
    pub api: Api,
    /// `[egress]`
    pub egress: Egress,
    /// `[recording]`
    pub recording: Recording,
    /// `[limits]`
    pub limits: Limits,
    /// `[keeper]`
    pub keeper: Keeper,
    /// `[tpm]`
    pub tpm: Tpm,
    /// `[pkcs11]`
    pub pkcs11: Pkcs11,
    /// `[sandbox]`
    pub sandbox: Sandbox,
    /// `[identity]`
    pub identity: Identity,
    /// `[hub]`, in the configuration of `merlon-hub` only
    pub hub: Hub,
}

/// The proxy's listeners and how it intercepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// Listeners, at least one. Default `["127.0.0.1:8080"]`.
    pub listen: Vec<ListenAddress>,
    /// Permits listeners that are not loopback. Default false.
    pub allow_public_bind: bool,
    /// Who must authenticate. Default `auto`.
    pub auth: ProxyAuth,
    /// PEM files with more roots for upstream certificates, besides the system's. Default none.
    pub upstream_ca: Vec<PathBuf>,
    /// Hosts whose TLS is relayed unread. Default none.
    pub passthrough: Vec<HostPattern>,
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))],
            allow_public_bind: false,
            auth: ProxyAuth::Auto,
            upstream_ca: Vec::new(),
            passthrough: Vec::new(),
        }
    }
}

/// Proxy authentication (`Proxy-Authorization: Basic`, RFC 7617).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyAuth {
    /// On where a listener is public, off on loopback and Unix sockets.
    #[default]
    Auto,
    /// On everywhere.
    Basic,
    /// Off everywhere, public listeners included.
    None,
}

/// The API's listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// TCP listeners; the Unix socket is always there. Default `["127.0.0.1:8443"]`; may be empty.
    pub listen: Vec<ListenAddress>,
    /// TLS on the TCP listeners. May be false on loopback only. Default true.
    pub tls: bool,
    /// PEM chain of the listener's own certificate. Default: signed by the keeper.
    pub tls_cert: Option<PathBuf>,
    /// PEM key of the listener's own certificate.
    pub tls_key: Option<PathBuf>,
    /// Host names by which the API may be called, besides localhost, the loopback and bound addresses and the host's name.
    pub allowed_hosts: Vec<HostPattern>,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)))],
            tls: true,
            tls_cert: None,
            tls_key: None,
            allowed_hosts: Vec::new(),
        }
    }
}

/// Where connections may go. Own listeners are always refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Egress {
    /// Refuses loopback, private, shared (CGNAT), link-local and unique local addresses. Default false.
    pub deny_private: bool,
    /// Permits the cloud metadata addresses. Default false.
    pub allow_metadata: bool,
    /// Refused blocks. Judged before `allow`.
    pub deny: Vec<Cidr>,
    /// Blocks permitted although `deny_private` is set.
    pub allow: Vec<Cidr>,
    /// Limit of one connection attempt over all addresses, in seconds, 1 to 120. Default 10.
    pub connect_timeout_seconds: u32,
}

impl Default for Egress {
    fn default() -> Self {
        Self {
            deny_private: false,
            allow_metadata: false,
            deny: Vec::new(),
            allow: Vec::new(),
            connect_timeout_seconds: 10,
        }
    }
}

impl Egress {
    /// [`Self::connect_timeout_seconds`].
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout_seconds.into())
    }
}

/// What is kept of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recording {
    /// The most bytes kept of one body; the rest is relayed and counted, not kept. Default 1 GiB.
    pub max_body_bytes: u64,
    /// The longest time that a finished flow waits for its commit, in milliseconds, 1 to 1000. Default 20.
    pub batch_milliseconds: u32,
    /// Bytes of traffic that may wait for the writer, 1 MiB to 1 GiB. Default 32 MiB. When it is full, relaying waits.
    pub queue_bytes: u32,
    /// How long relaying waits for a full queue before the flow goes on unrecorded (and counted), in milliseconds,
    /// 0 to 60000. Default 5000.
    pub max_wait_milliseconds: u32,
}

impl Default for Recording {
    fn default() -> Self {
        Self { max_body_bytes: 1 << 30, batch_milliseconds: 20, queue_bytes: 32 << 20, max_wait_milliseconds: 5000 }
    }
}

/// Bounds on what clients and origins may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Client connections at once, 1 to 100000. Default 12000.
    pub connections: u32,
    /// Bytes of one request or response head, 1 KiB to 1 MiB. Default 64 KiB.
    pub head_bytes: u32,
    /// Header fields of one head, 8 to 1000. Default 128.
    pub head_fields: u32,
    /// Seconds in which a started head must be complete, 1 to 600. Default 30.
    pub head_seconds: u32,
    /// Seconds of a TLS handshake, 1 to 600. Default 15.
    pub handshake_seconds: u32,
    /// Seconds that a connection may stand without a byte between requests, 1 to 86400. Default 300.
    pub idle_seconds: u32,
    /// Seconds without a byte inside a body, or until a response begins, 1 to 86400. Default 300.
    pub stall_seconds: u32,
    /// Seconds that a stop waits for requests under way, 0 to 600. Default 10.
    pub drain_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 12_000,
            head_bytes: 64 << 10,
            head_fields: 128,
            head_seconds: 30,
            handshake_seconds: 15,
            idle_seconds: 300,
            stall_seconds: 300,
            drain_seconds: 10,
        }
    }
}

/// How keys are held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keeper {
    /// Use `memfd_secret` where the kernel has it. It keeps the machine from hibernating; set false where that matters.
    /// Default true.
    pub memfd_secret: bool,
    /// Seconds that one operation of `merlon-seal` may take, 5 to 600: then it is killed. TPMs are slow. Default 90.
    pub seal_seconds: u32,
}

impl Default for Keeper {
    fn default() -> Self {
        Self { memfd_secret: true, seal_seconds: 90 }
    }
}

/// The TPM 2.0. Set in a file only: the environment never decides which TPM is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tpm {
    /// Seal the first keyslot of a new instance to the TPM, if there is one. Default true.
    pub first_slot: bool,
    /// How to reach it. Default `device:/dev/tpmrm0`.
    pub tcti: Tcti,
    /// Permits a `tcti` that names an emulator, which protects nothing. For tests. Default false.
    pub allow_emulator: bool,
    /// Keep a counter in the TPM's NV memory, by which an old copy of the keeper's files is told at a start. Default
    /// false.
    pub counter: bool,
}

impl Default for Tpm {
    fn default() -> Self {
        Self { first_slot: true, tcti: Tcti::default(), allow_emulator: false, counter: false }
    }
}

/// The PKCS#11 module of a hardware security module. Set in a file only: it is code that `merlon-seal` runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pkcs11 {
    /// The module, a shared library. Default: none.
    pub module: Option<PathBuf>,
    /// Files and directories that it reads, besides the system's libraries. Default: none.
    pub read: Vec<PathBuf>,
    /// Files, directories and devices that it also writes (SoftHSM's tokens, for example). Default: none.
    pub write: Vec<PathBuf>,
    /// Environment variables that it wants (`SOFTHSM2_CONF`, for example). Default: none.
    pub environment: BTreeMap<String, String>,
    /// A file with the user PIN, so that the slot opens at start without a person; one line end at its end does not
    /// count. Without it the credential `pkcs11-pin` is used, if systemd passes one. Default: none.
    pub pin_file: Option<PathBuf>,
}

impl Pkcs11 {
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.module.iter().chain(&self.read).chain(&self.write).chain(&self.pin_file)
    }
}

/// What must be enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// Refuse to start where the kernel has no Landlock. Default true.
    pub required: bool,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self { required: true }
    }
}

impl Config {
    /// Checks bounds that types do not carry. `origin` names the source in messages.
    pub(crate) fn check(&self, origin: &dyn Fn(&str) -> String) -> Result<(), ConfigError> {
        let wrong = |key: &'static str, problem: String, remedy: &'static str| {
            Err(ConfigError::OutOfBounds { origin: origin(key), key, problem, remedy })
        };
        let ranges: [(&'static str, u64, std::ops::RangeInclusive<u64>); 24] = [
            ("egress.connect_timeout_seconds", self.egress.connect_timeout_seconds.into(), 1..=120),
            ("recording.batch_milliseconds", self.recording.batch_milliseconds.into(), 1..=1000),
            ("recording.queue_bytes", self.recording.queue_bytes.into(), 1 << 20..=1 << 30),
            ("recording.max_wait_milliseconds", self.recording.max_wait_milliseconds.into(), 0..=60_000),
            ("limits.connections", self.limits.connections.into(), 1..=100_000),
            ("limits.head_bytes", self.limits.head_bytes.into(), 1 << 10..=1 << 20),
            ("limits.head_fields", self.limits.head_fields.into(), 8..=1000),
            ("limits.head_seconds", self.limits.head_seconds.into(), 1..=600),
            ("limits.handshake_seconds", self.limits.handshake_seconds.into(), 1..=600),
            ("limits.idle_seconds", self.limits.idle_seconds.into(), 1..=86_400),
            ("limits.stall_seconds", self.limits.stall_seconds.into(), 1..=86_400),
            ("keeper.seal_seconds", self.keeper.seal_seconds.into(), 5..=600),
            ("identity.recheck_seconds", self.identity.recheck_seconds.into(), 5..=3600),
            ("hub.clients", self.hub.clients.into(), 1..=100_000),
            ("hub.unused_minutes", self.hub.unused_minutes.into(), 5..=10_080),
            ("hub.access_seconds", self.hub.access_seconds.into(), 30..=86_400),
            ("hub.refresh_idle_days", self.hub.refresh_idle_days.into(), 1..=365),
            ("hub.device_seconds", self.hub.device_seconds.into(), 30..=1800),
            ("hub.device_interval", self.hub.device_interval.into(), 1..=60),
            ("hub.refresh_grace_seconds", self.hub.refresh_grace_seconds.into(), 0..=300),
            ("hub.browser_hours", self.hub.browser_hours.into(), 1..=720),
            ("hub.key_days", self.hub.key_days.into(), 1..=3650),
            ("hub.wrong_codes", self.hub.wrong_codes.into(), 10..=100_000),
            ("hub.connections", self.hub.connections.into(), 1..=100_000),
        ];
        for (key, value, range) in ranges {
            if !range.contains(&value) {
                let problem = format!("is {value}, outside {} to {}", range.start(), range.end());
                return wrong(key, problem, "choose a value inside the bounds");
            }
        }
        if self.limits.drain_seconds > 600 {
            let problem = format!("is {}, outside 0 to 600", self.limits.drain_seconds);
            return wrong("limits.drain_seconds", problem, "choose a value inside the bounds");
        }
        if self.tpm.tcti.is_emulator() && !self.tpm.allow_emulator {
            let problem = format!("is \"{}\", an emulator", self.tpm.tcti);
            return wrong(
                "tpm.tcti",
                problem,
                "use \"device:/dev/tpmrm0\", or for tests set tpm.allow_emulator = true",
            );
        }
        if let Some(path) = self.pkcs11.paths().find(|path| !path.is_absolute()) {
            let problem = format!("holds the path {}, which is not absolute", path.display());
            return wrong("pkcs11", problem, "write the path from the root");
        }
        if self.proxy.listen.is_empty() {
            return wrong("proxy.listen", "is empty".into(), "name at least one listener");
        }
        if self.api.tls_cert.is_some() != self.api.tls_key.is_some() {
            return wrong("api.tls_cert", "and `api.tls_key` go together".into(), "set both or none");
        }
        for listen in &self.api.listen {
            if let ListenAddress::Tcp(address) = listen
                && !self.api.tls
                && !address.ip().to_canonical().is_loopback()
            {
                let problem = format!("is false, but {address} is not loopback");
                return wrong("api.tls", problem, "leave TLS on, or listen on loopback only");
            }
        }
        self.check_hub().or_else(|(key, problem, remedy)| wrong(key, problem, remedy))
    }

    /// What the listeners of a hub may be: key, problem and remedy.
    fn check_hub(&self) -> Result<(), (&'static str, String, &'static str)> {
        let hub = &self.hub;
        if hub.listen.is_empty() {
            return Err(("hub.listen", "is empty".into(), "name at least one listener"));
        }
        if hub.tls_cert.is_some() != hub.tls_key.is_some() {
            return Err(("hub.tls_cert", "and `hub.tls_key` go together".into(), "set both or none"));
        }
        let plain = hub.tls_cert.is_none() && hub.trusted_proxies.is_empty();
        for listen in &hub.listen {
            let (why, remedy) = match listen {
                ListenAddress::Unix(_) => ("no TCP address", "write an IP address and a port"),
                ListenAddress::Tcp(address) if plain && !address.ip().to_canonical().is_loopback() => (
                    "public without TLS",
                    "set `hub.tls_cert` and `hub.tls_key`, or name the reverse proxy before it in `hub.trusted_proxies`",
                ),
                ListenAddress::Tcp(_) => continue,
            };
            return Err(("hub.listen", format!("has {listen}, which is {why}"), remedy));
        }
        Ok(())
    }
}
