//! Refresh tokens (RFC 6749, 6; RFC 9700, 4.14.2): each is used once and gives the next. The next one is derived from the
//! one used and a key of the grant, so that it can be given once more, to a client that lost the answer, without being
//! kept: for a short time, and only as long as it has not been used itself. Any other second use ends the grant.
//!
//! What is kept are hashes. Of two refreshes at the same time one rotates, the other is given the same successor.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::issue::{self, Issue, Signed};
use super::{Store, StoreError, clients, grants, standing};
use crate::clients::Client;
use crate::oauth::scope::Scopes;
use crate::random::{self, Hash};

/// What refresh tokens begin with.
pub(crate) const PREFIX: &str = "mhr_";

/// A refresh.
#[derive(Clone)]
pub(crate) struct Refresh {
    /// The token.
    pub(crate) token: String,
    /// The client that has authenticated.
    pub(crate) client: String,
    /// Scopes that are asked for; none: all that was granted.
    pub(crate) scope: Option<Scopes>,
    /// Thumbprint of the key whose possession was proved.
    pub(crate) thumbprint: Option<String>,
    /// How long a lost answer may be asked for again. Microseconds.
    pub(crate) grace_us: i64,
    /// How long the grant stands without use. Microseconds.
    pub(crate) idle_us: i64,
    /// Now. Microseconds since 1970-01-01 UTC.
    pub(crate) now_us: i64,
}

/// What a refresh is answered.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// Sign this and ask again.
    Sign(Issue),
    /// Done.
    Done {
        /// The next refresh token.
        next: String,
    },
    /// No token of this client, or it has expired or was ended.
    Unknown,
    /// Used before: everything that came of its grant has ended now.
    Reused,
    /// The grant is bound to another key, or no key was proved.
    OtherKey,
    /// More is asked for than was granted.
    Wider,
    /// The person may not any more; says why. The grant has ended.
    Denied(&'static str),
}

/// Answers a refresh; with a token signed for what the last answer asked for, rotates.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn refresh(store: &Store, ask: Refresh, signed: Option<Signed>) -> Result<Refreshed, StoreError> {
    store.write(move |tx| answer(tx, &ask, signed.as_ref())).await
}

struct Found {
    grant: String,
    rotated_us: Option<i64>,
    successor: Option<Hash>,
    client: String,
    account: Option<String>,
    scope: Scopes,
    audience: String,
    thumbprint: Option<String>,
    chain_key: Option<[u8; 32]>,
    expires_us: i64,
    ended_us: Option<i64>,
}

fn answer(tx: &Transaction<'_>, ask: &Refresh, signed: Option<&Signed>) -> Result<Refreshed, StoreError> {
    let hash = random::hash(ask.token.as_bytes());
    let Some(found) = find(tx, &hash)?.filter(|found| found.client == ask.client) else {
        return Ok(Refreshed::Unknown);
    };
    let (Some(account), Some(chain_key)) = (&found.account, &found.chain_key) else { return Ok(Refreshed::Unknown) };
    if found.ended_us.is_some() || found.expires_us <= ask.now_us {
        return Ok(Refreshed::Unknown);
    }
    if found.thumbprint.is_some() && found.thumbprint != ask.thumbprint {
        return Ok(Refreshed::OtherKey);
    }
    let again = match found.rotated_us {
        None => false,
        Some(rotated_us) => {
            let lost =
                ask.now_us.saturating_sub(rotated_us) <= ask.grace_us && is_unused(tx, found.successor.as_ref())?;
            if !lost {
                issue::end(tx, &found.grant, "a refresh token was used twice", ask.now_us)?;
                return Ok(Refreshed::Reused);
            }
            true
        }
    };
    let Some(client) = clients::find(tx, &found.client)? else { return Ok(Refreshed::Unknown) };
    let issue = match issue_for(tx, &client, account, &found, ask)? {
        Ok(issue) => issue,
        Err(Refreshed::Denied(why)) => {
            issue::end(tx, &found.grant, why, ask.now_us)?;
            return Ok(Refreshed::Denied(why));
        }
        Err(other) => return Ok(other),
    };
    let Some(signed) = signed.filter(|signed| signed.issue == issue) else { return Ok(Refreshed::Sign(issue)) };
    let next = successor(chain_key, &ask.token);
    if !again {
        rotate(tx, &found.grant, &hash, &random::hash(next.as_bytes()), ask.now_us)?;
    }
    tx.prepare_cached("UPDATE grants SET used_us = ?2, expires_us = ?3 WHERE id = ?1")?.execute(params![
        found.grant,
        ask.now_us,
        ask.now_us.saturating_add(ask.idle_us)
    ])?;
    grants::record_token(tx, &found.grant, &signed.issued)?;
    issue::used(tx, &client.id, ask.now_us)?;
    Ok(Refreshed::Done { next })
}

