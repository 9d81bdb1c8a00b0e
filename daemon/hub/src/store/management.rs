//! The registration of a client in the hands of the client (RFC 7592): read, replaced, deleted, by its registration
//! access token. Replacing rotates the token. The next one is derived from the one used, so that it can be given again
//! if the answer was lost; with the first use of the next one the one before is refused.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use merlon_sandbox::secret::ct_eq;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::audit::{self, Entry};
use super::registration::Owner;
use super::{Store, StoreError, clients};
use crate::clients::Client;
use crate::oauth::registration::Fit;
use crate::random::{self, Hash};

/// What registration access tokens begin with.
pub(crate) const PREFIX: &str = "mhm_";

/// A client that showed its registration access token.
#[derive(Clone)]
pub(crate) struct Managed {
    /// As it is registered.
    pub(crate) client: Client,
    /// Who owns it.
    pub(crate) owner: Option<Owner>,
    /// The token to use from now on.
    pub(crate) token: String,
    /// The secret that this replacement gave it.
    pub(crate) secret: Option<String>,
}

/// Why a registration access token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    /// It is none, of none that lives.
    Unknown,
    /// It is that of another client.
    Forbidden,
}

/// The client of this id, if the token is its own.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn read(store: &Store, id: String, token: String) -> Result<Result<Managed, Shut>, StoreError> {
    store
        .write(move |tx| {
            let open = match open(tx, &id, &token)? {
                Ok(open) => open,
                Err(shut) => return Ok(Err(shut)),
            };
            let (fresh, fresh_hash) = open.fresh_secret(&token);
            let mut client = open.client;
            let next = next(&open.rotation_key, &token);
            if open.rotate {
                // Its owner wants other credentials: given with the first answer that the client asks for.
                client.secret = client.secret.map(|_| fresh_hash);
                tx.prepare_cached("UPDATE clients SET next_registration = ?2, secret = ?3, rotate = 0 WHERE id = ?1")?
                    .execute(params![id, random::hash(next.as_bytes()), client.secret])?;
            }
            let given = (client.secret == Some(fresh_hash)).then_some(fresh);
            let token = if open.rotating || open.rotate { next } else { token };
            managed(tx, client, token, given).map(Ok)
        })
        .await
}

/// When and from where a change came.
#[derive(Clone, Debug)]
pub(crate) struct By {
    /// Address.
    pub(crate) address: String,
    /// Microseconds since 1970-01-01 UTC.
    pub(crate) now_us: i64,
}

/// What a client replaces its registration with.
#[derive(Clone)]
pub(crate) struct Replacement {
    /// All of it.
    pub(crate) fit: Fit,
    /// Hash of the secret that it has from now on; none if it needs none.
    pub(crate) secret: Option<Hash>,
}

/// Replaces the registration by what `replacement` makes of it, and rotates the token. `replacement` is given the client
/// as it is, and the hash of a secret that it can be given: the same one if the answer was lost and it asks again.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn replace<E, F>(
    store: &Store,
    id: String,
    token: String,
    by: By,
    replacement: F,
) -> Result<Result<Result<Managed, E>, Shut>, StoreError>
where
    E: Send + 'static,
    F: FnOnce(&Client, &Hash) -> Result<Replacement, E> + Send + 'static,
{
    store
        .write(move |tx| {
            let open = match open(tx, &id, &token)? {
                Ok(open) => open,
                Err(shut) => return Ok(Err(shut)),
            };
            let (fresh, fresh_hash) = open.fresh_secret(&token);
            let Replacement { fit, secret } = match replacement(&open.client, &fresh_hash) {
                Ok(replacement) => replacement,
                Err(refused) => return Ok(Ok(Err(refused))),
            };
            let secret = if open.rotate { secret.map(|_| fresh_hash) } else { secret };
            let next = next(&open.rotation_key, &token);
            // Possession was proved of this one key; if it is gone, of none.
            let proven = open.client.thumbprint.filter(|one| fit.thumbprints.contains(one));
            let metadata = serde_json::to_string(&fit.metadata).map_err(|_| StoreError::Damaged("metadata"))?;
            tx.prepare_cached(
                "UPDATE clients SET metadata = ?2, auth = ?3, secret = ?4, thumbprint = ?5, next_registration = ?6,
                        rotate = 0
                 WHERE id = ?1",
            )?
            .execute(params![
                id,
                metadata,
                fit.auth.as_str(),
                secret,
                proven,
                random::hash(next.as_bytes())
            ])?;
            record(tx, "client-changed", &id, &by)?;
            let client = clients::find(tx, &id)?.ok_or(StoreError::Damaged("a client that vanished"))?;
            let given = (secret == Some(fresh_hash)).then_some(fresh);
            managed(tx, client, next, given).map(|managed| Ok(Ok(managed)))
        })
        .await
}

