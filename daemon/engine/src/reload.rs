//! SIGHUP: reads the configuration again and takes over what can change while the engine runs. All or nothing: whatever
//! cannot be used leaves everything as it was. No connection is touched; those that stand keep what they began with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use merlon_config::{Config, Paths, PublicBind};
use rustls::RootCertStore;
use tokio::sync::watch;

use crate::api::ApiState;
use crate::api_tls::{self, ApiTls, ApiTlsError};
use crate::identity::Identity;
use crate::proxy::{Proxy, tls};
use crate::store::Store;
use crate::{args, listeners, log, settings};

/// Settings that the engine takes over. Those of `[egress]` are the dialer's, which reads them itself.
const TAKEN: &[&str] = &[
    "proxy.passthrough",
    "proxy.upstream_ca",
    "api.allowed_hosts",
    "api.tls_cert",
    "api.tls_key",
    "recording.max_body_bytes",
    "recording.batch_milliseconds",
    "recording.max_wait_milliseconds",
    "limits.head_bytes",
    "limits.head_fields",
    "limits.head_seconds",
    "limits.handshake_seconds",
    "limits.idle_seconds",
    "limits.stall_seconds",
    "egress.deny_private",
    "egress.allow_metadata",
    "egress.deny",
    "egress.allow",
];

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
    #[error(transparent)]
    Public(#[from] PublicBind),
    #[error(transparent)]
    ApiTls(#[from] ApiTlsError),
    #[error(transparent)]
    Tls(#[from] tls::SetupError),
}

/// What a reload reads from and writes to.
pub(crate) struct Reload {
    /// File and flags.
    pub(crate) settings: args::Settings,
    /// What was in force at the start, key by key.
    pub(crate) current: BTreeMap<String, String>,
    /// Somebody else binds by this configuration, so that it must pass the bind policy as it is written.
    pub(crate) binds: bool,
    /// The roots to which the configuration's are added.
    pub(crate) system_roots: RootCertStore,
    /// What new connections get.
    pub(crate) proxy: watch::Sender<Arc<Proxy>>,
    /// Takes over the hosts.
    pub(crate) api: ApiState,
    /// Takes over the certificate.
    pub(crate) api_tls: Arc<ApiTls>,
    /// Takes over how it records.
    pub(crate) store: Store,
    /// Tries at once what has failed so far; its settings are those of the start.
    pub(crate) identity: Identity,
}

impl Reload {
    /// Reads and takes over, and says to the log what came of it.
    pub(crate) fn run(&mut self) {
        self.identity.wake();
        match self.try_run() {
            Ok(later) if later.is_empty() => log::info(format_args!("the configuration was read again")),
            Ok(later) => log::warn(format_args!(
                "the configuration was read again; what has changed in {} takes effect when the instance is started again",
                later.join(", ")
            )),
            Err(error) => {
                let text = error.to_string();
                let hint = if is_denied(&text) {
                    "; a running engine reads the files that were configured at its start, as long as they are not \
                     replaced by others, and everything below /etc/merlon"
                } else {
                    ""
                };
                log::error(format_args!(
                    "the configuration was not taken over, everything stays as it was: {text}{hint}"
                ));
            }
        }
    }

    /// The settings that have changed and were not taken over.
    fn try_run(&mut self) -> Result<Vec<String>, ReloadError> {
        let next = settings::of_engine(&self.settings)?;
        let config = &next.config;
        if self.binds {
            listeners::judge_configured(config)?;
        }
        let certificate = api_tls::operators(&config.api)?;
        let origin_tls = tls::to_origin(tls::with_more(&self.system_roots, &config.proxy.upstream_ca)?)?;

        self.api_tls.replace(certificate);
        self.api.allow_hosts(&config.api.allowed_hosts);
        self.store.retune(&config.recording);
        self.proxy.send_modify(|proxy| {
            let mut next = Proxy::clone(proxy);
            next.set(config, origin_tls);
            *proxy = Arc::new(next);
        });
        // Always against the start: what waits for another one is told until it comes.
        Ok(changed(&self.current, &next.values))
    }
}

/// EACCES as the standard library writes it: what the sandbox answers for a file that is not granted.
fn is_denied(text: &str) -> bool {
    text.contains("(os error 13)")
}

fn changed(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let keys = before.keys().chain(now.keys().filter(|key| !before.contains_key(*key)));
    keys.filter(|key| !TAKEN.contains(&key.as_str()) && before.get(*key) != now.get(*key)).cloned().collect()
}

/// The files that a reload reads, for the sandbox.
///
/// A rule of Landlock is about a file, not its name: after an editor (or a tool that renews certificates) has put another
/// one in its place, that one is out of reach. A directory would do, but only one is granted: the system's own
/// /etc/merlon, for an instance that is configured there. Whatever else a certificate lies in may hold the keys of other
/// services (/etc/ssl/private does), and below the directory of a `merlond run` there are the keeper's files.
pub(crate) fn files(config_file: Option<&Path>, config: &Config) -> Vec<PathBuf> {
    let of_system = config_file.and_then(Path::parent).filter(|parent| *parent == Path::new(Paths::SYSTEM_CONFIG));
    let certificate = config.api.tls_cert.iter().chain(&config.api.tls_key);
    let more = certificate.chain(&config.proxy.upstream_ca).map(PathBuf::as_path);
    config_file.into_iter().chain(of_system).chain(more).map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use merlon_config::{Layer, Layers, Resolved};

    use super::*;

    fn resolved(text: &str) -> Resolved {
        let mut layers = Layers::default();
        layers.push(Layer::file("x.toml", text).unwrap());
        layers.resolve().unwrap()
    }

    #[test]
    fn what_needs_another_start_is_named_and_nothing_else() {
        let before = resolved("proxy.listen = ['127.0.0.1:1']\napi.tls_cert = '/a'\napi.tls_key = '/b'\n");
        let now = resolved(
            "proxy.listen = ['127.0.0.1:2']\nproxy.passthrough = ['a.example']\negress.deny_private = true\n\
             egress.connect_timeout_seconds = 3\nlimits.connections = 7\nlimits.idle_seconds = 9\n",
        );
        assert_eq!(
            changed(&before.values, &now.values),
            ["egress.connect_timeout_seconds", "limits.connections", "proxy.listen"]
        );
        assert!(changed(&now.values, &now.values).is_empty());
    }

    #[test]
    fn every_setting_that_is_taken_over_exists() {
        let all = resolved("api.tls_cert = '/a'\napi.tls_key = '/b'\n");
        for key in TAKEN {
            assert!(all.values.contains_key(*key), "{key}");
        }
    }

    #[test]
    fn one_directory_is_granted_and_only_to_an_instance_of_the_system() {
        let config = resolved("api.tls_cert = '/etc/ssl/a.pem'\napi.tls_key = '/etc/ssl/private/a.key'\n").config;
        let granted = |file: &str| files(Some(Path::new(file)), &config);
        let certificate = ["/etc/ssl/a.pem", "/etc/ssl/private/a.key"].map(PathBuf::from);
        assert_eq!(granted("/home/a/merlon.toml"), [&["/home/a/merlon.toml".into()], &certificate[..]].concat());
        let system = ["/etc/merlon/a.toml", "/etc/merlon"].map(PathBuf::from);
        assert_eq!(granted("/etc/merlon/a.toml"), [&system[..], &certificate[..]].concat());
    }
}
