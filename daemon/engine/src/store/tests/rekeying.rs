//! A project gets another key, open or not: nothing is lost, and the old key opens nothing afterwards.

use std::time::Duration;

use super::*;
use crate::store::StoreError;

fn next() -> Secret<32> {
    Secret::init(|key| key.fill(8)).unwrap()
}

/// Does a key open the file?
fn opens(directory: &Directory, id: u64, key: &Secret<32>) -> bool {
    let options = merlon_cipherdb::Options { create: false, ..schema::form() };
    merlon_cipherdb::open(&directory.project(id), key, options).is_ok()
}

#[tokio::test]
async fn a_closed_project_opens_with_the_new_key_only() {
    let Bed { store, directory } = Bed::new(&recording());
    let bed = Bed { store, directory };
    let mut events = bed.store.events();
    let id = bed.flow("a.example", "/before", &noise(200_000)).await;
    ended(&mut events, 1).await;
    bed.store.close();
    bed.store.rekey(1, key(), next()).unwrap();
    assert!(opens(&bed.directory, 1, &next()) && !opens(&bed.directory, 1, &key()));
    // As after a kill between the work and its report.
    bed.store.rekey(1, key(), next()).unwrap();
    assert!(matches!(bed.store.open(project(1), key()), Err(StoreError::Unusable { .. })));
    bed.store.open(project(1), next()).unwrap();
    assert_eq!(bed.store.body(id, Side::Response, 0..300_000).unwrap().unwrap(), noise(200_000));
}

