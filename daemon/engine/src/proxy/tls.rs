//! TLS on both sides: as a server to the client with a leaf of ours, as a client to the origin with full verification.
//! No HTTP here.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use merlon_config::SYSTEM_ROOTS;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, CommonState, RootCertStore, ServerConfig};

use crate::flow::TlsFacts;

/// The protocol that both sides speak. HTTP/2 is not offered yet.
const ALPN: &[u8] = b"http/1.1";

/// The provider with AES-128 in front, as browsers have it: the key schedule over SHA-256 costs a third of the one over
/// SHA-384, which shows in every handshake.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = default_provider();
    provider.cipher_suites.sort_by_key(|suite| *suite != TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

/// Why TLS cannot be set up at start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// A file of `proxy.upstream_ca` cannot be read.
    #[error("{}: `proxy.upstream_ca` cannot be read: {reason}; name a PEM file with certificates", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The provider refused its own defaults.
    #[error("TLS could not be set up: {0}")]
    Provider(#[from] rustls::Error),
}

/// What origins are verified with.
pub(crate) struct Roots {
    /// The system's trust anchors, as they are at the start.
    pub(crate) system: RootCertStore,
    /// These and the configuration's.
    pub(crate) store: RootCertStore,
    /// What could not be used, for the log.
    pub(crate) warnings: Vec<String>,
}

/// The system's roots and those of the configuration.
///
/// # Errors
/// [`SetupError::Roots`] if a file that was asked for gives no certificate; the system's own are best effort.
pub(crate) fn roots(extra: &[PathBuf]) -> Result<Roots, SetupError> {
    let mut system = RootCertStore::empty();
    let mut warnings = Vec::new();
    match SYSTEM_ROOTS.iter().map(Path::new).find(|bundle| bundle.exists()) {
        Some(bundle) => match CertificateDer::pem_file_iter(bundle) {
            Ok(certificates) => {
                let (_, ignored) = system.add_parsable_certificates(certificates.filter_map(Result::ok));
                if ignored > 0 {
                    warnings.push(format!("{}: {ignored} roots could not be parsed and are ignored", bundle.display()));
                }
            }
            Err(e) => warnings.push(format!("{}: the system's roots cannot be read: {e}", bundle.display())),
        },
        None => warnings.push("this system has no bundle of roots (install ca-certificates)".into()),
    }
    let store = with_more(&system, extra)?;
    if store.is_empty() {
        warnings.push("there are no roots, so no origin can be verified".into());
    }
    Ok(Roots { system, store, warnings })
}

/// The system's roots and those of the configuration's files.
///
/// # Errors
/// [`SetupError::Roots`] if a file gives no certificate.
pub(crate) fn with_more(system: &RootCertStore, extra: &[PathBuf]) -> Result<RootCertStore, SetupError> {
    let mut store = system.clone();
    for path in extra {
        let wrong = |reason: String| SetupError::Roots { path: path.clone(), reason };
        let pem = fs::read(path).map_err(|e| wrong(e.to_string()))?;
        let certificates =
            CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|e| wrong(e.to_string()))?;
        if certificates.is_empty() {
            return Err(wrong("it holds no certificate".into()));
        }
        for certificate in certificates {
            store.add(certificate).map_err(|e| wrong(e.to_string()))?;
        }
    }
    Ok(store)
}

/// The client side towards origins.
pub(crate) fn to_origin(roots: RootCertStore) -> Result<Arc<ClientConfig>, SetupError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// The server side towards clients: shared settings, to which each connection adds its leaf.
#[derive(Clone)]
pub(crate) struct ClientFacing(ServerConfig);

impl ClientFacing {
    /// No session storage and no tickets: an interception keeps nothing of a client between connections.
    pub(crate) fn new() -> Result<Self, SetupError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(NoLeaf));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self(config))
    }

    /// The configuration for one connection.
    pub(crate) fn with_leaf(&self, leaf: Arc<CertifiedKey>) -> Arc<ServerConfig> {
        let mut config = self.0.clone();
        config.cert_resolver = Arc::new(OneLeaf(leaf));
        Arc::new(config)
    }
}

/// Always the same leaf: it was chosen before the handshake goes on.
pub(crate) struct OneLeaf(pub(crate) Arc<CertifiedKey>);

impl fmt::Debug for OneLeaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneLeaf")
    }
}

impl ResolvesServerCert for OneLeaf {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Before a leaf was chosen there is none.
#[derive(Debug)]
struct NoLeaf;

impl ResolvesServerCert for NoLeaf {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

/// The facts of a finished handshake.
pub(crate) fn facts(state: &CommonState, server_name: Option<&str>) -> TlsFacts {
    let text = |value: Option<String>| value.unwrap_or_default().into_boxed_str();
    TlsFacts {
        version: text(state.protocol_version().and_then(|v| v.as_str().map(str::to_owned))),
        cipher: text(state.negotiated_cipher_suite().and_then(|s| s.suite().as_str().map(str::to_owned))),
        server_name: server_name.map(Into::into),
        alpn: state.alpn_protocol().map(|p| String::from_utf8_lossy(p).into()),
    }
}

/// The name that an origin is asked for and verified against.
pub(crate) fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).ok()
}

/// Why a handshake with an origin failed, in words for the user.
pub(crate) fn explain(error: &io::Error) -> String {
    let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                "the origin closed the connection during the TLS handshake".into()
            }
            io::ErrorKind::TimedOut => "the origin did not finish the TLS handshake in time".into(),
            _ => error.to_string(),
        };
    };
    use rustls::{CertificateError as C, Error as E};
    match tls {
        E::InvalidCertificate(certificate) => match certificate {
            C::Expired | C::ExpiredContext { .. } => "the origin's certificate has expired".into(),
            C::NotValidYet | C::NotValidYetContext { .. } => {
                "the origin's certificate is not valid yet; check this host's clock".into()
            }
            C::UnknownIssuer => "the origin's certificate is self-signed or from an issuer that is not trusted here".into(),
            C::NotValidForName | C::NotValidForNameContext { .. } => {
                "the origin's certificate is for another host".into()
            }
            C::Revoked => "the origin's certificate is revoked".into(),
            C::BadSignature => "the origin's certificate has a bad signature".into(),
            C::InvalidPurpose | C::InvalidPurposeContext { .. } => "the origin's certificate is not for servers".into(),
            C::UnsupportedSignatureAlgorithmContext { .. } | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                "the origin's certificate is signed with an algorithm that is no longer accepted (such as SHA-1)".into()
            }
            C::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                "the origin's certificate is a CA's own, which a server must not use (self-signed ones made by `openssl req -x509` are); \
                 give the origin one that is no CA, or relay it unread"
                    .into()
            }
            other => format!("the origin's certificate is not accepted: {other}"),
        },
        E::AlertReceived(alert) => format!("the origin refused the TLS handshake ({alert:?})"),
        E::InvalidMessage(_) => "the origin does not speak TLS on this port".into(),
        E::PeerIncompatible(what) => format!("the origin's TLS is too old or incompatible: {what:?}"),
        other => format!("the TLS handshake with the origin failed: {other}"),
    }
}
