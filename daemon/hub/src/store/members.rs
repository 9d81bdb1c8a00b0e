//! Instances as their owners and members see them, and what an owner may do to one. Everything here takes the account
//! that asks and answers "not there" for what is not its own, so that no caller can forget to ask.

use rusqlite::{OptionalExtension as _, Transaction, named_params};

use super::accounts::Account;
use super::audit::{self, Entry};
use super::{Store, StoreError, clients};
use crate::clients::Client;

/// Members of an instance at most.
const MAX_MEMBERS: i64 = 100;
/// Instances of one page at most.
const MAX_LISTED: u32 = 500;

/// An instance, as somebody who has a role there sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The client.
    pub(crate) client: Client,
    /// Name that its owner gave it; may be empty.
    pub(crate) given_name: String,
    /// Name of its owner.
    pub(crate) owner_name: Option<String>,
    /// Where it reported from last.
    pub(crate) address: String,
    /// It reported last. Microseconds since 1970-01-01 UTC.
    pub(crate) seen_us: Option<i64>,
    /// New credentials wait for it.
    pub(crate) rotate: bool,
    /// What the asking account is there: `viewer`, `operator` or `owner`.
    pub(crate) role: Option<String>,
}

impl Seen {
    /// The asking account owns it: not only shares the role.
    pub(crate) fn is_owned_by(&self, account: &Account) -> bool {
        self.client.owner.as_deref() == Some(account.id.as_str())
    }

    /// What it is called: by its owner, else by itself.
    pub(crate) fn name(&self) -> &str {
        if self.given_name.is_empty() {
            self.client.metadata.client_name.as_deref().unwrap_or(&self.client.id)
        } else {
            &self.given_name
        }
    }
}

/// Somebody with whom an instance is shared.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The account's id.
    pub(crate) account: String,
    /// Its name.
    pub(crate) name: String,
    /// As what.
    pub(crate) role: String,
}

/// What became of a wish to share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shared {
    /// Done.
    Done,
    /// Not the owner's, or gone.
    NotYours,
    /// No account has this name, or it is the owner's own.
    NoSuchAccount,
    /// It is shared with as many as it may be.
    Full,
}

/// What the owner of an instance does to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Gives it a name; empty: its own again.
    Rename(String),
    /// Takes the role of this account back.
    Unshare(String),
    /// Ends its own tokens, and has it take up new credentials.
    Rotate,
    /// Forgets it, and everything granted at it.
    Delete,
}

macro_rules! seen_columns {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.kind, c.metadata, c.auth, c.secret, c.thumbprint, c.owner, c.version, c.created_us,
                c.given_name, o.name, c.address, c.seen_us, c.rotate,
                CASE WHEN c.owner = :account THEN 'owner' ELSE m.role END AS my_role
             FROM clients c LEFT JOIN accounts o ON o.id = c.owner
             LEFT JOIN members m ON m.client = c.id AND m.account = :account ",
            $rest
        )
    };
}

/// The instances at which this account has a role, and other clients that it owns.
pub(crate) async fn list(store: &Store, account: String) -> Result<Vec<Seen>, StoreError> {
    store
        .read(move |tx| {
            let mut query = tx.prepare_cached(seen_columns!(
                "WHERE c.kind <> 'dashboard' AND my_role IS NOT NULL ORDER BY c.created_us DESC LIMIT :limit"
            ))?;
            let mut rows = query.query(named_params! { ":account": account, ":limit": MAX_LISTED })?;
            let mut list = Vec::new();
            while let Some(row) = rows.next()? {
                list.push(seen(row)?);
            }
            Ok(list)
        })
        .await
}

/// One client, whatever the role of the account there.
pub(crate) async fn find(store: &Store, account: String, client: String) -> Result<Option<Seen>, StoreError> {
    store
        .read(move |tx| {
            let mut query = tx.prepare_cached(seen_columns!("WHERE c.id = :client AND c.kind <> 'dashboard'"))?;
            let mut rows = query.query(named_params! { ":account": account, ":client": client })?;
            rows.next()?.map(seen).transpose()
        })
        .await
}

/// With whom it is shared, by name.
pub(crate) async fn members(store: &Store, client: String) -> Result<Vec<Member>, StoreError> {
    store
        .read(move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT a.id, a.name, m.role FROM members m JOIN accounts a ON a.id = m.account WHERE m.client = ?1 ORDER BY a.name",
            )?;
            let rows = query
                .query_map([client], |row| Ok(Member { account: row.get(0)?, name: row.get(1)?, role: row.get(2)? }))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
}

