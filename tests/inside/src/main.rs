//! Tries system calls inside a running process of Merlon, to see what its confinement refuses: its unit, Landlock, seccomp
//! and AppArmor together, as they are on this machine. A test tool: it is in no package. Only for x86_64, only for root.
//!
//! The process goes on working afterwards. Each line of the output is one try in JSON; the last one on standard error
//! counts them. It ends with 1 if a try came out otherwise than it should.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test tool, whose output is what it is run for")]

#[cfg(not(target_arch = "x86_64"))]
compile_error!("merlon-inside knows the registers of x86_64 only");

mod attempt;
mod control;
mod seal;
mod state;
mod tracee;
mod trial;
mod tries;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use merlon_config::{InstanceName, Paths};
use nix::unistd::Pid;
use serde_json::json;

use attempt::{Arg, Call, Expect, Layer, Places, Try};
use control::ControlError;
use seal::{Asking, SealError};
use tracee::{TraceError, Tracee};
use trial::{Outcome, Surroundings, Verdict};

/// Which process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// merlond engine
    Engine,
    /// merlon-keeper
    Keeper,
    /// merlon-dialer
    Dialer,
    /// merlon-hub serve
    Hub,
    /// merlon-seal in its sandbox, caught at a question about the TPM; needs no --pid
    Seal,
    /// merlon-seal before it was asked; needs no --pid
    SealWaiting,
}

/// Tries system calls inside a running process of Merlon.
#[derive(Debug, Parser)]
#[command(name = "merlon-inside", version)]
struct Arguments {
    /// Which process it is
    kind: Kind,
    /// Its id
    #[arg(long)]
    pid: Option<i32>,
    /// The instance of the system that it belongs to
    #[arg(long, value_name = "NAME", required_unless_present_any = ["data_dir", "hub"])]
    instance: Option<InstanceName>,
    /// The system's hub, instead of an instance
    #[arg(long, conflicts_with_all = ["instance", "data_dir"])]
    hub: bool,
    /// The directory of the instance that `merlond run` runs
    #[arg(long, value_name = "DIR", conflicts_with = "instance")]
    data_dir: Option<PathBuf>,
    /// The configuration, if it is elsewhere than that directory says
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Another instance of the system, to be kept from
    #[arg(long, value_name = "NAME", default_value = "other")]
    other: InstanceName,
    /// Also tries what only AppArmor denies, although it does not hold the process: to see what it would add
    #[arg(long)]
    as_with_apparmor: bool,
}

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("/proc cannot be read: {0}")]
    Proc(#[from] io::Error),
    #[error("--pid is needed: the process that is to be tried")]
    NoPid,
}

/// What the kernel answers to the question which Landlock it has (`LANDLOCK_CREATE_RULESET_VERSION`).
const LANDLOCK_ABI: Try = Try {
    name: "Landlock's version",
    calls: &[Call { number: libc::SYS_landlock_create_ruleset, arguments: &[Arg::N(0), Arg::N(0), Arg::N(1)] }],
    after: &[],
    expect: Expect::Works(&[]),
    layer: Layer::Own,
};

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|first| first == control::WAIT) {
        return if control::wait().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failed) => {
            eprintln!("merlon-inside: {failed}");
            ExitCode::from(2)
        }
    }
}

/// Tries, prints, and answers whether all was as it should be.
fn run(arguments: &Arguments) -> Result<bool, Failed> {
    let places = places(arguments);
    let asking = match arguments.kind {
        Kind::Seal | Kind::SealWaiting => Some(Asking::start(&places.own.seal_socket())?),
        _ => None,
    };
    let given = asking.as_ref().map(|asking| asking.pid).or(arguments.pid.map(Pid::from_raw));
    let pid = given.ok_or(Failed::NoPid)?;
    let unit = state::is_service(pid)? && (arguments.instance.is_some() || arguments.hub);
    let surroundings = Surroundings {
        unit,
        as_with_apparmor: arguments.as_with_apparmor,
        apparmor: state::apparmor(pid).is_some_and(|word| word.ends_with("(enforce)")),
        landlock_abi: control::answer(&LANDLOCK_ABI, &places)?.max(0),
        full_root: state::has_every_capability()?,
    };
    let mut tracee = match (&asking, arguments.kind) {
        (Some(asking), Kind::Seal) => Tracee::enter_after_filters(pid, 2, || asking.ask())?,
        _ => Tracee::enter(pid)?,
    };
    let facts = state::facts(pid, unit, arguments.kind != Kind::SealWaiting)?;
    let answers = trial::make_all(&mut tracee, tables(arguments.kind), &places, surroundings)?;
    tracee.leave()?;
    if let Some(asking) = &asking {
        if arguments.kind == Kind::SealWaiting {
            asking.ask()?;
        }
        eprintln!("merlon-seal answers with {}", asking.answer()?);
    }
    let outcomes = trial::judge_all(answers, &places, surroundings)?;
    let name = arguments.kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    for outcome in &outcomes {
        println!("{}", told(&name, outcome));
    }
    for fact in &facts {
        println!("{}", json!({"process": name, "fact": fact.name, "found": fact.found, "good": fact.good}));
    }
    let count = |verdict| outcomes.iter().filter(|outcome| outcome.verdict == verdict).count();
    let bad = outcomes.iter().filter(|outcome| outcome.verdict.is_failure()).count()
        + facts.iter().filter(|fact| !fact.good).count();
    eprintln!(
        "{name}: {} refused as they should, {} allowed as they should, {} unshown here, {} facts, {bad} wrong",
        count(Verdict::Refused),
        count(Verdict::Allowed),
        count(Verdict::Unshown),
        facts.len(),
    );
    Ok(bad == 0)
}

fn tables(kind: Kind) -> &'static [&'static [Try]] {
    match kind {
        Kind::Engine => tries::ENGINE,
        Kind::Keeper => tries::KEEPER,
        Kind::Dialer => tries::DIALER,
        Kind::Hub => tries::HUB,
        Kind::Seal => tries::SEAL,
        Kind::SealWaiting => tries::SEAL_WAITING,
    }
}

fn places(arguments: &Arguments) -> Places {
    let mut own = match (&arguments.instance, &arguments.data_dir) {
        (Some(name), _) => Paths::system(name),
        (None, _) if arguments.hub => Paths::hub(),
        (None, dir) => Paths::below(dir.as_deref().unwrap_or("/".as_ref())),
    };
    if let Some(config) = &arguments.config {
        own.config.clone_from(config);
    }
    Places { own, other: Paths::system(&arguments.other) }
}

fn told(process: &str, outcome: &Outcome) -> serde_json::Value {
    json!({
        "process": process,
        "call": outcome.one.name,
        "verdict": outcome.verdict.as_str(),
        "answer": trial::words(outcome.answer),
        "unconfined": outcome.control.map(trial::words),
    })
}
