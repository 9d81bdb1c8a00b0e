//! Authorization codes, with the time handed in.

use serde_json::json;

use super::Scratch;
use super::people::{ISSUER, NOW, account, client, number, signed, sql, start};
use crate::clock::SECOND;
use crate::oauth::scope::Scopes;
use crate::random::hash;
use crate::store::codes::{New, Redeem, Redeemed, keep, redeem};

// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn ask() -> Redeem {
    Redeem {
        hash: hash(b"code"),
        client: "cli_a".into(),
        redirect_uri: "https://app.example/cb".into(),
        verifier: VERIFIER.into(),
        start: start("mhr_0"),
        label: "app".into(),
        issuer: ISSUER.into(),
        now_us: NOW,
    }
}

async fn settle(scratch: &Scratch, ask: Redeem) -> Redeemed {
    match redeem(scratch.store(), ask.clone(), None).await.unwrap() {
        Redeemed::Sign(issue) => redeem(scratch.store(), ask, Some(signed(issue, NOW))).await.unwrap(),
        other => other,
    }
}

async fn kept(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    account(&scratch, "acc_a").await;
    for id in ["cli_a", "cli_b"] {
        let metadata = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none" });
        client(&scratch, id, &metadata).await;
    }
    let new = New {
        hash: hash(b"code"),
        client: "cli_a".into(),
        account: "acc_a".into(),
        redirect_uri: "https://app.example/cb".into(),
        challenge: CHALLENGE.into(),
        scope: Scopes::stored("replay offline_access"),
        resource: None,
        thumbprint: None,
        expires_us: NOW + 60 * SECOND,
    };
    keep(scratch.store(), new).await.unwrap();
    scratch
}

#[tokio::test(flavor = "multi_thread")]
async fn z5_z6_a_code_is_bound_to_client_redirect_and_verifier() {
    let scratch = kept("bound-code").await;
    let other = Redeem { client: "cli_b".into(), ..ask() };
    assert_eq!(settle(&scratch, other).await, Redeemed::Unknown);
    let elsewhere = Redeem { redirect_uri: "https://app.example/cb/".into(), ..ask() };
    assert_eq!(settle(&scratch, elsewhere).await, Redeemed::Unknown);
    assert_eq!(settle(&scratch, Redeem { verifier: CHALLENGE.into(), ..ask() }).await, Redeemed::Verifier);
    assert_eq!(settle(&scratch, Redeem { now_us: NOW + 60 * SECOND, ..ask() }).await, Redeemed::Unknown);
    assert_eq!(settle(&scratch, Redeem { hash: hash(b"none"), ..ask() }).await, Redeemed::Unknown);
    // None of these used it up.
    assert_eq!(settle(&scratch, ask()).await, Redeemed::Granted);
}

#[tokio::test(flavor = "multi_thread")]
async fn z6_of_many_uses_at_once_one_wins_and_a_second_use_ends_what_it_gave() {
    let scratch = kept("code-once").await;
    let mut ready = Vec::new();
    for _ in 0..32 {
        let ask = ask();
        let Redeemed::Sign(issue) = redeem(scratch.store(), ask.clone(), None).await.unwrap() else { panic!() };
        assert_eq!((issue.refresh, issue.role), (false, None), "no refresh grant is registered");
        ready.push((ask, signed(issue, NOW)));
    }
    let tasks: Vec<_> = ready
        .into_iter()
        .map(|(ask, signed)| {
            let store = scratch.store().clone();
            tokio::spawn(async move { redeem(&store, ask, Some(signed)).await.unwrap() })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        granted += u32::from(task.await.unwrap() == Redeemed::Granted);
    }
    assert_eq!(granted, 1);
    assert_eq!(settle(&scratch, ask()).await, Redeemed::Replayed);
    assert_eq!(number(&scratch, "SELECT count(*) FROM grants WHERE ended_us IS NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_account_gets_nothing_for_its_code() {
    let scratch = kept("code-locked").await;
    sql(&scratch, "UPDATE accounts SET locked = 1 WHERE id = ?1", "acc_a").await;
    assert_eq!(settle(&scratch, ask()).await, Redeemed::Unknown);
}