/// What the token is to say by what holds today.
fn issue_for(
    tx: &Transaction<'_>,
    client: &Client,
    account: &str,
    found: &Found,
    ask: &Refresh,
) -> Result<Result<Issue, Refreshed>, StoreError> {
    let Some(name) = standing::account(tx, account)? else {
        return Ok(Err(Refreshed::Denied("account_locked: the account may not sign in any more")));
    };
    let standing = standing::of(tx, client, account, false)?;
    let own = found.scope.and(Scopes::HUB.or(Scopes::OFFLINE_ACCESS));
    let today = found.scope.and(standing.scopes());
    if today.or(own).and(Scopes::API.or(Scopes::HUB)).is_empty() {
        return Ok(Err(Refreshed::Denied("not_shared: the account has no role here any more; the owner can share it")));
    }
    let scope = match ask.scope {
        Some(asked) if !found.scope.holds(asked) => return Ok(Err(Refreshed::Wider)),
        Some(asked) => asked.and(today.or(own)),
        None => today.or(own),
    };
    Ok(Ok(Issue {
        grant: found.grant.clone(),
        account: account.to_owned(),
        name,
        role: standing.role(),
        scope,
        audience: found.audience.clone(),
        refresh: true,
    }))
}

fn rotate(tx: &Transaction<'_>, grant: &str, old: &Hash, next: &Hash, now_us: i64) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE refresh_tokens SET rotated_us = ?2, successor = ?3 WHERE hash = ?1")?
        .execute(params![old, now_us, next])?;
    tx.prepare_cached("INSERT INTO refresh_tokens (hash, grant_id, created_us) VALUES (?1, ?2, ?3)")?
        .execute(params![next, grant, now_us])?;
    Ok(())
}

/// The refresh token after `token`.
fn successor(chain_key: &[u8; 32], token: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, chain_key);
    format!("{PREFIX}{}", BASE64URL_NOPAD.encode(hmac::sign(&key, token.as_bytes()).as_ref()))
}

fn is_unused(tx: &Transaction<'_>, token: Option<&Hash>) -> Result<bool, StoreError> {
    let Some(hash) = token else { return Ok(false) };
    Ok(tx
        .prepare_cached("SELECT rotated_us IS NULL FROM refresh_tokens WHERE hash = ?1")?
        .query_row([hash], |row| row.get(0))
        .optional()?
        .unwrap_or(false))
}

fn find(tx: &Transaction<'_>, hash: &Hash) -> Result<Option<Found>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(Found {
            grant: row.get(0)?,
            rotated_us: row.get(1)?,
            successor: row.get(2)?,
            client: row.get(3)?,
            account: row.get(4)?,
            scope: Scopes::stored(row.get_ref(5)?.as_str()?),
            audience: row.get(6)?,
            thumbprint: row.get(7)?,
            chain_key: row.get(8)?,
            expires_us: row.get(9)?,
            ended_us: row.get(10)?,
        })
    };
    Ok(tx
        .prepare_cached(
            "SELECT g.id, r.rotated_us, r.successor, g.client, g.account, g.scope, g.audience, g.thumbprint, g.chain_key,
                    g.expires_us, g.ended_us
             FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id WHERE r.hash = ?1",
        )?
        .query_row([hash], read)
        .optional()?)
}
