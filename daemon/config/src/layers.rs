//! Layers of configuration: default < system file < user file < environment < flag, with the origin of each value.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize as _;
use toml::{Table, Value};

use crate::{Config, ConfigError};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Built in.
    Default,
    /// A file, by its path.
    File(String),
    /// An environment variable, by its name.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => f.write_str(path),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One layer: an origin and the values it sets.
#[derive(Clone, Debug)]
pub struct Layer {
    origin: Origin,
    table: Table,
}

impl Layer {
    /// A layer from a TOML file's text; it is checked on its own, so that an error names this file.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the key and line.
    pub fn file(path: &str, text: &str) -> Result<Self, ConfigError> {
        let invalid = |e: toml::de::Error| ConfigError::Invalid { origin: path.to_owned(), message: e.to_string() };
        let table: Table = text.parse().map_err(invalid)?;
        toml::from_str::<Config>(text).map_err(invalid)?;
        Ok(Self { origin: Origin::File(path.to_owned()), table })
    }

    /// A layer from one variable `MERLON_SECTION_KEY`; `None` if the name is not one of the configuration's keys.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if the value does not fit the key.
    pub fn environment(name: &str, value: &str) -> Result<Option<Self>, ConfigError> {
        let Some(rest) = name.strip_prefix("MERLON_") else { return Ok(None) };
        let lower = rest.to_ascii_lowercase();
        let Some((section, key)) = lower.split_once('_') else { return Ok(None) };
        if FILE_ONLY.contains(&section) {
            let message = format!("[{section}] is set in the configuration file only; unset this variable");
            return Err(ConfigError::Invalid { origin: format!("environment variable {name}"), message });
        }
        if !SECTIONS.contains(&section) {
            return Ok(None);
        }
        Self::single(Origin::Environment(name.to_owned()), section, key, value).map(Some)
    }

    /// A layer from one flag.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if the value does not fit the key.
    pub fn flag(name: &str, section: &str, key: &str, value: &str) -> Result<Self, ConfigError> {
        Self::single(Origin::Flag(name.to_owned()), section, key, value)
    }

    fn single(origin: Origin, section: &str, key: &str, value: &str) -> Result<Self, ConfigError> {
        // A value may be a boolean, an integer, a string, or a comma-separated list: the first that the key takes.
        let list = value.split(',').map(|item| Value::String(item.trim().to_owned())).collect();
        let scalar = value.parse::<bool>().map(Value::Boolean).or_else(|_| value.parse().map(Value::Integer));
        let candidates = scalar.into_iter().chain([Value::String(value.to_owned()), Value::Array(list)]);
        let mut reason = String::new();
        for candidate in candidates {
            let table =
                Table::from_iter([(section.to_owned(), Value::Table(Table::from_iter([(key.to_owned(), candidate)])))]);
            match Config::deserialize(table.clone()) {
                Ok(_) => return Ok(Self { origin, table }),
                Err(e) => reason = e.to_string(),
            }
        }
        Err(ConfigError::Invalid { origin: origin.to_string(), message: reason })
    }
}

const SECTIONS: [&str; 8] = ["proxy", "api", "egress", "recording", "limits", "keeper", "sandbox", "hub"];
/// Whoever could set these would choose the TPM that is spoken to, the code that is run, or who lets people in.
const FILE_ONLY: [&str; 3] = ["tpm", "pkcs11", "identity"];

/// A stack of layers, lowest first.
#[derive(Clone, Debug, Default)]
pub struct Layers(Vec<Layer>);

/// The configuration that results, and which layer set each key that is not a default.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The values.
    pub config: Config,
    /// Dotted key → origin.
    pub origins: BTreeMap<String, Origin>,
    /// Dotted key → value in TOML, those at their default included, for `merlon config show`.
    pub values: BTreeMap<String, String>,
}

impl Layers {
    /// Adds a layer above the others.
    pub fn push(&mut self, layer: Layer) {
        self.0.push(layer);
    }

    /// Merges the layers and checks bounds.
    ///
    /// # Errors
    /// [`ConfigError`], naming the layer whose value is at fault.
    pub fn resolve(&self) -> Result<Resolved, ConfigError> {
        let mut merged = Table::new();
        let mut origins = BTreeMap::new();
        for layer in &self.0 {
            for (section, value) in &layer.table {
                let Value::Table(keys) = value else { continue };
                let target = merged.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
                let Value::Table(target) = target else { continue };
                for (key, value) in keys {
                    target.insert(key.clone(), value.clone());
                    origins.insert(format!("{section}.{key}"), layer.origin.clone());
                }
            }
        }
        let config = Config::deserialize(merged)
            .map_err(|e| ConfigError::Invalid { origin: "configuration".into(), message: e.to_string() })?;
        config.check(&|key| origins.get(key).unwrap_or(&Origin::Default).to_string())?;
        let values = values(&config)?;
        Ok(Resolved { config, origins, values })
    }
}

