//! Where an instance keeps its files.

use std::path::{Path, PathBuf};

/// The directories and sockets of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The instance's configuration.
    pub config: PathBuf,
    /// The keeper's directory: keyslots, `secrets.db`, file key.
    pub keeper: PathBuf,
    /// The engine's directory: projects, CA certificate.
    pub store: PathBuf,
    /// Sockets.
    pub run: PathBuf,
}

impl Paths {
    /// Everything below one directory, as `merlond run --data-dir DIR` has it.
    #[must_use]
    pub fn below(dir: &Path) -> Self {
        Self {
            config: dir.join("merlon.toml"),
            keeper: dir.join("keeper"),
            store: dir.join("store"),
            run: dir.join("run"),
        }
    }

    /// An instance of the system, by name.
    #[must_use]
    pub fn system(name: &str) -> Self {
        Self {
            config: Path::new("/etc/merlon").join(format!("{name}.toml")),
            keeper: Path::new("/var/lib/merlon-keeper").join(name),
            store: Path::new("/var/lib/merlon").join(name),
            run: Path::new("/run/merlon").join(name),
        }
    }

    /// The API's Unix socket.
    #[must_use]
    pub fn api_socket(&self) -> PathBuf {
        self.run.join("api.sock")
    }

    /// The keeper's admin socket.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.run.join("admin.sock")
    }

    /// The CA certificate in PEM, written by the engine.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.store.join("ca.pem")
    }
}
