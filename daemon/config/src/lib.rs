//! An instance's configuration as types: defaults, bounds, layers, and the bind policy.
//!
//! This crate owns what may be configured and what each value means. It does no IO: programs read files and the
//! environment and hand the text in. Secrets have no place here; they come from files, descriptors, credentials or a
//! prompt.

mod bind;
mod error;
mod identity;
mod layers;
mod paths;
mod settings;
mod types;

pub use bind::{Exposure, PublicBind, exposure, judge_proxy_bind};
pub use error::ConfigError;
pub use identity::{Hub, Identity, Registration};
pub use layers::{Layer, Layers, Origin, Resolved};
pub use paths::{InstanceName, Paths};
pub use settings::{Api, Config, Egress, Keeper, Limits, Pkcs11, Proxy, ProxyAuth, Recording, Sandbox, Tpm};
pub use types::{Cidr, HostPattern, ListenAddress, Tcti};

/// Where distributions keep the bundle of roots that the system trusts; the first that exists counts. Never the directory
/// beside it: that also holds certificates which nobody should trust, such as Debian's snakeoil.
pub const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
