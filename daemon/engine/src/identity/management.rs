//! What becomes of a registration (RFC 7592): it is changed when the name or the version has changed, looked up when the
//! server refuses the client, and deleted by a reset. Always at the address that the server gave, with the registration
//! token, which a change may replace: the new one is with the keeper before anything else happens, and the old one is
//! used until then.

use axum::http::Method;
use merlon_api::IdentityState;
use merlon_wire::identity::{Client, Credential};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Identity;
use super::error::IdentityError;
use super::http::{Answer, Call};
use super::registration::{Credentials, JSON, Remembered, bearer};
use super::requests::refused;
use super::setup::unpoisoned;
use super::url::Endpoint;
use crate::log;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What became of a reset.
pub(crate) struct Reset {
    /// The registration is gone at the server.
    pub(crate) deleted: bool,
    /// Why it is not, and what to do.
    pub(crate) problem: Option<String>,
}

/// What the server says of a registration.
pub(super) enum Standing {
    /// It stands.
    Stands,
    /// The server does not know it any more.
    Gone,
    /// It cannot be asked: it gave no address for it.
    Unknown,
}

impl Identity {
    /// Tells the server of another name or version. The caller has the turn.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(super) async fn update(&self, client: &Client) -> Result<(), IdentityError> {
        let remembered = Remembered::of(client);
        let name = &self.0.setup.name;
        if remembered.by_hand || (remembered.name == *name && remembered.version == VERSION) {
            return Ok(());
        }
        let Some(endpoint) = managed(client) else { return Ok(()) };
        // As it is there now: somebody may have renamed the instance. A PUT replaces everything (2.2).
        let answer = self.manage(&endpoint, Method::GET, None).await?;
        if let Some(error) = refused(&answer) {
            return Err(error);
        }
        let before = self.credentials().await?;
        let now = self.read_registered(&answer, remembered.metadata.clone(), Some((client, before)))?;
        let mut metadata = now.metadata();
        self.keep(now.sent_as(&remembered)).await?;
        if remembered.name != *name {
            metadata.insert("client_name".into(), name.as_str().into());
        }
        metadata.insert("software_version".into(), VERSION.into());
        metadata.insert("client_id".into(), client.client_id.as_str().into());
        let answer = self.manage(&endpoint, Method::PUT, Some(&metadata)).await?;
        if let Some(error) = refused(&answer) {
            return Err(error);
        }
        let before = self.credentials().await?;
        let changed = self.read_registered(&answer, metadata, Some((client, before)))?;
        self.keep(changed).await
    }

    /// Does the registration stand? What the answer holds of new credentials is kept (RFC 7592, 2.1).
    ///
    /// # Errors
    /// [`IdentityError::Unreachable`], [`IdentityError::Keeper`].
    pub(super) async fn look_up(&self, client: &Client) -> Result<Standing, IdentityError> {
        let Some(endpoint) = managed(client) else { return Ok(Standing::Unknown) };
        let answer = self.manage(&endpoint, Method::GET, None).await?;
        match refused(&answer) {
            None => {
                let before = self.credentials().await?;
                let remembered = Remembered::of(client);
                let found = self.read_registered(&answer, remembered.metadata.clone(), Some((client, before)))?;
                self.keep(found.sent_as(&remembered)).await?;
                Ok(Standing::Stands)
            }
            Some(IdentityError::Refused(error)) if matches!(error.status, 401 | 403 | 404) => Ok(Standing::Gone),
            Some(error) => Err(error),
        }
    }

    /// Deletes the registration at the server as far as that is possible, and has the keeper forget client, owner,
    /// sessions and the instance's own key. The background task registers anew.
    ///
    /// # Errors
    /// [`IdentityError::Unavailable`] without an issuer, [`IdentityError::Keeper`]; nothing was forgotten then.
    pub(crate) async fn reset(&self) -> Result<Reset, IdentityError> {
        if self.0.setup.issuer.is_none() {
            return Err(super::local());
        }
        let _turn = self.0.turn.lock().await;
        let keeper = self.0.links.keeper().await?;
        // Of the keeper, for it may be a client at another issuer than the one that is configured now.
        let client = keeper.identity().await?.client;
        let outcome = match &client {
            None => Reset { deleted: false, problem: None },
            Some(client) => match self.delete(client).await {
                Ok(()) => Reset { deleted: true, problem: None },
                Err(why) => Reset {
                    deleted: false,
                    problem: Some(format!(
                        "the old registration `{}` at {} could not be deleted: {why}; delete it there",
                        client.client_id, client.issuer
                    )),
                },
            },
        };
        // A client that was made by hand is taken over again, with the secret that it has.
        let secret = match &client {
            Some(client) if Remembered::of(client).by_hand => keeper.credential(Credential::ClientSecret).await?,
            _ => None,
        };
        keeper.reset_identity().await?;
        *unpoisoned(&self.0.setup.client_secret) = secret;
        self.forget_deleted();
        self.forget_own_token();
        self.change(|snapshot| snapshot.problem = None);
        self.synchronize().await?;
        self.wake();
        if let Some(problem) = &outcome.problem {
            log::warn(format_args!("{problem}"));
        }
        Ok(outcome)
    }

    async fn delete(&self, client: &Client) -> Result<(), IdentityError> {
        if Remembered::of(client).by_hand {
            return Err(IdentityError::Unavailable("it was made by hand".into()));
        }
        let endpoint =
            managed(client).ok_or_else(|| IdentityError::Unavailable("the server gave no address for that".into()))?;
        let answer = self.manage(&endpoint, Method::DELETE, None).await?;
        match refused(&answer) {
            None => Ok(()),
            // Of a client that is gone the server knows neither token nor address (RFC 7592, 2.3).
            Some(IdentityError::Refused(error))
                if error.status == 401 && self.snapshot().state == IdentityState::Deleted =>
            {
                Ok(())
            }
            Some(error) => Err(error),
        }
    }

    async fn manage(
        &self,
        endpoint: &Endpoint,
        method: Method,
        metadata: Option<&Map<String, Value>>,
    ) -> Result<Answer, IdentityError> {
        let token = self.0.links.keeper().await?.credential(Credential::RegistrationToken).await?;
        let token = token.ok_or_else(|| IdentityError::Unavailable("the server gave no registration token".into()))?;
        let authorization = Some(bearer(&token));
        let body = metadata.map(|map| (JSON, Zeroizing::new(serde_json::to_vec(map).unwrap_or_default())));
        self.0.http.send(Call { method, endpoint, authorization, proof: None, body }).await
    }

    async fn credentials(&self) -> Result<Credentials, IdentityError> {
        let keeper = self.0.links.keeper().await?;
        let mut found = Credentials::default();
        for (which, place) in
            [(Credential::ClientSecret, &mut found.secret), (Credential::RegistrationToken, &mut found.token)]
        {
            if let Some(secret) = keeper.credential(which).await? {
                *place = Zeroizing::new(std::str::from_utf8(secret.as_slice()).unwrap_or_default().to_owned());
            }
        }
        Ok(found)
    }
}

/// Where the registration is managed, exactly as the server gave it.
fn managed(client: &Client) -> Option<Endpoint> {
    client.management.as_deref().and_then(|uri| Endpoint::parse(uri).ok())
}
