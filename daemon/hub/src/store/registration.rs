//! Registering clients (RFC 7591): one transaction that judges the registration key, clears away what an instance left
//! behind that was killed while it registered, holds the cap, and adds the client.

use rusqlite::{OptionalExtension as _, Transaction, named_params, params};

use super::audit::{self, Entry};
use super::{Store, StoreError};
use crate::clients::Kind;
use crate::oauth::registration::Fit;
use crate::random::Hash;

/// A client to be.
#[derive(Clone)]
pub(crate) struct New {
    /// `client_id`
    pub(crate) id: String,
    /// What it registers.
    pub(crate) fit: Fit,
    /// Hash of its secret, if it has one.
    pub(crate) secret: Option<Hash>,
    /// Hash of its registration access token.
    pub(crate) registration: Hash,
    /// What derives the registration access tokens after it.
    pub(crate) rotation_key: [u8; 32],
    /// Thumbprint of the key whose possession was proved.
    pub(crate) proven: Option<String>,
    /// Hash of the registration key it came with.
    pub(crate) key: Option<Hash>,
    /// From where.
    pub(crate) address: String,
    /// Clients at most.
    pub(crate) most: u32,
    /// Now. Microseconds since 1970-01-01 UTC.
    pub(crate) now_us: i64,
}

/// The account that owns a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// `sub`
    pub(crate) id: String,
    /// For people.
    pub(crate) name: String,
}

/// What became of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    /// It is registered, and owned by whoever made the key.
    Done(Option<Owner>),
    /// The registration key is wrong, expired or used up, or its maker is locked.
    WrongKey,
    /// There are as many clients as the configuration permits.
    Full,
}

/// Registers a client.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn register(store: &Store, new: New) -> Result<Registered, StoreError> {
    store.write(move |tx| add(tx, &new)).await
}

fn add(tx: &Transaction<'_>, new: &New) -> Result<Registered, StoreError> {
    let key = match &new.key {
        None => None,
        Some(hash) => match find_key(tx, hash, new.now_us)? {
            Some(key) => Some(key),
            None => return Ok(Registered::WrongKey),
        },
    };
    let owner = key.as_ref().map(|key| &key.owner);
    let replaced = clear(tx, new.proven.as_deref(), owner)?;
    // A key for one use that was used up by the very client that is replaced has not been used: that one never worked.
    if key.as_ref().is_some_and(|key| key.single_use && key.used > 0 && !replaced.owned) {
        return Ok(Registered::WrongKey);
    }
    let clients: u32 =
        tx.prepare_cached("SELECT count(*) FROM clients WHERE kind <> 'dashboard'")?.query_row((), |row| row.get(0))?;
    if clients >= new.most {
        return Ok(Registered::Full);
    }
    insert(tx, new, owner)?;
    let entry = Entry {
        event: "client-registered",
        actor: new.id.clone(),
        account: owner.map(|owner| owner.id.clone()),
        client: Some(new.id.clone()),
        address: new.address.clone(),
        details: if owner.is_some() { "with a registration key".to_owned() } else { String::new() },
    };
    audit::record(tx, new.now_us, &entry)?;
    if let Some(key) = &key
        && !replaced.owned
    {
        tx.prepare_cached("UPDATE registration_keys SET used = used + 1 WHERE id = ?1")?.execute([&key.id])?;
    }
    Ok(Registered::Done(key.map(|key| key.owner)))
}

struct Key {
    id: String,
    owner: Owner,
    single_use: bool,
    used: i64,
}

fn find_key(tx: &Transaction<'_>, hash: &Hash, now_us: i64) -> Result<Option<Key>, StoreError> {
    Ok(tx
        .prepare_cached(
            "SELECT k.id, a.id, a.name, k.single_use, k.used FROM registration_keys k JOIN accounts a ON a.id = k.account
             WHERE k.hash = ?1 AND a.locked = 0 AND (k.expires_us IS NULL OR k.expires_us > ?2)",
        )?
        .query_row(params![hash, now_us], |row| {
            Ok(Key {
                id: row.get(0)?,
                owner: Owner { id: row.get(1)?, name: row.get(2)? },
                single_use: row.get(3)?,
                used: row.get(4)?,
            })
        })
        .optional()?)
}

struct Replaced {
    /// One of them was owned by the maker of the key.
    owned: bool,
}

/// Removes clients of the same proven key that nobody signed in at: of nobody, or of the maker of the registration key
/// and never used. An instance that lost the answer to its registration leaves no second one behind.
fn clear(tx: &Transaction<'_>, proven: Option<&str>, owner: Option<&Owner>) -> Result<Replaced, StoreError> {
    let Some(thumbprint) = proven else { return Ok(Replaced { owned: false }) };
    tx.prepare_cached(
        "DELETE FROM clients WHERE thumbprint = ?1 AND kind = 'instance' AND owner IS NULL
             AND NOT EXISTS (SELECT 1 FROM grants WHERE client = clients.id AND account IS NOT NULL)",
    )?
    .execute([thumbprint])?;
    let owned = match owner {
        None => 0,
        Some(owner) => tx
            .prepare_cached(
                "DELETE FROM clients WHERE thumbprint = ?1 AND kind = 'instance' AND owner = ?2 AND used_us IS NULL",
            )?
            .execute([thumbprint, &owner.id])?,
    };
    Ok(Replaced { owned: owned > 0 })
}

fn insert(tx: &Transaction<'_>, new: &New, owner: Option<&Owner>) -> Result<(), StoreError> {
    let metadata = serde_json::to_string(&new.fit.metadata).map_err(|_| StoreError::Damaged("metadata"))?;
    let version = match new.fit.kind {
        Kind::Instance => new.fit.metadata.software_version.as_deref().unwrap_or_default(),
        Kind::Other | Kind::Dashboard => "",
    };
    tx.prepare_cached(
        "INSERT INTO clients (id, kind, metadata, auth, secret, registration, rotation_key, thumbprint, owner, version,
                              address, created_us)
         VALUES (:id, :kind, :metadata, :auth, :secret, :registration, :rotation_key, :thumbprint, :owner, :version,
                 :address, :now)",
    )?
    .execute(named_params! {
        ":id": new.id,
        ":kind": new.fit.kind.as_str(),
        ":metadata": metadata,
        ":auth": new.fit.auth.as_str(),
        ":secret": new.secret,
        ":registration": new.registration,
        ":rotation_key": new.rotation_key,
        ":thumbprint": new.proven,
        ":owner": owner.map(|owner| &owner.id),
        ":version": version,
        ":address": new.address,
        ":now": new.now_us,
    })?;
    Ok(())
}
