//! TLS of the listeners: the operator's certificate, read at the start and again when it was renewed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use merlon_config::Hub;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// TLS of the listeners.
pub(crate) struct Tls {
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

/// Why there is no TLS. Exit code 78.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file cannot be used.
    #[error("{}: `{key}` cannot be used: {reason}", path.display())]
    File {
        /// Which setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The provider refused.
    #[error("TLS could not be set up: {0}")]
    Provider(#[from] rustls::Error),
}

impl Tls {
    /// Reads the certificate; none if none is configured.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn of(hub: &Hub) -> Result<Option<Self>, TlsError> {
        let Some(certified) = configured(hub)? else { return Ok(None) };
        let current = Arc::new(Current(RwLock::new(certified)));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&current);
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self { current, config: Arc::new(config) }))
    }

    /// For the listeners.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Reads the files again. Connections that stand keep what they have; after an error everything is as it was.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn renew(&self, hub: &Hub) -> Result<(), TlsError> {
        if let Some(certified) = configured(hub)? {
            *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        }
        Ok(())
    }
}

fn configured(hub: &Hub) -> Result<Option<Arc<CertifiedKey>>, TlsError> {
    match (&hub.tls_cert, &hub.tls_key) {
        (Some(chain), Some(key)) => read(chain, key).map(|certified| Some(Arc::new(certified))),
        _ => Ok(None),
    }
}

fn read(chain: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let wrong = |setting, path: &Path, reason: String| TlsError::File { key: setting, path: path.to_owned(), reason };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong("hub.tls_cert", chain, e.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("hub.tls_cert", chain, "it holds no certificate".into()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong("hub.tls_key", key, e.to_string()))?;
    CertifiedKey::from_der(certificates, private, &default_provider())
        .map_err(|e| wrong("hub.tls_key", key, e.to_string()))
}

/// What new connections get.
struct Current(RwLock<Arc<CertifiedKey>>);

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
