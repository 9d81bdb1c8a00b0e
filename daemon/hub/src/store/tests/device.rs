//! Device authorizations, with the time handed in.

use super::Scratch;
use super::people::{ISSUER, NOW, account, client, instance_metadata, instance_of, number, signed, sql, start};
use crate::clock::SECOND;
use crate::oauth::scope::Scopes;
use crate::oauth::user_code::UserCode;
use crate::random::hash;
use crate::store::device::{Begun, Decided, Decision, New, begin, by_user_code, decide_in};
use crate::store::device_poll::{Poll, Polled, poll};
use crate::store::standing::Standing;
use crate::store::{Store, StoreError};

fn code() -> UserCode {
    UserCode::typed("BCDFGHJK").unwrap()
}

fn new(client: &str) -> New {
    New {
        hash: hash(b"device code"),
        user_code: code(),
        client: client.to_owned(),
        scope: Scopes::API.or(Scopes::OFFLINE_ACCESS),
        resource: None,
        claim: false,
        label: "merlon on laptop".to_owned(),
        address: "192.0.2.1".to_owned(),
        interval_us: 5 * SECOND,
        now_us: NOW,
        expires_us: NOW + 600 * SECOND,
    }
}

async fn decide(
    store: &Store,
    code: UserCode,
    account: String,
    decision: Decision,
    now_us: i64,
) -> Result<Decided, StoreError> {
    store.write(move |tx| decide_in(tx, &code, &account, decision, now_us)).await
}

/// A poll after so many milliseconds, without a token.
async fn ask(scratch: &Scratch, client: &str, after_ms: i64) -> Polled {
    poll(scratch.store(), at(client, after_ms), None).await.unwrap()
}

fn at(client: &str, after_ms: i64) -> Poll {
    Poll {
        hash: hash(b"device code"),
        client: client.to_owned(),
        start: start("mhr_first"),
        issuer: ISSUER.to_owned(),
        now_us: NOW + after_ms * 1000,
    }
}

/// A poll that comes with the token it is asked for.
async fn redeem(scratch: &Scratch, client: &str, after_ms: i64) -> Polled {
    let poll_once = at(client, after_ms);
    match poll(scratch.store(), poll_once.clone(), None).await.unwrap() {
        Polled::Sign(issue) => {
            let signed = signed(issue, poll_once.now_us);
            poll(scratch.store(), poll_once, Some(signed)).await.unwrap()
        }
        other => other,
    }
}

async fn approve(scratch: &Scratch, account: &str) -> Decided {
    let decision = Decision::Approve(Scopes::API);
    decide(scratch.store(), code(), account.to_owned(), decision, NOW + SECOND).await.unwrap()
}

