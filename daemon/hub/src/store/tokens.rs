//! Tokens that were given out: do they stand (RFC 7662), and their end (RFC 7009). What a person is at the client is
//! asked as of now, not as of when the token was made.

use merlon_api::Role;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::standing::{self, Standing};
use super::{Store, StoreError, clients, issue};
use crate::oauth::scope::Scopes;
use crate::random::Hash;

/// Which token.
#[derive(Clone, Debug)]
pub(crate) enum Token {
    /// An access token, by its `jti`. Its signature has been verified.
    Access(String),
    /// A refresh token, by its hash.
    Refresh(Hash),
}

/// A token that stands.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// The grant.
    pub(crate) grant: String,
    /// The account, and its name; none for a client's own.
    pub(crate) account: Option<(String, String)>,
    /// What the account is at the client now.
    pub(crate) role: Option<Role>,
    /// Of the grant's scopes those that hold now.
    pub(crate) scope: Scopes,
    /// When the token, or for a refresh token the grant, ends. Microseconds since 1970-01-01 UTC.
    pub(crate) expires_us: i64,
    /// When the grant began.
    pub(crate) created_us: i64,
}

/// Does this token of this client stand? Unknown, expired, revoked and another's are all the same: none.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn live(store: &Store, token: Token, client: String, now_us: i64) -> Result<Option<Live>, StoreError> {
    store.read(move |tx| look(tx, &token, &client, now_us)).await
}

struct Found {
    grant: String,
    client: String,
    account: Option<String>,
    scope: Scopes,
    expires_us: i64,
    created_us: i64,
    /// Neither revoked nor rotated, and the grant has not ended.
    stands: bool,
}

fn look(tx: &Transaction<'_>, token: &Token, client: &str, now_us: i64) -> Result<Option<Live>, StoreError> {
    let found = find(tx, token)?.filter(|found| found.client == client && found.stands && found.expires_us > now_us);
    let Some(found) = found else { return Ok(None) };
    let mut live = Live {
        grant: found.grant,
        account: None,
        role: None,
        scope: found.scope,
        expires_us: found.expires_us,
        created_us: found.created_us,
    };
    let Some(account) = found.account else { return Ok(Some(live)) };
    let (Some(client), Some(name)) = (clients::find(tx, client)?, standing::account(tx, &account)?) else {
        return Ok(None);
    };
    let standing = standing::of(tx, &client, &account, false)?;
    if standing == Standing::NotShared {
        return Ok(None);
    }
    live.account = Some((account, name));
    live.role = standing.role();
    live.scope = found.scope.and(standing.scopes().or(Scopes::HUB).or(Scopes::OFFLINE_ACCESS));
    Ok(Some(live))
}

fn find(tx: &Transaction<'_>, token: &Token) -> Result<Option<Found>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(Found {
            grant: row.get(0)?,
            client: row.get(1)?,
            account: row.get(2)?,
            scope: Scopes::stored(row.get_ref(3)?.as_str()?),
            expires_us: row.get(4)?,
            created_us: row.get(5)?,
            stands: row.get(6)?,
        })
    };
    Ok(match token {
        Token::Access(jti) => tx
            .prepare_cached(
                "SELECT g.id, g.client, g.account, g.scope, t.expires_us, g.created_us, t.revoked = 0 AND g.ended_us IS NULL
                 FROM access_tokens t JOIN grants g ON g.id = t.grant_id WHERE t.jti = ?1",
            )?
            .query_row([jti], read)
            .optional()?,
        Token::Refresh(hash) => tx
            .prepare_cached(
                "SELECT g.id, g.client, g.account, g.scope, g.expires_us, g.created_us,
                        r.rotated_us IS NULL AND g.ended_us IS NULL
                 FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id WHERE r.hash = ?1",
            )?
            .query_row([hash], read)
            .optional()?,
    })
}

/// What became of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// The token is dead, or there is none.
    Done,
    /// It is another client's; it lives on.
    Anothers,
}

/// Ends a token. With a refresh token its whole grant ends, also with one that was rotated.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn revoke(store: &Store, token: Token, client: String, now_us: i64) -> Result<Revoked, StoreError> {
    store
        .write(move |tx| {
            let Some(found) = find(tx, &token)? else { return Ok(Revoked::Done) };
            if found.client != client {
                return Ok(Revoked::Anothers);
            }
            match &token {
                Token::Refresh(_) => issue::end(tx, &found.grant, "the client revoked it", now_us)?,
                Token::Access(jti) => {
                    tx.prepare_cached("UPDATE access_tokens SET revoked = 1 WHERE jti = ?1")?.execute(params![jti])?;
                }
            }
            Ok(Revoked::Done)
        })
        .await
}
