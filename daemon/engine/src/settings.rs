//! Which settings an engine starts from: file, environment, flags.

use merlon_config::Resolved;
pub(crate) use merlon_parent::settings::{SettingsError, load};

use crate::args;

/// All layers of an engine.
pub(crate) fn of_engine(settings: &args::Settings) -> Result<Resolved, SettingsError> {
    let mut flags = Vec::new();
    if settings.allow_public_proxy {
        flags.push(("--allow-public-proxy", "proxy", "allow_public_bind", "true".to_owned()));
    }
    load(settings.config.as_deref(), &flags)
}
