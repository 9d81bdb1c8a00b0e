//! Accounts, and the invitations that make them. There is no other way to an account.

use rusqlite::{OptionalExtension as _, Row, Transaction, named_params};

use super::audit::{self, Entry};
use super::{Store, StoreError};

/// Accounts of a hub at most, so that pages that list them stay bounded.
const MAX_ACCOUNTS: i64 = 1000;
/// Open invitations at most.
const MAX_INVITATIONS: i64 = 200;

/// An account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// `sub` of tokens.
    pub(crate) id: String,
    /// What its holder signs in with.
    pub(crate) name: String,
    /// May manage accounts.
    pub(crate) admin: bool,
    /// May not sign in.
    pub(crate) locked: bool,
    /// Made. Microseconds since 1970-01-01 UTC.
    pub(crate) created_us: i64,
    /// The password was set.
    pub(crate) password_us: i64,
}

/// An account with the hash of its password.
pub(crate) struct WithPassword {
    /// The account.
    pub(crate) account: Account,
    /// PHC string.
    pub(crate) password: String,
}

/// An account as administrators see it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// The account.
    pub(crate) account: Account,
    /// Instances that it owns.
    pub(crate) instances: u32,
}

/// An account to be made with an invitation.
pub(crate) struct NewAccount {
    /// Its id.
    pub(crate) id: String,
    /// Its name, valid.
    pub(crate) name: String,
    /// PHC string of its password.
    pub(crate) password: String,
    /// SHA-256 of the invitation's code.
    pub(crate) code_hash: [u8; 32],
    /// Where the request came from.
    pub(crate) address: String,
}

/// What became of a [`NewAccount`].
#[derive(Debug)]
pub(crate) enum Joined {
    /// It stands.
    Made(Account),
    /// The code is unknown, used or expired.
    BadCode,
    /// The name is another account's.
    NameTaken,
    /// The hub has as many accounts as it may have.
    Full,
}

/// What an administrator does to an account of somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It may not sign in, and all that it had ends.
    Lock,
    /// It may sign in again.
    Unlock,
    /// It manages accounts.
    Promote,
    /// It manages accounts no more.
    Demote,
    /// It is gone.
    Delete,
}

/// An open invitation.
#[derive(Clone, Debug)]
pub(crate) struct Invitation {
    /// Its id.
    pub(crate) id: String,
    /// Name of who made it.
    pub(crate) by: String,
    /// For an administrator.
    pub(crate) admin: bool,
    /// Made.
    pub(crate) created_us: i64,
    /// Ends.
    pub(crate) expires_us: i64,
}

/// How many accounts there are.
pub(crate) async fn count(store: &Store) -> Result<u32, StoreError> {
    store.read(|tx| Ok(tx.query_row("SELECT count(*) FROM accounts", [], |row| row.get(0))?)).await
}

/// By name, in any case.
pub(crate) async fn by_name(store: &Store, name: String) -> Result<Option<WithPassword>, StoreError> {
    store
        .read(move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT id, name, admin, locked, created_us, password_us, password FROM accounts WHERE name = ?1",
            )?;
            let found =
                query.query_row([name], |row| Ok(WithPassword { account: account(row)?, password: row.get(6)? }));
            Ok(found.optional()?)
        })
        .await
}

