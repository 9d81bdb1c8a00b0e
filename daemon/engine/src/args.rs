//! The command line of `merlond`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Merlon: an intercepting proxy for testers, hardened for servers.
#[derive(Parser, Debug)]
#[command(name = "merlond", version)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What `merlond` can do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a whole instance in the foreground
    ///
    /// Starts keeper, dialer and engine below one directory, creates the instance if the directory is empty, and prints
    /// `ready proxy=ADDR api=URL socket=PATH ca=FILE` once it serves. Ctrl-C stops it.
    Run(Run),
    /// Run the engine alone, on descriptors that are handed to it (systemd, or `merlond run`)
    Engine(Engine),
    /// Measure what recording and listing cost, in an empty directory
    #[cfg(feature = "bench")]
    BenchStore(BenchStore),
}

/// Flags that change settings; each beats the environment and the file.
#[derive(Args, Debug, Clone)]
pub(crate) struct Settings {
    /// The instance's configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Permit proxy listeners that are not loopback; proxy authentication is then on
    #[arg(long)]
    pub(crate) allow_public_proxy: bool,
}

/// `merlond run`.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Directory of the instance; created if it is missing
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Settings.
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Where the proxy listens, instead of `proxy.listen` (port 0: any free one)
    #[arg(long, value_name = "ADDR")]
    pub(crate) proxy_listen: Option<String>,
    /// Where the API listens, instead of `api.listen` (port 0: any free one)
    #[arg(long, value_name = "ADDR")]
    pub(crate) api_listen: Option<String>,
}

/// `merlond engine`.
#[derive(Args, Debug)]
pub(crate) struct Engine {
    /// Directory of the projects
    #[arg(long, value_name = "DIR")]
    pub(crate) store: PathBuf,
    /// Settings.
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// An inherited descriptor, by name
    #[arg(long = "fd", value_name = "NAME=N")]
    pub(crate) fds: Vec<String>,
}

/// `merlond bench-store`.
#[cfg(feature = "bench")]
#[derive(Args, Debug)]
pub(crate) struct BenchStore {
    /// Directory for the project; must be empty
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Small flows to record
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) flows: u64,
}
