//! Authorization codes (RFC 6749, 4.1; RFC 7636): made when somebody has consented, redeemed once. A second use ends what
//! the first one gave.

use rusqlite::{OptionalExtension as _, Row, Transaction, named_params, params};

use super::issue::{self, Granted, Issue, Signed, Start};
use super::{Store, StoreError, clients, standing};
use crate::oauth::pkce;
use crate::oauth::registration::REFRESH_TOKEN;
use crate::oauth::scope::Scopes;
use crate::random::Hash;

/// A code to be.
#[derive(Clone, Debug)]
pub(crate) struct New {
    /// Hash of the code.
    pub(crate) hash: Hash,
    /// For which client.
    pub(crate) client: String,
    /// Who consented.
    pub(crate) account: String,
    /// Where the answer goes.
    pub(crate) redirect_uri: String,
    /// S256 of the verifier.
    pub(crate) challenge: String,
    /// What was consented to.
    pub(crate) scope: Scopes,
    /// For which resource (RFC 8707).
    pub(crate) resource: Option<String>,
    /// The key that redeems it (RFC 9449, 10).
    pub(crate) thumbprint: Option<String>,
    /// The end. Microseconds since 1970-01-01 UTC.
    pub(crate) expires_us: i64,
}

/// Keeps a new code.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn keep(store: &Store, new: New) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            tx.prepare_cached(
                "INSERT INTO codes (hash, client, account, redirect_uri, challenge, scope, resource, thumbprint, expires_us)
                 VALUES (:hash, :client, :account, :redirect_uri, :challenge, :scope, :resource, :thumbprint, :expires)",
            )?
            .execute(named_params! {
                ":hash": new.hash,
                ":client": new.client,
                ":account": new.account,
                ":redirect_uri": new.redirect_uri,
                ":challenge": new.challenge,
                ":scope": new.scope.to_string(),
                ":resource": new.resource,
                ":thumbprint": new.thumbprint,
                ":expires": new.expires_us,
            })?;
            Ok(())
        })
        .await
}

/// A redemption.
#[derive(Clone)]
pub(crate) struct Redeem {
    /// Hash of the code.
    pub(crate) hash: Hash,
    /// The client that has authenticated, or names itself if it is public.
    pub(crate) client: String,
    /// As at the authorization endpoint.
    pub(crate) redirect_uri: String,
    /// What the challenge was made of.
    pub(crate) verifier: String,
    /// What the grant would begin with.
    pub(crate) start: Start,
    /// What the client is called in lists of sessions.
    pub(crate) label: String,
    /// The hub's issuer.
    pub(crate) issuer: String,
    /// Now. Microseconds since 1970-01-01 UTC.
    pub(crate) now_us: i64,
}

/// What a redemption is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redeemed {
    /// Sign this and ask again.
    Sign(Issue),
    /// Granted, and the code is used up.
    Granted,
    /// No code of this client that still holds; or not for this redirect URI.
    Unknown,
    /// The verifier is not what the challenge was made of.
    Verifier,
    /// The code is bound to another key.
    OtherKey,
    /// Used before; what it gave has ended now.
    Replayed,
}

/// Redeems a code; with a token signed for what the last answer asked for, grants.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn redeem(store: &Store, ask: Redeem, signed: Option<Signed>) -> Result<Redeemed, StoreError> {
    store.write(move |tx| answer(tx, &ask, signed.as_ref())).await
}

struct Found {
    client: String,
    account: String,
    redirect_uri: String,
    challenge: String,
    scope: Scopes,
    resource: Option<String>,
    thumbprint: Option<String>,
    grant: Option<String>,
    used_us: Option<i64>,
    expires_us: i64,
}

fn answer(tx: &Transaction<'_>, ask: &Redeem, signed: Option<&Signed>) -> Result<Redeemed, StoreError> {
    let Some(found) = find(tx, &ask.hash)?.filter(|found| found.client == ask.client) else {
        return Ok(Redeemed::Unknown);
    };
    if found.used_us.is_some() {
        if let Some(grant) = &found.grant {
            issue::end(tx, grant, "its authorization code was used twice", ask.now_us)?;
        }
        return Ok(Redeemed::Replayed);
    }
    if found.expires_us <= ask.now_us || found.redirect_uri != ask.redirect_uri {
        return Ok(Redeemed::Unknown);
    }
    if !pkce::verify(&found.challenge, &ask.verifier) {
        return Ok(Redeemed::Verifier);
    }
    if found.thumbprint.is_some() && found.thumbprint != ask.start.thumbprint {
        return Ok(Redeemed::OtherKey);
    }
    let (Some(client), Some(name)) = (clients::find(tx, &found.client)?, standing::account(tx, &found.account)?) else {
        return Ok(Redeemed::Unknown);
    };
    let standing = standing::of(tx, &client, &found.account, false)?;
    let scope = found.scope.and(standing.scopes().or(Scopes::HUB).or(Scopes::OFFLINE_ACCESS));
    if scope.and(Scopes::API.or(Scopes::HUB)).is_empty() {
        return Ok(Redeemed::Unknown);
    }
    let issue = Issue {
        grant: ask.start.grant.clone(),
        account: found.account,
        name,
        role: standing.role(),
        scope,
        audience: issue::audience(&client, found.resource, &ask.issuer),
        refresh: client.may(REFRESH_TOKEN) && scope.holds(Scopes::OFFLINE_ACCESS),
    };
    let Some(signed) = signed.filter(|signed| signed.issue == issue) else { return Ok(Redeemed::Sign(issue)) };
    let granted = Granted { via: "code", client: &client.id, label: &ask.label, scope: found.scope };
    issue::begin(tx, &granted, &ask.start, signed, ask.now_us)?;
    tx.prepare_cached("UPDATE codes SET used_us = ?2, grant_id = ?3 WHERE hash = ?1")?.execute(params![
        ask.hash,
        ask.now_us,
        issue.grant
    ])?;
    Ok(Redeemed::Granted)
}

fn find(tx: &Transaction<'_>, hash: &Hash) -> Result<Option<Found>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(Found {
            client: row.get(0)?,
            account: row.get(1)?,
            redirect_uri: row.get(2)?,
            challenge: row.get(3)?,
            scope: Scopes::stored(row.get_ref(4)?.as_str()?),
            resource: row.get(5)?,
            thumbprint: row.get(6)?,
            grant: row.get(7)?,
            used_us: row.get(8)?,
            expires_us: row.get(9)?,
        })
    };
    Ok(tx
        .prepare_cached(
            "SELECT client, account, redirect_uri, challenge, scope, resource, thumbprint, grant_id, used_us, expires_us
             FROM codes WHERE hash = ?1",
        )?
        .query_row([hash], read)
        .optional()?)
}
