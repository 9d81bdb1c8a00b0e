//! `merlon-hub serve`: takes what it inherited, gives up every right that it does not need, and only then serves. It wires
//! listeners, keeper and database together and has no logic of its own beyond that order.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use merlon_config::{Config, Hub};
use merlon_parent::settings::SettingsError;
use merlon_parent::{exit, log};
use merlon_sandbox::inherit::{InheritError, Inherited};
use merlon_sandbox::lock::{DirLock, LockError};
use merlon_sandbox::profile::{self, Paths, SandboxError};
use merlon_sandbox::{process, profiles, seqpacket, systemd};
use merlon_wire::link::{Limits, LinkKeeping, LinkSource, Links, links};
use merlon_wire::parent::{FromChild, Ready};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::app::App;
use crate::command_line::{Serve, Settings};
use crate::front::Front;
use crate::issuer::Issuer;
use crate::keys::{self, Keys, Published};
use crate::listener::{Service, listen, listener};
use crate::random::NoRandomness;
use crate::settings::{self, NoIssuer};
use crate::tls::{Tls, TlsError};
use crate::{housekeeping, opening, routes, service};

/// Runs the server until it is told to stop.
pub(crate) fn run(args: &Serve) -> ExitCode {
    match start(args) {
        Ok(()) => exit::with(exit::OK),
        Err(error) => {
            log::error(format_args!("{error}"));
            exit::with(error.code())
        }
    }
}

/// Why the hub does not serve.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Issuer(#[from] NoIssuer),
    #[error("the hub was handed no listening socket; its unit names them in hub.listen")]
    NoListener,
    #[error(
        "the hub refuses to listen on {0} without TLS, because that is not loopback; set hub.tls_cert and hub.tls_key, name the reverse proxy before it in hub.trusted_proxies, or listen on loopback"
    )]
    Plain(SocketAddr),
    #[error(transparent)]
    Inherit(#[from] InheritError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
}

impl ServeError {
    fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Issuer(_) | Self::NoListener | Self::Plain(_) | Self::Tls(_) => exit::CONFIG,
            Self::Sandbox(SandboxError::NoLandlock { .. }) => exit::CONFIG,
            Self::Inherit(_) => exit::USAGE,
            Self::Lock(LockError::Held { .. }) | Self::Sandbox(_) => exit::NOT_PERMITTED,
            Self::NoRandomness(_) => exit::INTERNAL,
            Self::Lock(_) | Self::Io { .. } => exit::IO,
        }
    }
}

/// How long a new server waits for one that is still ending.
const LOCK_WAIT: Duration = Duration::from_secs(15);
/// What a stop may take besides waiting for requests: the last commits.
const CLOSING: Duration = Duration::from_secs(30);
/// Descriptors besides those of connections.
const SPARE_DESCRIPTORS: u64 = 256;
/// Bounds of the keeper's link: it answers in order, a batch of signatures in a few milliseconds.
const LINK: Limits = Limits { in_flight: 64, answer: Duration::from_secs(10) };

/// A certificate that is renewed by a rename can be read again after a reload if it lies here: the right is to the
/// directory.
const CERTIFICATES: &str = "/etc/merlon-hub";

