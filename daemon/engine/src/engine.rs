//! The engine: takes what it inherited, gives up every right that it does not need, and only then serves. It wires
//! proxy, store and API together and has no logic of its own beyond that order.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use merlon_api::status::{Authentication, Exposure, Listener as ListenerFacts, Service};
use merlon_config::{Config, ProxyAuth, PublicBind, judge_proxy_bind};
use merlon_sandbox::bound::{Bound, local_address};
use merlon_sandbox::inherit::{InheritError, Inherited};
use merlon_sandbox::journal::{self, events};
use merlon_sandbox::lock::{DirLock, LockError};
use merlon_sandbox::profile::{self, Paths, SandboxError};
use merlon_sandbox::{process, profiles, systemd};
use merlon_wire::SandboxReport;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::{self, ApiListener, ApiState};
use crate::args;
use crate::http::HeadLimits;
use crate::links::{LinkSource, links};
use crate::opening::{self, ApiTls};
use crate::proxy::listener::{self, ListenSocket, Listener};
use crate::proxy::{Leaves, Proxy, TurnedAway, tls};
use crate::store::Store;
use crate::{exit, log, settings};

/// Runs the engine until it is told to stop.
pub(crate) fn run(args: &args::Engine) -> ExitCode {
    match start(args) {
        Ok(()) => exit::with(exit::OK),
        Err(error) => {
            match &error {
                EngineError::Public(refused) => journal::event(&events::BIND_REFUSED, format_args!("{refused}")),
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
    Public(#[from] PublicBind),
    #[error(transparent)]
    Inherit(#[from] InheritError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Tls(#[from] tls::SetupError),
    #[error(transparent)]
    Key(#[from] crate::proxy::KeyError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    ApiTls(#[from] opening::ApiTlsError),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
}

impl EngineError {
    fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Public(_) | Self::Tls(_) | Self::Sandbox(SandboxError::NoLandlock { .. }) => {
                exit::CONFIG
            }
            Self::ApiTls(_) => exit::CONFIG,
            Self::Inherit(_) => exit::USAGE,
            Self::Lock(LockError::Held { .. }) => exit::NOT_PERMITTED,
            Self::Lock(_) | Self::Io { .. } => exit::IO,
            Self::Sandbox(_) => exit::NOT_PERMITTED,
            Self::Key(_) => exit::INTERNAL,
        }
    }
}

/// A listening socket with what the policy says of it.
struct Judged {
    socket: OwnedFd,
    tcp: Option<SocketAddr>,
    facts: ListenerFacts,
}

/// How long a new engine waits for one that is still ending.
const LOCK_WAIT: Duration = Duration::from_secs(15);

/// Descriptors: two for each connection and some for files and links.
const SPARE_DESCRIPTORS: u64 = 512;

fn start(args: &args::Engine) -> Result<(), EngineError> {
    let io = |what| move |source| EngineError::Io { what, source };
    process::harden()
        .map_err(|e| EngineError::Io { what: "the process cannot be hardened", source: io::Error::other(e) })?;
    let mut flags = Vec::new();
    if args.settings.allow_public_proxy {
        flags.push(("--allow-public-proxy", "proxy", "allow_public_bind", "true".to_owned()));
    }
    let config = settings::load(args.settings.config.as_deref(), &flags)?.config;
    if !config.keeper.memfd_secret {
        merlon_sandbox::secret::force_locked()
            .map_err(|e| EngineError::Io { what: "secret memory cannot be had", source: io::Error::other(e) })?;
    }
    let mut inherited = Inherited::take(&args.fds)?;
    let proxy_sockets = judge_proxy(&config, inherited.all("proxy")).map_err(|e| match e {
        JudgeError::Public(e) => EngineError::Public(e),
        JudgeError::Io(source) => EngineError::Io { what: "a listening socket has no address", source },
    })?;
    let api_sockets = describe_api(&config, inherited.all("api")).map_err(io("a listening socket has no address"))?;
    let parent = inherited.optional("parent")?;
    let link = match &parent {
        Some(_) => None,
        None => Some(inherited.one("link")?),
    };
    let _lock = DirLock::acquire(&args.store, LOCK_WAIT)?;
    let roots = tls::roots(&config.proxy.upstream_ca)?;
    for warning in &roots.warnings {
        log::warn(format_args!("{warning}"));
    }
    let api_tls = ApiTls::new(&config.api)?;
    let host_name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
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
    if let Some(file) = &args.settings.config {
        paths = paths.read_only_if_present(file);
    }
    let report = profile::enforce(&profiles::ENGINE, &paths)?;
    report.warn_if_incomplete();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(io("the engine's runtime cannot be started"))?;
    let engine = Engine {
        config,
        store_dir: args.store.clone(),
        proxy_sockets,
        api_sockets,
        parent,
        link,
        roots,
        api_tls,
        host_name,
        notify,
        report: report.into(),
    };
    runtime.block_on(engine.serve())?;
    // What still blocks a thread now would block the end.
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}

/// Everything that the engine starts from; no file is opened and no socket made after it but inside the store.
struct Engine {
    config: Config,
    store_dir: PathBuf,
    proxy_sockets: Vec<Judged>,
    api_sockets: Vec<Judged>,
    parent: Option<OwnedFd>,
    link: Option<OwnedFd>,
    roots: tls::Roots,
    api_tls: ApiTls,
    host_name: Option<String>,
    notify: systemd::Notify,
    report: SandboxReport,
}

impl Engine {
    async fn serve(self) -> Result<(), EngineError> {
        let io = |what| move |source| EngineError::Io { what, source };
        let (stop, stopping) = watch::channel(false);
        let (links, keeping) = links(self.config.egress.connect_timeout());
        let store = Store::new(&self.store_dir, &self.config.recording);

        let own_word = self.parent.as_ref().map(|fd| fd.try_clone()).transpose().map_err(io("the parent's socket"))?;
        let source = match (self.parent, self.link) {
            (Some(parent), _) => LinkSource::parent(parent).map_err(io("the parent's socket"))?,
            (None, Some(link)) => LinkSource::listener(link).map_err(io("the link socket"))?,
            (None, None) => return Ok(()),
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
            allowed_hosts: self.config.api.allowed_hosts.clone(),
            host_name: self.host_name,
            sandbox: self.report,
            warnings: self.roots.warnings,
        };
        let api_listeners = self
            .api_sockets
            .into_iter()
            .map(|socket| api_listener(socket, &self.api_tls))
            .collect::<io::Result<Vec<_>>>()
            .map_err(io("an API listener cannot be used"))?;
        let state = ApiState::new(store.clone(), links.clone(), facts, stopping.clone());
        let rotation = state.rotation().clone();
        let mut resuming = JoinSet::new();
        let api = tokio::spawn(api::serve(state, api_listeners, stopping.clone()));

        let limits = self.config.limits.clone();
        let proxy = Arc::new(Proxy {
            leaves: Leaves::new(links.clone())?,
            client_tls: tls::ClientFacing::new()?,
            origin_tls: tls::to_origin(self.roots.store)?,
            recorder: store.recorder(),
            head_limits: HeadLimits {
                max_bytes: usize_of(limits.head_bytes),
                max_fields: usize_of(limits.head_fields),
            },
            limits,
            passthrough: self.config.proxy.passthrough.clone(),
            ca: std::sync::OnceLock::new(),
            turned_away: TurnedAway::default(),
            links: links.clone(),
            stopping: stopping.clone(),
        });
        let listeners = self
            .proxy_sockets
            .into_iter()
            .map(proxy_listener)
            .collect::<io::Result<Vec<_>>>()
            .map_err(io("a proxy listener cannot be used"))?;
        let serving = tokio::spawn(listener::serve(Arc::clone(&proxy), listeners, stopping));

        let mut terminate = signal(SignalKind::terminate()).map_err(io("signals cannot be awaited"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(io("signals cannot be awaited"))?;
        let unlocked = opening::open(&links, &store, &rotation, &self.api_tls, &self.store_dir);
        let mut opened = false;
        {
            let mut unlocked = std::pin::pin!(unlocked);
            let mut renewing = std::pin::pin!(self.api_tls.keep_fresh(&links));
            loop {
                tokio::select! {
                    opening = &mut unlocked, if !opened => {
                        opened = true;
                        let ready = opening;
                        // Set once, here.
                        drop(proxy.ca.set(ready.ca.clone()));
                        opening::announce(&ready, own_word.as_ref().map(OwnedFd::as_fd), &self.notify);
                        let goes_on = rotation.clone();
                        resuming.spawn(async move { goes_on.resume().await });
                    }
                    // Never ends.
                    () = &mut renewing => {}
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    // The parent has gone, or asks us to stop by hanging up.
                    _ = &mut keeping => break,
                }
            }
        }
        // Without the notify socket nobody waits to hear it.
        drop(self.notify.stopping());
        stop.send_replace(true);
        for (task, name) in [(serving, "proxy"), (api, "API")] {
            if let Err(error) = task.await {
                log::error(format_args!("the {name} ended badly: {error}"));
            }
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

enum JudgeError {
    Public(PublicBind),
    Io(io::Error),
}

/// Judges the proxy's sockets as they really are, inherited ones too.
fn judge_proxy(config: &Config, sockets: Vec<OwnedFd>) -> Result<Vec<Judged>, JudgeError> {
    let allow = config.proxy.allow_public_bind;
    sockets
        .into_iter()
        .map(|socket| {
            let (tcp, address, exposure) = match local_address(&socket).map_err(JudgeError::Io)? {
                Bound::Tcp(address) => {
                    let exposure = judge_proxy_bind(address, allow).map_err(JudgeError::Public)?;
                    (Some(address), address.to_string(), exposure_of(exposure))
                }
                Bound::Unix(path) => (None, unix_name(path.as_deref()), Exposure::Unix),
            };
            let authentication = match (config.proxy.auth, exposure) {
                (ProxyAuth::Basic, _) | (ProxyAuth::Auto, Exposure::Public) => Authentication::Basic,
                (ProxyAuth::None, _) | (ProxyAuth::Auto, _) => Authentication::None,
            };
            let facts = ListenerFacts { service: Service::Proxy, address, exposure, tls: false, authentication };
            Ok(Judged { socket, tcp, facts })
        })
        .collect()
}

fn describe_api(config: &Config, sockets: Vec<OwnedFd>) -> io::Result<Vec<Judged>> {
    sockets
        .into_iter()
        .map(|socket| {
            let (tcp, address, exposure, authentication) = match local_address(&socket)? {
                Bound::Tcp(address) => {
                    let exposure = exposure_of(merlon_config::exposure(address.ip()));
                    (Some(address), address.to_string(), exposure, Authentication::Bearer)
                }
                Bound::Unix(path) => (None, unix_name(path.as_deref()), Exposure::Unix, Authentication::Socket),
            };
            let facts = ListenerFacts {
                service: Service::Api,
                address,
                exposure,
                tls: tcp.is_some() && config.api.tls,
                authentication,
            };
            Ok(Judged { socket, tcp, facts })
        })
        .collect()
}

fn exposure_of(exposure: merlon_config::Exposure) -> Exposure {
    match exposure {
        merlon_config::Exposure::Loopback => Exposure::Loopback,
        merlon_config::Exposure::Public(_) => Exposure::Public,
    }
}

fn unix_name(path: Option<&Path>) -> String {
    format!("unix:{}", path.unwrap_or(Path::new("")).display())
}

fn proxy_listener(judged: Judged) -> io::Result<Listener> {
    let authenticate = judged.facts.authentication == Authentication::Basic;
    let socket = match judged.tcp {
        Some(_) => ListenSocket::Tcp(tcp_listener(judged.socket)?),
        None => ListenSocket::Unix(unix_listener(judged.socket)?),
    };
    Ok(Listener { socket, authenticate })
}

fn api_listener(judged: Judged, api_tls: &ApiTls) -> io::Result<ApiListener> {
    Ok(match (judged.tcp, judged.facts.tls) {
        (None, _) => ApiListener::Unix(unix_listener(judged.socket)?),
        (Some(_), true) => ApiListener::Tls(tcp_listener(judged.socket)?, api_tls.server_config()),
        (Some(_), false) => ApiListener::Plain(tcp_listener(judged.socket)?),
    })
}

fn tcp_listener(socket: OwnedFd) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn unix_listener(socket: OwnedFd) -> io::Result<UnixListener> {
    let listener = std::os::unix::net::UnixListener::from(socket);
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

fn usize_of(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
