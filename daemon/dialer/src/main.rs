//! `merlon-dialer`: the process that reaches the network.
//!
//! This file wires: arguments, configuration, files, sandbox, links, in this order. The process resolves, applies the
//! egress policy, connects, and passes the descriptor on. It holds no key, and never reads or writes a byte of a
//! connection that it opened.

mod arguments;
mod dial;
mod exit;
mod eyeballs;
mod hosts;
mod links;
mod local;
mod log;
mod policy;
mod resolve;
mod serve;
mod settings;
mod target;
mod watched;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use merlon_config::Paths as InstancePaths;
use merlon_sandbox::inherit::Inherited;
use merlon_sandbox::systemd::{Notify, watchdog_interval};
use merlon_sandbox::{Paths, Report, enforce, journal, process, profiles};
use merlon_wire::link::AsyncLink;
use merlon_wire::{Hello, Role, SandboxReport, VERSION};
use tokio::signal::unix::{SignalKind, signal};

use arguments::Arguments;
use dial::{Dialer, Rules};
use exit::Fatal;
use local::ThisHost;
use resolve::Resolver;
use serve::Server;

/// Open files: several attempts for each request under way.
const OPEN_FILES: u64 = 16 * serve::MOST_AT_ONCE as u64;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::usage(&error),
    };
    journal::open("merlon-dialer", "dialer", journal::instance_of(arguments.config.as_deref()));
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            log::error(format_args!("{fatal}"));
            fatal.code()
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Fatal> {
    let mut inherited = Inherited::take(&arguments.fds)?;
    process::harden()?;
    let parent = inherited.optional("parent")?;
    drop(inherited);
    if parent.is_some() == arguments.link.is_some() {
        return Err(Fatal::Usage);
    }
    let config = settings::load(arguments.config.as_deref())?;
    process::raise_nofile(OPEN_FILES)?;

    // One thread: the work is waiting.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = Signals::watch()?;
        let notify = Notify::from_env()?;
        let parent = parent.map(AsyncLink::new).transpose()?;
        let resolver = Resolver::open(&arguments.hosts, &arguments.resolv_conf);
        let report = confine(&arguments, config.sandbox.required)?;
        let own_listeners = if arguments.own_listeners.is_empty() {
            settings::listeners(&config)
        } else {
            arguments.own_listeners.clone()
        };
        let rules = Rules::new(config.egress, &own_listeners);
        let dialer = Arc::new(Dialer::new(resolver, rules, Box::new(ThisHost)));
        let server = Arc::new(Server::new(dialer.clone(), hello(report)));
        let reload = || match settings::load(arguments.config.as_deref()) {
            Ok(config) => dialer.replace_rules(Rules::new(config.egress, &own_listeners)),
            Err(error) => log::error(format_args!("{error}; the rules stay as they were")),
        };
        // A service manager that cannot be told will find out by itself.
        let tell = |line: &str| drop(notify.status(line));
        let links = async {
            match (&parent, &arguments.link) {
                (Some(parent), _) => links::from_parent(parent, server).await.map_err(Fatal::Parent),
                (None, Some(path)) => match links::to_engine(path, server, tell).await {},
                (None, None) => Err(Fatal::Usage),
            }
        };
        notify.ready()?;
        // One future, one thread: while the watchdog is fed, the links are served, and neither ends without the other.
        tokio::select! {
            end = links => end,
            file = dialer.file_out_of_reach() => Err(Fatal::Replaced(file)),
            () = signals.until_stop(&notify, reload) => Ok(()),
        }
    })
}

/// Nothing but the files that say how names resolve, and the configuration for reloads.
fn confine(arguments: &Arguments, required: bool) -> Result<Report, Fatal> {
    let mut paths = Paths::new()
        .read_only_if_present(&arguments.hosts)
        .read_only_if_present(&arguments.resolv_conf)
        .landlock_required(required);
    // Where resolv.conf is a link, the file behind it is replaced whenever the network changes.
    if let Ok(target) = arguments.resolv_conf.canonicalize()
        && target.starts_with("/run")
        && let Some(directory) = target.parent()
    {
        paths = paths.read_only_if_present(directory);
    }
    if let Some(config) = &arguments.config {
        paths = paths.read_only(config);
        // Editors put another file in the place of the one that is granted. The system's directory has nothing that is not
        // for every process of Merlon; another directory may have.
        if let Some(directory) = config.parent().filter(|parent| *parent == Path::new(InstancePaths::SYSTEM_CONFIG)) {
            paths = paths.read_only(directory);
        }
    }
    let profile = match &arguments.link {
        Some(link) => {
            paths = paths.unix_socket(link);
            &profiles::DIALER_LINKING
        }
        None => &profiles::DIALER,
    };
    let report = enforce(profile, &paths)?;
    report.warn_if_incomplete();
    Ok(report)
}

fn hello(report: Report) -> Hello {
    Hello { role: Role::Dialer, version: VERSION, pid: std::process::id(), sandbox: SandboxReport::from(report) }
}

/// What the outside may tell this process.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    /// Needs a socket pair, so it comes before the sandbox.
    fn watch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Keeps the service manager content and reloads on SIGHUP, until SIGTERM or SIGINT.
    async fn until_stop(mut self, notify: &Notify, reload: impl Fn()) {
        let watchdog = watchdog_interval();
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hang_up.recv() => {
                    // A service manager that cannot be told will find out by itself.
                    let _ = notify.reloading();
                    reload();
                    let _ = notify.ready();
                }
                () = tokio::time::sleep(watchdog.unwrap_or_default()), if watchdog.is_some() => {
                    let _ = notify.watchdog();
                }
            }
        }
        let _ = notify.stopping();
    }
}
