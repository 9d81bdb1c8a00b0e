//! From started to open: what the engine asks of the keeper once it is unlocked, in order. CA certificate, certificate
//! of the API, the project that was open last.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use merlon_config::Api;
use merlon_sandbox::{files, seqpacket, systemd};
use merlon_wire::keeper::{LockState, Project};
use merlon_wire::link::{KeeperClient, KeeperError};
use merlon_wire::parent::{FromChild, Ready};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::links::Links;
use crate::log;
use crate::proxy::{Ca, LeafKey, is_fresh};
use crate::rotation::{self, ProjectError, Rotation};
use crate::store::{ProjectMeta, Store};

/// The project that a new instance opens.
const FIRST_PROJECT: &str = "default";

/// How often a locked keeper is asked whether it is open, and a failed opening is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// What an open instance has to show.
pub(crate) struct Opened {
    /// The CA.
    pub(crate) ca: Ca,
    /// Where its certificate was written.
    pub(crate) ca_file: PathBuf,
}

/// TLS of the API's TCP listeners: the operator's own certificate, or one that the keeper signs once it is open.
pub(crate) struct ApiTls {
    certificate: Arc<Late>,
    own: bool,
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

impl ApiTls {
    /// Reads the operator's certificate, if there is one.
    ///
    /// # Errors
    /// [`ApiTlsError::File`], naming file and setting.
    pub(crate) fn new(api: &Api) -> Result<Self, ApiTlsError> {
        let certificate = Arc::new(Late::default());
        let mut own = false;
        if let (Some(chain), Some(key)) = (&api.tls_cert, &api.tls_key) {
            own = true;
            certificate.set(Arc::new(read(chain, key)?), None);
        }
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Late>::clone(&certificate);
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { certificate, own, config: Arc::new(config) })
    }

    /// For the listeners. Until there is a certificate, handshakes are refused.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    async fn ask_for_certificate(&self, keeper: &KeeperClient) -> Result<(), OpenError> {
        if self.own || !self.certificate.is_stale() {
            return Ok(());
        }
        let key = LeafKey::generate()?;
        let certificate = keeper.issue_api_leaf(key.public()).await?;
        self.certificate.set(key.certified(certificate), Some(SystemTime::now()));
        Ok(())
    }

    /// Has the keeper sign a new certificate whenever a handshake finds that the one there is old, or that the clock has
    /// jumped since; an instance runs for longer than a certificate holds. Never ends.
    pub(crate) async fn keep_fresh(&self, links: &Links) {
        loop {
            self.certificate.wanted.notified().await;
            let renewed = async { self.ask_for_certificate(&links.keeper().await?).await };
            if let Err(error) = renewed.await {
                log::warn(format_args!(
                    "the API's certificate could not be renewed, which the next connection tries again: {error}"
                ));
            }
        }
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

/// Why an instance is not open yet.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("it is locked; run `merlon unlock`")]
    Locked,
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    #[error(transparent)]
    Key(#[from] crate::proxy::KeyError),
    #[error("the project could not be opened: {0}")]
    Project(#[from] ProjectError),
    #[error("{} cannot be written: {source}; make its directory writable for this user", path.display())]
    CaFile { path: PathBuf, source: io::Error },
}

/// Opens the instance, however long it takes: a locked keeper is asked again, a keeper that died comes back, a store
/// that cannot be opened is told once and tried again.
pub(crate) async fn open(
    links: &Links,
    store: &Store,
    rotation: &Rotation,
    api_tls: &ApiTls,
    store_dir: &Path,
) -> Opened {
    let mut told = String::new();
    loop {
        match try_open(links, store, rotation, api_tls, store_dir).await {
            Ok(opened) => {
                if !told.is_empty() {
                    store.tell(None);
                }
                return opened;
            }
            Err(error) => {
                let text = error.to_string();
                if text != told {
                    log::warn(format_args!("the instance is not open: {text}"));
                    store.tell(Some(text.clone()));
                    told = text;
                }
                sleep(RETRY).await;
            }
        }
    }
}

/// Addresses that the keeper takes from one engine.
const OVERRIDES: usize = 16;

/// Tells the keeper, for its audit log, at which addresses the proxy can be reached by others than this host. A keeper
/// that is locked takes it too; one that does not answer is asked again.
pub(crate) async fn tell_overrides(links: Links, addresses: Vec<String>) {
    if addresses.len() > OVERRIDES {
        log::warn(format_args!("only {OVERRIDES} of {} public listeners are in the audit log", addresses.len()));
    }
    for address in addresses.iter().take(OVERRIDES) {
        loop {
            let told = async { links.keeper().await?.tell_override(address).await };
            match told.await {
                Ok(()) => break,
                Err(KeeperError::Refused(refusal)) => {
                    log::warn(format_args!("the listener on {address} is not in the audit log: {refusal}"));
                    break;
                }
                Err(_) => sleep(RETRY).await,
            }
        }
    }
}

async fn try_open(
    links: &Links,
    store: &Store,
    rotation: &Rotation,
    api_tls: &ApiTls,
    store_dir: &Path,
) -> Result<Opened, OpenError> {
    let keeper = links.keeper().await?;
    let status = keeper.status().await?;
    if status.state == LockState::Locked {
        return Err(OpenError::Locked);
    }
    let ca = Ca::new(keeper.ca_certificate().await?);
    files::write_atomic(store_dir, "ca.pem", ca.pem.as_bytes(), 0o644)
        .map_err(|source| OpenError::CaFile { path: store_dir.join("ca.pem"), source })?;
    api_tls.ask_for_certificate(&keeper).await?;
    // Nobody may replace a project's key between the keeper's answer and the file that is made with it.
    let _turn = rotation.turn_at_projects().await;
    if store.current().is_none() {
        let project = last_project(&keeper, status.last_project).await?;
        rotation::open(&keeper, store, ProjectMeta { id: project.id, name: project.name }).await?;
    }
    Ok(Opened { ca, ca_file: store_dir.join("ca.pem") })
}

/// The project opened last, else the first there is, else a new one.
async fn last_project(keeper: &KeeperClient, last: Option<u64>) -> Result<Project, KeeperError> {
    let mut projects = keeper.list_projects().await?;
    projects.sort_by_key(|project| project.id);
    let found = projects.iter().position(|project| Some(project.id) == last).or((!projects.is_empty()).then_some(0));
    match found {
        Some(index) => Ok(projects.swap_remove(index)),
        None => keeper.create_project(FIRST_PROJECT).await,
    }
}

/// Tells whoever started the engine that it serves.
pub(crate) fn announce(opened: &Opened, parent: Option<BorrowedFd<'_>>, notify: &systemd::Notify) {
    if let Some(parent) = parent {
        let ready = FromChild::Ready(Ready::Engine {
            ca_file: opened.ca_file.display().to_string(),
            ca_fingerprint: opened.ca.fingerprint.clone(),
        });
        let mut buffer = vec![0; merlon_wire::MAX_FRAME];
        let told = merlon_wire::encode(&ready, &mut buffer)
            .map_err(io::Error::other)
            .and_then(|used| seqpacket::send(parent, &buffer[..used], None));
        if let Err(error) = told {
            log::warn(format_args!("the parent could not be told that the engine serves: {error}"));
        }
    }
    if let Err(error) = notify.ready() {
        log::warn(format_args!("systemd could not be told that the engine serves: {error}"));
    }
}