/// All accounts, by name.
pub(crate) async fn list(store: &Store) -> Result<Vec<Listed>, StoreError> {
    store
        .read(|tx| {
            let mut query = tx.prepare_cached(
                "SELECT id, name, admin, locked, created_us, password_us,
                (SELECT count(*) FROM clients WHERE owner = accounts.id) FROM accounts ORDER BY name",
            )?;
            let rows = query.query_map([], |row| Ok(Listed { account: account(row)?, instances: row.get(6)? }))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
}

/// Makes an account of an invitation, which is used up by it. The setup code makes the first account only.
pub(crate) async fn join(store: &Store, new: NewAccount, now_us: i64) -> Result<Joined, StoreError> {
    store
        .write(move |tx| {
            let found: Option<(String, bool, bool)> = tx
                .prepare_cached(
                    "SELECT id, admin, made_by IS NULL FROM invitations WHERE hash = ?1 AND expires_us > ?2",
                )?
                .query_row((new.code_hash, now_us), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((invitation, admin, setup)) = found else { return Ok(Joined::BadCode) };
            let count: i64 = tx.query_row("SELECT count(*) FROM accounts", [], |row| row.get(0))?;
            if setup && count > 0 {
                return Ok(Joined::BadCode);
            }
            if count >= MAX_ACCOUNTS {
                return Ok(Joined::Full);
            }
            if tx.prepare_cached("SELECT 1 FROM accounts WHERE name = ?1")?.exists([&new.name])? {
                return Ok(Joined::NameTaken);
            }
            tx.prepare_cached("DELETE FROM invitations WHERE id = ?1")?.execute([invitation])?;
            tx.prepare_cached(
                "INSERT INTO accounts (id, name, password, admin, created_us, password_us)
             VALUES (:id, :name, :password, :admin, :now, :now)",
            )?
            .execute(named_params! {
                ":id": new.id, ":name": new.name, ":password": new.password, ":admin": admin, ":now": now_us,
            })?;
            audit::record(
                tx,
                now_us,
                &Entry {
                    event: "account-made",
                    actor: new.name.clone(),
                    account: Some(new.id.clone()),
                    address: new.address,
                    details: if setup { "with the setup code" } else { "with an invitation" }.to_owned(),
                    ..Entry::default()
                },
            )?;
            Ok(Joined::Made(Account {
                id: new.id,
                name: new.name,
                admin,
                locked: false,
                created_us: now_us,
                password_us: now_us,
            }))
        })
        .await
}

/// Sets another password; all browsers but `keep` and all grants of the account end.
pub(crate) async fn set_password(
    store: &Store,
    account: Account,
    password: String,
    keep: String,
    address: String,
    now_us: i64,
) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            tx.prepare_cached("UPDATE accounts SET password = ?2, password_us = ?3 WHERE id = ?1")?.execute((
                &account.id,
                password,
                now_us,
            ))?;
            tx.prepare_cached("DELETE FROM browsers WHERE account = ?1 AND id <> ?2")?.execute((&account.id, &keep))?;
            // The dashboard's own grant in the browser that is kept goes on.
            tx.prepare_cached(
                "UPDATE grants SET ended_us = ?2 WHERE account = ?1 AND ended_us IS NULL
             AND id NOT IN (SELECT grant_id FROM browsers WHERE id = ?3 AND grant_id IS NOT NULL)",
            )?
            .execute((&account.id, now_us, &keep))?;
            discard_codes(tx, &account.id)?;
            audit::record(
                tx,
                now_us,
                &Entry {
                    event: "password-changed",
                    actor: account.name,
                    account: Some(account.id),
                    address,
                    ..Entry::default()
                },
            )
        })
        .await
}

/// Changes the account of somebody else. False: there is no such account, or it is `by` itself.
pub(crate) async fn change(
    store: &Store,
    by: Account,
    id: String,
    change: Change,
    address: String,
    now_us: i64,
) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            let mut named = tx.prepare_cached("SELECT name FROM accounts WHERE id = ?1 AND id <> ?2")?;
            let Some(name) = named.query_row((&id, &by.id), |row| row.get::<_, String>(0)).optional()? else {
                return Ok(false);
            };
            let event = match change {
                Change::Lock => {
                    tx.execute("UPDATE accounts SET locked = 1 WHERE id = ?1", [&id])?;
                    end_everything(tx, &id, now_us)?;
                    "account-locked"
                }
                Change::Unlock => {
                    tx.execute("UPDATE accounts SET locked = 0 WHERE id = ?1", [&id])?;
                    "account-unlocked"
                }
                Change::Promote => {
                    tx.execute("UPDATE accounts SET admin = 1 WHERE id = ?1", [&id])?;
                    "account-promoted"
                }
                Change::Demote => {
                    tx.execute("UPDATE accounts SET admin = 0 WHERE id = ?1", [&id])?;
                    "account-demoted"
                }
                Change::Delete => {
                    end_everything(tx, &id, now_us)?;
                    tx.execute("DELETE FROM accounts WHERE id = ?1", [&id])?;
                    "account-deleted"
                }
            };
            let entry = Entry { event, actor: by.name, account: Some(id), address, details: name, ..Entry::default() };
            audit::record(tx, now_us, &entry)?;
            Ok(true)
        })
        .await
}

