//! Device authorizations (RFC 8628): begun by a client, decided by a person, each exactly once. What a poll makes of them
//! is in [`super::device_poll`].

use rusqlite::{OptionalExtension as _, Row, Transaction, named_params, params};

use super::standing::{self, Standing};
use super::{Store, StoreError, clients};
use crate::clients::Client;
use crate::oauth::scope::Scopes;
use crate::oauth::user_code::UserCode;
use crate::random::Hash;

/// Device codes of one client, and of all, that may wait for a decision.
const WAITING_OF_ONE: u32 = 64;
const WAITING: u32 = 10_000;

/// A device authorization to begin.
#[derive(Clone, Debug)]
pub(crate) struct New {
    /// Hash of the device code.
    pub(crate) hash: Hash,
    /// What the person will type.
    pub(crate) user_code: UserCode,
    /// Who asks.
    pub(crate) client: String,
    /// What it asks for.
    pub(crate) scope: Scopes,
    /// For which resource (RFC 8707).
    pub(crate) resource: Option<String>,
    /// The instance has seen its claim code.
    pub(crate) claim: bool,
    /// What it says that the person uses.
    pub(crate) label: String,
    /// From where.
    pub(crate) address: String,
    /// Between two polls. Microseconds.
    pub(crate) interval_us: i64,
    /// Now. Microseconds since 1970-01-01 UTC.
    pub(crate) now_us: i64,
    /// The end.
    pub(crate) expires_us: i64,
}

/// What became of a beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It waits for a decision.
    Waiting,
    /// Another one has this user code: make another.
    CodeTaken,
    /// Too many wait already.
    TooMany,
    /// The client was deleted meanwhile.
    NoClient,
}

/// Begins a device authorization.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn begin(store: &Store, new: New) -> Result<Begun, StoreError> {
    store.write(move |tx| insert(tx, &new)).await
}

fn insert(tx: &Transaction<'_>, new: &New) -> Result<Begun, StoreError> {
    let (mine, all): (u32, u32) = tx
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE client = ?1), count(*) FROM device_codes
             WHERE state IN ('pending', 'approved') AND expires_us > ?2",
        )?
        .query_row(params![new.client, new.now_us], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if mine >= WAITING_OF_ONE || all >= WAITING {
        return Ok(Begun::TooMany);
    }
    if clients::find(tx, &new.client)?.is_none() {
        return Ok(Begun::NoClient);
    }
    let added = tx
        .prepare_cached(
            "INSERT INTO device_codes (hash, user_code, client, scope, resource, claim, label, address, state,
                                       interval_us, created_us, expires_us)
             VALUES (:hash, :user_code, :client, :scope, :resource, :claim, :label, :address, 'pending',
                     :interval, :now, :expires)
             ON CONFLICT (user_code) DO NOTHING",
        )?
        .execute(named_params! {
            ":hash": new.hash,
            ":user_code": new.user_code.as_str(),
            ":client": new.client,
            ":scope": new.scope.to_string(),
            ":resource": new.resource,
            ":claim": new.claim,
            ":label": new.label,
            ":address": new.address,
            ":interval": new.interval_us,
            ":now": new.now_us,
            ":expires": new.expires_us,
        })?;
    Ok(if added == 1 { Begun::Waiting } else { Begun::CodeTaken })
}

/// A device authorization as a person sees it who is to decide.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    /// The client, as it is registered: what it says of itself is not proven.
    pub(crate) client: Client,
    /// Name of the account that owns it.
    pub(crate) owner_name: Option<String>,
    /// What the account is that looks.
    pub(crate) standing: Standing,
    /// What it can be granted of what was asked for.
    pub(crate) scopes: Scopes,
    /// What the client says that the person uses.
    pub(crate) label: String,
    /// Where the request came from.
    pub(crate) address: String,
    /// When it began. Microseconds since 1970-01-01 UTC.
    pub(crate) created_us: i64,
    /// When it ends.
    pub(crate) expires_us: i64,
}

/// What waits under this code, as `account` is to see it. None for a wrong, an expired and a used code alike, and for an
/// account that is locked.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn by_user_code(
    store: &Store,
    code: UserCode,
    account: String,
    now_us: i64,
) -> Result<Option<Pending>, StoreError> {
    store
        .read(move |tx| {
            let Some(found) = waiting(tx, &code, now_us)? else { return Ok(None) };
            let (Some(client), Some(_)) = (clients::find(tx, &found.client)?, standing::account(tx, &account)?) else {
                return Ok(None);
            };
            let standing = standing::of(tx, &client, &account, found.claim)?;
            let owner_name = match &client.owner {
                Some(owner) => owner_name(tx, owner)?,
                None => None,
            };
            Ok(Some(Pending {
                owner_name,
                standing,
                scopes: found.scope.and(standing.scopes()),
                label: found.label,
                address: found.address,
                created_us: found.created_us,
                expires_us: found.expires_us,
                client,
            }))
        })
        .await
}

/// What a person decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// These scopes, as far as they were asked for and the role gives them.
    Approve(Scopes),
    /// No.
    Deny,
}

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    /// It holds, for the client of this id.
    Done {
        /// `client_id`
        client: String,
        /// What the account is there. An approval by one that is nothing there ends the sign-in with that reason.
        standing: Standing,
    },
    /// The code is wrong, expired or used, or the account is locked.
    Gone,
}

/// Decides within a transaction that does more, once: of several at the same time one is done.
pub(super) fn decide_in(
    tx: &Transaction<'_>,
    code: &UserCode,
    account: &str,
    decision: Decision,
    now_us: i64,
) -> Result<Decided, StoreError> {
    let Some(found) = waiting(tx, code, now_us)? else { return Ok(Decided::Gone) };
    let (Some(client), Some(_)) = (clients::find(tx, &found.client)?, standing::account(tx, account)?) else {
        return Ok(Decided::Gone);
    };
    let standing = standing::of(tx, &client, account, found.claim)?;
    let (state, scope) = match decision {
        Decision::Approve(scopes) => ("approved", Some(scopes.to_string())),
        Decision::Deny => ("denied", None),
    };
    let changed = tx
        .prepare_cached(
            "UPDATE device_codes SET state = ?2, account = ?3, approved_scope = ?4
             WHERE user_code = ?1 AND state = 'pending'",
        )?
        .execute(params![code.as_str(), state, account, scope])?;
    Ok(if changed == 1 { Decided::Done { client: client.id, standing } } else { Decided::Gone })
}

struct Found {
    client: String,
    scope: Scopes,
    claim: bool,
    label: String,
    address: String,
    created_us: i64,
    expires_us: i64,
}

fn waiting(tx: &Transaction<'_>, code: &UserCode, now_us: i64) -> Result<Option<Found>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(Found {
            client: row.get(0)?,
            scope: Scopes::stored(row.get_ref(1)?.as_str()?),
            claim: row.get(2)?,
            label: row.get(3)?,
            address: row.get(4)?,
            created_us: row.get(5)?,
            expires_us: row.get(6)?,
        })
    };
    Ok(tx
        .prepare_cached(
            "SELECT client, scope, claim, label, address, created_us, expires_us FROM device_codes
             WHERE user_code = ?1 AND state = 'pending' AND expires_us > ?2",
        )?
        .query_row(params![code.as_str(), now_us], read)
        .optional()?)
}

fn owner_name(tx: &Transaction<'_>, owner: &str) -> Result<Option<String>, StoreError> {
    Ok(tx.prepare_cached("SELECT name FROM accounts WHERE id = ?1")?.query_row([owner], |row| row.get(0)).optional()?)
}
