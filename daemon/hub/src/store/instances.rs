//! What an instance tells about itself, and what it is told in return.

use rusqlite::OptionalExtension as _;

use super::{Store, StoreError, clients};

/// What an instance is told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// What it is called here.
    pub(crate) name: String,
    /// Its owner: `sub` and name.
    pub(crate) owner: Option<(String, String)>,
    /// New credentials wait for it.
    pub(crate) rotate: bool,
}

/// It lives, and runs this version. None: it was deleted.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn report(
    store: &Store,
    client: String,
    version: String,
    address: String,
    now_us: i64,
) -> Result<Option<Told>, StoreError> {
    store
        .write(move |tx| {
            tx.prepare_cached(
                "UPDATE clients SET version = ?2, address = ?3, seen_us = ?4, used_us = ?4 WHERE id = ?1",
            )?
            .execute((&client, version, address, now_us))?;
            let Some(found) = clients::find(tx, &client)? else { return Ok(None) };
            let (given, rotate): (String, bool) = tx
                .prepare_cached("SELECT given_name, rotate FROM clients WHERE id = ?1")?
                .query_row([&client], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let owner = match found.owner {
                Some(owner) => tx
                    .prepare_cached("SELECT id, name FROM accounts WHERE id = ?1")?
                    .query_row([owner], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?,
                None => None,
            };
            let name = if given.is_empty() { found.metadata.client_name.unwrap_or(found.id) } else { given };
            Ok(Some(Told { name, owner, rotate }))
        })
        .await
}
