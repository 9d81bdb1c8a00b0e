//! What a test of grants needs: accounts, clients, a token that was signed.

use rusqlite::params;
use serde_json::{Value, json};

use super::Scratch;
use crate::clock::SECOND;
use crate::oauth::registration::{self, DEVICE_CODE, REFRESH_TOKEN};
use crate::oauth::token::Issued;
use crate::random::{self, hash};
use crate::store::issue::{Issue, Signed, Start};
use crate::store::registration::{New, Registered, register};

/// A time at which a test begins.
pub(super) const NOW: i64 = 1_800_000_000 * SECOND;
pub(super) const ISSUER: &str = "https://hub.example";

/// An account with this id and name.
pub(super) async fn account(scratch: &Scratch, id: &'static str) {
    sql(scratch, "INSERT INTO accounts VALUES (?1, ?1, '', 0, 0, 0, 0)", id).await;
}

/// Runs a statement with one parameter.
pub(super) async fn sql(scratch: &Scratch, statement: &'static str, parameter: &str) {
    let parameter = parameter.to_owned();
    scratch.store().write(move |tx| Ok(tx.execute(statement, [parameter])?)).await.unwrap();
}

/// A number out of the database.
pub(super) async fn number(scratch: &Scratch, query: &'static str) -> i64 {
    scratch.store().read(move |tx| Ok(tx.query_row(query, (), |row| row.get(0))?)).await.unwrap()
}

/// Metadata of an instance.
pub(super) fn instance_metadata() -> Value {
    json!({ "software_id": "merlon", "grant_types": [DEVICE_CODE, REFRESH_TOKEN] })
}

/// A registration of this metadata; the caller changes what it is about.
pub(super) fn registration(id: &str, metadata: &Value) -> New {
    let members = registration::members(metadata.to_string().as_bytes()).unwrap();
    New {
        id: id.to_owned(),
        fit: registration::judge(&members, None).unwrap(),
        secret: Some(hash(b"secret")),
        registration: hash(format!("mhm_{id}").as_bytes()),
        rotation_key: [1; 32],
        proven: None,
        key: None,
        address: "192.0.2.1".to_owned(),
        most: 10,
        now_us: NOW,
    }
}

/// A client of this id.
pub(super) async fn client(scratch: &Scratch, id: &str, metadata: &Value) {
    let registered = register(scratch.store(), registration(id, metadata)).await.unwrap();
    assert_eq!(registered, Registered::Done(None));
}

/// An instance that this account owns.
pub(super) async fn instance_of(scratch: &Scratch, id: &'static str, owner: &'static str) {
    client(scratch, id, &instance_metadata()).await;
    let own = move |tx: &rusqlite::Transaction<'_>| {
        Ok(tx.execute("UPDATE clients SET owner = ?2 WHERE id = ?1", params![id, owner])?)
    };
    scratch.store().write(own).await.unwrap();
}

/// What a grant begins with.
pub(super) fn start(refresh: &str) -> Start {
    Start {
        grant: random::id("grt_").unwrap(),
        refresh: hash(refresh.as_bytes()),
        chain_key: [2; 32],
        thumbprint: None,
        idle_us: 1000 * SECOND,
    }
}

/// As the keeper would have signed it.
pub(super) fn signed(issue: Issue, now_us: i64) -> Signed {
    let issued =
        Issued { jti: random::id("").unwrap(), issued_us: now_us, expires_us: now_us + 600 * SECOND, lifetime: 600 };
    Signed { issue, issued }
}
