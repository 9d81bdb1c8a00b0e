//! `merlon-keeper`: the process that holds an instance's keys.
//!
//! This file wires: arguments, configuration, sandbox, instance, sockets, in this order. It must not do anything else.

mod arguments;
mod audit;
mod backup;
mod ca;
mod clock;
mod command_line;
mod crypto;
mod door;
mod exit;
mod generated;
mod generation;
mod instance;
mod instance_id;
mod keeper;
mod keys;
mod limiter;
mod log;
mod requests;
mod rotation;
mod secrets_db;
mod serve;
mod slots;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use merlon_sandbox::inherit::Inherited;
use merlon_sandbox::lock::DirLock;
use merlon_sandbox::systemd::Notify;
use merlon_sandbox::{journal, process, secret};

use command_line::Arguments;
use door::Door;
use exit::Fatal;
use generation::{CounterDevice, Generation};
use keeper::Keeper;
use serve::{Endpoints, Links, Signals};

/// How long a start waits for the keeper before it to end.
const LOCK_WAIT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::usage(&error),
    };
    journal::open("merlon-keeper", "keeper", arguments.instance_name());
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            log::error(format_args!("{fatal}"));
            fatal.code()
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Fatal> {
    let mut inherited = Inherited::take(&arguments.fd)?;
    process::harden()?;
    let config = arguments.configuration()?;
    if !config.keeper.memfd_secret {
        secret::force_locked()?;
    }
    let dir = arguments.dir()?;
    let admin = inherited.one("admin")?;
    let links = match (inherited.optional("parent")?, &arguments.link) {
        (Some(parent), None) => Links::Parent(parent),
        (None, Some(path)) => Links::Connect(path.clone()),
        _ => return Err(Fatal::Usage("give either the inherited descriptor `parent` or --link PATH")),
    };
    let door = Arc::new(Door::new(inherited.optional("seal")?, arguments.seal.clone(), config.keeper.seal_seconds));
    drop(inherited);
    let signals = Signals::block(matches!(links, Links::Parent(_))).map_err(Fatal::Io)?;
    let notify = Notify::from_env().map_err(Fatal::Io)?;
    let _lock = DirLock::acquire(&dir, LOCK_WAIT)?;
    let means = arguments.means(dir.clone(), &config, door);
    let report = arguments.enforce(&dir, &config)?;

    let host_name = arguments::host_name();
    let counter = || Box::new(Arc::clone(&means.door)) as Box<dyn CounterDevice>;
    let generation = Generation::new(config.tpm.counter.then(counter));
    let started = instance::start(&means, &generation)?;
    let keeper = Arc::new(Keeper::new(means, host_name, report, started, generation));
    keeper.audit_start();
    for warning in keeper.status().warnings {
        log::warn(format_args!("{warning}"));
    }
    if keeper.open().is_none() {
        log::warn(format_args!("locked: no keyslot opened by itself; run `merlon unlock`"));
    }
    let ready = || {
        if let Err(error) = notify.ready() {
            log::warn(format_args!("systemd was not told that the keeper is ready: {error}"));
        }
    };
    let served = serve::run(&keeper, Endpoints { admin, links, signals }, ready).map_err(Fatal::Io);
    keeper.close();
    served
}
