//! The command line of `merlon-hub`. Nothing but clap, so that the manual can be made of it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Merlon's hub: where people sign in to instances
#[derive(Parser, Debug)]
#[command(name = "merlon-hub", version)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What `merlon-hub` can do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a hub in the foreground
    ///
    /// Starts the hub and a keeper of its own below one directory, creates the hub if the directory is empty, and prints
    /// `ready issuer=URL` once it serves. Ctrl-C stops it.
    Run(Run),
    /// Run the server alone, on descriptors that are handed to it (systemd, or `merlon-hub run`)
    Serve(Serve),
    /// Print the code that makes the first account
    ///
    /// It is there until the first account is made. Give it on the hub's page /setup.
    SetupCode(SetupCode),
}

/// Flags that change settings; each beats the environment and the file.
#[derive(Args, Debug, Clone)]
pub(crate) struct Settings {
    /// The hub's configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What clients know the hub by, instead of `hub.issuer`: https, or http on loopback
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Certificate chain of the listeners, instead of `hub.tls_cert`
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its key, instead of `hub.tls_key`
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}

/// `merlon-hub run`.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Directory of the hub; created if it is missing
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Where it listens, instead of `hub.listen` (port 0: any free one)
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Settings.
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// `merlon-hub serve`.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Directory of the database
    #[arg(long, value_name = "DIR")]
    pub(crate) store: PathBuf,
    /// Settings.
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// An inherited descriptor, by name
    #[arg(long = "fd", value_name = "NAME=N")]
    pub(crate) fds: Vec<String>,
}

/// `merlon-hub setup-code`.
#[derive(Args, Debug)]
pub(crate) struct SetupCode {
    /// Directory of the hub
    #[arg(long, value_name = "DIR", default_value = "/var/lib/merlon-hub")]
    pub(crate) data_dir: PathBuf,
}
