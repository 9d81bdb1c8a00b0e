//! Clients: looked up at every request.

use std::sync::Arc;

use rusqlite::{OptionalExtension as _, Row, Transaction};

use super::{Store, StoreError};
use crate::clients::{AuthMethod, Client, Kind};

/// The columns that [`read`] takes, in its order.
pub(super) const COLUMNS: &str = "id, kind, metadata, auth, secret, thumbprint, owner, version, created_us";

/// The client of this id, as it was last committed.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn by_id(store: &Store, id: &str) -> Result<Option<Arc<Client>>, StoreError> {
    let age = match store.0.clients.get(id) {
        Ok(client) => return Ok(Some(client)),
        Err(age) => age,
    };
    let id = id.to_owned();
    let found = store.read(move |tx| find(tx, &id)).await?.map(Arc::new);
    if let Some(client) = &found {
        store.0.clients.keep(client, age);
    }
    Ok(found)
}

/// As [`by_id`], within a transaction.
pub(super) fn find(tx: &Transaction<'_>, id: &str) -> Result<Option<Client>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM clients WHERE id = ?1"))?;
    statement.query_row([id], |row| Ok(read(row))).optional()?.transpose()
}

/// A row of [`COLUMNS`].
pub(super) fn read(row: &Row<'_>) -> Result<Client, StoreError> {
    let damaged = || StoreError::Damaged("a client");
    Ok(Client {
        id: row.get(0)?,
        kind: Kind::parse(row.get_ref(1)?.as_str().map_err(|_| damaged())?).ok_or_else(damaged)?,
        metadata: serde_json::from_str(row.get_ref(2)?.as_str().map_err(|_| damaged())?).map_err(|_| damaged())?,
        auth: AuthMethod::parse(row.get_ref(3)?.as_str().map_err(|_| damaged())?).ok_or_else(damaged)?,
        secret: row.get(4)?,
        thumbprint: row.get(5)?,
        owner: row.get(6)?,
        version: row.get(7)?,
        created_us: row.get(8)?,
    })
}