/// Deletes the client, and with it all that was granted to it.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn delete(store: &Store, id: String, token: String, by: By) -> Result<Result<(), Shut>, StoreError> {
    store
        .write(move |tx| {
            if let Err(shut) = open(tx, &id, &token)? {
                return Ok(Err(shut));
            }
            tx.prepare_cached("DELETE FROM clients WHERE id = ?1")?.execute([&id])?;
            record(tx, "client-deleted", &id, &by)?;
            Ok(Ok(()))
        })
        .await
}

struct Open {
    client: Client,
    rotation_key: [u8; 32],
    /// The token shown has a successor that was not used yet.
    rotating: bool,
    /// The owner wants it to have other credentials.
    rotate: bool,
}

impl Open {
    /// The secret that an answer to this token gives, if it gives one: always the same, so that a lost answer can be given
    /// again.
    fn fresh_secret(&self, token: &str) -> (String, Hash) {
        let secret = derive("mhs_", &self.rotation_key, &format!("secret {token}"));
        let hash = random::hash(secret.as_bytes());
        (secret, hash)
    }
}

/// The client, if the token is its own: the current one, or the next one, which becomes the current one by that.
fn open(tx: &Transaction<'_>, id: &str, token: &str) -> Result<Result<Open, Shut>, StoreError> {
    let hash = random::hash(token.as_bytes());
    /// Current and next token, what derives tokens, and whether the owner wants others.
    type Tokens = (Option<Hash>, Option<Hash>, [u8; 32], bool);
    let row: Option<Tokens> = tx
        .prepare_cached("SELECT registration, next_registration, rotation_key, rotate FROM clients WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let is = |kept: &Option<Hash>| kept.as_ref().is_some_and(|kept| ct_eq(kept, &hash));
    let (rotation_key, rotating, rotate) = match row {
        Some((current, next, key, rotate)) if is(&current) => (key, next.is_some(), rotate),
        Some((_, next, key, rotate)) if is(&next) => {
            tx.prepare_cached(
                "UPDATE clients SET registration = next_registration, next_registration = NULL WHERE id = ?1",
            )?
            .execute([id])?;
            (key, false, rotate)
        }
        _ => return Ok(Err(if is_of_another(tx, &hash)? { Shut::Forbidden } else { Shut::Unknown })),
    };
    let client = clients::find(tx, id)?.ok_or(StoreError::Damaged("a client that vanished"))?;
    Ok(Ok(Open { client, rotation_key, rotating, rotate }))
}

fn record(tx: &Transaction<'_>, event: &'static str, id: &str, by: &By) -> Result<(), StoreError> {
    let entry = Entry {
        event,
        actor: id.to_owned(),
        client: Some(id.to_owned()),
        address: by.address.clone(),
        ..Entry::default()
    };
    audit::record(tx, by.now_us, &entry)
}

fn is_of_another(tx: &Transaction<'_>, hash: &Hash) -> Result<bool, StoreError> {
    Ok(tx.prepare_cached("SELECT 1 FROM clients WHERE registration = ?1")?.exists([hash])?)
}

fn managed(tx: &Transaction<'_>, client: Client, token: String, secret: Option<String>) -> Result<Managed, StoreError> {
    let owner = tx
        .prepare_cached("SELECT a.id, a.name FROM clients c JOIN accounts a ON a.id = c.owner WHERE c.id = ?1")?
        .query_row([&client.id], |row| Ok(Owner { id: row.get(0)?, name: row.get(1)? }))
        .optional()?;
    Ok(Managed { client, owner, token, secret })
}

/// The registration access token after `token`.
fn next(rotation_key: &[u8; 32], token: &str) -> String {
    derive(PREFIX, rotation_key, token)
}

fn derive(prefix: &str, key: &[u8; 32], from: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    format!("{prefix}{}", BASE64URL_NOPAD.encode(hmac::sign(&key, from.as_bytes()).as_ref()))
}
