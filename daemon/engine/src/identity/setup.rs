//! What the identity needs from files: read at the start, before the sandbox closes. Secrets go to secret memory.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use merlon_config::Identity as Config;
use merlon_sandbox::secret::SecretBuf;
use merlon_wire::identity::MAX_CREDENTIAL;
use rustls::{ClientConfig, RootCertStore};

use super::url::{self, BadUrl, Issuer};
use crate::proxy::tls;

/// The systemd credential that holds a registration key.
const CREDENTIAL: &str = "registration-key";
/// The longest name at a server, in bytes.
const MAX_NAME: usize = 100;

/// Why the configuration of the identity cannot be used. Exit code 78.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// An address.
    #[error("`identity.{key}`: {source}")]
    Url {
        /// Which setting.
        key: &'static str,
        /// Why.
        source: BadUrl,
    },
    /// A file.
    #[error("{}: `identity.{key}` cannot be used: {reason}", path.display())]
    File {
        /// Which setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Roots for the server.
    #[error("`identity.ca`: {0}")]
    Tls(#[from] tls::SetupError),
    /// What goes together does not.
    #[error("`identity.{key}` {problem}")]
    Together {
        /// Which setting.
        key: &'static str,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
}

/// What was configured.
pub(crate) struct Setup {
    /// As configured.
    pub(crate) config: Config,
    /// Parsed.
    pub(crate) issuer: Option<Issuer>,
    /// What the instance is called at the server.
    pub(crate) name: String,
    pub(super) proxy: Option<(String, u16)>,
    pub(super) tls: Arc<ClientConfig>,
    /// Until the instance is registered.
    pub(super) registration_key: Mutex<Option<SecretBuf>>,
    /// Until the keeper has it.
    pub(super) client_secret: Mutex<Option<SecretBuf>>,
}

impl Setup {
    /// Reads what the configuration names. `system` are the system's roots; `instance` and `host` make the name where none
    /// is configured.
    ///
    /// # Errors
    /// [`SetupError`].
    pub(crate) fn read(
        config: &Config,
        system: &RootCertStore,
        instance: &str,
        host: Option<&str>,
    ) -> Result<Self, SetupError> {
        let wrong = |key| move |source| SetupError::Url { key, source };
        let issuer = config.issuer.as_deref().map(Issuer::parse).transpose().map_err(wrong("issuer"))?;
        if issuer.is_none() && config.client_id.is_some() {
            return Err(SetupError::Together {
                key: "client_id",
                problem: "needs `identity.issuer`; set both or none",
            });
        }
        if config.client_secret_file.is_some() && config.client_id.is_none() {
            let problem = "needs `identity.client_id`; set both or none";
            return Err(SetupError::Together { key: "client_secret_file", problem });
        }
        let secret = |key, path: &Option<PathBuf>| path.as_deref().map(|path| read_secret(key, path)).transpose();
        let mut registration_key = secret("registration_key_file", &config.registration_key_file)?;
        if registration_key.is_none()
            && issuer.is_some()
            && let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY")
        {
            let path = Path::new(&directory).join(CREDENTIAL);
            if path.exists() {
                registration_key = Some(read_secret("registration_key_file", &path)?);
            }
        }
        Ok(Self {
            proxy: config.proxy.as_deref().map(url::proxy).transpose().map_err(wrong("proxy"))?,
            tls: tls::to_origin(tls::with_more(system, &config.ca)?)?,
            client_secret: Mutex::new(secret("client_secret_file", &config.client_secret_file)?),
            registration_key: Mutex::new(registration_key),
            name: name(config.name.as_deref(), instance, host),
            issuer,
            config: config.clone(),
        })
    }
}

impl Setup {
    /// Forgets what is of no use to a registered instance. A start reads it again.
    pub(super) fn forget_secrets(&self) {
        *unpoisoned(&self.registration_key) = None;
        *unpoisoned(&self.client_secret) = None;
    }
}

pub(super) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `NAME on HOST`, or what the operator chose; short, and without what no name should have.
fn name(configured: Option<&str>, instance: &str, host: Option<&str>) -> String {
    let name = match (configured, host) {
        (Some(name), _) => name.to_owned(),
        (None, Some(host)) => format!("{instance} on {host}"),
        (None, None) => instance.to_owned(),
    };
    let clean = name.chars().filter(|c| !c.is_control());
    let mut short = String::new();
    for c in clean {
        if short.len() + c.len_utf8() > MAX_NAME {
            break;
        }
        short.push(c);
    }
    if short.trim().is_empty() { "merlon".to_owned() } else { short }
}

/// One secret; one line end at its end does not count.
fn read_secret(key: &'static str, path: &Path) -> Result<SecretBuf, SetupError> {
    let wrong = |reason: String| SetupError::File { key, path: path.to_owned(), reason };
    let mut held = SecretBuf::with_capacity(MAX_CREDENTIAL + 2).map_err(|e| wrong(e.to_string()))?;
    held.set_len(MAX_CREDENTIAL + 2);
    let mut file = File::open(path).map_err(|e| wrong(e.to_string()))?;
    let mut used = 0;
    while used < held.len() {
        match file.read(&mut held.as_mut_slice()[used..]).map_err(|e| wrong(e.to_string()))? {
            0 => break,
            more => used += more,
        }
    }
    let bytes = &held.as_slice()[..used];
    let line = bytes.strip_suffix(b"\n").map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line));
    let (len, printable) = (line.len(), line.iter().all(|byte| (0x20..=0x7e).contains(byte)));
    if len == 0 || len > MAX_CREDENTIAL || !printable {
        return Err(wrong(format!("it must hold one line of 1 to {MAX_CREDENTIAL} printable characters")));
    }
    held.set_len(len);
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str) -> Result<Setup, String> {
        let config = toml(config);
        Setup::read(&config, &RootCertStore::empty(), "alpha", Some("vault")).map_err(|error| error.to_string())
    }

    fn toml(text: &str) -> Config {
        let mut layers = merlon_config::Layers::default();
        layers.push(merlon_config::Layer::file("x.toml", text).unwrap());
        layers.resolve().unwrap().config.identity
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (config, key) in [
            ("identity.issuer = 'http://hub.example'", "identity.issuer"),
            ("identity.issuer = 'https://h?x'", "identity.issuer"),
            ("identity.client_id = 'x'", "identity.client_id"),
            ("identity.issuer = 'https://h'\nidentity.client_secret_file = '/x'", "identity.client_secret_file"),
            ("identity.issuer = 'https://h'\nidentity.proxy = 'socks5://h:1'", "identity.proxy"),
            ("identity.issuer = 'https://h'\nidentity.registration_key_file = '/nowhere'", "registration_key_file"),
        ] {
            let why = read(config).err().expect(config);
            assert!(why.contains(key), "{why}");
        }
    }

    #[test]
    fn a_secret_is_one_line() {
        let path = std::env::temp_dir().join(format!("merlon-setup-{}", std::process::id()));
        std::fs::write(&path, "mhk_secret\r\n").unwrap();
        assert_eq!(read_secret("registration_key_file", &path).unwrap().as_slice(), b"mhk_secret");
        for bad in ["", "\n", "two\nlines\n", "caf\u{e9}"] {
            std::fs::write(&path, bad).unwrap();
            assert!(read_secret("registration_key_file", &path).is_err(), "{bad:?}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_name_says_which_instance_on_which_host() {
        assert_eq!(read("").ok().unwrap().name, "alpha on vault");
        assert_eq!(read("identity.name = 'box'").ok().unwrap().name, "box");
        assert_eq!(name(Some("\u{1b}[2J"), "a", None), "[2J");
        assert_eq!(name(Some(" \n"), "a", None), "merlon");
        assert_eq!(name(Some(&"\u{e9}".repeat(80)), "a", None).len(), MAX_NAME);
    }
}
