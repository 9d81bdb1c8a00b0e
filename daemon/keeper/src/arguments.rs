//! The command line, and what is read before anything is opened: the configuration.
//!
//! Nobody types these flags; `merlond run` and the systemd unit do. No flag carries a secret.

use std::path::{Path, PathBuf};

use clap::Parser;
use merlon_config::{Config, Layer, Layers, Paths as InstancePaths};
use merlon_sandbox::profiles::{KEEPER, KEEPER_LINKING};
use merlon_sandbox::{Paths, enforce};
use merlon_wire::SandboxReport;

use crate::ca::Host;
use crate::exit::Fatal;

/// Holds the keys of a Merlon instance. Started by `merlond run` or by its systemd unit.
#[derive(Debug, Parser)]
#[command(name = "merlon-keeper", version)]
pub(crate) struct Arguments {
    /// The keeper's directory (keyslots, secrets.db, file.key)
    #[arg(long, value_name = "DIR", conflicts_with = "instance", required_unless_present = "instance")]
    dir: Option<PathBuf>,
    /// An instance of the system: /var/lib/merlon-keeper/NAME and /etc/merlon/NAME.toml
    #[arg(long, value_name = "NAME", value_parser = instance_name)]
    instance: Option<String>,
    /// The instance's configuration; defaults stand if the file is missing
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The engine's link socket, to connect to
    #[arg(long, value_name = "PATH")]
    pub(crate) link: Option<PathBuf>,
    /// An inherited descriptor: `admin` and, under `merlond run`, `parent`
    #[arg(long, value_name = "NAME=N")]
    pub(crate) fd: Vec<String>,
}

impl Arguments {
    /// The configuration, from file and environment.
    pub(crate) fn configuration(&self) -> Result<Config, Fatal> {
        let mut layers = Layers::default();
        if let Some(path) = self.config_path() {
            match std::fs::read_to_string(&path) {
                Ok(text) => layers.push(Layer::file(&path.to_string_lossy(), &text)?),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Fatal::File { path, source }),
            }
        }
        for (name, value) in std::env::vars_os() {
            if let (Some(name), Some(value)) = (name.to_str(), value.to_str())
                && let Some(layer) = Layer::environment(name, value)?
            {
                layers.push(layer);
            }
        }
        Ok(layers.resolve()?.config)
    }

    /// The keeper's directory, absolute; it must exist.
    pub(crate) fn dir(&self) -> Result<PathBuf, Fatal> {
        let path = match (&self.dir, &self.instance) {
            (Some(dir), _) => dir.clone(),
            (None, Some(name)) => InstancePaths::system(name).keeper,
            (None, None) => return Err(Fatal::Usage("give --dir DIR or --instance NAME")),
        };
        path.canonicalize().map_err(|source| Fatal::File { path, source })
    }

    /// Enters the sandbox. From here on the directory and the configuration are the only files.
    pub(crate) fn enforce(&self, dir: &Path, config: &Config) -> Result<SandboxReport, Fatal> {
        let mut paths = Paths::new().read_write(dir).landlock_required(config.sandbox.required);
        if let Some(config) = self.config_path() {
            paths = paths.read_only_if_present(config);
        }
        let profile = match &self.link {
            Some(link) => {
                paths = paths.unix_socket(link);
                &KEEPER_LINKING
            }
            None => &KEEPER,
        };
        let report = enforce(profile, &paths)?;
        Ok(SandboxReport {
            landlock_abi: report.landlock_abi,
            landlock: report.landlock.as_str().to_owned(),
            missing: report.missing,
            seccomp: report.seccomp,
            no_new_privs: report.no_new_privs,
            core_dumps_off: report.core_dumps_off && report.dumpable_off,
            secret_memory: report.secret_memory.as_str().to_owned(),
        })
    }

    fn config_path(&self) -> Option<PathBuf> {
        let of_instance = || self.instance.as_ref().map(|name| InstancePaths::system(name).config);
        self.config.clone().or_else(of_instance)
    }
}

/// The host's name, if it can stand in a certificate.
pub(crate) fn host_name() -> Option<Host> {
    Host::parse(nix::unistd::gethostname().ok()?.to_str()?).ok()
}

fn instance_name(text: &str) -> Result<String, &'static str> {
    let plain = text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'));
    if plain && (1..=32).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 32 letters, digits, hyphens and underscores")
    }
}