/// An invitation to be made.
pub(crate) struct NewInvitation {
    /// Its id.
    pub(crate) id: String,
    /// SHA-256 of its code.
    pub(crate) code_hash: [u8; 32],
    /// For an administrator.
    pub(crate) admin: bool,
    /// Ends. Microseconds since 1970-01-01 UTC.
    pub(crate) expires_us: i64,
    /// Where the request came from.
    pub(crate) address: String,
}

/// Makes an invitation. False: there are too many open ones.
pub(crate) async fn invite(store: &Store, by: Account, new: NewInvitation, now_us: i64) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            tx.execute("DELETE FROM invitations WHERE expires_us <= ?1", [now_us])?;
            let open: i64 = tx.query_row("SELECT count(*) FROM invitations", [], |row| row.get(0))?;
            if open >= MAX_INVITATIONS {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO invitations (id, hash, made_by, admin, created_us, expires_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((new.id, new.code_hash, &by.id, new.admin, now_us, new.expires_us))?;
            let entry = Entry {
                event: "invitation-made",
                actor: by.name,
                account: Some(by.id),
                address: new.address,
                details: if new.admin { "for an administrator" } else { "" }.to_owned(),
                ..Entry::default()
            };
            audit::record(tx, now_us, &entry)?;
            Ok(true)
        })
        .await
}

/// Takes an invitation back.
pub(crate) async fn withdraw(
    store: &Store,
    by: Account,
    id: String,
    address: String,
    now_us: i64,
) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            let gone = tx.execute("DELETE FROM invitations WHERE id = ?1 AND made_by IS NOT NULL", [id])? > 0;
            if gone {
                let entry = Entry {
                    event: "invitation-withdrawn",
                    actor: by.name,
                    account: Some(by.id),
                    address,
                    ..Entry::default()
                };
                audit::record(tx, now_us, &entry)?;
            }
            Ok(gone)
        })
        .await
}

/// Invitations that may still be used.
pub(crate) async fn invitations(store: &Store, now_us: i64) -> Result<Vec<Invitation>, StoreError> {
    store
        .read(move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT i.id, a.name, i.admin, i.created_us, i.expires_us FROM invitations i
             JOIN accounts a ON a.id = i.made_by WHERE i.expires_us > ?1 ORDER BY i.created_us DESC",
            )?;
            let rows = query.query_map([now_us], |row| {
                Ok(Invitation {
                    id: row.get(0)?,
                    by: row.get(1)?,
                    admin: row.get(2)?,
                    created_us: row.get(3)?,
                    expires_us: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
}

/// Makes this the setup code of a hub without accounts, in place of any before. False: there is an account, and no
/// setup code any more.
pub(crate) async fn set_setup_code(
    store: &Store,
    id: String,
    code_hash: [u8; 32],
    now_us: i64,
) -> Result<bool, StoreError> {
    store.write(move |tx| {
        tx.execute("DELETE FROM invitations WHERE made_by IS NULL", [])?;
        let fresh = !tx.prepare("SELECT 1 FROM accounts")?.exists([])?;
        if fresh {
            tx.execute(
                "INSERT INTO invitations (id, hash, made_by, admin, created_us, expires_us) VALUES (?1, ?2, NULL, 1, ?3, ?4)",
                (id, code_hash, now_us, i64::MAX),
            )?;
        }
        Ok(fresh)
    })
    .await
}

/// Ends every browser and grant of an account, within a transaction.
pub(super) fn end_everything(tx: &Transaction<'_>, account: &str, now_us: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM browsers WHERE account = ?1", [account])?;
    tx.execute("UPDATE grants SET ended_us = ?2 WHERE account = ?1 AND ended_us IS NULL", (account, now_us))?;
    discard_codes(tx, account)
}

/// What was approved and not yet redeemed is approved no more.
fn discard_codes(tx: &Transaction<'_>, account: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM codes WHERE account = ?1 AND used_us IS NULL", [account])?;
    tx.execute("UPDATE device_codes SET state = 'denied' WHERE account = ?1 AND state = 'approved'", [account])?;
    Ok(())
}

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: row.get(0)?,
        name: row.get(1)?,
        admin: row.get(2)?,
        locked: row.get(3)?,
        created_us: row.get(4)?,
        password_us: row.get(5)?,
    })
}
