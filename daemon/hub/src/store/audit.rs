//! The audit trail: what was changed, by whom, from where. Written inside the transaction of the change itself, so that
//! there is neither one without the other; bounded, the oldest entries go first.

use rusqlite::{Transaction, named_params};

use super::{Store, StoreError};

/// Entries that are kept.
const KEPT: i64 = 100_000;
/// The longest text of an entry, in characters; what is longer is cut.
const MAX_TEXT: usize = 256;

/// Something that happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// What, as `noun-verb`.
    pub(crate) event: &'static str,
    /// Who did it: the name that an account had, or a client id.
    pub(crate) actor: String,
    /// The account that it is about; its holder sees the entry.
    pub(crate) account: Option<String>,
    /// The client that it is about; its owner sees the entry.
    pub(crate) client: Option<String>,
    /// Where the request came from.
    pub(crate) address: String,
    /// More, for people.
    pub(crate) details: String,
}

/// An entry as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// Rises with time.
    pub(crate) id: i64,
    /// Microseconds since 1970-01-01 UTC.
    pub(crate) time_us: i64,
    /// As in [`Entry`].
    pub(crate) event: String,
    /// As in [`Entry`].
    pub(crate) actor: String,
    /// As in [`Entry`].
    pub(crate) client: Option<String>,
    /// As in [`Entry`].
    pub(crate) address: String,
    /// As in [`Entry`].
    pub(crate) details: String,
}

/// Writes an entry within the transaction of what it tells.
pub(super) fn record(tx: &Transaction<'_>, now_us: i64, entry: &Entry) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO audit (time_us, event, actor, account, client, address, details)
         VALUES (:time, :event, :actor, :account, :client, :address, :details)",
    )?
    .execute(named_params! {
        ":time": now_us, ":event": entry.event, ":actor": cut(&entry.actor), ":account": entry.account,
        ":client": entry.client, ":address": cut(&entry.address), ":details": cut(&entry.details),
    })?;
    let newest = tx.last_insert_rowid();
    tx.prepare_cached("DELETE FROM audit WHERE id <= ?1")?.execute([newest - KEPT])?;
    Ok(())
}

/// Entries before `before`, newest first: those about this account and its clients, or all.
pub(crate) async fn trail(
    store: &Store,
    account: Option<String>,
    before: i64,
    limit: u32,
) -> Result<Vec<Recorded>, StoreError> {
    store
        .read(move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT id, time_us, event, actor, client, address, details FROM audit
             WHERE id < :before AND (:account IS NULL OR account = :account
                OR client IN (SELECT id FROM clients WHERE owner = :account))
             ORDER BY id DESC LIMIT :limit",
            )?;
            let rows =
                query.query_map(named_params! { ":before": before, ":account": account, ":limit": limit }, |row| {
                    Ok(Recorded {
                        id: row.get(0)?,
                        time_us: row.get(1)?,
                        event: row.get(2)?,
                        actor: row.get(3)?,
                        client: row.get(4)?,
                        address: row.get(5)?,
                        details: row.get(6)?,
                    })
                })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(MAX_TEXT).map_or(text, |(end, _)| &text[..end])
}
