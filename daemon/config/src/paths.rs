//! What an instance is called and where it keeps its files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The name of an instance: 1 to 17 letters, digits, hyphens and underscores, the first a letter or a digit.
///
/// It is part of the names of units (`merlond@NAME.service`) and of users (`merlon-keeper-NAME`), which have at most 31
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceName(String);

impl InstanceName {
    /// The most bytes of a name.
    pub const MAX: usize = 17;

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'));
        let begins = text.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric());
        if plain && begins && text.len() <= Self::MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{text}` is no name of an instance; it has 1 to {} letters, digits, hyphens and underscores, the first a letter or a digit",
                Self::MAX
            ))
        }
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

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
    /// Where the configurations of the system's instances are.
    pub const SYSTEM_CONFIG: &str = "/etc/merlon";

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
    pub fn system(name: &InstanceName) -> Self {
        let name = name.as_str();
        Self {
            config: Path::new(Self::SYSTEM_CONFIG).join(format!("{name}.toml")),
            keeper: Path::new("/var/lib/merlon-keeper").join(name),
            store: Path::new("/var/lib/merlon").join(name),
            run: Path::new("/run/merlon").join(name),
        }
    }

    /// The system's hub, which is no instance and of which there is one.
    #[must_use]
    pub fn hub() -> Self {
        Self {
            config: PathBuf::from("/etc/merlon-hub.toml"),
            keeper: PathBuf::from("/var/lib/merlon-hub-keeper"),
            store: PathBuf::from("/var/lib/merlon-hub"),
            run: PathBuf::from("/run/merlon-hub"),
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

    /// The engine's socket to which the keeper connects.
    #[must_use]
    pub fn keeper_link_socket(&self) -> PathBuf {
        self.run.join("link-keeper.sock")
    }

    /// The engine's socket to which the dialer connects.
    #[must_use]
    pub fn dialer_link_socket(&self) -> PathBuf {
        self.run.join("link-dialer.sock")
    }

    /// The socket of `merlon-seal`, to which the keeper connects.
    #[must_use]
    pub fn seal_socket(&self) -> PathBuf {
        self.run.join("seal.sock")
    }

    /// The CA certificate in PEM, written by the engine.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.store.join("ca.pem")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_in_units_users_and_paths() {
        for good in ["default", "a", "lab-1", "9", "A_b", "seventeen-letters"] {
            assert_eq!(good.parse::<InstanceName>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "_a", "a.b", "a/b", "..", "a b", "a@b", "é", "eighteen-letters-x"] {
            assert!(bad.parse::<InstanceName>().unwrap_err().contains("1 to 17"), "{bad}");
        }
    }
}
