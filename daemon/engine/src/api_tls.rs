//! TLS of the API's TCP listeners: the operator's own certificate, or one that the keeper signs and that is renewed in
//! time. It reads files at a start and at a reload only.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use merlon_config::Api;
use merlon_wire::link::{KeeperClient, KeeperError};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::Notify;

use crate::links::Links;
use crate::log;
use crate::proxy::{KeyError, LeafKey, is_fresh};

/// TLS of the API's TCP listeners: the operator's own certificate, or one that the keeper signs once it is open.
pub(crate) struct ApiTls {
    certificate: Arc<Late>,
    config: Arc<ServerConfig>,
}

/// Why the API has no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiTlsError {
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
    #[error("TLS of the API could not be set up: {0}")]
    Provider(#[from] rustls::Error),
}

/// Why the keeper's certificate is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssueError {
    /// The keeper gave none.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// There is no key for it.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl ApiTls {
    /// Reads the operator's certificate, if there is one.
    ///
    /// # Errors
    /// [`ApiTlsError::File`], naming file and setting.
    pub(crate) fn new(api: &Api) -> Result<Self, ApiTlsError> {
        let certificate = Arc::new(Late::default());
        if let Some(own) = operators(api)? {
            certificate.set(own, None);
        }
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Late>::clone(&certificate);
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { certificate, config: Arc::new(config) })
    }

    /// For the listeners. Until there is a certificate, handshakes are refused.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Takes over what [`operators`] has read: another certificate, or none any more. Connections that stand keep theirs.
    pub(crate) fn replace(&self, own: Option<Arc<CertifiedKey>>) {
        match own {
            Some(own) => self.certificate.set(own, None),
            None => self.certificate.retire(),
        }
    }

    /// Has the keeper sign a certificate, if there is none or an old one.
    ///
    /// # Errors
    /// [`IssueError`].
    pub(crate) async fn ask_for_certificate(&self, keeper: &KeeperClient) -> Result<(), IssueError> {
        if !self.certificate.is_stale() {
            return Ok(());
        }
        let key = LeafKey::generate()?;
        let certificate = keeper.issue_api_leaf(key.public()).await?;
        // The CA's is shown, too: a client that has its fingerprint needs no file.
        let authority = keeper.ca_certificate().await?;
        self.certificate.set(key.certified([certificate, authority]), Some(SystemTime::now()));
        Ok(())
    }

    /// Has the keeper sign a new certificate whenever a handshake finds that the one there is old, or that the clock has
    /// jumped since; an instance runs for longer than a certificate holds. Never ends.
    pub(crate) async fn keep_fresh(&self, links: &Links) {
        loop {
            self.certificate.wanted.notified().await;
            let renewed = async { self.ask_for_certificate(&links.keeper().await?).await };
            let renewed: Result<(), IssueError> = renewed.await;
            if let Err(error) = renewed {
                log::warn(format_args!(
                    "the API's certificate could not be renewed, which the next connection tries again: {error}"
                ));
            }
        }
    }
}

/// The operator's own certificate, if the configuration names one.
///
/// # Errors
/// [`ApiTlsError::File`], naming file and setting.
pub(crate) fn operators(api: &Api) -> Result<Option<Arc<CertifiedKey>>, ApiTlsError> {
    match (&api.tls_cert, &api.tls_key) {
        (Some(chain), Some(key)) => read(chain, key).map(|certified| Some(Arc::new(certified))),
        _ => Ok(None),
    }
}

fn read(chain: &Path, key: &Path) -> Result<CertifiedKey, ApiTlsError> {
    let wrong =
        |setting, path: &Path, reason: String| ApiTlsError::File { key: setting, path: path.to_owned(), reason };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong("api.tls_cert", chain, e.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("api.tls_cert", chain, "it holds no certificate".into()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong("api.tls_key", key, e.to_string()))?;
    let certified = CertifiedKey::from_der(certificates, private, &default_provider())
        .map_err(|e| wrong("api.tls_key", key, e.to_string()))?;
    Ok(certified)
}

/// A certificate that comes later, and is replaced in time.
#[derive(Default)]
struct Late {
    current: RwLock<Option<Current>>,
    /// A handshake has found none, or an old one.
    wanted: Notify,
}

struct Current {
    certified: Arc<CertifiedKey>,
    /// None: the operator's, who replaces it.
    issued: Option<SystemTime>,
}

impl Late {
    fn set(&self, certified: Arc<CertifiedKey>, issued: Option<SystemTime>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Current { certified, issued });
    }

    /// The operator has no certificate any more: the last one stands in until the keeper has signed one.
    fn retire(&self) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = &mut *current
            && current.issued.is_none()
        {
            current.issued = Some(SystemTime::UNIX_EPOCH);
            self.wanted.notify_one();
        }
    }

    fn is_stale(&self) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().is_none_or(|current| current.issued.is_some_and(|issued| !is_fresh(issued)))
    }
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Late")
    }
}

impl ResolvesServerCert for Late {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if self.is_stale() {
            self.wanted.notify_one();
        }
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|current| Arc::clone(&current.certified))
    }
}
