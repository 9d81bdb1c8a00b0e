//! Refresh tokens, with the time handed in.

use super::Scratch;
use super::people::{NOW, account, client, instance_metadata, instance_of, number, signed, sql, start};
use crate::clock::SECOND;
use crate::oauth::scope::Scopes;
use crate::random::hash;
use crate::store::issue::{Granted, Issue, Start, begin};
use crate::store::refresh::{Refresh, Refreshed, refresh};

const GRACE: i64 = 30;

fn ask(token: &str, seconds: i64) -> Refresh {
    Refresh {
        token: token.to_owned(),
        client: "cli_a".to_owned(),
        scope: None,
        thumbprint: None,
        grace_us: GRACE * SECOND,
        idle_us: 1000 * SECOND,
        now_us: NOW + seconds * SECOND,
    }
}

/// Asks, signs, asks again.
async fn settle(scratch: &Scratch, ask: Refresh) -> Refreshed {
    match refresh(scratch.store(), ask.clone(), None).await.unwrap() {
        Refreshed::Sign(issue) => {
            let signed = signed(issue, ask.now_us);
            refresh(scratch.store(), ask, Some(signed)).await.unwrap()
        }
        other => other,
    }
}

async fn next(scratch: &Scratch, token: &str, seconds: i64) -> String {
    match settle(scratch, ask(token, seconds)).await {
        Refreshed::Done { next } => next,
        _ => panic!("{token} was refused"),
    }
}

/// A grant of the owner with the refresh token `mhr_0`.
async fn granted(name: &str, thumbprint: Option<&str>) -> Scratch {
    let scratch = Scratch::new(name);
    account(&scratch, "acc_owner").await;
    instance_of(&scratch, "cli_a", "acc_owner").await;
    let start = Start { thumbprint: thumbprint.map(str::to_owned), ..start("mhr_0") };
    let issue = Issue {
        grant: start.grant.clone(),
        account: "acc_owner".into(),
        name: "acc_owner".into(),
        role: None,
        scope: Scopes::API.or(Scopes::OFFLINE_ACCESS),
        audience: "urn:merlon:instance:cli_a".into(),
        refresh: true,
    };
    let scope = issue.scope;
    let signed = signed(issue, NOW);
    let write = move |tx: &rusqlite::Transaction<'_>| {
        begin(tx, &Granted { via: "device", client: "cli_a", label: "", scope }, &start, &signed, NOW)
    };
    scratch.store().write(write).await.unwrap();
    scratch
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_a_token_that_was_used_ends_the_whole_grant() {
    let scratch = granted("reuse", None).await;
    let first = next(&scratch, "mhr_0", 0).await;
    let second = next(&scratch, &first, 1).await;
    // The successor was used: this is no lost answer, however soon it comes.
    assert!(matches!(settle(&scratch, ask("mhr_0", 2)).await, Refreshed::Reused));
    assert!(matches!(settle(&scratch, ask(&second, 3)).await, Refreshed::Unknown));
    assert_eq!(number(&scratch, "SELECT count(*) FROM grants WHERE ended_us IS NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_a_lost_answer_is_given_again_for_a_while() {
    let scratch = granted("lost", None).await;
    let first = next(&scratch, "mhr_0", 0).await;
    assert_eq!(next(&scratch, "mhr_0", GRACE).await, first);
    assert_eq!(number(&scratch, "SELECT count(*) FROM refresh_tokens").await, 2);
    assert!(matches!(settle(&scratch, ask("mhr_0", GRACE + 1)).await, Refreshed::Reused));
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_of_many_refreshes_at_once_one_rotates_and_all_have_its_successor() {
    let scratch = granted("race", None).await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let store = scratch.store().clone();
            tokio::spawn(async move {
                let ask = ask("mhr_0", 0);
                let Refreshed::Sign(issue) = refresh(&store, ask.clone(), None).await.unwrap() else { panic!() };
                let signed = signed(issue, NOW);
                match refresh(&store, ask, Some(signed)).await.unwrap() {
                    Refreshed::Done { next } => next,
                    _ => panic!(),
                }
            })
        })
        .collect();
    let mut nexts = Vec::new();
    for task in tasks {
        nexts.push(task.await.unwrap());
    }
    nexts.dedup();
    assert_eq!(nexts.len(), 1);
    assert_eq!(number(&scratch, "SELECT count(*) FROM refresh_tokens WHERE rotated_us IS NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_a_grant_that_is_not_used_ends_and_one_that_is_goes_on() {
    let scratch = granted("idle", None).await;
    let first = next(&scratch, "mhr_0", 999).await;
    let second = next(&scratch, &first, 1998).await;
    assert!(matches!(settle(&scratch, ask(&second, 2998)).await, Refreshed::Unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_f2_f4_a_token_is_its_clients_and_gives_no_more_than_was_granted() {
    let scratch = granted("bounds", None).await;
    client(&scratch, "cli_b", &instance_metadata()).await;
    let other = Refresh { client: "cli_b".into(), ..ask("mhr_0", 0) };
    assert!(matches!(settle(&scratch, other).await, Refreshed::Unknown));
    let wider = Refresh { scope: Some(Scopes::HUB), ..ask("mhr_0", 0) };
    assert!(matches!(settle(&scratch, wider).await, Refreshed::Wider));
    let narrow = Refresh { scope: Some(Scopes::stored("replay")), ..ask("mhr_0", 0) };
    let Refreshed::Sign(issue) = refresh(scratch.store(), narrow.clone(), None).await.unwrap() else { panic!() };
    assert_eq!(issue.scope.to_string(), "replay");
    let Refreshed::Done { next } = settle(&scratch, narrow).await else { panic!() };
    let Refreshed::Sign(issue) = refresh(scratch.store(), ask(&next, 1), None).await.unwrap() else { panic!() };
    assert_eq!(issue.scope, Scopes::API.or(Scopes::OFFLINE_ACCESS), "the grant keeps its scope");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_grant_needs_its_key_and_a_locked_account_or_a_lost_role_ends_it() {
    let scratch = granted("bound", Some("thumb")).await;
    assert!(matches!(settle(&scratch, ask("mhr_0", 0)).await, Refreshed::OtherKey));
    let wrong = Refresh { thumbprint: Some("else".into()), ..ask("mhr_0", 0) };
    assert!(matches!(settle(&scratch, wrong).await, Refreshed::OtherKey));
    let bound = |token: &str| Refresh { thumbprint: Some("thumb".into()), ..ask(token, 1) };
    let Refreshed::Done { next } = settle(&scratch, bound("mhr_0")).await else { panic!() };
    sql(&scratch, "UPDATE clients SET owner = NULL WHERE id = ?1", "cli_a").await;
    assert!(matches!(settle(&scratch, bound(&next)).await, Refreshed::Denied(why) if why.starts_with("not_shared")));
    assert_eq!(number(&scratch, "SELECT count(*) FROM grants WHERE ended_us IS NULL").await, 0);
    assert_ne!(hash(next.as_bytes()), hash(b"mhr_0"));
}
