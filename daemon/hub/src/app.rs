//! What all handlers share. It exists only while the hub is open: before that, the listener answers in its place.

use std::path::PathBuf;
use std::sync::Arc;

use merlon_config::Hub;

use crate::accounts::Accounts;
use crate::issuer::Issuer;
use crate::keys::Keys;
use crate::limits::Limits;
use crate::oauth::nonces::Nonces;
use crate::random::NoRandomness;
use crate::store::Store;

/// The state of the router. Clones share it.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    hub: Hub,
    issuer: Issuer,
    store: Store,
    keys: Keys,
    limits: Limits,
    nonces: Nonces,
    accounts: Accounts,
}

impl App {
    /// An open hub. `dir`: the store's directory, where the setup code lies.
    ///
    /// # Errors
    /// [`NoRandomness`]
    pub(crate) fn new(hub: Hub, issuer: Issuer, store: Store, keys: Keys, dir: PathBuf) -> Result<Self, NoRandomness> {
        let accounts = Accounts::new(hub.wrong_codes, dir);
        let (limits, nonces) = (Limits::new(), Nonces::new()?);
        Ok(Self(Arc::new(Inner { hub, issuer, store, keys, limits, nonces, accounts })))
    }

    /// `[hub]` of the configuration.
    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Where the hub is for others.
    pub(crate) fn issuer(&self) -> &Issuer {
        &self.0.issuer
    }

    /// The database, for the typed functions of [`crate::store`].
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Signatures and public keys.
    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Passwords, and limits on guessing.
    pub(crate) fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    /// Nonces of proofs.
    pub(crate) fn nonces(&self) -> &Nonces {
        &self.0.nonces
    }

    /// Shared limits.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }
}
