//! Reads the configuration: file, environment, flags, in this order. The only place that looks at the environment.

use std::fs;
use std::path::{Path, PathBuf};

use merlon_config::{ConfigError, Layer, Layers, Resolved};

/// Why there is no configuration. Exit code 78.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{}: the configuration cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("{}: {len} bytes are too many for a configuration", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        len: u64,
    },
    /// What it says cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// The largest configuration, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Reads all layers. A flag is its name, section, key and value.
///
/// # Errors
/// [`SettingsError`].
pub fn load(file: Option<&Path>, flags: &[(&str, &str, &str, String)]) -> Result<Resolved, SettingsError> {
    let mut layers = Layers::default();
    if let Some(path) = file {
        let unreadable = |source| SettingsError::Unreadable { path: path.to_owned(), source };
        let len = fs::metadata(path).map_err(unreadable)?.len();
        if len > MAX_FILE {
            return Err(SettingsError::TooLarge { path: path.to_owned(), len });
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        layers.push(Layer::file(&path.display().to_string(), &text)?);
    }
    for (name, value) in std::env::vars_os() {
        if let (Some(name), Some(value)) = (name.to_str(), value.to_str())
            && let Some(layer) = Layer::environment(name, value)?
        {
            layers.push(layer);
        }
    }
    for (name, section, key, value) in flags {
        layers.push(Layer::flag(name, section, key, value)?);
    }
    Ok(layers.resolve()?)
}
