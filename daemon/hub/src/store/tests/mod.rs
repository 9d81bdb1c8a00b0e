//! The two ways into the database, on a real file.

mod accounts;
mod codes;
mod device;
mod management;
mod people;
mod refresh;
mod registration;

use std::path::PathBuf;

use merlon_sandbox::secret::Secret;

use super::*;

/// A database in a directory of its own, which goes with it.
pub(super) struct Scratch {
    pub(super) store: Option<Store>,
    dir: PathBuf,
}

impl Scratch {
    pub(super) fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("merlon-hub-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir_all(&dir).unwrap();
        Self { store: Some(Store::open(&dir, &key()).unwrap()), dir }
    }

    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.store.take());
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

fn key() -> Secret<32> {
    Secret::init(|place| place.fill(7)).unwrap()
}

fn put(tx: &Transaction<'_>, name: String) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO meta (name, value) VALUES (?1, 1)")?.execute([name])?;
    Ok(())
}

fn count(tx: &Transaction<'_>) -> Result<i64, StoreError> {
    Ok(tx.query_row("SELECT count(*) FROM meta", (), |row| row.get(0))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_takes_nothing_of_the_others_along() {
    let scratch = Scratch::new("savepoints");
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let store = scratch.store().clone();
            tokio::spawn(async move {
                // Each twice: one of the two fails at the primary key, whatever it had written before.
                store
                    .write(move |tx| {
                        put(tx, format!("extra-{n}"))?;
                        put(tx, format!("name-{}", n / 2))
                    })
                    .await
                    .is_ok()
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += i64::from(task.await.unwrap());
    }
    assert_eq!(done, 100);
    assert_eq!(scratch.store().read(count).await.unwrap(), 200);
}

#[tokio::test]
async fn what_was_written_is_there_after_it_was_closed_and_opened_again() {
    let mut scratch = Scratch::new("again");
    scratch.store().write(|tx| put(tx, "kept".into())).await.unwrap();
    drop(scratch.store.take());
    let store = Store::open(&scratch.dir, &key()).unwrap();
    assert_eq!(store.read(count).await.unwrap(), 1);
    assert!(store.is_alive());
    store.close().await;
    assert!(!store.is_alive());
    assert!(matches!(store.write(|_| Ok(())).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_read_cannot_write() {
    let scratch = Scratch::new("readers");
    assert!(scratch.store().read(|tx| put(tx, "sneaked".into())).await.is_err());
    assert_eq!(scratch.store().read(count).await.unwrap(), 0);
}

#[test]
fn another_key_opens_nothing() {
    let scratch = Scratch::new("key");
    let other = Secret::init(|place| place.fill(8)).unwrap();
    assert!(matches!(Store::open(&scratch.dir, &other), Err(StoreError::Database(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_as_it_was_last_committed_whoever_changed_it() {
    let scratch = Scratch::new("cached");
    let store = scratch.store();
    let sql = |statement: &'static str| async move { store.write(move |tx| Ok(tx.execute_batch(statement)?)).await };
    sql("INSERT INTO accounts VALUES ('acc_1', 'ann', '', 0, 0, 0, 0);
         INSERT INTO clients (id, kind, metadata, auth, secret, rotation_key, owner, created_us)
         VALUES ('cli_1', 'other', '{}', 'none', NULL, x'', 'acc_1', 1)")
    .await
    .unwrap();
    let client = || async { clients::by_id(store, "cli_1").await.unwrap() };
    assert_eq!(client().await.unwrap().owner.as_deref(), Some("acc_1"));
    // The same one, until it changes in what counts.
    let first = client().await.unwrap();
    sql("UPDATE clients SET used_us = 7").await.unwrap();
    assert!(Arc::ptr_eq(&first, &client().await.unwrap()));
    sql("UPDATE clients SET auth = 'private_key_jwt'").await.unwrap();
    assert_eq!(client().await.unwrap().auth, crate::clients::AuthMethod::PrivateKeyJwt);
    // Also where another row of another table takes it along, and where it comes to nothing.
    sql("DELETE FROM accounts").await.unwrap();
    assert_eq!(client().await.unwrap().owner, None);
    sql("UPDATE clients SET auth = 'none'; INSERT INTO nowhere VALUES (1)").await.unwrap_err();
    assert_eq!(client().await.unwrap().auth, crate::clients::AuthMethod::PrivateKeyJwt);
    sql("DELETE FROM clients").await.unwrap();
    assert!(client().await.is_none());
}
