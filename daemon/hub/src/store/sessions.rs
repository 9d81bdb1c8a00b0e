//! Grants as people see them: where an account is signed in, who is signed in at an instance; and their end.

use rusqlite::{OptionalExtension as _, named_params};

use super::accounts::Account;
use super::audit::{self, Entry};
use super::{Store, StoreError};

/// Sessions of one page at most.
const MAX_LISTED: u32 = 500;

/// A session of a person at a client.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Id of the grant: `sid` of its tokens.
    pub(crate) id: String,
    /// Whose it is.
    pub(crate) account_name: String,
    /// The client, as it is called.
    pub(crate) client_name: String,
    /// What the person uses, as it said.
    pub(crate) label: String,
    /// What it may do, space-separated.
    pub(crate) scope: String,
    /// Began. Microseconds since 1970-01-01 UTC.
    pub(crate) created_us: i64,
    /// Used last.
    pub(crate) used_us: i64,
    /// Ends without further use.
    pub(crate) expires_us: i64,
}

/// Whose sessions.
#[derive(Clone, Debug)]
pub(crate) enum Of {
    /// Of this account, everywhere but in the dashboard.
    Account(String),
    /// At this client, of everybody.
    Client(String),
    /// At this client, of this account.
    Both(String, String),
}

/// Sessions that stand, the last used first.
pub(crate) async fn list(store: &Store, of: Of, now_us: i64) -> Result<Vec<Session>, StoreError> {
    let (account, client) = match of {
        Of::Account(account) => (Some(account), None),
        Of::Client(client) => (None, Some(client)),
        Of::Both(client, account) => (Some(account), Some(client)),
    };
    store
        .read(move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT g.id, a.name,
                    CASE WHEN c.given_name <> '' THEN c.given_name
                         ELSE coalesce(json_extract(c.metadata, '$.client_name'), c.id) END,
                    g.label, g.scope, g.created_us, g.used_us, g.expires_us
                 FROM grants g JOIN accounts a ON a.id = g.account JOIN clients c ON c.id = g.client
                 WHERE (:account IS NULL OR g.account = :account) AND (:client IS NULL OR g.client = :client)
                    AND g.ended_us IS NULL AND g.expires_us > :now AND c.kind <> 'dashboard'
                 ORDER BY g.used_us DESC LIMIT :limit",
            )?;
            let params = named_params! { ":account": account, ":client": client, ":now": now_us, ":limit": MAX_LISTED };
            let rows = query.query_map(params, |row| {
                Ok(Session {
                    id: row.get(0)?,
                    account_name: row.get(1)?,
                    client_name: row.get(2)?,
                    label: row.get(3)?,
                    scope: row.get(4)?,
                    created_us: row.get(5)?,
                    used_us: row.get(6)?,
                    expires_us: row.get(7)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
}

/// Ends a session: by who has it, or by the owner of the client. False: it is neither's, or has ended.
pub(crate) async fn end(
    store: &Store,
    by: Account,
    id: String,
    address: String,
    now_us: i64,
) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            let found: Option<(String, String)> = tx
                .prepare_cached(
                    "SELECT g.account, g.client FROM grants g JOIN clients c ON c.id = g.client
                     WHERE g.id = ?1 AND g.ended_us IS NULL AND g.account IS NOT NULL AND (g.account = ?2 OR c.owner = ?2)",
                )?
                .query_row((&id, &by.id), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((account, client)) = found else { return Ok(false) };
            tx.prepare_cached("UPDATE grants SET ended_us = ?2 WHERE id = ?1")?.execute((&id, now_us))?;
            let entry = Entry {
                event: "session-ended",
                actor: by.name,
                account: Some(account),
                client: Some(client),
                address,
                details: id,
            };
            audit::record(tx, now_us, &entry)?;
            Ok(true)
        })
        .await
}

/// Ends all sessions of an account but the dashboard's own, which go with their browsers.
pub(crate) async fn end_all(store: &Store, by: Account, address: String, now_us: i64) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            let ended = tx
                .prepare_cached(
                    "UPDATE grants SET ended_us = ?2 WHERE account = ?1 AND ended_us IS NULL
                     AND client NOT IN (SELECT id FROM clients WHERE kind = 'dashboard')",
                )?
                .execute((&by.id, now_us))?;
            let entry = Entry {
                event: "sessions-ended",
                actor: by.name,
                account: Some(by.id),
                address,
                details: format!("{ended} sessions"),
                ..Entry::default()
            };
            audit::record(tx, now_us, &entry)
        })
        .await
}

/// Ends a session at this client, as the client itself asks. True also for one that has ended before; false: none of
/// this client.
pub(crate) async fn end_at(
    store: &Store,
    client: String,
    id: String,
    address: String,
    now_us: i64,
) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            let found: Option<(Option<String>, bool)> = tx
                .prepare_cached("SELECT account, ended_us IS NULL FROM grants WHERE id = ?1 AND client = ?2")?
                .query_row((&id, &client), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((Some(account), live)) = found else { return Ok(false) };
            if live {
                tx.prepare_cached("UPDATE grants SET ended_us = ?2 WHERE id = ?1")?.execute((&id, now_us))?;
                let entry = Entry {
                    event: "session-ended",
                    actor: client.clone(),
                    account: Some(account),
                    client: Some(client),
                    address,
                    details: id,
                };
                audit::record(tx, now_us, &entry)?;
            }
            Ok(true)
        })
        .await
}
