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
mod first_try;
mod generated;
mod generation;
mod instance;
mod instance_id;
mod jws;
mod keeper;
mod keys;
mod limiter;
mod log;
mod p256;
mod requests;
mod rotation;
mod secrets_db;
mod serve;
mod signing;
mod slots;

use std::mem::ManuallyDrop;
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
    // Held until the process is gone: at its end the first try may still be under way.
    let _lock = ManuallyDrop::new(DirLock::acquire(&dir, LOCK_WAIT)?);
    let means = arguments.means(dir.clone(), &config, door);
    let report = arguments.enforce(&dir, &config)?;

    let counter = || Box::new(Arc::clone(&means.door)) as Box<dyn CounterDevice>;
    let generation = Generation::new(config.tpm.counter.then(counter));
    let slots = instance::find(&dir)?;
    let has_issuer = !arguments.hub && config.identity.issuer.is_some();
    let keeper = Arc::new(Keeper::new(means, arguments::host_name(), has_issuer, report, slots, generation, notify));
    let served = serve::run(&keeper, Endpoints { admin, links, signals });
    if !matches!(served, Err(Fatal::Keeper(_))) {
        keeper.close();
    }
    served
}