/// Shares an instance of `owner`, or changes as what. Sessions with another role end.
pub(crate) async fn share(
    store: &Store,
    owner: Account,
    client: String,
    name: String,
    role: &'static str,
    address: String,
    now_us: i64,
) -> Result<Shared, StoreError> {
    store
        .write(move |tx| {
            if !owns(tx, &owner.id, &client)? {
                return Ok(Shared::NotYours);
            }
            let mut named = tx.prepare_cached("SELECT id FROM accounts WHERE name = ?1 AND id <> ?2")?;
            let Some(account) = named.query_row((&name, &owner.id), |row| row.get::<_, String>(0)).optional()? else {
                return Ok(Shared::NoSuchAccount);
            };
            let others: i64 = tx.query_row(
                "SELECT count(*) FROM members WHERE client = ?1 AND account <> ?2",
                (&client, &account),
                |row| row.get(0),
            )?;
            if others >= MAX_MEMBERS {
                return Ok(Shared::Full);
            }
            let changed = tx.execute(
                "INSERT INTO members (client, account, role) VALUES (?1, ?2, ?3)
                 ON CONFLICT (client, account) DO UPDATE SET role = excluded.role WHERE role <> excluded.role",
                (&client, &account, role),
            )?;
            if changed > 0 {
                end_sessions(tx, &client, &account, now_us)?;
                let entry = Entry {
                    event: "instance-shared",
                    actor: owner.name,
                    account: Some(account),
                    client: Some(client),
                    address,
                    details: format!("with {name} as {role}"),
                };
                audit::record(tx, now_us, &entry)?;
            }
            Ok(Shared::Done)
        })
        .await
}

/// Does something to an instance of `owner`. False: it is not theirs, or not there.
pub(crate) async fn act(
    store: &Store,
    owner: Account,
    client: String,
    act: Act,
    address: String,
    now_us: i64,
) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            if !owns(tx, &owner.id, &client)? {
                return Ok(false);
            }
            let (event, about, details) = match act {
                Act::Rename(name) => {
                    tx.execute("UPDATE clients SET given_name = ?2 WHERE id = ?1", (&client, &name))?;
                    ("instance-renamed", owner.id, name)
                }
                Act::Unshare(account) => {
                    let gone =
                        tx.execute("DELETE FROM members WHERE client = ?1 AND account = ?2", (&client, &account))?;
                    if gone == 0 {
                        return Ok(true);
                    }
                    end_sessions(tx, &client, &account, now_us)?;
                    ("instance-unshared", account, String::new())
                }
                Act::Rotate => {
                    tx.execute("UPDATE clients SET rotate = 1 WHERE id = ?1", [&client])?;
                    tx.execute(
                        "UPDATE grants SET ended_us = ?2 WHERE client = ?1 AND account IS NULL AND ended_us IS NULL",
                        (&client, now_us),
                    )?;
                    ("instance-rotated", owner.id, String::new())
                }
                Act::Delete => {
                    // Grants, tokens, codes and members go with it.
                    tx.execute("DELETE FROM clients WHERE id = ?1", [&client])?;
                    ("instance-deleted", owner.id, String::new())
                }
            };
            let entry =
                Entry { event, actor: owner.name, account: Some(about), client: Some(client), address, details };
            audit::record(tx, now_us, &entry)?;
            Ok(true)
        })
        .await
}

/// A member gives its role back.
pub(crate) async fn leave(
    store: &Store,
    member: Account,
    client: String,
    address: String,
    now_us: i64,
) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            let gone = tx.execute("DELETE FROM members WHERE client = ?1 AND account = ?2", (&client, &member.id))? > 0;
            if gone {
                end_sessions(tx, &client, &member.id, now_us)?;
                let entry = Entry {
                    event: "instance-left",
                    actor: member.name,
                    account: Some(member.id),
                    client: Some(client),
                    address,
                    ..Entry::default()
                };
                audit::record(tx, now_us, &entry)?;
            }
            Ok(gone)
        })
        .await
}

fn owns(tx: &Transaction<'_>, account: &str, client: &str) -> Result<bool, StoreError> {
    Ok(tx
        .prepare_cached("SELECT 1 FROM clients WHERE id = ?1 AND owner = ?2 AND kind <> 'dashboard'")?
        .exists((client, account))?)
}

/// A person's sessions at a client end: their tokens say a role that is theirs no more.
fn end_sessions(tx: &Transaction<'_>, client: &str, account: &str, now_us: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE grants SET ended_us = ?3 WHERE client = ?1 AND account = ?2 AND ended_us IS NULL",
        (client, account, now_us),
    )?;
    Ok(())
}

fn seen(row: &rusqlite::Row<'_>) -> Result<Seen, StoreError> {
    Ok(Seen {
        client: clients::read(row)?,
        given_name: row.get(9)?,
        owner_name: row.get(10)?,
        address: row.get(11)?,
        seen_us: row.get(12)?,
        rotate: row.get(13)?,
        role: row.get(14)?,
    })
}
