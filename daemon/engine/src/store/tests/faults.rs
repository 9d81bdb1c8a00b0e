//! A writer that cannot keep up, a disk that refuses, tables that are gone: traffic goes on, and nothing is lost
//! silently.

use std::process::Command;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};

use super::*;

#[tokio::test]
async fn with_a_full_queue_bodies_are_cut_then_flows_are_counted() {
    let bed = Bed::new(&Recording { queue_bytes: 1 << 20, max_wait_milliseconds: 0, ..recording() });
    let mut events = bed.store.events();
    let held = bed.hold_writer();
    let body = noise(2 << 20);
    let large = bed.flow("large.example", "/", &body).await;
    for number in 0..50 {
        bed.flow("small.example", &format!("/{number}"), &noise(20_000)).await;
    }
    assert!(bed.store.stats().truncated_bodies > 0);
    drop(held);
    let unrecorded = bed.store.stats().unrecorded;
    assert!(unrecorded > 0);
    ended(&mut events, usize::try_from(51 - unrecorded).unwrap()).await;
    // The large flow was shown as under way, and is seen to end.
    let detail = bed.store.flow(large).unwrap().unwrap();
    assert_eq!((detail.summary.response_bytes, detail.summary.duration_us), (2 << 20, Some(1234)));
    let kept = detail.response_body_stored;
    assert!(kept > 0 && kept < 2 << 20);
    assert!(bed.store.body(large, Side::Response, 0..kept).unwrap().unwrap() == body[..usize::try_from(kept).unwrap()]);
    let stats = bed.store.stats();
    assert_eq!((stats.recorded + stats.unrecorded, stats.waiting_bytes), (51, 0));
    // There is room again.
    bed.flow("small.example", "/again", b"").await;
    ended(&mut events, 1).await;
}

#[tokio::test]
async fn with_a_full_queue_relaying_waits_and_nothing_is_lost() {
    let bed = Bed::new(&Recording { queue_bytes: 1 << 20, max_wait_milliseconds: 60_000, ..recording() });
    let mut events = bed.store.events();
    let held = bed.hold_writer();
    let body = noise(3 << 20);
    let release = async {
        // Polled once the flow waits.
        assert!(bed.store.stats().waiting_bytes > 900_000);
        drop(held);
    };
    let (id, ()) = tokio::join!(biased; bed.flow("a.example", "/", &body), release);
    ended(&mut events, 1).await;
    let stats = bed.store.stats();
    assert_eq!((stats.recorded, stats.unrecorded, stats.truncated_bodies, stats.waiting_bytes), (1, 0, 0, 0));
    assert_eq!(bed.store.flow(id).unwrap().unwrap().response_body_stored, 3 << 20);
}

#[tokio::test]
async fn what_can_never_be_written_is_counted_and_the_rest_goes_on() {
    let bed = Bed::new(&recording());
    let other = bed.hold_writer();
    other.execute_batch("ALTER TABLE blobs RENAME TO away; COMMIT").unwrap();
    bed.flow("a.example", "/", b"").await;
    let stats = loop {
        let stats = bed.store.stats();
        if stats.unrecorded > 0 {
            break stats;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((stats.recorded, stats.unrecorded), (0, 1));
    assert!(stats.last_error.unwrap().contains("could not be recorded"));
    let mut events = bed.store.events();
    other.execute_batch("ALTER TABLE away RENAME TO blobs").unwrap();
    bed.flow("a.example", "/", b"").await;
    ended(&mut events, 1).await;
    let stats = bed.store.stats();
    assert_eq!((stats.recorded, stats.unrecorded, stats.waiting_bytes), (1, 1, 0));
    assert!(stats.last_error.unwrap().starts_with("recording works again"));
}

const CHILD: &str = "MERLON_TEST_REFUSING_DISK";

/// The limit of a file's size stands in for a disk that refuses; it holds for a whole process, so this test runs
/// itself in one of its own.
#[test]
fn a_disk_that_refuses_is_told_and_recording_goes_on_when_it_gives_in() {
    if std::env::var_os(CHILD).is_some() {
        return refusing_disk();
    }
    let name = "store::tests::faults::a_disk_that_refuses_is_told_and_recording_goes_on_when_it_gives_in";
    let child =
        Command::new(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]).env(CHILD, "1").output();
    let child = child.unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

#[tokio::main(flavor = "current_thread")]
async fn refusing_disk() {
    // Blocked before the writer's thread exists, so that a write is refused instead of ending the process.
    SigSet::from(Signal::SIGXFSZ).thread_block().unwrap();
    let bed = Bed::new(&Recording { queue_bytes: 1 << 20, max_wait_milliseconds: 60_000, ..recording() });
    let mut events = bed.store.events();
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 100_000, hard).unwrap();
    let total = 400;
    for number in 0..total {
        bed.flow("a.example", &format!("/{number}"), &noise(20_000)).await;
        while number == 0 && bed.store.stats().last_error.is_none() {
            bed.flow("a.example", "/more", &noise(20_000)).await;
            tokio::task::yield_now().await;
        }
    }
    let stats = bed.store.stats();
    assert!(stats.unrecorded > 0 && stats.waiting_bytes > 0, "{stats:?}");
    let error = stats.last_error.unwrap();
    assert!(error.contains("could not be recorded") && error.contains("goes on by itself"), "{error}");
    // What is committed can be read meanwhile.
    let committed = bed.store.count(None).unwrap();
    assert_eq!(committed, stats.recorded);
    setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap();
    while bed.store.stats().waiting_bytes > 0 {
        events.recv().await.unwrap();
    }
    let stats = bed.store.stats();
    assert!(stats.recorded > committed);
    assert_eq!(bed.store.count(None).unwrap(), stats.recorded);
    assert!(stats.last_error.unwrap().starts_with("recording works again"));
}
