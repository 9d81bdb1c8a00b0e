//! New keys of projects: put in place, reported, and found done after an interruption.

use super::*;

fn key(byte: u8) -> Secret<32> {
    Secret::init(|key| key.fill(byte)).unwrap()
}

/// The open project and a closed one, both under the keeper's old key.
async fn instance(name: &str) -> Instance {
    let instance = Instance::empty(name).await;
    instance.send("POST", "/api/v1/projects", r#"{"name":"second"}"#).await;
    for id in [2, 1] {
        assert_eq!(instance.send("POST", &format!("/api/v1/projects/{id}/open"), "").await.status, 200);
    }
    instance.record("a.example", "/", b"x").await;
    instance.keeper.script().waiting = vec![1, 2];
    instance
}

#[tokio::test]
async fn every_project_that_waits_gets_its_key_once() {
    let instance = instance("rotation").await;
    let done = instance.send("POST", "/api/v1/rotation", "").await;
    assert_eq!(done.status, 200);
    let expected = serde_json::json!({ "under_way": false, "rekeyed": 2, "waiting": 0, "problem": null });
    assert_eq!(done.json(), expected);
    assert_eq!(instance.keeper.script().rekeyed, [1, 2]);
    instance.record("b.example", "/", b"y").await;
    assert_eq!(instance.get("/api/v1/flows/count").await.json()["count"], 2);
    assert_eq!(instance.send("POST", "/api/v1/rotation", "").await.json()["rekeyed"], 0);
    assert_eq!(instance.send("POST", "/api/v1/projects/2/open", "").await.status, 200);
}

#[tokio::test]
async fn a_project_that_fails_holds_up_no_other_and_waits_on() {
    let instance = instance("rotation-fails").await;
    std::fs::write(instance.file(2), b"damaged").unwrap();
    let done = instance.send("POST", "/api/v1/rotation", "").await.json();
    assert_eq!((&done["rekeyed"], &done["waiting"]), (&1.into(), &1.into()));
    assert!(done["problem"].as_str().unwrap().contains("project 2"), "{done}");
    assert_eq!(instance.keeper.script().waiting, [2]);
}

#[tokio::test]
async fn a_project_whose_new_key_was_not_reported_opens_all_the_same() {
    let instance = instance("rotation-open").await;
    // As a kill leaves it: the file has the new key, the keeper has not heard of it.
    instance.store.rekey(2, key(7), key(8)).unwrap();
    assert_eq!(instance.send("POST", "/api/v1/projects/2/open", "").await.status, 200);
    assert_eq!(instance.keeper.script().rekeyed, [2]);
    // And one that was not reached yet opens with its old key, and is still on the list.
    assert_eq!(instance.send("POST", "/api/v1/projects/1/open", "").await.status, 200);
    assert_eq!(instance.keeper.script().waiting, [1]);
}

#[tokio::test]
async fn a_keeper_that_dies_on_the_way_is_waited_for() {
    let instance = instance("rotation-dies").await;
    instance.keeper.die(&instance.links).await;
    let answer = instance.send("POST", "/api/v1/rotation", "");
    let back = async {
        tokio::task::yield_now().await;
        instance.keeper.connect();
    };
    let (done, ()) = tokio::join!(answer, back);
    assert_eq!(done.json()["rekeyed"], 2);
}

#[tokio::test]
async fn only_an_owner_may_ask_for_it() {
    let instance = instance("rotation-role").await;
    for (token, status) in [("viewer", 403), ("operator", 403), ("owner", 200)] {
        let request = get("/api/v1/rotation").method("POST").header("host", "localhost");
        let request = request.header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
        assert_eq!(instance.ask(tcp(), request).await.status, status, "{token}");
    }
}
