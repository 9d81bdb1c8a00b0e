//! A project's files for a backup: framed, for owners only, and never held for a client that takes nothing.

use axum::body::Body;

use super::*;

const PATH: &str = "/api/v1/projects/1/backup";

/// The files in an answer, by name.
fn files(mut body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    while !body.is_empty() {
        let end = body.iter().position(|b| *b == b'\n').unwrap();
        let header: Value = serde_json::from_slice(&body[..end]).unwrap();
        let length = usize::try_from(header["length"].as_u64().unwrap()).unwrap();
        let (bytes, rest) = body[end + 1..].split_at(length);
        files.push((header["part"].as_str().unwrap().to_owned(), bytes.to_vec()));
        body = rest;
    }
    files
}

async fn ask(instance: &Instance) -> axum::response::Response {
    instance.open(Arrival::Unix, get(PATH).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_projects_files_come_as_they_are_on_disk() {
    let instance = Instance::new("backup").await;
    instance.record("a.example", "/", &vec![7; 600_000]).await;
    let answer = instance.get(PATH).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/octet-stream"));
    let files = files(&answer.body);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["store/projects/1.db", "store/projects/1.bodies/1.seg"]);
    for (name, bytes) in &files {
        let on_disk = std::fs::read(instance.directory.join(name.strip_prefix("store/").unwrap())).unwrap();
        assert!(*bytes == on_disk, "{name}");
        assert!(memchr::memmem::find(bytes, &[7; 64]).is_none(), "{name} is ciphertext");
    }
    assert_eq!(instance.get_with(PATH, "operator").await.code(), (403, "scope_missing".into()));
    // One that has no files, and one that nobody could have made.
    assert!(instance.get("/api/v1/projects/9/backup").await.body.is_empty());
    assert_eq!(instance.get("/api/v1/projects/x/backup").await.code(), (400, "invalid_parameter".into()));
}

#[tokio::test]
async fn without_an_open_project_there_is_no_copy() {
    let instance = Instance::empty("no-backup").await;
    assert_eq!(instance.get(PATH).await.code(), (409, "no_project_open".into()));
}

#[tokio::test]
async fn one_project_is_copied_at_a_time_and_a_client_that_leaves_is_no_hindrance() {
    let instance = Instance::new("one-backup").await;
    instance.record("a.example", "/", &vec![7; 3_000_000]).await;
    let first = ask(&instance).await;
    assert_eq!(instance.get(PATH).await.code(), (503, "busy".into()));
    drop(first);
    let again = async {
        while instance.get(PATH).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    soon(again).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up_and_does_not_get_a_part_for_all() {
    let instance = Instance::new("stalled-backup").await;
    instance.record("a.example", "/", &vec![7; 3_000_000]).await;
    let stalled = ask(&instance).await;
    let again = async {
        while instance.get(PATH).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    soon(again).await;
    assert!(stalled.into_body().collect().await.is_err());
}