#[tokio::test]
async fn a_project_without_a_file_and_one_of_another_project_are_told_apart() {
    let bed = Bed::new(&recording());
    bed.store.rekey(2, key(), next()).unwrap();
    assert!(!bed.directory.project(2).exists());
    bed.store.close();
    std::fs::copy(bed.directory.project(1), bed.directory.project(3)).unwrap();
    assert!(matches!(bed.store.rekey(3, key(), next()), Err(StoreError::OtherProject { found: 1, asked: 3, .. })));
    assert!(opens(&bed.directory, 3, &key()), "it was left alone");
    std::fs::write(bed.directory.project(4), noise(100_000)).unwrap();
    assert!(matches!(bed.store.rekey(4, key(), next()), Err(StoreError::Unusable { .. })));
    assert_eq!(std::fs::read(bed.directory.project(4)).unwrap(), noise(100_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_open_project_goes_on_recording_and_nothing_is_lost() {
    const EACH: usize = 150;
    // So small that the queue is full all the time.
    let recording = Recording { queue_bytes: 300_000, max_wait_milliseconds: 30_000, ..recording() };
    let bed = Arc::new(Bed::new(&recording));
    let mut events = bed.store.events();
    let first = bed.flow("a.example", "/first", &noise(40_000)).await;
    ended(&mut events, 1).await;
    let traffic: Vec<_> = (0..3)
        .map(|client| {
            let bed = Arc::clone(&bed);
            tokio::spawn(async move {
                for number in 0..EACH {
                    bed.flow("b.example", &format!("/{client}/{number}"), &noise(100 * number)).await;
                }
            })
        })
        .collect();
    let reading = {
        let bed = Arc::clone(&bed);
        tokio::task::spawn_blocking(move || {
            // Reads wait; none fails.
            while bed.store.count(None).unwrap() < (3 * EACH) as u64 {
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    };
    let (mut old, mut turn) = (7, 8);
    for round in 1..=5 {
        while bed.store.count(None).unwrap() < 40 * round {
            tokio::task::yield_now().await;
        }
        let keys = [old, turn].map(|byte| Secret::init(|key| key.fill(byte)).unwrap());
        let [key, next] = keys;
        let store = bed.store.clone();
        tokio::task::spawn_blocking(move || store.rekey(1, key, next)).await.unwrap().unwrap();
        (old, turn) = (turn, turn + 1);
    }
    for client in traffic {
        client.await.unwrap();
    }
    reading.await.unwrap();
    let stats = bed.store.stats();
    assert_eq!((stats.unrecorded, stats.truncated_bodies, stats.last_error), (0, 0, None));
    // The last commit may still be under way when the last flow was handed on.
    while bed.store.count(None).unwrap() < (3 * EACH + 1) as u64 {
        tokio::task::yield_now().await;
    }
    for flow in bed.all() {
        let length = usize::try_from(flow.response_bytes).unwrap();
        let body = bed.store.body(flow.id, Side::Response, 0..1 << 20).unwrap().unwrap();
        assert!(body == noise(length), "{}", flow.path);
    }
    assert_eq!(bed.store.body(first, Side::Response, 0..100_000).unwrap().unwrap(), noise(40_000));
    bed.store.close();
    let last = Secret::init(|key| key.fill(old)).unwrap();
    assert!(opens(&bed.directory, 1, &last) && !opens(&bed.directory, 1, &key()));
}

#[tokio::test]
async fn what_comes_after_is_in_segments_with_keys_that_an_old_copy_does_not_have() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    bed.flow("a.example", "/before", &noise(30_000)).await;
    ended(&mut events, 1).await;
    bed.store.rekey(1, key(), next()).unwrap();
    bed.flow("a.example", "/after", &noise(30_000)).await;
    ended(&mut events, 1).await;
    bed.store.close();
    let segments = std::fs::read_dir(bed.directory.project(1).with_extension("bodies")).unwrap().count();
    assert_eq!(segments, 2);
}

#[tokio::test]
async fn while_commits_fail_it_is_refused_and_the_old_key_stands() {
    let bed = Bed::new(&recording());
    let held = bed.hold_writer();
    bed.flow("a.example", "/", b"body").await;
    let begun = std::time::Instant::now();
    while bed.store.stats().last_error.is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::task::yield_now().await;
    }
    let store = bed.store.clone();
    let refused = tokio::task::spawn_blocking(move || store.rekey(1, key(), next())).await.unwrap();
    assert!(matches!(refused, Err(StoreError::NotRekeyed)), "{refused:?}");
    assert_eq!(bed.store.count(None).unwrap(), 0, "reads go on");
    let mut events = bed.store.events();
    drop(held);
    ended(&mut events, 1).await;
    let store = bed.store.clone();
    tokio::task::spawn_blocking(move || store.rekey(1, key(), next())).await.unwrap().unwrap();
    assert_eq!(bed.all().len(), 1);
}

/// By hand: `cargo test -p merlon-engine -- --ignored --nocapture cost_of_a_large_project`.
#[tokio::test]
#[ignore = "a measurement: cargo test -p merlon-engine -- --ignored --nocapture cost_of_a_large_project"]
async fn cost_of_a_large_project() {
    const MEGABYTES: i64 = 200;
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    // Half of it in segments, which are not written again; half in pages.
    for number in 0..MEGABYTES {
        bed.flow("a.example", &format!("/{number}"), &noise(1 << 20)).await;
        ended(&mut events, 1).await;
    }
    bed.store.close();
    let path = bed.directory.project(1);
    let filling = schema::connect(&path, &key()).unwrap();
    filling.execute_batch("CREATE TABLE filler(x); BEGIN").unwrap();
    for _ in 0..MEGABYTES * 16 {
        filling.execute("INSERT INTO filler VALUES (randomblob(65000))", ()).unwrap();
    }
    filling.execute_batch("COMMIT").unwrap();
    merlon_cipherdb::checkpoint(&filling).unwrap();
    drop(filling);
    let mut sums = [Duration::ZERO; 2];
    for round in 0..3_u8 {
        let keys = [7 + 2 * round, 8 + 2 * round, 9 + 2 * round];
        let [first, second, third] = keys.map(|byte| Secret::init(|key| key.fill(byte)).unwrap());
        let connection = schema::connect(&path, &first).unwrap();
        let begun = std::time::Instant::now();
        let hex = format!("{:02x}", keys[1]).repeat(32);
        connection.query_row(&format!("PRAGMA rekey = \"x'{hex}'\""), (), |_| Ok(())).unwrap();
        sums[0] += begun.elapsed();
        drop(connection);
        bed.store.open(project(1), Secret::init(|key| key.copy_from_slice(second.expose())).unwrap()).unwrap();
        let begun = std::time::Instant::now();
        bed.store.rekey(1, second, third).unwrap();
        sums[1] += begun.elapsed();
        bed.store.close();
    }
    let [pragma, ours] = sums.map(|sum| sum.as_secs_f64() / 3.0);
    println!("PRAGMA rekey {pragma:.2} s, the open project {ours:.2} s, ratio {:.2}", ours / pragma);
    assert!(ours > 0.0);
}
