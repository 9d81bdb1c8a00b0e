//! Grants to people, however they came about: what a token is to say, and the rows that stand for it.
//!
//! A token is signed by the keeper, outside of any transaction, and nothing may be used up before it is. So every
//! redemption is asked in the same way until it is settled: the transaction decides what the token is to say
//! ([`Issue`]) and changes nothing; the keeper signs that; the next transaction decides again, and if it comes to the
//! same, uses up what is redeemed and records the grant. A decision that has changed meanwhile is signed anew.

use merlon_api::Role;
use rusqlite::{OptionalExtension as _, Transaction, named_params, params};

use super::audit::{self, Entry};
use super::{StoreError, grants};
use crate::clients::{Client, Kind};
use crate::oauth::scope::Scopes;
use crate::oauth::token::Issued;
use crate::random::Hash;

/// Between two notes of when a client was used, in microseconds.
const USED_EACH_US: i64 = 60_000_000;

/// What an access token of a person is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issue {
    /// The grant: `sid`.
    pub(crate) grant: String,
    /// `sub`
    pub(crate) account: String,
    /// `preferred_username`
    pub(crate) name: String,
    /// `roles`; none where there are no roles.
    pub(crate) role: Option<Role>,
    /// `scope`
    pub(crate) scope: Scopes,
    /// `aud`
    pub(crate) audience: String,
    /// A refresh token comes with it.
    pub(crate) refresh: bool,
}

/// A token that the keeper has signed for an [`Issue`]; not given out before it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    /// What it says.
    pub(crate) issue: Issue,
    /// Its id and times.
    pub(crate) issued: Issued,
}

/// What a new grant begins with, made by whoever asks; worth nothing unless it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// Its id.
    pub(crate) grant: String,
    /// Hash of its first refresh token.
    pub(crate) refresh: Hash,
    /// What derives the refresh tokens after it.
    pub(crate) chain_key: [u8; 32],
    /// Thumbprint of the key that its tokens are bound to (RFC 9449).
    pub(crate) thumbprint: Option<String>,
    /// How long it stands without use. Microseconds.
    pub(crate) idle_us: i64,
}

/// Where tokens of a client are meant for, if no resource was asked for: itself, or for the dashboard the hub.
pub(super) fn audience(client: &Client, resource: Option<String>, issuer: &str) -> String {
    resource.unwrap_or_else(|| match client.kind {
        Kind::Dashboard => issuer.to_owned(),
        Kind::Instance | Kind::Other => own_audience(&client.id),
    })
}

/// The audience that names a client as a resource.
pub(crate) fn own_audience(client: &str) -> String {
    format!("urn:merlon:instance:{client}")
}

/// Who is granted what, and how it came about.
pub(super) struct Granted<'a> {
    /// `device` or `code`.
    pub(super) via: &'static str,
    /// To which client.
    pub(super) client: &'a str,
    /// What it is called in lists of sessions.
    pub(super) label: &'a str,
    /// What was approved; a token may say less.
    pub(super) scope: Scopes,
}

/// Records a grant that begins with a token.
pub(super) fn begin(
    tx: &Transaction<'_>,
    granted: &Granted<'_>,
    start: &Start,
    signed: &Signed,
    now_us: i64,
) -> Result<(), StoreError> {
    let issue = &signed.issue;
    let Granted { via, client, label, scope } = *granted;
    let expires_us = if issue.refresh { now_us.saturating_add(start.idle_us) } else { signed.issued.expires_us };
    tx.prepare_cached(
        "INSERT INTO grants (id, client, account, via, scope, audience, label, thumbprint, chain_key, created_us, used_us,
                             expires_us)
         VALUES (:id, :client, :account, :via, :scope, :audience, :label, :thumbprint, :chain_key, :now, :now, :expires)",
    )?
    .execute(named_params! {
        ":id": issue.grant,
        ":client": client,
        ":account": issue.account,
        ":via": via,
        ":scope": scope.to_string(),
        ":audience": issue.audience,
        ":label": label,
        ":thumbprint": start.thumbprint,
        ":chain_key": issue.refresh.then_some(start.chain_key),
        ":now": now_us,
        ":expires": expires_us,
    })?;
    if issue.refresh {
        tx.prepare_cached("INSERT INTO refresh_tokens (hash, grant_id, created_us) VALUES (?1, ?2, ?3)")?
            .execute(params![start.refresh, issue.grant, now_us])?;
    }
    grants::record_token(tx, &issue.grant, &signed.issued)?;
    let entry = Entry {
        event: "session-begun",
        actor: issue.name.clone(),
        account: Some(issue.account.clone()),
        client: Some(client.to_owned()),
        details: format!("{via}: {}", issue.scope),
        ..Entry::default()
    };
    audit::record(tx, now_us, &entry)?;
    used(tx, client, now_us)
}

/// Ends a grant: with it, every token that came of it. `why` is for the audit trail.
pub(super) fn end(tx: &Transaction<'_>, grant: &str, why: &str, now_us: i64) -> Result<(), StoreError> {
    let ended: Option<(String, Option<String>)> = tx
        .prepare_cached("UPDATE grants SET ended_us = ?2 WHERE id = ?1 AND ended_us IS NULL RETURNING client, account")?
        .query_row(params![grant, now_us], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((client, account)) = ended else { return Ok(()) };
    let entry = Entry {
        event: "session-ended",
        actor: client.clone(),
        account,
        client: Some(client),
        details: why.to_owned(),
        ..Entry::default()
    };
    audit::record(tx, now_us, &entry)
}

/// Notes that a client is in use, so that it is not swept away.
pub(super) fn used(tx: &Transaction<'_>, client: &str, now_us: i64) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE clients SET used_us = ?2 WHERE id = ?1 AND (used_us IS NULL OR used_us < ?3)")?
        .execute(params![client, now_us, now_us.saturating_sub(USED_EACH_US)])?;
    Ok(())
}
