//! Grants and the access tokens that were given out under them.

use rusqlite::{Transaction, params};

use super::{Store, StoreError};
use crate::clock::SECOND;
use crate::oauth::token::Issued;

/// How old a note of the last use may be before it is written again: a client that asks often costs no more rows for it.
const USED_AGAIN: i64 = 60 * SECOND;

/// What a client gets for itself.
pub(crate) struct ClientGrant {
    /// Its id.
    pub(crate) client: String,
    pub(crate) scope: String,
    pub(crate) audience: String,
    pub(crate) thumbprint: Option<String>,
}

/// A token for the client itself: its one grant of this kind, made at the first time, and the token's row. False: there is
/// no such client any more.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn for_client(store: &Store, grant: ClientGrant, token: Issued) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            // A client has one grant for itself, named after it.
            let id = client_grant_id(&grant.client);
            if !stands(tx, &id, &grant, token.issued_us)? && !renew(tx, &id, &grant, &token)? {
                return Ok(false);
            }
            record_token(tx, &id, &token)?;
            Ok(true)
        })
        .await
}

/// The grant is there as it is asked for, and was noted as used not long ago.
fn stands(tx: &Transaction<'_>, id: &str, grant: &ClientGrant, now_us: i64) -> Result<bool, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT 1 FROM grants WHERE id = ?1 AND used_us > ?2 AND ended_us IS NULL AND scope = ?3 AND audience = ?4
             AND thumbprint IS ?5",
    )?;
    Ok(statement.exists(params![id, now_us - USED_AGAIN, grant.scope, grant.audience, grant.thumbprint])?)
}

/// Makes the grant what is asked for now. Tokens of one that was ended stay ended. False: there is no such client.
fn renew(tx: &Transaction<'_>, id: &str, grant: &ClientGrant, token: &Issued) -> Result<bool, StoreError> {
    let now_us = token.issued_us;
    let mut used = tx.prepare_cached("UPDATE clients SET used_us = ?2 WHERE id = ?1")?;
    if used.execute(params![grant.client, now_us])? == 0 {
        return Ok(false);
    }
    tx.prepare_cached(
        "UPDATE access_tokens SET revoked = 1
         WHERE grant_id = ?1 AND EXISTS (SELECT 1 FROM grants WHERE id = ?1 AND ended_us IS NOT NULL)",
    )?
    .execute([id])?;
    tx.prepare_cached(
        "INSERT INTO grants (id, client, account, via, scope, audience, label, thumbprint, chain_key, created_us,
             used_us, expires_us)
         VALUES (?1, ?2, NULL, 'client', ?3, ?4, '', ?5, NULL, ?6, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET scope = excluded.scope, audience = excluded.audience,
             thumbprint = excluded.thumbprint, used_us = excluded.used_us, expires_us = excluded.expires_us,
             ended_us = NULL",
    )?
    .execute(params![
        id,
        grant.client,
        grant.scope,
        grant.audience,
        grant.thumbprint,
        now_us,
        token.expires_us + USED_AGAIN
    ])?;
    Ok(true)
}

/// The id of a client's grant for itself.
pub(crate) fn client_grant_id(client: &str) -> String {
    format!("grt_{}", client.strip_prefix("cli_").unwrap_or(client))
}

/// The row of an access token that is given out with this transaction.
///
/// # Errors
/// [`StoreError`].
pub(super) fn record_token(tx: &Transaction<'_>, grant: &str, token: &Issued) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO access_tokens (jti, grant_id, expires_us) VALUES (?1, ?2, ?3)")?
        .execute(params![token.jti, grant, token.expires_us])?;
    Ok(())
}
