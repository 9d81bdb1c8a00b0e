//! The benchmark of Merlon against its peers. Wires the command line only.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{fs, io::Write as _};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

mod cases;
mod client;
mod content;
mod disk;
mod facts;
mod history;
mod hub;
mod identity;
mod load;
mod measure;
mod origin;
mod procs;
mod recording;
mod report;
mod subject;
mod suite;
mod targets;

use content::Content;
use load::{Plan, Reuse};
use subject::{Programs, Subject};

/// Measures Merlon side by side with its peers.
#[derive(Parser)]
#[command(name = "merlon-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the bodies that the load client asks for; ends with its standard input.
    Origin {
        /// Gets `origin-ca.pem`.
        #[arg(long)]
        directory: PathBuf,
    },
    /// Loads one origin, or one proxy, once.
    Load(LoadArguments),
    /// Loads a hub's token endpoint and prints a section of the report.
    Hub(hub::Arguments),
    /// Runs everything and writes the report.
    Report(ReportArguments),
}

#[derive(clap::Args)]
struct LoadArguments {
    /// Address of the origin.
    origin: std::net::SocketAddr,
    /// Address of the proxy.
    #[arg(long)]
    proxy: Option<std::net::SocketAddr>,
    /// Speak TLS, and trust the certificates of this PEM file.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// What to fetch.
    #[arg(long, default_value = "1k")]
    content: Content,
    /// What a request uses of the one before.
    #[arg(long, default_value = "connection")]
    reuse: Reuse,
    /// Requests in flight.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Length of the window.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

#[derive(clap::Args)]
struct ReportArguments {
    /// Files of the run.
    #[arg(long)]
    directory: PathBuf,
    /// The `merlond` to measure, with its siblings beside it.
    #[arg(long)]
    merlond: Option<PathBuf>,
    /// A `merlond` with the feature `bench`, to measure the recorder alone.
    #[arg(long)]
    recorder: Option<PathBuf>,
    /// The peer built from `bench/peers`.
    #[arg(long)]
    hudsucker: Option<PathBuf>,
    /// The peer mitmdump.
    #[arg(long)]
    mitmdump: Option<PathBuf>,
    /// The core that the proxies get. The caller pins this program to another.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Subjects.
    #[arg(long, value_delimiter = ',', default_values = ["direct", "merlon", "hudsucker", "mitmdump"])]
    subjects: Vec<Subject>,
    /// Names of cases; all if none.
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// Length of a window.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// After so many seconds nothing new is begun.
    #[arg(long, default_value_t = 420)]
    limit: u64,
    /// Flows that the query part looks among; 0 leaves it out.
    #[arg(long, default_value_t = 1_000_000)]
    history: u64,
    /// Leaves out memory over many flows and the time of a start.
    #[arg(long)]
    no_extras: bool,
    /// A line for the head of the report.
    #[arg(long = "fact")]
    facts: Vec<String>,
    /// Gets the report.
    #[arg(long)]
    output: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be told if that fails.
            drop(writeln!(std::io::stderr(), "merlon-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Origin { directory } => origin::serve(&directory),
        Command::Load(arguments) => {
            let plan = Plan {
                proxy: arguments.proxy,
                origin: arguments.origin,
                tls: arguments.ca.as_deref().map(load::trusting).transpose()?,
                content: arguments.content,
                reuse: arguments.reuse,
                spread: false,
                connections: arguments.connections,
                warm_up: Duration::from_millis(700),
                window: Duration::from_secs_f64(arguments.seconds),
                limit: None,
            };
            let outcome = load::run(&plan, |_| {})?;
            writeln!(std::io::stdout(), "{:.0} req/s {outcome:?}", outcome.rate())?;
            Ok(())
        }
        Command::Hub(arguments) => Ok(std::io::stdout().write_all(hub::run(&arguments)?.as_bytes())?),
        Command::Report(arguments) => report(arguments),
    }
}

fn report(arguments: ReportArguments) -> Result<()> {
    let began = Instant::now();
    let directory = std::path::absolute(&arguments.directory)?;
    let suite = suite::Suite {
        programs: Programs {
            merlond: arguments.merlond,
            recorder: arguments.recorder,
            hudsucker: arguments.hudsucker,
            mitmdump: arguments.mitmdump,
            core: arguments.core,
        },
        directory,
        subjects: arguments.subjects,
        cases: arguments.cases,
        window: Duration::from_secs_f64(arguments.seconds),
        deadline: began + Duration::from_secs(arguments.limit),
        history: arguments.history,
        extras: !arguments.no_extras,
        facts: arguments.facts,
    };
    let mut report = suite.run(|line| {
        // Progress only: a closed standard error does not end the run.
        drop(writeln!(std::io::stderr(), "[{:>4.0} s] {line}", began.elapsed().as_secs_f64()));
    })?;
    report.facts.push(format!("Run: {:.0} s, windows of {} s", began.elapsed().as_secs_f64(), arguments.seconds));
    let text = report.markdown();
    if let Some(output) = &arguments.output {
        fs::write(output, &text).with_context(|| format!("cannot write {}", output.display()))?;
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
