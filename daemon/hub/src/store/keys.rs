//! Registration keys (RFC 7591 calls them initial access tokens): making, listing, revoking. They are used up by a
//! registration, in its own transaction.

use rusqlite::named_params;

use super::accounts::Account;
use super::audit::{self, Entry};
use super::{Store, StoreError};

/// Keys of an account at most.
const MAX_KEYS: i64 = 100;

/// A key to be made.
pub(crate) struct NewKey {
    /// Its id.
    pub(crate) id: String,
    /// SHA-256 of the key.
    pub(crate) hash: [u8; 32],
    /// What it is for.
    pub(crate) label: String,
    /// One registration only.
    pub(crate) single: bool,
    /// Ends. Microseconds since 1970-01-01 UTC.
    pub(crate) expires_us: i64,
    /// Where the request came from.
    pub(crate) address: String,
}

/// A key as its maker sees it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Its id.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) label: String,
    /// One registration only.
    pub(crate) single: bool,
    /// Registrations made with it.
    pub(crate) used: u32,
    /// Made.
    pub(crate) created_us: i64,
    /// Ends.
    pub(crate) expires_us: Option<i64>,
}

/// Makes a key. False: the account has as many as it may have.
pub(crate) async fn make(store: &Store, maker: Account, new: NewKey, now_us: i64) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            tx.execute("DELETE FROM registration_keys WHERE account = ?1 AND expires_us <= ?2", (&maker.id, now_us))?;
            let count: i64 =
                tx.query_row("SELECT count(*) FROM registration_keys WHERE account = ?1", [&maker.id], |row| {
                    row.get(0)
                })?;
            if count >= MAX_KEYS {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO registration_keys (id, hash, account, label, single_use, created_us, expires_us)
                 VALUES (:id, :hash, :account, :label, :single, :now, :expires)",
            )?
            .execute(named_params! {
                ":id": new.id, ":hash": new.hash, ":account": maker.id, ":label": new.label, ":single": new.single,
                ":now": now_us, ":expires": new.expires_us,
            })?;
            let entry = Entry {
                event: "registration-key-made",
                actor: maker.name,
                account: Some(maker.id),
                address: new.address,
                details: new.label,
                ..Entry::default()
            };
            audit::record(tx, now_us, &entry)?;
            Ok(true)
        })
        .await
}

/// The keys of an account that may still be used, the newest first.
pub(crate) async fn list(store: &Store, account: String, now_us: i64) -> Result<Vec<Listed>, StoreError> {
    store
        .read(move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT id, label, single_use, used, created_us, expires_us FROM registration_keys
                 WHERE account = ?1 AND (expires_us IS NULL OR expires_us > ?2) AND NOT (single_use AND used > 0)
                 ORDER BY created_us DESC",
            )?;
            let rows = query.query_map((account, now_us), |row| {
                Ok(Listed {
                    id: row.get(0)?,
                    label: row.get(1)?,
                    single: row.get(2)?,
                    used: row.get(3)?,
                    created_us: row.get(4)?,
                    expires_us: row.get(5)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
}

/// Revokes a key; what was registered with it stays.
pub(crate) async fn revoke(
    store: &Store,
    maker: Account,
    id: String,
    address: String,
    now_us: i64,
) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            let gone =
                tx.execute("DELETE FROM registration_keys WHERE id = ?1 AND account = ?2", (&id, &maker.id))? > 0;
            if gone {
                let entry = Entry {
                    event: "registration-key-revoked",
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