fn start(args: &Serve) -> Result<(), ServeError> {
    let io = |what| move |source| ServeError::Io { what, source };
    process::harden()
        .map_err(|e| ServeError::Io { what: "the process cannot be hardened", source: io::Error::other(e) })?;
    let config = settings::of_server(&args.settings)?.config;
    if !config.keeper.memfd_secret {
        merlon_sandbox::secret::force_locked()
            .map_err(|e| ServeError::Io { what: "secret memory cannot be had", source: io::Error::other(e) })?;
    }
    let mut inherited = Inherited::take(&args.fds)?;
    let listeners = inherited
        .all("hub")
        .into_iter()
        .map(listener)
        .collect::<io::Result<Vec<_>>>()
        .map_err(io("a listening socket cannot be used"))?;
    let first = listeners.first().map(|(_, bound)| *bound).ok_or(ServeError::NoListener)?;
    judge(&config.hub, &listeners)?;
    let issuer = settings::issuer(&config.hub, first)?;
    let parent = inherited.optional("parent")?;
    let keeper = if parent.is_some() { None } else { Some(inherited.one("link-keeper")?) };
    // What has another name is nothing that the hub knows, and is closed.
    drop(inherited);
    let _lock = DirLock::acquire(&args.store, LOCK_WAIT)?;
    let tls = Tls::of(&config.hub)?;
    let notify = systemd::Notify::from_env().map_err(io("the notify socket cannot be opened"))?;
    let wanted = u64::from(config.hub.connections) + SPARE_DESCRIPTORS;
    let descriptors = process::raise_nofile(wanted).map_err(io("the number of descriptors cannot be raised"))?;
    if descriptors < wanted {
        log::warn(format_args!(
            "only {descriptors} descriptors are allowed, too few for {} connections; raise the hard limit of open files or lower hub.connections",
            config.hub.connections
        ));
    }

    // The last moment before a foreign byte, and before any thread.
    let mut paths = Paths::new().read_write(&args.store).landlock_required(config.sandbox.required);
    for file in args.settings.config.iter().chain(&config.hub.tls_cert).chain(&config.hub.tls_key) {
        paths = paths.read_only_if_present(file);
    }
    paths = paths.read_only_if_present(CERTIFICATES);
    profile::enforce(&profiles::HUB, &paths)?.warn_if_incomplete();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(io("the hub's runtime cannot be started"))?;
    let server = Server {
        settings: args.settings.clone(),
        config,
        issuer,
        store_dir: args.store.clone(),
        listeners: listeners.into_iter().map(|(listener, _)| listener).collect(),
        parent,
        keeper,
        tls,
        notify,
    };
    runtime.block_on(server.serve())?;
    // What still blocks a thread now would block the end.
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}

/// The policy looks at the sockets as they really are, whoever bound them.
fn judge(hub: &Hub, listeners: &[(TcpListener, SocketAddr)]) -> Result<(), ServeError> {
    let plain = hub.tls_cert.is_none() && hub.trusted_proxies.is_empty();
    let public = listeners.iter().find(|(_, bound)| !bound.ip().to_canonical().is_loopback());
    match public {
        Some((_, bound)) if plain => Err(ServeError::Plain(*bound)),
        _ => Ok(()),
    }
}

/// Everything that the server starts from; no file is opened and no socket made after it but inside the store.
struct Server {
    settings: Settings,
    config: Config,
    issuer: Issuer,
    store_dir: PathBuf,
    listeners: Vec<TcpListener>,
    /// `merlon-hub run`; its socket.
    parent: Option<OwnedFd>,
    /// systemd; the socket to which the keeper connects.
    keeper: Option<OwnedFd>,
    tls: Option<Tls>,
    notify: systemd::Notify,
}

/// The signals that a server heeds.
struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

impl Server {
    async fn serve(mut self) -> Result<(), ServeError> {
        let io = |what| move |source| ServeError::Io { what, source };
        let mut signals = Signals::new().map_err(io("signals cannot be awaited"))?;
        let (stop, stopping) = watch::channel(false);
        let (links, keeping) = links(LINK);
        let (mut keeping, own_word) = self.keep_links(keeping).map_err(io("the keeper's socket cannot be used"))?;
        let front = Front::new(self.issuer.path(), links.clone());
        let mut accepting = self.listen(&front, &stopping).map_err(io("a listening socket cannot be used"))?;
        let opened = OnceLock::new();
        {
            let mut unlocked = std::pin::pin!(opening::open(&links, &self.store_dir, &self.issuer, |why| {
                service::tell(&self.notify, &format!("not open: {why}"));
                // A hub that waits for a person serves, too: nothing that waits for its unit may hang.
                drop(self.notify.ready());
            }));
            let mut feeding = std::pin::pin!(service::feed_watchdog(&self.notify, || opened.get().cloned()));
            loop {
                tokio::select! {
                    opening = &mut unlocked, if opened.get().is_none() => {
                        drop(opened.set(opening.store.clone()));
                        front.open(routes::router(self.app(&links, opening)?));
                        service::tell(&self.notify, &format!("open as {}", self.issuer.as_str()));
                        drop(self.notify.ready());
                        if let Some(parent) = &own_word {
                            announce(&self.issuer, parent.as_fd());
                        }
                    }
                    // It never ends.
                    () = &mut feeding => {}
                    _ = signals.hang_up.recv() => {
                        // A service manager that cannot be told finds out by itself.
                        drop(self.notify.reloading());
                        self.reload();
                        drop(self.notify.ready());
                    }
                    _ = signals.terminate.recv() => break,
                    _ = signals.interrupt.recv() => break,
                    // The parent has gone, or asks us to stop by hanging up.
                    _ = &mut keeping => break,
                    Some(_) = accepting.join_next() => {
                        log::error(format_args!("a listener is served no more; the hub stops"));
                        break;
                    }
                }
            }
        }
        // Without the notify socket nobody waits to hear it.
        drop(self.notify.stopping().and_then(|()| self.notify.extend_timeout(self.drain() + CLOSING)));
        stop.send_replace(true);
        while accepting.join_next().await.is_some() {}
        keeping.abort();
        if let Some(store) = opened.get() {
            store.close().await;
        }
        Ok(())
    }

