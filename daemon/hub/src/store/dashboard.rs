//! The hub's own dashboard, a client like others: public, with one redirect URI and the scope `hub`. There is one.

use rusqlite::named_params;

use super::{Store, StoreError};
use crate::clients::{AuthMethod, Kind, Metadata};
use crate::oauth::registration::{AUTHORIZATION_CODE, REFRESH_TOKEN};
use crate::oauth::scope::Scopes;
use crate::random::{self, NoRandomness};

/// Its `client_id`.
pub(crate) const CLIENT_ID: &str = "cli_dashboard";

/// Why the dashboard could not be registered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DashboardError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Registers the dashboard, or its redirect URI anew if the hub has another issuer now.
///
/// # Errors
/// [`DashboardError`].
pub(crate) async fn register(store: &Store, redirect_uri: String, now_us: i64) -> Result<(), DashboardError> {
    let metadata = Metadata {
        client_name: Some("Dashboard of this hub".to_owned()),
        redirect_uris: vec![redirect_uri],
        grant_types: vec![AUTHORIZATION_CODE.to_owned(), REFRESH_TOKEN.to_owned()],
        response_types: vec!["code".to_owned()],
        scope: Scopes::HUB.or(Scopes::OFFLINE_ACCESS).to_string(),
        ..Metadata::default()
    };
    let metadata = serde_json::to_string(&metadata).map_err(|_| StoreError::Damaged("metadata"))?;
    let rotation_key: [u8; 32] = random::bytes()?;
    store
        .write(move |tx| {
            tx.execute(
                "INSERT INTO clients (id, kind, metadata, auth, rotation_key, created_us)
                 VALUES (:id, :kind, :metadata, :auth, :rotation_key, :now)
                 ON CONFLICT (id) DO UPDATE SET metadata = excluded.metadata",
                named_params! {
                    ":id": CLIENT_ID, ":kind": Kind::Dashboard.as_str(), ":metadata": metadata,
                    ":auth": AuthMethod::None.as_str(), ":rotation_key": rotation_key, ":now": now_us,
                },
            )?;
            Ok(())
        })
        .await?;
    Ok(())
}
