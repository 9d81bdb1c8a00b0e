//! Which settings the hub starts from: file, environment, flags; and what it calls itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use merlon_config::{Hub, Resolved};
use merlon_parent::settings::{SettingsError, load};

use crate::command_line;
use crate::issuer::{Issuer, IssuerError};

/// The name of a flag, its section, key and value.
pub(crate) type Flag = (&'static str, &'static str, &'static str, String);

/// Why the hub has no issuer. Exit code 78.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoIssuer {
    /// What is configured is none.
    #[error("hub.issuer = {text:?} is no issuer: {source}")]
    Wrong {
        /// As configured.
        text: String,
        /// Why.
        source: IssuerError,
    },
    /// None is configured, and none can be made up.
    #[error(
        "the hub needs hub.issuer, because {address} stands for no one address; set the URL under which clients reach it"
    )]
    Unspecified {
        /// The first listener.
        address: SocketAddr,
    },
}

/// All layers of a server.
pub(crate) fn of_server(settings: &command_line::Settings) -> Result<Resolved, SettingsError> {
    load(settings.config.as_deref(), &flags(settings))
}

/// The flags that were given.
pub(crate) fn flags(settings: &command_line::Settings) -> Vec<Flag> {
    let text = |path: &PathBuf| path.display().to_string();
    let given = [
        ("--issuer", "issuer", settings.issuer.clone()),
        ("--tls-cert", "tls_cert", settings.tls_cert.as_ref().map(text)),
        ("--tls-key", "tls_key", settings.tls_key.as_ref().map(text)),
    ];
    given.into_iter().filter_map(|(flag, key, value)| Some((flag, "hub", key, value?))).collect()
}

/// The configured issuer, or one made of the first listener as it is bound.
///
/// # Errors
/// [`NoIssuer`].
pub(crate) fn issuer(hub: &Hub, first: SocketAddr) -> Result<Issuer, NoIssuer> {
    let text = match &hub.issuer {
        Some(text) => text.clone(),
        None if first.ip().to_canonical().is_unspecified() => return Err(NoIssuer::Unspecified { address: first }),
        None => format!("{}://{first}", if hub.tls_cert.is_some() { "https" } else { "http" }),
    };
    Issuer::parse(&text).map_err(|source| NoIssuer::Wrong { text, source })
}
