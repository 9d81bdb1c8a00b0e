//! The command line, and what is read before anything is opened: the configuration.
//!
//! Nobody types these flags; `merlond run` and the systemd unit do. No flag carries a secret. The environment decides
//! nothing here: whoever could set it would choose the TPM that is spoken to.

use std::path::PathBuf;

use clap::Parser;
use merlon_config::{Config, Layer, Layers};

use crate::exit::Fatal;

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

impl Arguments {
    /// The configuration, from the file only.
    pub(crate) fn configuration(&self) -> Result<Config, Fatal> {
        let mut layers = Layers::default();
        if let Some(path) = &self.config {
            match std::fs::read_to_string(path) {
                Ok(text) => layers.push(Layer::file(&path.to_string_lossy(), &text)?),
                Err(source) => return Err(Fatal::Unreadable { path: path.clone(), source }),
            }
        }
        Ok(layers.resolve()?.config)
    }
}
