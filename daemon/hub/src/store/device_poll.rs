//! What a poll makes of a device authorization (RFC 8628, 3.4 and 3.5). Everything that was true at the approval is asked
//! again here, in the transaction that grants: the account may be locked by now, the role gone, the instance owned by
//! another.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::audit::{self, Entry};
use super::issue::{self, Granted, Issue, Signed, Start};
use super::standing::{self, Standing};
use super::{Store, StoreError, clients};
use crate::oauth::registration::REFRESH_TOKEN;
use crate::oauth::scope::Scopes;
use crate::random::Hash;

/// What a poll may come too early: clocks and networks tremble. Microseconds.
const LEEWAY_US: i64 = 500_000;
/// What each poll that is too early adds to the interval (RFC 8628, 3.5).
const SLOWER_US: i64 = 5_000_000;
/// Up to here, so that nobody is ever shut out for longer than this.
const SLOWEST_US: i64 = 60_000_000;

/// A poll.
#[derive(Clone, Debug)]
pub(crate) struct Poll {
    /// Hash of the device code.
    pub(crate) hash: Hash,
    /// The client that has authenticated.
    pub(crate) client: String,
    /// What a grant would begin with.
    pub(crate) start: Start,
    /// The hub's issuer.
    pub(crate) issuer: String,
    /// Now. Microseconds since 1970-01-01 UTC.
    pub(crate) now_us: i64,
}

/// What a poll is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Sign this and ask again.
    Sign(Issue),
    /// Granted, and the code is used up.
    Granted,
    /// Nobody has decided yet.
    Pending,
    /// The same, and it was asked too early.
    SlowDown,
    /// Denied, or the approval gives nothing; says why.
    Denied(&'static str),
    /// Too late.
    Expired,
    /// No code of this client.
    Unknown,
    /// Used before; what it gave has ended now.
    Replayed,
}

/// Answers a poll; with a token signed for what the last answer asked for, grants.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn poll(store: &Store, poll: Poll, signed: Option<Signed>) -> Result<Polled, StoreError> {
    store.write(move |tx| answer(tx, &poll, signed.as_ref())).await
}

struct Found {
    client: String,
    scope: Scopes,
    resource: Option<String>,
    claim: bool,
    label: String,
    address: String,
    state: String,
    account: Option<String>,
    approved: Scopes,
    grant: Option<String>,
    interval_us: i64,
    polled_us: Option<i64>,
    expires_us: i64,
}

fn answer(tx: &Transaction<'_>, poll: &Poll, signed: Option<&Signed>) -> Result<Polled, StoreError> {
    let Some(found) = find(tx, &poll.hash)?.filter(|found| found.client == poll.client) else {
        return Ok(Polled::Unknown);
    };
    match found.state.as_str() {
        "redeemed" => {
            if let Some(grant) = &found.grant {
                issue::end(tx, grant, "its device code was used twice", poll.now_us)?;
            }
            Ok(Polled::Replayed)
        }
        _ if found.expires_us <= poll.now_us => Ok(Polled::Expired),
        "pending" => wait(tx, poll, &found),
        "approved" => redeem(tx, poll, &found, signed),
        _ => Ok(Polled::Denied("the request was denied")),
    }
}

/// Too early is judged from the last poll that was not, so that one who keeps asking at his own pace is answered again.
fn wait(tx: &Transaction<'_>, poll: &Poll, found: &Found) -> Result<Polled, StoreError> {
    let early = found.polled_us.is_some_and(|last| poll.now_us < last.saturating_add(found.interval_us - LEEWAY_US));
    if !early {
        tx.prepare_cached("UPDATE device_codes SET polled_us = ?2 WHERE hash = ?1")?
            .execute(params![poll.hash, poll.now_us])?;
        return Ok(Polled::Pending);
    }
    let slower = found.interval_us.saturating_add(SLOWER_US).min(SLOWEST_US);
    if slower > found.interval_us {
        tx.prepare_cached("UPDATE device_codes SET interval_us = ?2 WHERE hash = ?1")?
            .execute(params![poll.hash, slower])?;
    }
    Ok(Polled::SlowDown)
}

