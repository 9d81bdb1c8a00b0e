//! Decisions about device authorizations, with their audit entry in the same transaction.

use super::accounts::Account;
use super::audit::{self, Entry};
use super::device::{self, Decided, Decision};
use super::{Store, StoreError};
use crate::oauth::user_code::UserCode;

/// Decides, once: of several at the same time one is done.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn decide(
    store: &Store,
    code: UserCode,
    by: Account,
    decision: Decision,
    address: String,
    now_us: i64,
) -> Result<Decided, StoreError> {
    store
        .write(move |tx| {
            let decided = device::decide_in(tx, &code, &by.id, decision, now_us)?;
            if let Decided::Done { client, .. } = &decided {
                let (event, details) = match decision {
                    Decision::Approve(scopes) => ("device-approved", scopes.to_string()),
                    Decision::Deny => ("device-denied", String::new()),
                };
                let (account, client) = (Some(by.id), Some(client.clone()));
                audit::record(tx, now_us, &Entry { event, actor: by.name, account, client, address, details })?;
            }
            Ok(decided)
        })
        .await
}
