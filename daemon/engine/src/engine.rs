//! The engine: takes what it inherited, gives up every right that it does not need, and only then serves. It wires
//! proxy, store and API together and has no logic of its own beyond that order.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use merlon_api::status::Exposure;
use merlon_config::Resolved;
use merlon_sandbox::inherit::{InheritError, Inherited};
use merlon_sandbox::journal::{self, events};
use merlon_sandbox::lock::{DirLock, LockError};
use merlon_sandbox::profile::{self, Paths, SandboxError};
use merlon_sandbox::{process, profiles, systemd};
use merlon_wire::SandboxReport;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::api::{self, ApiState};
use crate::api_tls::{ApiTls, ApiTlsError};
use crate::identity::{self, Identity, Setup, SetupError};
use crate::links::{LinkSource, links};
use crate::listeners::{Judged, Unfit};
use crate::liveness::{Fallen, Liveness};
use crate::opening::Phase;
use crate::proxy::{self, Leaves, Proxy, TurnedAway, listener, tls};
use crate::reload::Reload;
use crate::service::Report;
use crate::store::Store;
use crate::{args, exit, listeners, log, opening, reload, service, settings};

/// Runs the engine until it is told to stop.
pub(crate) fn run(args: &args::Engine) -> ExitCode {
    match start(args) {
        Ok(()) => exit::with(exit::OK),
        Err(error) => {
            match &error {
                EngineError::Unfit(refused @ (Unfit::Public(_) | Unfit::PlainApi(_))) => {
                    journal::event(&events::BIND_REFUSED, format_args!("{refused}"))
                }
                other => log::error(format_args!("{other}")),
            }
            exit::with(error.code())
        }
    }
}

