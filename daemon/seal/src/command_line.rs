//! The command line of `merlon-seal` as it may be typed. Parses and explains; does nothing: its manual page and its
//! completions are made from this file alone (`packaging/manual`).
//!
//! Nobody types these flags; `merlond run` and the systemd unit do. No flag carries a secret.

use std::path::PathBuf;

use clap::Parser;

/// Does one operation of a TPM or a PKCS#11 module for the keeper, and ends. Started by `merlond run` or by its systemd
/// unit.
#[derive(Debug, Parser)]
#[command(name = "merlon-seal", version)]
pub(crate) struct Arguments {
    /// The instance's configuration; without one the defaults stand
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// An inherited descriptor: `seal`, a connection, or a socket that listens for one
    #[arg(long, value_name = "NAME=N")]
    pub(crate) fd: Vec<String>,
}