    /// Takes links from whoever makes them, on a task of its own; gives back a copy of the parent's socket.
    fn keep_links(
        &mut self,
        keeping: LinkKeeping,
    ) -> io::Result<(tokio::task::JoinHandle<io::Result<()>>, Option<OwnedFd>)> {
        let missing = || io::Error::other("there is neither a parent nor a socket for the keeper");
        let (source, own_word) = match self.parent.take() {
            Some(parent) => {
                let own_word = parent.try_clone()?;
                (LinkSource::parent(parent)?, Some(own_word))
            }
            None => (LinkSource::listeners(self.keeper.take().ok_or_else(missing)?, None)?, None),
        };
        Ok((tokio::spawn(keeping.run(source)), own_word))
    }

    fn listen(&mut self, front: &Front, stopping: &watch::Receiver<bool>) -> io::Result<JoinSet<()>> {
        let service = Arc::new(Service {
            front: front.clone(),
            trusted: self.config.hub.trusted_proxies.clone(),
            tls: self.tls.as_ref().map(Tls::server_config),
            turns: Arc::new(Semaphore::new(self.config.hub.connections as usize)),
            drain: self.drain(),
        });
        let mut accepting = JoinSet::new();
        for listener in self.listeners.drain(..) {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            accepting.spawn(listen(listener, Arc::clone(&service), stopping.clone()));
        }
        Ok(accepting)
    }

    fn app(&self, links: &Links, opened: opening::Opened) -> Result<App, NoRandomness> {
        let (publish, published) = watch::channel(Published::new(opened.keys));
        tokio::spawn(keys::care(links.clone(), self.config.hub.key_days, publish));
        tokio::spawn(housekeeping::care(opened.store.clone(), self.config.hub.clone()));
        let keys = Keys::start(links.clone(), self.issuer.as_str().into(), published);
        App::new(self.config.hub.clone(), self.issuer.clone(), opened.store, keys, self.store_dir.clone())
    }

    /// Reads the certificate again; everything else takes effect with the next start.
    fn reload(&self) {
        let renewed = settings::of_server(&self.settings).map_err(|error| error.to_string()).and_then(|resolved| {
            let tls = self.tls.as_ref().map(|tls| tls.renew(&resolved.config.hub));
            tls.unwrap_or(Ok(())).map_err(|error| error.to_string())?;
            Ok(resolved.config.hub != self.config.hub)
        });
        match renewed {
            Ok(false) => log::info(format_args!("the certificate was read again")),
            Ok(true) => log::warn(format_args!(
                "the certificate was read again; what else has changed in [hub] takes effect when the hub is started again"
            )),
            Err(error) => log::error(format_args!("nothing was read again, everything stays as it was: {error}")),
        }
    }

    fn drain(&self) -> Duration {
        Duration::from_secs(self.config.limits.drain_seconds.into())
    }
}

/// Tells the parent that the hub serves.
fn announce(issuer: &Issuer, parent: BorrowedFd<'_>) {
    let ready = FromChild::Ready(Ready::Hub { issuer: issuer.as_str().to_owned() });
    let mut buffer = vec![0; merlon_wire::MAX_FRAME];
    let told = merlon_wire::encode(&ready, &mut buffer)
        .map_err(io::Error::other)
        .and_then(|used| seqpacket::send(parent, &buffer[..used], None));
    if let Err(error) = told {
        log::warn(format_args!("the parent could not be told that the hub serves: {error}"));
    }
}
