//! Reads the configuration: the instance's file, then the environment. The one place that looks at the environment.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use merlon_config::{Config, ConfigError, Layer, Layers, ListenAddress};

/// The largest configuration, in bytes.
const LARGEST: u64 = 1 << 20;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read.
    #[error("{}: the configuration cannot be read: {source}; check the path and the file's mode", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it says cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// All layers that concern this process; it has no flags that change settings.
pub(crate) fn load(file: Option<&Path>) -> Result<Config, SettingsError> {
    let mut layers = Layers::default();
    if let Some(path) = file {
        let text = read(path).map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
        layers.push(Layer::file(&path.display().to_string(), &text)?);
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

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// The TCP listeners that the configuration names.
pub(crate) fn listeners(config: &Config) -> Vec<SocketAddr> {
    let all = config.proxy.listen.iter().chain(&config.api.listen);
    all.filter_map(|listen| match listen {
        ListenAddress::Tcp(address) => Some(*address),
        ListenAddress::Unix(_) => None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listeners_of_proxy_and_api_are_our_own() {
        let listeners = listeners(&Config::default());
        assert_eq!(listeners, ["127.0.0.1:8080".parse().unwrap(), "127.0.0.1:8443".parse().unwrap()]);
    }
}