/// Every setting that has a value, as TOML.
fn values(config: &Config) -> Result<BTreeMap<String, String>, ConfigError> {
    let table = Table::try_from(config)
        .map_err(|e| ConfigError::Invalid { origin: "configuration".into(), message: e.to_string() })?;
    let keys = table.iter().filter_map(|(section, value)| Some((section, value.as_table()?)));
    let pairs = keys.flat_map(|(section, keys)| {
        keys.iter().map(move |(key, value)| (format!("{section}.{key}"), value.to_string()))
    });
    Ok(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(layers: Vec<Layer>) -> Result<Resolved, ConfigError> {
        Layers(layers).resolve()
    }

    #[test]
    fn neither_tpm_nor_module_comes_from_the_environment() {
        for name in ["MERLON_TPM_TCTI", "MERLON_TPM_ALLOW_EMULATOR", "MERLON_PKCS11_MODULE"] {
            let error = Layer::environment(name, "true").unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("file only"), "{error}");
        }
        for text in ["[tpm]\ntcti = 'swtpm:host=127.0.0.1,port=2321'\n", "[pkcs11]\nmodule = 'lib.so'\n"] {
            let file = Layer::file("/etc/x.toml", text).unwrap();
            assert!(resolve(vec![file]).is_err(), "{text}");
        }
        let emulator = "[tpm]\ntcti = 'swtpm:host=127.0.0.1,port=2321'\nallow_emulator = true\n";
        assert!(resolve(vec![Layer::file("/etc/x.toml", emulator).unwrap()]).is_ok());
        for tcti in ["swtpm:path=/sock", "swtpm:host=192.0.2.1,port=1", "device:/dev/tpm0", "device", "tabrmd:", ""] {
            assert!(Layer::file("/etc/x.toml", &format!("[tpm]\ntcti = '{tcti}'\n")).is_err(), "{tcti}");
        }
    }

    #[test]
    fn a_flag_beats_the_environment_beats_a_file() {
        let file =
            Layer::file("/etc/x.toml", "[proxy]\nlisten = ['127.0.0.1:1']\n[egress]\ndeny_private = true\n").unwrap();
        let env = Layer::environment("MERLON_PROXY_LISTEN", "127.0.0.1:2").unwrap().unwrap();
        let flag = Layer::flag("--proxy-listen", "proxy", "listen", "127.0.0.1:3").unwrap();
        let listen = |r: &Resolved| r.config.proxy.listen[0].to_string();
        let all = resolve(vec![file.clone(), env.clone(), flag]).unwrap();
        assert_eq!(listen(&all), "127.0.0.1:3");
        assert_eq!(all.origins["proxy.listen"], Origin::Flag("--proxy-listen".into()));
        assert!(all.config.egress.deny_private);
        assert_eq!(listen(&resolve(vec![file, env]).unwrap()), "127.0.0.1:2");
    }

    #[test]
    fn every_setting_is_shown_with_its_value_defaults_included() {
        let file = Layer::file("f", "[egress]\ndeny = ['10.0.0.0/8']\n").unwrap();
        let all = resolve(vec![file]).unwrap();
        let value = |key: &str| all.values[key].as_str();
        assert_eq!(value("egress.deny"), r#"["10.0.0.0/8"]"#);
        assert_eq!(value("proxy.listen"), r#"["127.0.0.1:8080"]"#);
        assert_eq!((value("proxy.auth"), value("sandbox.required")), (r#""auto""#, "true"));
        assert_eq!(all.origins.len(), 1);
    }

    #[test]
    fn an_unknown_field_is_named_with_its_file() {
        let error = Layer::file("/etc/x.toml", "[proxy]\nlisen = ['127.0.0.1:1']\n").unwrap_err().to_string();
        assert!(error.contains("/etc/x.toml") && error.contains("lisen") && error.contains("listen"), "{error}");
    }

    #[test]
    fn a_value_outside_its_bounds_names_key_origin_and_remedy() {
        let file = Layer::file("/etc/x.toml", "[limits]\nhead_bytes = 1\n").unwrap();
        let error = resolve(vec![file]).unwrap_err().to_string();
        assert!(
            error.contains("limits.head_bytes") && error.contains("/etc/x.toml") && error.contains("1048576"),
            "{error}"
        );
    }

    #[test]
    fn a_hub_without_tls_stays_on_loopback_or_behind_a_proxy() {
        let resolved = |text: &str| {
            let mut layers = Layers::default();
            layers.push(Layer::file("f", &format!("[hub]\n{text}\n")).unwrap());
            layers.resolve().map(|_| ()).map_err(|error| error.to_string())
        };
        for good in [
            "",
            "listen = ['[::1]:1', '127.0.0.1:2']",
            "listen = ['0.0.0.0:1']\ntls_cert = '/c'\ntls_key = '/k'",
            "listen = ['10.0.0.1:1']\ntrusted_proxies = ['10.0.0.2/32']",
        ] {
            assert_eq!(resolved(good), Ok(()), "{good}");
        }
        for (bad, word) in [
            ("listen = []", "hub.listen"),
            ("listen = ['0.0.0.0:1']", "0.0.0.0:1"),
            ("listen = ['127.0.0.1:1', '[::ffff:10.0.0.1]:1']", "10.0.0.1"),
            ("listen = ['unix:/run/hub.sock']", "unix:/run/hub.sock"),
            ("tls_cert = '/c'", "hub.tls_key"),
        ] {
            let refused = resolved(bad).unwrap_err();
            assert!(refused.contains(word), "{bad}: {refused}");
        }
    }

    #[test]
    fn api_without_tls_stays_on_loopback() {
        let file = Layer::file("f", "[api]\ntls = false\nlisten = ['0.0.0.0:1']\n").unwrap();
        assert!(resolve(vec![file]).unwrap_err().to_string().contains("api.tls"));
        let file = Layer::file("f", "[api]\ntls = false\n").unwrap();
        assert!(resolve(vec![file]).is_ok());
    }

    #[test]
    fn other_variables_are_left_alone() {
        assert!(Layer::environment("MERLON_TOKEN", "x").unwrap().is_none());
        assert!(Layer::environment("PATH", "x").unwrap().is_none());
        assert!(Layer::environment("MERLON_PROXY_LISTN", "x").is_err());
    }
}