fn redeem(tx: &Transaction<'_>, poll: &Poll, found: &Found, signed: Option<&Signed>) -> Result<Polled, StoreError> {
    let Some(client) = clients::find(tx, &poll.client)? else { return Ok(Polled::Unknown) };
    let account = found.account.as_deref().ok_or(StoreError::Damaged("an approval without an account"))?;
    let Some(name) = standing::account(tx, account)? else {
        return Ok(Polled::Denied("account_locked: the account that approved may not sign in any more"));
    };
    let standing = standing::of(tx, &client, account, found.claim)?;
    match standing {
        Standing::WrongAccount => {
            return Ok(Polled::Denied("wrong_account: another account owns this instance; its owner can share it"));
        }
        Standing::NotShared => {
            return Ok(Polled::Denied(
                "not_shared: the account that approved has no role here; the owner can share it",
            ));
        }
        Standing::Role(_) | Standing::Claims | Standing::Free => {}
    }
    let api = found.scope.and(found.approved).and(standing.scopes());
    if api.is_empty() {
        return Ok(Polled::Denied("scope_missing: of what was asked for, nothing was approved that the role gives"));
    }
    let granted = api.or(found.scope.and(Scopes::OFFLINE_ACCESS));
    let issue = Issue {
        grant: poll.start.grant.clone(),
        account: account.to_owned(),
        name,
        role: standing.role(),
        scope: granted,
        audience: issue::audience(&client, found.resource.clone(), &poll.issuer),
        refresh: client.may(REFRESH_TOKEN) && granted.holds(Scopes::OFFLINE_ACCESS),
    };
    let Some(signed) = signed.filter(|signed| signed.issue == issue) else { return Ok(Polled::Sign(issue)) };
    if standing == Standing::Claims {
        tx.prepare_cached("UPDATE clients SET owner = ?2 WHERE id = ?1 AND owner IS NULL")?
            .execute(params![client.id, account])?;
        let entry = Entry {
            event: "instance-claimed",
            actor: issue.name.clone(),
            account: Some(account.to_owned()),
            client: Some(client.id.clone()),
            address: found.address.clone(),
            ..Entry::default()
        };
        audit::record(tx, poll.now_us, &entry)?;
    }
    // What was approved is kept, not what today's role gives of it: a role that grows gives more at the next refresh.
    let approved = found.scope.and(found.approved.or(Scopes::OFFLINE_ACCESS));
    let granted = Granted { via: "device", client: &client.id, label: &found.label, scope: approved };
    issue::begin(tx, &granted, &poll.start, signed, poll.now_us)?;
    tx.prepare_cached("UPDATE device_codes SET state = 'redeemed', grant_id = ?2 WHERE hash = ?1")?
        .execute(params![poll.hash, issue.grant])?;
    Ok(Polled::Granted)
}

fn find(tx: &Transaction<'_>, hash: &Hash) -> Result<Option<Found>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(Found {
            client: row.get(0)?,
            scope: Scopes::stored(row.get_ref(1)?.as_str()?),
            resource: row.get(2)?,
            claim: row.get(3)?,
            label: row.get(4)?,
            address: row.get(12)?,
            state: row.get(5)?,
            account: row.get(6)?,
            approved: row.get::<_, Option<String>>(7)?.map_or(Scopes::NONE, |text| Scopes::stored(&text)),
            grant: row.get(8)?,
            interval_us: row.get(9)?,
            polled_us: row.get(10)?,
            expires_us: row.get(11)?,
        })
    };
    Ok(tx
        .prepare_cached(
            "SELECT client, scope, resource, claim, label, state, account, approved_scope, grant_id, interval_us,
                    polled_us, expires_us, address
             FROM device_codes WHERE hash = ?1",
        )?
        .query_row([hash], read)
        .optional()?)
}
