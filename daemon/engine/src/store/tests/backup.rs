//! Copies for a backup: of one moment, whatever is recorded meanwhile; of projects that are not open, too.

use std::fs;
use std::path::Path;

use super::*;
use crate::store::{Backup, Copied, StoreError};

/// Lays the copied files out below `to`; their names.
fn lay_out(backup: Backup, to: &Directory) -> Vec<String> {
    let mut names = Vec::new();
    let mut lengths = Vec::new();
    backup
        .copy(|piece| {
            match piece {
                Copied::File { name, length } => {
                    fs::create_dir_all(to.0.join(&name).parent().unwrap()).unwrap();
                    fs::write(to.0.join(&name), []).unwrap();
                    names.push(name);
                    lengths.push(length);
                }
                Copied::Bytes(bytes) => {
                    let path = to.0.join(names.last().unwrap());
                    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
                    std::io::Write::write_all(&mut file, &bytes).unwrap();
                }
            }
            true
        })
        .unwrap();
    for (name, length) in names.iter().zip(lengths) {
        assert_eq!(fs::metadata(to.0.join(name)).unwrap().len(), length, "{name}");
    }
    names
}

fn opened(directory: Directory) -> Bed {
    let store = Store::new(&directory.0, &recording());
    store.open(project(1), key()).unwrap();
    Bed { store, directory }
}

fn response(bed: &Bed, id: FlowId) -> Vec<u8> {
    bed.store.body(id, Side::Response, 0..1 << 20).unwrap().unwrap()
}

#[tokio::test]
async fn a_copy_is_of_one_moment_whatever_is_recorded_meanwhile() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    let large = noise(300_000);
    let mut before = Vec::new();
    for number in 0..150 {
        before.push(bed.flow("a.example", &format!("/before/{number}"), b"small").await);
        if number % 10 == 0 {
            before.push(bed.flow("a.example", "/before/large", &large).await);
        }
    }
    ended(&mut events, before.len()).await;
    let summaries = bed.all();
    assert_eq!(summaries.len(), before.len());

    let backup = bed.store.backup(1).unwrap();
    let file = fs::read(bed.directory.project(1)).unwrap();
    // Enough for many checkpoints, each of which would change the file.
    for number in 0..2_000 {
        bed.flow("a.example", &format!("/after/{number}"), &large[..4000]).await;
        if number % 100 == 0 {
            bed.flow("a.example", "/after/large", &large).await;
        }
    }
    ended(&mut events, 2_020).await;
    assert!(fs::read(bed.directory.project(1)).unwrap() == file, "the file stands still while it is copied");
    let to = Directory::new();
    let names = lay_out(backup, &to);
    assert_eq!(names[0], "projects/1.db");
    assert!(names[1..].iter().all(|name| name.starts_with("projects/1.bodies/")) && names.len() > 1, "{names:?}");

    let copy = opened(to);
    assert_eq!(copy.all(), summaries);
    for summary in &summaries {
        let body = response(&copy, summary.id);
        assert!(body == if &*summary.path == "/before/large" { large.as_slice() } else { b"small" }, "{summary:?}");
    }
    copy.store.close();
    let options = merlon_cipherdb::Options { create: false, ..schema::form() };
    let connection = merlon_cipherdb::open(&copy.directory.project(1), &key(), options).unwrap();
    merlon_cipherdb::integrity(&connection).unwrap();

    // After it the log is written back again.
    bed.flow("a.example", "/later", b"").await;
    ended(&mut events, 1).await;
    bed.store.close();
    assert!(!Path::new(&format!("{}-wal", bed.directory.project(1).display())).exists());
    assert!(fs::read(bed.directory.project(1)).unwrap() != file);
}

#[tokio::test]
async fn a_reader_that_holds_old_pages_is_waited_for() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    bed.flow("a.example", "/1", b"").await;
    ended(&mut events, 1).await;
    let reader = schema::open_reader(&bed.directory.project(1), &key()).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM flows", (), |_| Ok(())).unwrap();
    bed.flow("a.example", "/2", b"").await;
    ended(&mut events, 1).await;
    let store = bed.store.clone();
    let backup = tokio::task::spawn_blocking(move || store.backup(1));
    // Commits go on while it waits.
    for _ in 0..20 {
        bed.flow("a.example", "/meanwhile", b"").await;
    }
    ended(&mut events, 20).await;
    assert!(!backup.is_finished());
    reader.execute_batch("COMMIT").unwrap();
    let to = Directory::new();
    lay_out(backup.await.unwrap().unwrap(), &to);
    assert_eq!(opened(to).all().len(), 22);
}

#[tokio::test]
async fn a_project_that_is_not_open_is_copied_with_the_log_that_a_kill_left() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    let large = noise(200_000);
    let id = bed.flow("a.example", "/kept", &large).await;
    ended(&mut events, 1).await;
    // What a kill leaves: the files as they are while the project is open.
    let killed = Directory::new();
    fs::create_dir_all(killed.0.join("projects/1.bodies")).unwrap();
    for name in ["1.db", "1.db-wal", "1.bodies/1.seg"] {
        fs::copy(bed.directory.0.join("projects").join(name), killed.0.join("projects").join(name)).unwrap();
    }
    let store = Store::new(&killed.0, &recording());
    assert!(matches!(store.backup(1), Err(StoreError::NoProject)), "at a start no project is open yet");
    store.open(project(2), key()).unwrap();

    let backup = store.backup(1).unwrap();
    assert!(matches!(store.open(project(1), key()), Err(StoreError::BackupBusy(_))));
    assert!(matches!(store.backup(2), Err(StoreError::BackupBusy(_))));
    let to = Directory::new();
    assert_eq!(lay_out(backup, &to), ["projects/1.db", "projects/1.db-wal", "projects/1.bodies/1.seg"]);
    let copy = opened(to);
    assert_eq!(copy.all().len(), 1);
    assert!(response(&copy, id) == large);
    assert!(lay_out(store.backup(3).unwrap(), &Directory::new()).is_empty(), "a project that was never opened");
    store.open(project(1), key()).unwrap();
    assert_eq!(store.count(None).unwrap(), 1);
}

#[tokio::test]
async fn closing_a_project_ends_its_copy_and_says_so() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    bed.flow("a.example", "/", &noise(900_000)).await;
    ended(&mut events, 1).await;
    let backup = bed.store.backup(1).unwrap();
    let (mut pieces, store) = (0, bed.store.clone());
    let copied = backup.copy(|_| {
        pieces += 1;
        if pieces == 2 {
            store.open(project(2), key()).unwrap();
        }
        true
    });
    assert!(matches!(copied, Err(StoreError::Closing)));
    assert!(lay_out(bed.store.backup(1).unwrap(), &Directory::new()).len() >= 2, "closed, it is copied");
}
