//! Browsers that signed in at the hub: known by the hash of their cookie. One is live until it was not used for
//! `hub.browser_hours`, and only as long as its account may sign in.

use rusqlite::{OptionalExtension as _, named_params};

use super::accounts::Account;
use super::audit::{self, Entry};
use super::{Store, StoreError};

/// Browsers of an account at most; the one used longest ago is signed out first.
const MAX_BROWSERS: i64 = 32;
/// A use is written down when the last one is this long ago, so that reading pages is not writing.
const NOTED_US: i64 = 60_000_000;

/// A browser that is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    /// Public id.
    pub(crate) id: String,
    /// Who signed in.
    pub(crate) account: Account,
    /// What its forms carry.
    pub(crate) csrf: String,
    /// The dashboard's own grant, if the browser has got it and it stands.
    pub(crate) grant: Option<String>,
}

/// A browser to be signed in.
pub(crate) struct NewBrowser {
    /// Its id.
    pub(crate) id: String,
    /// SHA-256 of its cookie.
    pub(crate) hash: [u8; 32],
    /// What its forms will carry.
    pub(crate) csrf: String,
    /// `User-Agent`, cut.
    pub(crate) agent: String,
    /// Where it came from.
    pub(crate) address: String,
}

/// A browser as its account sees it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Public id.
    pub(crate) id: String,
    /// `User-Agent`.
    pub(crate) agent: String,
    /// Where it signed in from.
    pub(crate) address: String,
    /// Signed in. Microseconds since 1970-01-01 UTC.
    pub(crate) created_us: i64,
    /// Last used, to a minute.
    pub(crate) seen_us: i64,
}

/// Signs a browser in, if the account still stands, is not locked, and has the password that was checked.
pub(crate) async fn sign_in(
    store: &Store,
    account: Account,
    new: NewBrowser,
    idle_us: i64,
    now_us: i64,
) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            let stands = tx
                .prepare_cached("SELECT 1 FROM accounts WHERE id = ?1 AND locked = 0 AND password_us = ?2")?
                .exists((&account.id, account.password_us))?;
            if !stands {
                return Ok(false);
            }
            tx.execute("DELETE FROM browsers WHERE expires_us <= ?1", [now_us])?;
            tx.execute(
                "DELETE FROM browsers WHERE id IN (SELECT id FROM browsers WHERE account = ?1
             ORDER BY seen_us DESC LIMIT -1 OFFSET ?2)",
                (&account.id, MAX_BROWSERS - 1),
            )?;
            tx.prepare_cached(
                "INSERT INTO browsers (id, hash, account, csrf, agent, address, created_us, seen_us, expires_us)
             VALUES (:id, :hash, :account, :csrf, :agent, :address, :now, :now, :expires)",
            )?
            .execute(named_params! {
                ":id": new.id, ":hash": new.hash, ":account": account.id, ":csrf": new.csrf, ":agent": new.agent,
                ":address": new.address, ":now": now_us, ":expires": now_us.saturating_add(idle_us),
            })?;
            let entry = Entry {
                event: "signed-in",
                actor: account.name,
                account: Some(account.id),
                address: new.address,
                details: new.agent,
                ..Entry::default()
            };
            audit::record(tx, now_us, &entry)?;
            Ok(true)
        })
        .await
}

/// Tells the account that somebody did not know its password.
pub(crate) async fn sign_in_failed(
    store: &Store,
    account: Account,
    address: String,
    now_us: i64,
) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            let entry = Entry {
                event: "sign-in-failed",
                actor: account.name,
                account: Some(account.id),
                address,
                ..Entry::default()
            };
            audit::record(tx, now_us, &entry)
        })
        .await
}

