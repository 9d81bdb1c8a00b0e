//! Arguments of `merlon ca`, `merlon project` and `merlon config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `merlon ca`.
#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// What the certificate says, and where its file is
    Show,
    /// Write the certificate in PEM, for the trust store of a client
    #[command(long_about = "\
Write the certificate in PEM, for the trust store of a client.

Examples:
  merlon ca export -o merlon.pem
  curl --cacert <(merlon ca export) -x http://127.0.0.1:8080 https://example.com")]
    Export(ExportArgs),
    /// The SHA-256 of the certificate, to compare by eye
    Fingerprint,
}

/// `merlon ca export`.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `merlon project`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    /// All projects; the open one is marked
    List,
    /// Make a new, empty project and say its id
    Create(CreateArgs),
    /// Record into another project from now on
    Open(ProjectArgs),
    /// Delete a project for good: its file and its key
    #[command(long_about = "\
Delete a project for good: its file and its key. What it recorded can never be read again.

Asks to type the project's name; --yes answers for scripts. Never asks without a terminal.

Examples:
  merlon project delete 'old engagement'
  merlon project delete 3 --yes")]
    Delete(DeleteArgs),
}

/// `merlon project create`.
#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// Name of the project, unique in the instance
    pub(crate) name: String,
    /// Record into it at once
    #[arg(long)]
    pub(crate) open: bool,
}

/// `merlon project open`.
#[derive(Args, Debug)]
pub(crate) struct ProjectArgs {
    /// Name or id of the project; a name goes first
    #[arg(value_name = "NAME|ID")]
    pub(crate) project: String,
}

/// `merlon project delete`.
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// Name or id of the project; a name goes first
    #[arg(value_name = "NAME|ID")]
    pub(crate) project: String,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `merlon config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// The settings of the instance as they result from all layers
    #[command(long_about = "\
The settings of the instance as they result from all layers: defaults, the instance's file, the environment.

Flags of a running `merlond` are known to that process only.

Examples:
  merlon config show --origin
  merlon --instance lab config show --changed --json")]
    Show(ConfigShowArgs),
    /// Is this file a right configuration? Reads nothing else and changes nothing
    Check(ConfigCheckArgs),
    /// Where the instance's configuration file is
    Path,
}

/// `merlon config show`.
#[derive(Args, Debug)]
pub(crate) struct ConfigShowArgs {
    /// Say which layer each value came from
    #[arg(long)]
    pub(crate) origin: bool,
    /// Only the settings that do not stand at their default
    #[arg(long)]
    pub(crate) changed: bool,
}

/// `merlon config check`.
#[derive(Args, Debug)]
pub(crate) struct ConfigCheckArgs {
    /// The file
    pub(crate) file: PathBuf,
}
