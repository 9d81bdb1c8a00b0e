//! Accounts, browsers and tokens by the clock, which is handed in; and the bound of the audit trail.

use super::Scratch;
use super::people::{NOW, account, number, sql};
use crate::clock::SECOND;
use crate::random::hash;
use crate::store::accounts::{self, Account, Joined, NewAccount, NewInvitation};
use crate::store::browsers::{self, NewBrowser};
use crate::store::personal::{self, NewToken};
use crate::store::{audit, keys};

const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

async fn alice(scratch: &Scratch) -> Account {
    account(scratch, "acc_alice").await;
    accounts::by_name(scratch.store(), "ACC_ALICE".into()).await.unwrap().unwrap().account
}

async fn sign_in(scratch: &Scratch, who: &Account, cookie: &str, now_us: i64) -> bool {
    let new = NewBrowser {
        id: format!("brw_{cookie}"),
        hash: hash(cookie.as_bytes()),
        csrf: "token".into(),
        agent: "agent".into(),
        address: "192.0.2.1".into(),
    };
    browsers::sign_in(scratch.store(), who.clone(), new, 12 * HOUR, now_us).await.unwrap()
}

async fn lives(scratch: &Scratch, cookie: &str, now_us: i64) -> bool {
    browsers::find(scratch.store(), hash(cookie.as_bytes()), 12 * HOUR, now_us).await.unwrap().is_some()
}

#[tokio::test]
async fn a_browser_ends_when_it_is_idle_and_each_use_puts_that_off() {
    let scratch = Scratch::new("idle");
    let alice = alice(&scratch).await;
    assert!(sign_in(&scratch, &alice, "a", NOW).await);
    assert!(lives(&scratch, "a", NOW + 11 * HOUR).await);
    assert!(lives(&scratch, "a", NOW + 22 * HOUR).await, "used eleven hours ago");
    assert!(!lives(&scratch, "a", NOW + 34 * HOUR).await, "used twelve hours ago");
    assert!(!lives(&scratch, "b", NOW).await);

    // A password that was changed between the check and this moment signs nobody in; nor does a locked account.
    let before = Account { password_us: alice.password_us - 1, ..alice.clone() };
    assert!(!sign_in(&scratch, &before, "c", NOW).await);
    assert!(sign_in(&scratch, &alice, "d", NOW).await);
    sql(&scratch, "UPDATE accounts SET locked = 1 WHERE id = ?1", "acc_alice").await;
    assert!(!lives(&scratch, "d", NOW).await);
    assert!(!sign_in(&scratch, &alice, "e", NOW).await);
}

#[tokio::test]
async fn an_account_has_so_many_browsers_and_the_one_used_longest_ago_goes_first() {
    let scratch = Scratch::new("browsers");
    let alice = alice(&scratch).await;
    for n in 0..40 {
        assert!(sign_in(&scratch, &alice, &n.to_string(), NOW + n * SECOND).await);
    }
    assert_eq!(number(&scratch, "SELECT count(*) FROM browsers").await, 32);
    assert!(!lives(&scratch, "7", NOW + HOUR).await && lives(&scratch, "8", NOW + HOUR).await);
}

#[tokio::test]
async fn invitations_keys_and_tokens_end_by_the_clock() {
    let scratch = Scratch::new("ends");
    let alice = alice(&scratch).await;
    let store = scratch.store();
    let invitation = || NewInvitation {
        id: "inv_1".into(),
        code_hash: hash(b"code"),
        admin: false,
        expires_us: NOW + 7 * DAY,
        address: String::new(),
    };
    assert!(accounts::invite(store, alice.clone(), invitation(), NOW).await.unwrap());
    let new = |id: &str, name: &str| NewAccount {
        id: id.into(),
        name: name.into(),
        password: String::new(),
        code_hash: hash(b"code"),
        address: String::new(),
    };
    let late = accounts::join(store, new("acc_1", "late"), NOW + 7 * DAY).await.unwrap();
    assert!(matches!(late, Joined::BadCode), "{late:?}");
    let taken = accounts::join(store, new("acc_1", "Acc_Alice"), NOW).await.unwrap();
    assert!(matches!(taken, Joined::NameTaken), "{taken:?}");
    let made = accounts::join(store, new("acc_1", "bob"), NOW + DAY).await.unwrap();
    assert!(matches!(made, Joined::Made(account) if !account.admin));
    let again = accounts::join(store, new("acc_2", "carol"), NOW + DAY).await.unwrap();
    assert!(matches!(again, Joined::BadCode), "{again:?}");

    let token = NewToken {
        id: "pat_1".into(),
        hash: hash(b"token"),
        label: "x".into(),
        scope: "flows:read".into(),
        expires_us: NOW + DAY,
        address: String::new(),
    };
    assert!(personal::make(store, alice.clone(), token, NOW).await.unwrap());
    assert!(personal::find(store, hash(b"token"), NOW + DAY - 1).await.unwrap().is_some());
    assert!(personal::find(store, hash(b"token"), NOW + DAY).await.unwrap().is_none());
    let key = keys::NewKey {
        id: "key_1".into(),
        hash: hash(b"key"),
        label: "x".into(),
        single: true,
        expires_us: NOW + DAY,
        address: String::new(),
    };
    assert!(keys::make(store, alice, key, NOW).await.unwrap());
    assert_eq!(keys::list(store, "acc_alice".into(), NOW).await.unwrap().len(), 1);
    assert!(keys::list(store, "acc_alice".into(), NOW + DAY).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_audit_trail_keeps_the_newest_and_tells_each_what_is_theirs() {
    let scratch = Scratch::new("audit");
    let alice = alice(&scratch).await;
    account(&scratch, "acc_bob").await;
    sql(
        &scratch,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
         INSERT INTO audit (time_us, event, actor, account, address, details) SELECT i, 'old', '', ?1, '', '' FROM n",
        "acc_bob",
    )
    .await;
    assert!(sign_in(&scratch, &alice, "a", NOW).await);
    assert_eq!(number(&scratch, "SELECT count(*) FROM audit").await, 100_000);
    assert_eq!(number(&scratch, "SELECT min(time_us) FROM audit").await, 2, "the oldest went");
    let trail = |account: Option<&str>| audit::trail(scratch.store(), account.map(str::to_owned), i64::MAX, 10);
    let mine = trail(Some("acc_alice")).await.unwrap();
    assert_eq!(mine.iter().map(|entry| entry.event.as_str()).collect::<Vec<_>>(), ["signed-in"]);
    assert!(trail(Some("acc_bob")).await.unwrap().iter().all(|entry| entry.event == "old"));
    let all = trail(None).await.unwrap();
    assert_eq!((all.len(), all[0].event.as_str()), (10, "signed-in"));
}