async fn begun(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    account(&scratch, "acc_owner").await;
    account(&scratch, "acc_other").await;
    instance_of(&scratch, "cli_a", "acc_owner").await;
    assert_eq!(begin(scratch.store(), new("cli_a")).await.unwrap(), Begun::Waiting);
    scratch
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_p4_polls_at_any_steady_pace_are_never_shut_out() {
    let scratch = begun("poll-pace").await;
    assert_eq!(ask(&scratch, "cli_a", 0).await, Polled::Pending, "the first is never too early");
    assert_eq!(ask(&scratch, "cli_a", 4_499).await, Polled::SlowDown);
    // It obeys: 5 seconds more from its last poll on. The leeway is for clocks and networks.
    assert_eq!(ask(&scratch, "cli_a", 14_000).await, Polled::Pending);
    assert_eq!(ask(&scratch, "cli_a", 23_600).await, Polled::Pending);
    // One that does not obey is answered again within a minute, however it keeps asking.
    let mut last = 23_600;
    let mut answered = 23_600;
    for _ in 0..400 {
        last += 1_000;
        match ask(&scratch, "cli_a", last).await {
            Polled::Pending => {
                assert!(last - answered <= 60_000, "shut out for {} ms", last - answered);
                answered = last;
            }
            other => assert_eq!(other, Polled::SlowDown),
        }
    }
    assert!(answered > 300_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_p6_another_client_learns_nothing_and_time_and_denial_end_it() {
    let scratch = begun("poll-ends").await;
    client(&scratch, "cli_b", &instance_metadata()).await;
    assert_eq!(ask(&scratch, "cli_b", 0).await, Polled::Unknown);
    assert_eq!(ask(&scratch, "cli_a", 600_000).await, Polled::Expired);
    let deny = decide(scratch.store(), code(), "acc_owner".into(), Decision::Deny, NOW).await.unwrap();
    assert!(matches!(deny, Decided::Done { .. }));
    assert!(matches!(ask(&scratch, "cli_a", 0).await, Polled::Denied(_)));
    assert_eq!(approve(&scratch, "acc_owner").await, Decided::Gone, "v5: decided once");
}

#[tokio::test(flavor = "multi_thread")]
async fn v5_an_expired_code_is_neither_shown_nor_approved() {
    let scratch = begun("expired").await;
    let late = NOW + 600 * SECOND;
    assert!(by_user_code(scratch.store(), code(), "acc_owner".into(), late - 1).await.unwrap().is_some());
    assert!(by_user_code(scratch.store(), code(), "acc_owner".into(), late).await.unwrap().is_none());
    let decided = decide(scratch.store(), code(), "acc_owner".into(), Decision::Approve(Scopes::API), late).await;
    assert_eq!(decided.unwrap(), Decided::Gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn v7_of_many_decisions_at_once_one_counts() {
    let scratch = begun("decide-once").await;
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let store = scratch.store().clone();
            let decision = if n % 2 == 0 { Decision::Deny } else { Decision::Approve(Scopes::API) };
            tokio::spawn(async move { decide(&store, code(), "acc_owner".into(), decision, NOW).await.unwrap() })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += u32::from(matches!(task.await.unwrap(), Decided::Done { .. }));
    }
    assert_eq!(done, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_of_many_redemptions_at_once_one_wins_and_a_replay_ends_the_grant() {
    let scratch = begun("redeem-once").await;
    approve(&scratch, "acc_owner").await;
    // All have their token signed before any of them is settled.
    let mut ready = Vec::new();
    for _ in 0..32 {
        let poll_once = at("cli_a", 6_000);
        let Polled::Sign(issue) = poll(scratch.store(), poll_once.clone(), None).await.unwrap() else { panic!() };
        ready.push((poll_once, signed(issue, NOW)));
    }
    let tasks: Vec<_> = ready
        .into_iter()
        .map(|(poll_once, signed)| {
            let store = scratch.store().clone();
            tokio::spawn(async move { poll(&store, poll_once, Some(signed)).await.unwrap() })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        match task.await.unwrap() {
            Polled::Granted => granted += 1,
            other => assert_eq!(other, Polled::Replayed),
        }
    }
    assert_eq!(granted, 1);
    assert_eq!(number(&scratch, "SELECT count(*) FROM grants").await, 1);
    assert_eq!(number(&scratch, "SELECT count(*) FROM access_tokens").await, 1);
    assert_eq!(ask(&scratch, "cli_a", 20_000).await, Polled::Replayed);
    assert_eq!(number(&scratch, "SELECT count(*) FROM grants WHERE ended_us IS NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn p11_what_changed_since_the_approval_counts() {
    let scratch = begun("recheck").await;
    approve(&scratch, "acc_owner").await;
    sql(&scratch, "UPDATE accounts SET locked = 1 WHERE id = ?1", "acc_owner").await;
    assert!(matches!(redeem(&scratch, "cli_a", 6_000).await, Polled::Denied(why) if why.starts_with("account_locked")));
    sql(&scratch, "UPDATE accounts SET locked = 0 WHERE id = ?1", "acc_owner").await;
    sql(&scratch, "UPDATE clients SET owner = 'acc_other' WHERE id = ?1", "cli_a").await;
    assert!(matches!(redeem(&scratch, "cli_a", 12_000).await, Polled::Denied(why) if why.starts_with("not_shared")));
    sql(&scratch, "INSERT INTO members VALUES (?1, 'acc_owner', 'viewer')", "cli_a").await;
    let Polled::Sign(issue) = ask(&scratch, "cli_a", 18_000).await else { panic!() };
    assert_eq!(issue.scope.to_string(), "flows:read offline_access");
    // The role grows between the signature and the grant: it is signed anew.
    let stale = signed(issue, NOW);
    sql(&scratch, "UPDATE members SET role = 'operator' WHERE client = ?1", "cli_a").await;
    let again = poll(scratch.store(), at("cli_a", 18_000), Some(stale)).await.unwrap();
    assert!(matches!(again, Polled::Sign(issue) if issue.scope.holds(Scopes::stored("config"))));
    sql(&scratch, "DELETE FROM clients WHERE id = ?1", "cli_a").await;
    assert_eq!(ask(&scratch, "cli_a", 24_000).await, Polled::Unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_makes_the_approving_account_the_owner_and_a_second_one_is_told_so() {
    let scratch = Scratch::new("claim");
    account(&scratch, "acc_owner").await;
    account(&scratch, "acc_other").await;
    client(&scratch, "cli_a", &instance_metadata()).await;
    begin(scratch.store(), New { claim: true, ..new("cli_a") }).await.unwrap();
    let shown = by_user_code(scratch.store(), code(), "acc_owner".into(), NOW).await.unwrap().unwrap();
    assert_eq!(shown.standing, Standing::Claims);
    approve(&scratch, "acc_owner").await;
    assert_eq!(number(&scratch, "SELECT count(*) FROM clients WHERE owner IS NOT NULL").await, 0);
    assert_eq!(redeem(&scratch, "cli_a", 6_000).await, Polled::Granted);
    assert_eq!(number(&scratch, "SELECT count(*) FROM clients WHERE owner = 'acc_owner'").await, 1);
    // Another one who had the claim code, too.
    let second = UserCode::typed("ZZZZZZZZ").unwrap();
    let late = New { hash: hash(b"second"), user_code: second.clone(), claim: true, ..new("cli_a") };
    begin(scratch.store(), late).await.unwrap();
    let approve = Decision::Approve(Scopes::API);
    let decided = decide(scratch.store(), second, "acc_other".into(), approve, NOW).await.unwrap();
    assert!(matches!(decided, Decided::Done { standing: Standing::WrongAccount, .. }));
    let polled = poll(scratch.store(), Poll { hash: hash(b"second"), ..at("cli_a", 0) }, None).await.unwrap();
    assert!(matches!(polled, Polled::Denied(why) if why.starts_with("wrong_account")));
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_wait_are_bounded() {
    let scratch = begun("bounded").await;
    assert_eq!(begin(scratch.store(), New { hash: hash(b"x"), ..new("cli_a") }).await.unwrap(), Begun::CodeTaken);
    assert_eq!(begin(scratch.store(), New { hash: hash(b"x"), ..new("cli_0") }).await.unwrap(), Begun::NoClient);
    for n in 0_u32..63 {
        let user_code = UserCode::random().unwrap();
        let one = New { hash: hash(&n.to_be_bytes()), user_code, ..new("cli_a") };
        assert_eq!(begin(scratch.store(), one).await.unwrap(), Begun::Waiting);
    }
    let more = New { hash: hash(b"more"), user_code: UserCode::random().unwrap(), ..new("cli_a") };
    assert_eq!(begin(scratch.store(), more).await.unwrap(), Begun::TooMany);
}
