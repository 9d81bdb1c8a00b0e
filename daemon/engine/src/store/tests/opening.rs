//! Opening, closing, switching, deleting; files that cannot be used are told and left alone.

use std::fs;

use super::super::schema::CHUNK;
use super::*;
use crate::store::StoreError;

/// A closed project with one flow; its file.
async fn closed_project() -> (Directory, PathBuf) {
    let bed = Bed::new(&recording());
    bed.flow("a.example", "/kept", b"body").await;
    bed.store.close();
    let Bed { directory, store } = bed;
    drop(store);
    let path = directory.project(1);
    (directory, path)
}

/// What opening says, and that it changed nothing.
fn refused(directory: &Directory, key: Secret<32>) -> String {
    let path = directory.project(1);
    let before = fs::read(&path).unwrap();
    let error = Store::new(&directory.0, &recording()).open(project(1), key).unwrap_err();
    assert!(fs::read(&path).unwrap() == before, "the file was changed: {error}");
    error.to_string()
}

#[tokio::test]
async fn close_commits_what_waits_and_a_new_opening_goes_on() {
    let (directory, path) = closed_project().await;
    assert!(!path.with_extension("db-wal").exists(), "the log is written back");
    let store = Store::new(&directory.0, &recording());
    store.open(project(1), key()).unwrap();
    let bed = Bed { store, directory };
    assert_eq!(&*bed.all()[0].path, "/kept");
    let mut events = bed.store.events();
    assert_eq!(bed.flow("a.example", "/", b"").await, FlowId(2));
    ended(&mut events, 1).await;
    bed.store.close();
    bed.store.close();
    assert_eq!(bed.store.current(), None);
    assert!(matches!(bed.store.count(None), Err(StoreError::NoProject)));
}

#[tokio::test]
async fn the_file_says_nothing_without_its_key() {
    let (directory, path) = closed_project().await;
    let bytes = fs::read(path).unwrap();
    for needle in [&b"a.example"[..], b"/kept", b"SQLite", b"CREATE"] {
        assert!(memchr::memmem::find(&bytes, needle).is_none());
    }
    let error = refused(&directory, Secret::init(|key| key.fill(8)).unwrap());
    assert!(error.contains("1.db") && error.contains("key"), "{error}");
}

#[tokio::test]
async fn damaged_files_are_told_and_left_alone() {
    for damage in [|bytes: &mut Vec<u8>| bytes[5000] ^= 1, |bytes: &mut Vec<u8>| bytes.truncate(100), Vec::clear] {
        let (directory, path) = closed_project().await;
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let error = refused(&directory, key());
        assert!(error.contains("1.db") && error.contains("backup"), "{error}");
    }
}

#[tokio::test]
async fn other_projects_and_newer_schemas_are_told() {
    let (directory, path) = closed_project().await;
    fs::rename(&path, directory.project(2)).unwrap();
    let error = Store::new(&directory.0, &recording()).open(project(2), key()).unwrap_err();
    assert!(matches!(error, StoreError::OtherProject { found: 1, asked: 2, .. }), "{error}");
    fs::rename(directory.project(2), &path).unwrap();

    let options = merlon_cipherdb::Options { create: false, ..schema::form() };
    let connection = merlon_cipherdb::open(&path, &key(), options).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let error = refused(&directory, key());
    assert!(error.contains("99") && error.contains("release"), "{error}");
}

#[tokio::test]
async fn flows_under_way_at_a_kill_are_interrupted() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    bed.flow("a.example", "/ended", b"").await;
    let body = noise(150_000);
    let mut record = bed.store.recorder().begin(opening("a.example", "/under-way"));
    record.body(Side::Response, Bytes::copy_from_slice(&body)).await;
    while !events.recv().await.unwrap().iter().any(|summary| summary.id == record.id()) {}
    // The first chunks are in the same batch as the beginning, or in the next.
    let last = bed.flow("a.example", "/after", b"").await;
    while bed.store.flow(last).unwrap().is_none() {
        events.recv().await.unwrap();
    }

    // What a kill leaves is what the disk has now.
    let killed = Directory::new();
    fs::create_dir_all(killed.0.join("projects")).unwrap();
    for suffix in ["db", "db-wal"] {
        fs::copy(bed.directory.project(1).with_extension(suffix), killed.project(1).with_extension(suffix)).unwrap();
    }
    let segments = bed.directory.project(1).with_extension("bodies");
    fs::create_dir(killed.project(1).with_extension("bodies")).unwrap();
    for segment in fs::read_dir(segments).unwrap() {
        let segment = segment.unwrap();
        fs::copy(segment.path(), killed.project(1).with_extension("bodies").join(segment.file_name())).unwrap();
    }
    let store = Store::new(&killed.0, &recording());
    store.open(project(1), key()).unwrap();
    let after = Bed { store, directory: killed };
    let flows = after.all();
    assert_eq!(flows.len(), 3);
    let flow = flows.iter().find(|flow| flow.id == record.id()).unwrap();
    assert!(flow.error.as_deref().unwrap().starts_with("interrupted"));
    let kept = after.store.flow(flow.id).unwrap().unwrap().response_body_stored;
    let two_pieces = 2 * CHUNK;
    assert_eq!(kept, two_pieces as u64);
    assert!(after.store.body(flow.id, Side::Response, 0..kept).unwrap().unwrap() == body[..two_pieces]);
    assert_eq!(flows.iter().filter(|flow| flow.error.is_none()).count(), 2);
    assert_eq!(after.flow("a.example", "/", b"").await, FlowId(4));
}

#[tokio::test]
async fn recorders_follow_the_open_project() {
    let bed = Bed::new(&recording());
    let recorder = bed.store.recorder();
    bed.flow("first.example", "/", b"").await;
    let left = recorder.begin(opening("left.example", "/"));
    bed.store.open(project(2), key()).unwrap();
    assert_eq!(bed.store.current(), Some(project(2)));
    // It began in the other project, which is closed: it must not end up in this one.
    left.finish(outcome()).await;
    assert_eq!(bed.store.stats().unrecorded, 1);
    let mut events = bed.store.events();
    recorder.begin(opening("second.example", "/")).finish(outcome()).await;
    ended(&mut events, 1).await;
    assert_eq!(bed.all().len(), 1);
    assert_eq!(&*bed.all()[0].host, "second.example");
    bed.store.open(project(1), key()).unwrap();
    assert_eq!(&*bed.all()[0].host, "first.example");
}

#[tokio::test]
async fn deletion_removes_every_file_but_not_of_the_open_project() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    bed.flow("a.example", "/large", &noise(3 * CHUNK)).await;
    ended(&mut events, 1).await;
    assert!(fs::read_dir(bed.directory.project(1).with_extension("bodies")).unwrap().next().is_some());
    assert!(matches!(bed.store.delete_project_files(1), Err(StoreError::StillOpen(1))));
    bed.store.open(project(2), key()).unwrap();
    bed.store.delete_project_files(1).unwrap();
    bed.store.delete_project_files(1).unwrap();
    let names: Vec<_> =
        fs::read_dir(bed.directory.0.join("projects")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name.to_str().unwrap().starts_with("2.db")), "{names:?}");
}
