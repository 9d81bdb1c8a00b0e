//! `merlond run`: a whole instance without systemd. Which sockets, which processes with what, and what is announced;
//! [`merlon_parent`] does the rest.

mod bind;

use std::path::PathBuf;
use std::process::ExitCode;

use merlon_config::Paths;
use merlon_parent::bind::BindError;
use merlon_parent::directories::{self, DirectoryError};
use merlon_parent::seal::{self, SealRecipe, Sealer};
use merlon_parent::supervise::{Plan, supervise};
use merlon_parent::{Recipe, beside};
use merlon_sandbox::journal::{self, events};
use merlon_sandbox::lock::{DirLock, LockError};
use merlon_wire::Role;
use merlon_wire::parent::Ready;

use crate::args::Run;
use crate::exit;
use crate::settings;

/// What is written into a new instance's configuration.
const TEMPLATE: &str = "\
# Configuration of this instance. Everything that is not set has its default.
# `merlon config show --origin` shows what is in force and where it comes from.

[proxy]
# listen = [\"127.0.0.1:8080\"]
# upstream_ca = [\"/path/to/more-roots.pem\"]
# passthrough = [\"*.example.com\"]

[api]
# listen = [\"127.0.0.1:8443\"]

[egress]
# deny_private = true
";

/// Runs the instance until it is told to stop; the exit code is the program's.
pub(crate) fn run(args: &Run) -> ExitCode {
    match start(args) {
        Ok(code) => exit::with(code),
        Err(error) => {
            match &error {
                RunError::Bind(BindError::Public(refused)) => {
                    journal::event(&events::BIND_REFUSED, format_args!("{refused}"));
                }
                other => crate::log::error(format_args!("{other}")),
            }
            exit::with(error.code())
        }
    }
}

/// Why an instance does not run.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: std::io::Error },
}

impl RunError {
    fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Bind(BindError::Public(_) | BindError::NotASocket(_)) => exit::CONFIG,
            Self::Lock(LockError::Held { .. })
            | Self::Directory(DirectoryError::Foreign { .. } | DirectoryError::Open { .. }) => exit::NOT_PERMITTED,
            Self::Bind(BindError::Refused { .. }) | Self::Directory(_) | Self::Lock(_) | Self::Io { .. } => exit::IO,
        }
    }
}

fn start(args: &Run) -> Result<u8, RunError> {
    let io = |what| move |source| RunError::Io { what, source };
    // It holds no key, but a passphrase may be typed at its prompt.
    merlon_sandbox::process::harden()
        .map_err(|e| RunError::Io { what: "the process cannot be hardened", source: std::io::Error::other(e) })?;
    let data_dir = std::path::absolute(&args.data_dir).map_err(io("the data directory has no absolute path"))?;
    let paths = Paths::below(&data_dir);
    let given = args.settings.config.clone();
    let config_file: PathBuf = match given {
        Some(file) => std::path::absolute(file).map_err(io("the configuration has no absolute path"))?,
        None => paths.config.clone(),
    };
    let mut flags = Vec::new();
    if let Some(address) = &args.proxy_listen {
        flags.push(("--proxy-listen", "proxy", "listen", address.clone()));
    }
    if let Some(address) = &args.api_listen {
        flags.push(("--api-listen", "api", "listen", address.clone()));
    }
    if args.settings.allow_public_proxy {
        flags.push(("--allow-public-proxy", "proxy", "allow_public_bind", "true".to_owned()));
    }
    // Everything is read and judged before anything is made.
    let exists = args.settings.config.is_some() || config_file.exists();
    let config = settings::load(exists.then_some(config_file.as_path()), &flags)?.config;
    bind::judge(&config).map_err(BindError::from)?;
    if !config.keeper.memfd_secret {
        merlon_sandbox::secret::force_locked()
            .map_err(|e| RunError::Io { what: "secret memory cannot be had", source: std::io::Error::other(e) })?;
    }

    directories::create(&data_dir, &paths, args.settings.config.is_none().then_some(TEMPLATE))?;
    let lock = DirLock::acquire(&data_dir, std::time::Duration::ZERO)?;
    let sockets = bind::bind(&config, &paths.api_socket(), &paths.admin_socket())?;

    let own = std::env::current_exe().map_err(io("our own program cannot be found"))?;
    let config_text = config_file.display().to_string();
    let mut dialer_arguments = vec!["--config".to_owned(), config_text.clone()];
    for address in sockets.own_listeners() {
        dialer_arguments.extend(["--own-listener".to_owned(), address.to_string()]);
    }
    let mut engine_arguments = vec!["engine".to_owned(), "--store".to_owned(), paths.store.display().to_string()];
    engine_arguments.extend(["--config".to_owned(), config_text.clone()]);
    if config.proxy.allow_public_bind {
        engine_arguments.push("--allow-public-proxy".to_owned());
    }
    let proxy = sockets.proxy_addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let socket = paths.api_socket().display().to_string();
    let api = match sockets.api_addresses.first() {
        Some(address) => format!("{}://{address}", if config.api.tls { "https" } else { "http" }),
        None => format!("unix:{socket}"),
    };
    let announce = |ready: &Ready| match ready {
        Ready::Engine { ca_file, ca_fingerprint } => {
            crate::log::info(format_args!("CA certificate SHA-256 {ca_fingerprint}"));
            Some(format!("ready proxy={proxy} api={api} socket={socket} ca={ca_file}"))
        }
        _ => None,
    };
    let mut engine_sockets: Vec<_> = sockets.proxy.into_iter().map(|fd| ("proxy", fd)).collect();
    engine_sockets.extend(sockets.api.into_iter().map(|fd| ("api", fd)));
    let keeper_arguments =
        ["--dir".to_owned(), paths.keeper.display().to_string(), "--config".to_owned(), config_text].to_vec();
    // One pair for all keepers of this run: each end stays open here, so that a new keeper finds what the last one had.
    let (seal_parent, seal_keeper) = merlon_sandbox::seqpacket::pair().map_err(io("no sockets can be made"))?;
    let sealing = SealRecipe {
        program: beside(&own, "merlon-seal"),
        config: config_file,
        limit: std::time::Duration::from_secs(config.keeper.seal_seconds.into()) + seal::MARGIN,
    };
    let recipes = vec![
        Recipe {
            role: Role::Keeper,
            program: beside(&own, "merlon-keeper"),
            arguments: keeper_arguments,
            inherited: vec![("admin", sockets.admin), ("seal", seal_keeper)],
        },
        Recipe {
            role: Role::Dialer,
            program: beside(&own, "merlon-dialer"),
            arguments: dialer_arguments,
            inherited: Vec::new(),
        },
        Recipe { role: Role::Engine, program: own, arguments: engine_arguments, inherited: engine_sockets },
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io("the parent's runtime cannot be started"))?;
    let drain = std::time::Duration::from_secs(config.limits.drain_seconds.into());
    let code = runtime
        .block_on(async {
            // The keeper may ask before it is ready, and at its end.
            let sealer = Sealer::start(sealing, seal_parent)?;
            let admin_socket = paths.admin_socket();
            let code = supervise(Plan { recipes, announce: &announce, admin_socket: &admin_socket, drain }).await;
            sealer.stop().await;
            code
        })
        .map_err(io("the instance's processes cannot be run"))?;
    drop(lock);
    Ok(code)
}