/// The browser with this cookie, if it is still signed in. Puts its end off.
pub(crate) async fn find(
    store: &Store,
    hash: [u8; 32],
    idle_us: i64,
    now_us: i64,
) -> Result<Option<Browser>, StoreError> {
    let found = store
        .read(move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT b.id, b.csrf, (SELECT g.id FROM grants g WHERE g.id = b.grant_id AND g.ended_us IS NULL AND g.expires_us > ?2),
                        b.seen_us, a.id, a.name, a.admin, a.created_us, a.password_us
                 FROM browsers b JOIN accounts a ON a.id = b.account
                 WHERE b.hash = ?1 AND b.expires_us > ?2 AND a.locked = 0",
            )?;
            let found = query.query_row((hash, now_us), |row| {
                let account = Account {
                    id: row.get(4)?,
                    name: row.get(5)?,
                    admin: row.get(6)?,
                    locked: false,
                    created_us: row.get(7)?,
                    password_us: row.get(8)?,
                };
                let seen_us: i64 = row.get(3)?;
                Ok((Browser { id: row.get(0)?, account, csrf: row.get(1)?, grant: row.get(2)? }, seen_us))
            });
            Ok(found.optional()?)
        })
        .await?;
    let Some((browser, seen_us)) = found else { return Ok(None) };
    if now_us.saturating_sub(seen_us) >= NOTED_US {
        let id = browser.id.clone();
        // A full disk is no reason to refuse whoever only looks.
        let noted = store
            .write(move |tx| {
                tx.prepare_cached("UPDATE browsers SET seen_us = ?2, expires_us = ?3 WHERE id = ?1")?.execute((
                    &id,
                    now_us,
                    now_us.saturating_add(idle_us),
                ))?;
                tx.prepare_cached(
                    "UPDATE grants SET used_us = ?2, expires_us = ?3
     WHERE ended_us IS NULL AND id = (SELECT grant_id FROM browsers WHERE id = ?1)",
                )?
                .execute((&id, now_us, now_us.saturating_add(idle_us)))?;
                Ok(())
            })
            .await;
        drop(noted);
    }
    Ok(Some(browser))
}

/// The browsers of an account, the last used first.
pub(crate) async fn list(store: &Store, account: String, now_us: i64) -> Result<Vec<Listed>, StoreError> {
    store
        .read(move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT id, agent, address, created_us, seen_us FROM browsers
             WHERE account = ?1 AND expires_us > ?2 ORDER BY seen_us DESC",
            )?;
            let rows = query.query_map((account, now_us), |row| {
                Ok(Listed {
                    id: row.get(0)?,
                    agent: row.get(1)?,
                    address: row.get(2)?,
                    created_us: row.get(3)?,
                    seen_us: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
}

/// Signs a browser of this account out, and ends the dashboard's grant that it had.
pub(crate) async fn end(
    store: &Store,
    account: Account,
    id: String,
    address: String,
    now_us: i64,
) -> Result<bool, StoreError> {
    store
        .write(move |tx| {
            tx.prepare_cached(
                "UPDATE grants SET ended_us = ?3 WHERE ended_us IS NULL
             AND id = (SELECT grant_id FROM browsers WHERE id = ?1 AND account = ?2)",
            )?
            .execute((&id, &account.id, now_us))?;
            let gone = tx
                .prepare_cached("DELETE FROM browsers WHERE id = ?1 AND account = ?2")?
                .execute((&id, &account.id))?
                > 0;
            if gone {
                let entry = Entry {
                    event: "signed-out",
                    actor: account.name,
                    account: Some(account.id),
                    address,
                    ..Entry::default()
                };
                audit::record(tx, now_us, &entry)?;
            }
            Ok(gone)
        })
        .await
}

/// The dashboard got its grant in this browser; the one that it had before ends.
pub(crate) async fn set_grant(store: &Store, id: String, grant: String, now_us: i64) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            tx.execute(
                "UPDATE grants SET ended_us = ?2 WHERE ended_us IS NULL
             AND id = (SELECT grant_id FROM browsers WHERE id = ?1 AND grant_id <> ?3)",
                (&id, now_us, &grant),
            )?;
            tx.execute("UPDATE browsers SET grant_id = ?2 WHERE id = ?1", (&id, &grant))?;
            Ok(())
        })
        .await
}