/// Why the engine does not run.
#[derive(Debug, thiserror::Error)]
enum EngineError {
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(transparent)]
    Inherit(#[from] InheritError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Tls(#[from] tls::SetupError),
    #[error(transparent)]
    Key(#[from] proxy::KeyError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    ApiTls(#[from] ApiTlsError),
    #[error(transparent)]
    Identity(#[from] SetupError),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
}

impl EngineError {
    fn code(&self) -> u8 {
        match self {
            Self::Unfit(Unfit::Io(_)) => exit::IO,
            Self::Settings(_) | Self::Unfit(_) | Self::Tls(_) | Self::Sandbox(SandboxError::NoLandlock { .. }) => {
                exit::CONFIG
            }
            Self::ApiTls(_) | Self::Identity(_) => exit::CONFIG,
            Self::Inherit(_) => exit::USAGE,
            Self::Lock(LockError::Held { .. }) => exit::NOT_PERMITTED,
            Self::Lock(_) | Self::Io { .. } => exit::IO,
            Self::Sandbox(_) => exit::NOT_PERMITTED,
            Self::Key(_) => exit::INTERNAL,
        }
    }
}

/// How long a new engine waits for one that is still ending.
const LOCK_WAIT: Duration = Duration::from_secs(15);

/// What a stop may take besides waiting for requests: the last commits, and the write-ahead log's way into the database.
const CLOSING: Duration = Duration::from_secs(30);

/// How long a stop waits for a registration that is under way.
const REGISTERING: Duration = Duration::from_secs(3);

/// Descriptors: two for each connection and some for files and links.
const SPARE_DESCRIPTORS: u64 = 512;

fn start(args: &args::Engine) -> Result<(), EngineError> {
    let io = |what| move |source| EngineError::Io { what, source };
    process::harden()
        .map_err(|e| EngineError::Io { what: "the process cannot be hardened", source: io::Error::other(e) })?;
    let resolved = settings::of_engine(&args.settings)?;
    let config = &resolved.config;
    if !config.keeper.memfd_secret {
        merlon_sandbox::secret::force_locked()
            .map_err(|e| EngineError::Io { what: "secret memory cannot be had", source: io::Error::other(e) })?;
    }
    let mut inherited = Inherited::take(&args.fds)?;
    let parent = inherited.optional("parent")?;
    if parent.is_none() {
        listeners::judge_configured(config).map_err(Unfit::Public)?;
    }
    let proxy_sockets = listeners::judge_proxy(config, inherited.all("proxy"))?;
    let api_sockets = listeners::judge_api(config, inherited.all("api"))?;
    let origin = match parent {
        Some(parent) => Origin::Parent(parent),
        None => Origin::Systemd { keeper: inherited.one("link-keeper")?, dialer: inherited.one("link-dialer")? },
    };
    // What has another name is nothing that the engine knows, and is closed.
    drop(inherited);
    let _lock = DirLock::acquire(&args.store, LOCK_WAIT)?;
    let mut roots = tls::roots(&config.proxy.upstream_ca)?;
    if let Origin::Systemd { .. } = origin {
        let unit = unit_of(args.settings.config.as_deref()).unwrap_or_else(|| "NAME".into());
        roots.warnings.extend(listeners::differences(config, &proxy_sockets, &api_sockets, &unit));
    }
    for warning in &roots.warnings {
        log::warn(format_args!("{warning}"));
    }
    let api_tls = Arc::new(ApiTls::new(&config.api)?);
    let host_name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let unit = unit_of(args.settings.config.as_deref()).unwrap_or_else(|| "merlon".into());
    let identity = Setup::read(&config.identity, &roots.system, &unit, host_name.as_deref())?;
    let notify = systemd::Notify::from_env().map_err(io("the notify socket cannot be opened"))?;
    let wanted = u64::from(config.limits.connections) * 2 + SPARE_DESCRIPTORS;
    let descriptors = process::raise_nofile(wanted).map_err(io("the number of descriptors cannot be raised"))?;
    if descriptors < u64::from(config.limits.connections) + SPARE_DESCRIPTORS {
        log::warn(format_args!(
            "only {descriptors} descriptors are allowed, too few for {} connections; raise the hard limit of open files or lower limits.connections",
            config.limits.connections
        ));
    }

    // The last moment before a foreign byte, and before any thread.
    let mut paths = Paths::new().read_write(&args.store).landlock_required(config.sandbox.required);
    for file in reload::files(args.settings.config.as_deref(), config) {
        paths = paths.read_only_if_present(file);
    }
    let report = profile::enforce(&profiles::ENGINE, &paths)?;
    report.warn_if_incomplete();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(io("the engine's runtime cannot be started"))?;
    let engine = Engine {
        settings: args.settings.clone(),
        resolved,
        store_dir: args.store.clone(),
        proxy_sockets,
        api_sockets,
        origin,
        roots,
        api_tls,
        host_name,
        identity,
        notify,
        report: report.into(),
    };
    runtime.block_on(engine.serve())?;
    // What still blocks a thread now would block the end.
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}

/// Who started the engine.
enum Origin {
    /// `merlond run`; its socket.
    Parent(OwnedFd),
    /// systemd; the listening sockets of the links.
    Systemd { keeper: OwnedFd, dialer: OwnedFd },
}

/// Everything that the engine starts from; no file is opened and no socket made after it but inside the store.
struct Engine {
    settings: args::Settings,
    resolved: Resolved,
    store_dir: PathBuf,
    proxy_sockets: Vec<Judged>,
    api_sockets: Vec<Judged>,
    origin: Origin,
    roots: tls::Roots,
    api_tls: Arc<ApiTls>,
    host_name: Option<String>,
    identity: Setup,
    notify: systemd::Notify,
    report: SandboxReport,
}

impl Engine {
    async fn serve(self) -> Result<(), EngineError> {
        let io = |what| move |source| EngineError::Io { what, source };
        let config = &self.resolved.config;
        let (stop, stopping) = watch::channel(false);
        let (links, keeping) = links(config.egress.connect_timeout());
        let store = Store::new(&self.store_dir, &config.recording);

        let (own_word, source) = match self.origin {
            Origin::Parent(parent) => {
                let own_word = parent.try_clone().map_err(io("the parent's socket"))?;
                (Some(own_word), LinkSource::parent(parent).map_err(io("the parent's socket"))?)
            }
            Origin::Systemd { keeper, dialer } => {
                (None, LinkSource::listeners(keeper, Some(dialer)).map_err(io("the link sockets"))?)
            }
        };
        let mut keeping = tokio::spawn(keeping.run(source));
        let exposed = self.proxy_sockets.iter().filter(|socket| socket.facts.exposure == Exposure::Public);
        let overrides: Vec<String> = exposed.map(|socket| socket.facts.address.clone()).collect();
        for address in &overrides {
            journal::event(
                &events::PUBLIC_BIND,
                format_args!(
                    "the proxy listens on {address}, as proxy.allow_public_bind permits: others than this host can reach it"
                ),
            );
        }
        tokio::spawn(opening::tell_overrides(links.clone(), overrides));

        let facts = api::Facts {
            listeners: self.proxy_sockets.iter().chain(&self.api_sockets).map(|socket| socket.facts.clone()).collect(),
            allowed_hosts: config.api.allowed_hosts.clone(),
            host_name: self.host_name,
            sandbox: self.report,
            warnings: self.roots.warnings,
        };
        let api_listeners = self
            .api_sockets
            .into_iter()
            .map(|socket| socket.into_api(&self.api_tls))
            .collect::<io::Result<Vec<_>>>()
            .map_err(io("an API listener cannot be used"))?;
        let identity = Identity::new(self.identity, links.clone());
        let api_state = ApiState::new(store.clone(), links.clone(), identity.clone(), facts, stopping.clone());
        let rotation = api_state.rotation().clone();
        let mut resuming = JoinSet::new();
        let fallen = Fallen::default();
        let api = tokio::spawn(api::serve(api_state.clone(), api_listeners, stopping.clone(), fallen.clone()));

        let limits = config.limits.clone();
        let ca = Arc::new(std::sync::OnceLock::new());
        let proxy = Proxy {
            leaves: Arc::new(Leaves::new(links.clone())?),
            client_tls: tls::ClientFacing::new()?,
            origin_tls: tls::to_origin(self.roots.store)?,
            recorder: store.recorder(),
            head_limits: proxy::head_limits(&limits),
            limits,
            passthrough: config.proxy.passthrough.clone(),
            ca: Arc::clone(&ca),
            turned_away: Arc::new(TurnedAway::default()),
            links: links.clone(),
            stopping: stopping.clone(),
        };
        let (proxy, shared) = watch::channel(Arc::new(proxy));
        let listeners = self
            .proxy_sockets
            .into_iter()
            .map(Judged::into_proxy)
            .collect::<io::Result<Vec<_>>>()
            .map_err(io("a proxy listener cannot be used"))?;
        let (phase, phase_seen) = watch::channel(Phase::Untried);
        let mut tried = phase_seen.clone();
        let watched = fallen.clone();
        let mut ended = stopping.clone();
        let mut registering = tokio::spawn(identity::run(identity.clone(), phase_seen.clone(), stopping.clone()));
        let serving = tokio::spawn(async move {
            // Who came while the engine was started again waits for the instance to be open, rather than hear that it is not.
            tokio::select! {
                _ = tried.wait_for(|phase| !matches!(phase, Phase::Untried | Phase::Opening)) => {}
                _ = ended.wait_for(|stop| *stop) => {}
            }
            listener::serve(shared, listeners, stopping, watched).await;
        });

        let mut reload = Reload {
            settings: self.settings,
            binds: own_word.is_none(),
            current: self.resolved.values,
            system_roots: self.roots.system,
            proxy,
            api: api_state,
            api_tls: Arc::clone(&self.api_tls),
            store: store.clone(),
            identity,
        };
        let mut hang_up = signal(SignalKind::hangup()).map_err(io("signals cannot be awaited"))?;
        let mut terminate = signal(SignalKind::terminate()).map_err(io("signals cannot be awaited"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(io("signals cannot be awaited"))?;
        // As long as two keyslots may take to fail.
        let patience = Duration::from_secs(config.keeper.seal_seconds.into()) * 2;
        let unlocked = opening::open(&links, &store, &rotation, &self.api_tls, &self.store_dir, &phase, patience);
        let about = Report { links: links.clone(), store: store.clone(), phase: phase_seen };
        let mut opened = false;
        {
            let mut unlocked = std::pin::pin!(unlocked);
            let mut renewing = std::pin::pin!(self.api_tls.keep_fresh(&links));
            let mut reporting = std::pin::pin!(service::report(&self.notify, about));
            let liveness = Liveness::new(store.clone(), fallen);
            let mut feeding = std::pin::pin!(service::feed_watchdog(&self.notify, liveness));
            loop {
                tokio::select! {
                    opening = &mut unlocked, if !opened => {
                        opened = true;
                        // Set once, here, and before anybody is let in.
                        drop(ca.set(opening.ca.clone()));
                        phase.send_replace(Phase::Open);
                        if let Some(parent) = &own_word {
                            opening::announce(&opening, parent.as_fd());
                        }
                        let goes_on = rotation.clone();
                        resuming.spawn(async move { goes_on.resume().await });
                    }
                    // These never end.
                    () = &mut renewing => {}
                    () = &mut reporting => {}
                    () = &mut feeding => {}
                    _ = hang_up.recv() => {
                        // A service manager that cannot be told finds out by itself.
                        drop(self.notify.reloading());
                        reload.run();
                        drop(self.notify.ready());
                    }
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    // The parent has gone, or asks us to stop by hanging up.
                    _ = &mut keeping => break,
                }
            }
        }
        // Without the notify socket nobody waits to hear it.
        let drain = Duration::from_secs(config.limits.drain_seconds.into());
        drop(self.notify.stopping().and_then(|()| self.notify.extend_timeout(drain + CLOSING)));
        stop.send_replace(true);
        for (task, name) in [(serving, "proxy"), (api, "API")] {
            if let Err(error) = task.await {
                log::error(format_args!("the {name} ended badly: {error}"));
            }
        }
        // What it began at the authorization server it should keep; what it cannot is begun again at the next start.
        if timeout(REGISTERING, &mut registering).await.is_err() {
            registering.abort();
        }
        keeping.abort();
        resuming.abort_all();
        let closing = store.clone();
        if tokio::task::spawn_blocking(move || closing.close()).await.is_err() {
            log::error(format_args!("the store ended badly"));
        }
        Ok(())
    }
}

/// The instance's name in its units, as its configuration file has it.
fn unit_of(config: Option<&Path>) -> Option<String> {
    let own = config.filter(|file| file.parent() == Some(Path::new(merlon_config::Paths::SYSTEM_CONFIG)));
    own.and_then(Path::file_stem).map(|name| name.to_string_lossy().into_owned())
}
