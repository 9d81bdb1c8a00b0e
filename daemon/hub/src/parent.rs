//! `merlon-hub run`: a whole hub without systemd: the server and its keeper. Which sockets, which processes with what, and
//! what is announced; [`merlon_parent`] does the rest.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use merlon_config::{ListenAddress, Paths};
use merlon_parent::bind::{self, BindError};
use merlon_parent::directories::{self, DirectoryError};
use merlon_parent::seal::{self, SealRecipe, Sealer};
use merlon_parent::settings::{SettingsError, load};
use merlon_parent::supervise::{Plan, supervise};
use merlon_parent::{Recipe, beside, exit, log};
use merlon_sandbox::lock::{DirLock, LockError};
use merlon_sandbox::seqpacket;
use merlon_wire::Role;
use merlon_wire::parent::Ready;

use crate::command_line::Run;
use crate::settings;

/// What is written into a new hub's configuration.
const TEMPLATE: &str = "\
# Configuration of this hub. Everything that is not set has its default.

[hub]
# listen = [\"127.0.0.1:8444\"]
# issuer = \"https://hub.example\"
# tls_cert = \"/path/to/fullchain.pem\"
# tls_key = \"/path/to/privkey.pem\"
# registration = \"open\"
";

/// Runs the hub until it is told to stop; the exit code is the program's.
pub(crate) fn run(args: &Run) -> ExitCode {
    match start(args) {
        Ok(code) => exit::with(code),
        Err(error) => {
            log::error(format_args!("{error}"));
            exit::with(error.code())
        }
    }
}

/// Why a hub does not run.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Issuer(#[from] settings::NoIssuer),
    #[error("hub.listen = {0:?} is no TCP address")]
    NoTcp(String),
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
            Self::Settings(_) | Self::Issuer(_) | Self::NoTcp(_) | Self::Bind(BindError::NotASocket(_)) => exit::CONFIG,
            Self::Lock(LockError::Held { .. })
            | Self::Directory(DirectoryError::Foreign { .. } | DirectoryError::Open { .. }) => exit::NOT_PERMITTED,
            Self::Bind(_) | Self::Directory(_) | Self::Lock(_) | Self::Io { .. } => exit::IO,
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
    let config_file: PathBuf = match args.settings.config.clone() {
        Some(file) => std::path::absolute(file).map_err(io("the configuration has no absolute path"))?,
        None => paths.config.clone(),
    };
    // Everything is read and judged before anything is made.
    let exists = args.settings.config.is_some() || config_file.exists();
    let mut flags = settings::flags(&args.settings);
    flags.extend(args.listen.clone().map(|address| ("--listen", "hub", "listen", address)));
    let config = load(exists.then_some(config_file.as_path()), &flags)?.config;
    if !config.keeper.memfd_secret {
        merlon_sandbox::secret::force_locked()
            .map_err(|e| RunError::Io { what: "secret memory cannot be had", source: std::io::Error::other(e) })?;
    }

    directories::create(&data_dir, &paths, args.settings.config.is_none().then_some(TEMPLATE))?;
    let lock = DirLock::acquire(&data_dir, Duration::ZERO)?;
    let mut listeners = Vec::new();
    let mut first = None;
    for address in &config.hub.listen {
        let ListenAddress::Tcp(address) = address else { return Err(RunError::NoTcp(address.to_string())) };
        let (socket, bound) = bind::tcp(*address)?;
        listeners.push(("hub", socket));
        first.get_or_insert(bound);
    }
    if let Some(first) = first {
        settings::issuer(&config.hub, first)?;
    }
    let admin = bind::admin(&paths.admin_socket())?;

    let own = std::env::current_exe().map_err(io("our own program cannot be found"))?;
    let config_text = config_file.display().to_string();
    let mut server = vec!["serve".to_owned(), "--store".to_owned(), paths.store.display().to_string()];
    server.extend(["--config".to_owned(), config_text.clone()]);
    for (flag, _, _, value) in settings::flags(&args.settings) {
        server.extend([flag.to_owned(), value]);
    }
    let keeper = ["--hub", "--dir", &paths.keeper.display().to_string(), "--config", &config_text].map(str::to_owned);
    // One pair for all keepers of this run: each end stays open here, so that a new keeper finds what the last one had.
    let (seal_parent, seal_keeper) = seqpacket::pair().map_err(io("no sockets can be made"))?;
    let sealing = SealRecipe {
        program: beside(&own, "merlon-seal"),
        config: config_file,
        limit: Duration::from_secs(config.keeper.seal_seconds.into()) + seal::MARGIN,
    };
    let recipes = vec![
        Recipe {
            role: Role::Keeper,
            program: beside(&own, "merlon-keeper"),
            arguments: keeper.to_vec(),
            inherited: vec![("admin", admin), ("seal", seal_keeper)],
        },
        Recipe { role: Role::Hub, program: own, arguments: server, inherited: listeners },
    ];
    let announce = |ready: &Ready| match ready {
        Ready::Hub { issuer } => Some(format!("ready issuer={issuer}")),
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io("the parent's runtime cannot be started"))?;
    let drain = Duration::from_secs(config.limits.drain_seconds.into());
    let code = runtime
        .block_on(async {
            // The keeper may ask before it is ready, and at its end.
            let sealer = Sealer::start(sealing, seal_parent)?;
            let admin_socket = paths.admin_socket();
            let code = supervise(Plan { recipes, announce: &announce, admin_socket: &admin_socket, drain }).await;
            sealer.stop().await;
            code
        })
        .map_err(io("the hub's processes cannot be run"))?;
    drop(lock);
    Ok(code)
}
