//! The command line of `merlon-keeper` as it may be typed. Parses and explains; does nothing: its manual page and its
//! completions are made from this file alone (`packaging/manual`).
//!
//! Nobody types these flags; `merlond run` and the systemd unit do. No flag carries a secret.

use std::path::PathBuf;

use clap::Parser;
use merlon_config::InstanceName;

/// Holds the keys of a Merlon instance or hub. Started by `merlond run`, `merlon-hub run` or its systemd unit.
#[derive(Debug, Parser)]
#[command(name = "merlon-keeper", version)]
pub(crate) struct Arguments {
    /// The keeper's directory (keyslots, secrets.db, file.key)
    #[arg(long, value_name = "DIR", conflicts_with = "instance", required_unless_present = "instance")]
    pub(crate) dir: Option<PathBuf>,
    /// An instance of the system: /var/lib/merlon-keeper/NAME and /etc/merlon/NAME.toml
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<InstanceName>,
    /// The instance's configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The engine's link socket, to connect to
    #[arg(long, value_name = "PATH")]
    pub(crate) link: Option<PathBuf>,
    /// The socket of merlon-seal, to connect to
    #[arg(long, value_name = "PATH")]
    pub(crate) seal: Option<PathBuf>,
    /// Serve a hub: keep its database's key, sign its access tokens, and make no CA
    #[arg(long)]
    pub(crate) hub: bool,
    /// An inherited descriptor: `admin` and, under `merlond run`, `parent` and `seal`
    #[arg(long, value_name = "NAME=N")]
    pub(crate) fd: Vec<String>,
}
