//! What an account is at a client: asked when it approves, when tokens are made, and at every refresh, always within the
//! transaction that acts on the answer.

use merlon_api::Role;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::StoreError;
use crate::clients::{Client, Kind};
use crate::oauth::scope::Scopes;

/// What an account is at a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has this role.
    Role(Role),
    /// Nobody owns the instance, and this account would, because the instance has seen its claim code.
    Claims,
    /// The client is no instance: it has no roles, and whoever consents may use it.
    Free,
    /// Another account owns the instance that was to be claimed.
    WrongAccount,
    /// The instance is not this account's, nor shared with it.
    NotShared,
}

impl Standing {
    /// The role, where there is one.
    pub(crate) fn role(self) -> Option<Role> {
        match self {
            Self::Role(role) => Some(role),
            Self::Claims => Some(Role::Owner),
            Self::Free | Self::WrongAccount | Self::NotShared => None,
        }
    }

    /// Of the API's scopes, those that can be granted.
    pub(crate) fn scopes(self) -> Scopes {
        match self {
            Self::Role(role) => Scopes::of_role(role),
            Self::Claims | Self::Free => Scopes::API,
            Self::WrongAccount | Self::NotShared => Scopes::NONE,
        }
    }
}

/// What `account` is at `client`; `claim`: the instance has seen its claim code.
pub(super) fn of(tx: &Transaction<'_>, client: &Client, account: &str, claim: bool) -> Result<Standing, StoreError> {
    if client.kind != Kind::Instance {
        return Ok(Standing::Free);
    }
    match client.owner.as_deref() {
        Some(owner) if owner == account => Ok(Standing::Role(Role::Owner)),
        Some(_) if claim => Ok(Standing::WrongAccount),
        None if claim => Ok(Standing::Claims),
        _ => Ok(member(tx, &client.id, account)?.map_or(Standing::NotShared, Standing::Role)),
    }
}

fn member(tx: &Transaction<'_>, client: &str, account: &str) -> Result<Option<Role>, StoreError> {
    let role: Option<String> = tx
        .prepare_cached("SELECT role FROM members WHERE client = ?1 AND account = ?2")?
        .query_row(params![client, account], |row| row.get(0))
        .optional()?;
    role.map(|role| role.parse().map_err(|_| StoreError::Damaged("a role"))).transpose()
}

/// An account that may act: its name. None if it is locked or gone.
pub(super) fn account(tx: &Transaction<'_>, id: &str) -> Result<Option<String>, StoreError> {
    Ok(tx
        .prepare_cached("SELECT name FROM accounts WHERE id = ?1 AND locked = 0")?
        .query_row([id], |row| row.get(0))
        .optional()?)
}
