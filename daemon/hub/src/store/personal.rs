//! Personal access tokens. They work at the hub's own API only, and only as long as their account may sign in.

use rusqlite::{OptionalExtension as _, named_params};

use super::accounts::Account;
use super::audit::{self, Entry};
use super::{Store, StoreError};

/// Tokens of an account at most.
const MAX_TOKENS: i64 = 100;
/// A use is written down when the last one is this long ago.
const NOTED_US: i64 = 60_000_000;

/// A token to be made.
pub(crate) struct NewToken {
    /// Its id.
    pub(crate) id: String,
    /// SHA-256 of the token.
    pub(crate) hash: [u8; 32],
    /// What it is for.
    pub(crate) label: String,
    /// What it may approve, space-separated.
    pub(crate) scope: String,
    /// Ends. Microseconds since 1970-01-01 UTC.
    pub(crate) expires_us: i64,
    /// Where the request came from.
    pub(crate) address: String,
}

/// A token as its maker sees it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Its id.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) label: String,
    /// What it may approve.
    pub(crate) scope: String,
    /// Made.
    pub(crate) created_us: i64,
    /// Used last, to a minute.
    pub(crate) used_us: Option<i64>,
    /// Ends.
    pub(crate) expires_us: Option<i64>,
}

/// Makes a token. False: the account has as many as it may have.
pub(crate) async fn make(store: &Store, maker: Account, new: NewToken, now_us: i64) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            tx.execute("DELETE FROM personal_tokens WHERE account = ?1 AND expires_us <= ?2", (&maker.id, now_us))?;
            let count: i64 =
                tx.query_row("SELECT count(*) FROM personal_tokens WHERE account = ?1", [&maker.id], |row| row.get(0))?;
            if count >= MAX_TOKENS {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO personal_tokens (id, hash, account, label, scope, created_us, expires_us)
                 VALUES (:id, :hash, :account, :label, :scope, :now, :expires)",
            )?
            .execute(named_params! {
                ":id": new.id, ":hash": new.hash, ":account": maker.id, ":label": new.label, ":scope": new.scope,
                ":now": now_us, ":expires": new.expires_us,
            })?;
            let entry = Entry {
                event: "personal-token-made",
                actor: maker.name,
                account: Some(maker.id),
                address: new.address,
                details: format!("{}: {}", new.label, new.scope),
                ..Entry::default()
            };
            audit::record(tx, now_us, &entry)?;
            Ok(true)
        })
        .await
}

/// The tokens of an account, the newest first.
pub(crate) async fn list(store: &Store, account: String, now_us: i64) -> Result<Vec<Listed>, StoreError> {
    store
        .read(move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT id, label, scope, created_us, used_us, expires_us FROM personal_tokens
                 WHERE account = ?1 AND (expires_us IS NULL OR expires_us > ?2) ORDER BY created_us DESC",
            )?;
            let rows = query.query_map((account, now_us), |row| {
                Ok(Listed {
                    id: row.get(0)?,
                    label: row.get(1)?,
                    scope: row.get(2)?,
                    created_us: row.get(3)?,
                    used_us: row.get(4)?,
                    expires_us: row.get(5)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
}

/// Revokes a token.
pub(crate) async fn revoke(
    store: &Store,
    maker: Account,
    id: String,
    address: String,
    now_us: i64,
) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            let gone = tx.execute("DELETE FROM personal_tokens WHERE id = ?1 AND account = ?2", (&id, &maker.id))? > 0;
            if gone {
                let entry = Entry {
                    event: "personal-token-revoked",
                    actor: maker.name,
                    account: Some(maker.id),
                    address,
                    details: id,
                    ..Entry::default()
                };
                audit::record(tx, now_us, &entry)?;
            }
            Ok(gone)
        })
        .await
}

/// Whose token this is, and what it may approve.
pub(crate) async fn find(store: &Store, hash: [u8; 32], now_us: i64) -> Result<Option<(Account, String)>, StoreError> {
    let found = store
        .read(move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT t.id, t.scope, t.used_us, a.id, a.name, a.admin, a.created_us, a.password_us
                 FROM personal_tokens t JOIN accounts a ON a.id = t.account
                 WHERE t.hash = ?1 AND (t.expires_us IS NULL OR t.expires_us > ?2) AND a.locked = 0",
            )?;
            let found = query.query_row((hash, now_us), |row| {
                let account = Account {
                    id: row.get(3)?,
                    name: row.get(4)?,
                    admin: row.get(5)?,
                    locked: false,
                    created_us: row.get(6)?,
                    password_us: row.get(7)?,
                };
                Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(2)?, account, row.get::<_, String>(1)?))
            });
            Ok(found.optional()?)
        })
        .await?;
    let Some((id, used_us, account, scope)) = found else { return Ok(None) };
    if used_us.is_none_or(|used| now_us.saturating_sub(used) >= NOTED_US) {
        // A full disk is no reason to refuse whoever only looks.
        let noted = store
            .write(move |tx| {
                tx.prepare_cached("UPDATE personal_tokens SET used_us = ?2 WHERE id = ?1")?.execute((id, now_us))?;
                Ok(())
            })
            .await;
        drop(noted);
    }
    Ok(Some((account, scope)))
}
