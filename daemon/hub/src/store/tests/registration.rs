//! Registrations, their keys, the places of instances that were killed, and the sweep.

use rusqlite::params;

use super::Scratch;
use super::people::{NOW, account, client, instance_metadata, number, registration, sql};
use crate::clock::SECOND;
use crate::oauth::token::Issued;
use crate::random::hash;
use crate::store::registration::{New, Registered, register};
use crate::store::sweep::{Ages, often, seldom};

async fn key(scratch: &Scratch, text: &str, single_use: bool, expires_us: Option<i64>) {
    let (id, hash) = (text.to_owned(), hash(text.as_bytes()));
    let insert = move |tx: &rusqlite::Transaction<'_>| {
        Ok(tx.execute(
            "INSERT INTO registration_keys VALUES (?1, ?2, 'acc_owner', '', ?3, 0, 0, ?4)",
            params![id, hash, single_use, expires_us],
        )?)
    };
    scratch.store().write(insert).await.unwrap();
}

fn with_key(id: &str, key: &str, proven: Option<&str>) -> New {
    let key = Some(hash(key.as_bytes()));
    New { key, proven: proven.map(str::to_owned), ..registration(id, &instance_metadata()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_its_maker_the_owner_and_counts_its_uses() {
    let scratch = Scratch::new("keys");
    account(&scratch, "acc_owner").await;
    key(&scratch, "many", false, None).await;
    key(&scratch, "once", true, None).await;
    key(&scratch, "late", false, Some(NOW)).await;
    let ask = |id, key| register(scratch.store(), with_key(id, key, None));
    for id in ["cli_1", "cli_2"] {
        assert!(matches!(ask(id, "many").await.unwrap(), Registered::Done(Some(owner)) if owner.id == "acc_owner"));
    }
    assert!(matches!(ask("cli_3", "once").await.unwrap(), Registered::Done(Some(_))));
    assert_eq!(ask("cli_4", "once").await.unwrap(), Registered::WrongKey);
    assert_eq!(ask("cli_5", "late").await.unwrap(), Registered::WrongKey);
    assert_eq!(ask("cli_6", "none").await.unwrap(), Registered::WrongKey);
    sql(&scratch, "UPDATE accounts SET locked = 1 WHERE id = ?1", "acc_owner").await;
    assert_eq!(ask("cli_7", "many").await.unwrap(), Registered::WrongKey);
    assert_eq!(number(&scratch, "SELECT used FROM registration_keys WHERE id = 'many'").await, 2);
    assert_eq!(number(&scratch, "SELECT count(*) FROM clients").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_use_a_key_for_one_at_once_one_is_registered() {
    let scratch = Scratch::new("key-race");
    account(&scratch, "acc_owner").await;
    key(&scratch, "once", true, None).await;
    let tasks: Vec<_> = (0..32)
        .map(|n| {
            let store = scratch.store().clone();
            tokio::spawn(async move { register(&store, with_key(&format!("cli_{n}"), "once", None)).await.unwrap() })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += u32::from(matches!(task.await.unwrap(), Registered::Done(_)));
    }
    assert_eq!(done, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_was_killed_takes_its_own_place_again() {
    let scratch = Scratch::new("again");
    account(&scratch, "acc_owner").await;
    key(&scratch, "once", true, None).await;
    let proven = |id: &str, thumbprint: &str| New {
        proven: Some(thumbprint.to_owned()),
        ..registration(id, &instance_metadata())
    };
    for id in ["cli_1", "cli_2", "cli_3"] {
        register(scratch.store(), proven(id, "own")).await.unwrap();
    }
    register(scratch.store(), proven("cli_4", "another")).await.unwrap();
    assert_eq!(number(&scratch, "SELECT count(*) FROM clients WHERE id IN ('cli_3', 'cli_4')").await, 2);
    assert_eq!(number(&scratch, "SELECT count(*) FROM clients").await, 2);
    // With a key for one use, whose answer was lost: the key was not used up by what never worked.
    for id in ["cli_5", "cli_6"] {
        let registered = register(scratch.store(), with_key(id, "once", Some("own"))).await.unwrap();
        assert!(matches!(registered, Registered::Done(Some(_))), "{id}");
    }
    assert_eq!(number(&scratch, "SELECT count(*) FROM clients").await, 2);
    // Once it was used, neither place nor key is given away again.
    sql(&scratch, "UPDATE clients SET used_us = 1 WHERE id = ?1", "cli_6").await;
    let registered = register(scratch.store(), with_key("cli_7", "once", Some("own"))).await.unwrap();
    assert_eq!(registered, Registered::WrongKey);
    let registered = register(scratch.store(), proven("cli_8", "own")).await.unwrap();
    assert_eq!(registered, Registered::Done(None));
    assert_eq!(number(&scratch, "SELECT count(*) FROM clients WHERE id = 'cli_6'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_clients_are_capped_and_those_never_used_are_swept() {
    let scratch = Scratch::new("cap");
    for n in 0..10 {
        client(&scratch, &format!("cli_{n}"), &instance_metadata()).await;
    }
    let full = register(scratch.store(), registration("cli_more", &instance_metadata())).await.unwrap();
    assert_eq!(full, Registered::Full);
    account(&scratch, "acc_owner").await;
    sql(&scratch, "UPDATE clients SET used_us = 1 WHERE id = ?1", "cli_1").await;
    sql(&scratch, "UPDATE clients SET owner = 'acc_owner' WHERE id = ?1", "cli_2").await;
    let unused = 3600 * SECOND;
    let ages = Ages { unused_us: unused, access_us: SECOND, idle_us: SECOND };
    assert!(!often(scratch.store(), NOW + unused, ages).await.unwrap());
    assert_eq!(number(&scratch, "SELECT count(*) FROM clients").await, 10);
    assert!(!often(scratch.store(), NOW + unused + 1, ages).await.unwrap());
    assert_eq!(number(&scratch, "SELECT count(*) FROM clients").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_codes_and_grants_go_when_nobody_can_use_them() {
    let scratch = Scratch::new("sweep");
    client(&scratch, "cli_a", &instance_metadata()).await;
    sql(&scratch, "UPDATE clients SET used_us = 1 WHERE id = ?1", "cli_a").await;
    let rows = move |tx: &rusqlite::Transaction<'_>| {
        tx.execute(
            "INSERT INTO grants VALUES ('g', 'cli_a', NULL, 'client', '', '', '', NULL, NULL, 0, 0, ?1, NULL)",
            [NOW],
        )?;
        for age in 0_i64..3000 {
            let began = NOW - age * SECOND;
            let id = format!("{}{age}", Issued::id_before(began));
            tx.execute("INSERT INTO access_tokens VALUES (?1, 'g', ?2, 0)", params![id, began + 600 * SECOND])?;
        }
        tx.execute("INSERT INTO refresh_tokens VALUES (x'00', 'g', 0, ?1, NULL), (x'01', 'g', 0, NULL, NULL)", [NOW])?;
        Ok(())
    };
    scratch.store().write(rows).await.unwrap();
    let ages = Ages { unused_us: SECOND, access_us: 600 * SECOND, idle_us: 1000 * SECOND };
    while often(scratch.store(), NOW, ages).await.unwrap() {}
    assert_eq!(number(&scratch, "SELECT count(*) FROM access_tokens").await, 601);
    seldom(scratch.store(), NOW + 1000 * SECOND + 1, ages).await.unwrap();
    assert_eq!(number(&scratch, "SELECT count(*) FROM refresh_tokens").await, 1);
    seldom(scratch.store(), NOW + 8 * 24 * 3600 * SECOND, ages).await.unwrap();
    assert_eq!(number(&scratch, "SELECT count(*) FROM grants").await, 0);
}
