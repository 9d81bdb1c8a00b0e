//! Registration access tokens: whose they are, and how they are rotated.

use serde_json::json;

use super::Scratch;
use super::people::{account, client, instance_metadata, number, sql};
use crate::clients::Client;
use crate::oauth::registration::{DEVICE_CODE, Unfit, judge, members};
use crate::random::Hash;
use crate::store::management::{By, Managed, Replacement, Shut, delete, read, replace};

fn by() -> By {
    By { address: "192.0.2.1".into(), now_us: 1 }
}

async fn get(scratch: &Scratch, token: &str) -> Result<String, Shut> {
    read(scratch.store(), "cli_a".into(), token.into()).await.unwrap().map(|managed| managed.token)
}

async fn put(scratch: &Scratch, token: &str, auth: &str) -> Result<Managed, Shut> {
    let text = json!({ "grant_types": [DEVICE_CODE], "token_endpoint_auth_method": auth }).to_string();
    let replacement = move |client: &Client, fresh: &Hash| -> Result<Replacement, Unfit> {
        let fit = judge(&members(text.as_bytes())?, Some(client.kind))?;
        let secret = (fit.auth.as_str() != "none").then(|| client.secret.unwrap_or(*fresh));
        Ok(Replacement { fit, secret })
    };
    let replaced = replace(scratch.store(), "cli_a".into(), token.into(), by(), replacement).await.unwrap();
    replaced.map(Result::unwrap)
}

#[tokio::test(flavor = "multi_thread")]
async fn c12_a_token_is_refused_once_the_next_one_was_used_and_not_before() {
    let scratch = Scratch::new("rotation");
    let metadata = json!({ "grant_types": [DEVICE_CODE] });
    client(&scratch, "cli_a", &metadata).await;
    client(&scratch, "cli_b", &metadata).await;
    assert_eq!(get(&scratch, "mhm_cli_a").await.unwrap(), "mhm_cli_a", "reading rotates nothing");
    let first = put(&scratch, "mhm_cli_a", "client_secret_basic").await.unwrap_or_else(|_| panic!()).token;
    // The answer was lost: the same again, by PUT and by GET.
    assert_eq!(put(&scratch, "mhm_cli_a", "client_secret_basic").await.unwrap_or_else(|_| panic!()).token, first);
    assert_eq!(get(&scratch, "mhm_cli_a").await.unwrap(), first);
    assert_eq!(get(&scratch, &first).await.unwrap(), first);
    assert_eq!(get(&scratch, "mhm_cli_a").await, Err(Shut::Unknown));
    assert_eq!(get(&scratch, "mhm_cli_b").await, Err(Shut::Forbidden));
    assert_eq!(get(&scratch, "mhm_nobody").await, Err(Shut::Unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_made_where_one_is_needed_and_given_again_if_the_answer_was_lost() {
    let scratch = Scratch::new("new-secret");
    client(&scratch, "cli_a", &json!({ "grant_types": [DEVICE_CODE] })).await;
    let managed = put(&scratch, "mhm_cli_a", "client_secret_post").await.unwrap_or_else(|_| panic!());
    assert!(managed.secret.is_none(), "it has one, and keeps it");
    let public = put(&scratch, &managed.token, "none").await.unwrap_or_else(|_| panic!());
    assert!(public.secret.is_none() && public.client.secret.is_none());
    let given = put(&scratch, &public.token, "client_secret_basic").await.unwrap_or_else(|_| panic!());
    let again = put(&scratch, &public.token, "client_secret_basic").await.unwrap_or_else(|_| panic!());
    assert!(given.secret.as_ref().is_some_and(|secret| secret.starts_with("mhs_")));
    assert_eq!(given.secret, again.secret);
    assert_eq!(given.client.secret, again.client.secret);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_the_owner_wants_replaced_come_with_the_next_answer_and_again_if_it_was_lost() {
    let scratch = Scratch::new("owner-rotates");
    client(&scratch, "cli_a", &json!({ "grant_types": [DEVICE_CODE] })).await;
    sql(&scratch, "UPDATE clients SET rotate = 1 WHERE id = ?1", "cli_a").await;
    let get = || async { read(scratch.store(), "cli_a".into(), "mhm_cli_a".into()).await.unwrap() };
    let first = get().await.unwrap_or_else(|_| panic!());
    let again = get().await.unwrap_or_else(|_| panic!());
    assert!(first.secret.is_some() && first.token != "mhm_cli_a");
    assert_eq!((first.secret, &first.token), (again.secret, &again.token));
    let later = read(scratch.store(), "cli_a".into(), first.token.clone()).await.unwrap().unwrap_or_else(|_| panic!());
    assert_eq!((later.secret, later.token), (None, first.token), "once");
    assert!(get().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn c9_c10_with_a_client_goes_all_that_was_granted_to_it() {
    let scratch = Scratch::new("delete");
    account(&scratch, "acc_a").await;
    client(&scratch, "cli_a", &instance_metadata()).await;
    sql(
        &scratch,
        "INSERT INTO grants VALUES ('g', ?1, NULL, 'client', '', '', '', NULL, NULL, 0, 0, 9, NULL)",
        "cli_a",
    )
    .await;
    sql(&scratch, "INSERT INTO access_tokens VALUES ('j', ?1, 9, 0)", "g").await;
    sql(&scratch, "INSERT INTO refresh_tokens VALUES (x'00', ?1, 0, NULL, NULL)", "g").await;
    assert_eq!(delete(scratch.store(), "cli_a".into(), "mhm_no".into(), by()).await.unwrap(), Err(Shut::Unknown));
    assert_eq!(delete(scratch.store(), "cli_a".into(), "mhm_cli_a".into(), by()).await.unwrap(), Ok(()));
    assert_eq!(get(&scratch, "mhm_cli_a").await, Err(Shut::Unknown));
    let left = "SELECT (SELECT count(*) FROM grants) + (SELECT count(*) FROM access_tokens) +
                       (SELECT count(*) FROM refresh_tokens)";
    assert_eq!(number(&scratch, left).await, 0);
}
