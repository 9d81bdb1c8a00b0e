//! What goes in comes out: exact bytes, whole or cut, and never before the commit.

use super::*;
use crate::store::StoreError;

#[tokio::test]
async fn an_event_comes_after_the_commit_and_the_flow_is_whole() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    let mut record = bed.store.recorder().begin(opening("a.example", "/x?y"));
    record.body(Side::Request, Bytes::copy_from_slice(b"question")).await;
    record.response_head(404, Bytes::from_static(b"HTTP/1.1 404 No\r\n\r\n"));
    record.body(Side::Response, Bytes::copy_from_slice(b"ans")).await;
    record.body(Side::Response, Bytes::copy_from_slice(b"wer")).await;
    let id = record.id();
    record.finish(outcome()).await;

    let told = ended(&mut events, 1).await;
    let detail = bed.store.flow(id).unwrap().unwrap();
    assert_eq!(told, std::slice::from_ref(&detail.summary));
    assert_eq!(bed.all(), told);
    assert_eq!(detail.summary.status, Some(404));
    assert_eq!((detail.summary.request_bytes, detail.summary.response_bytes), (8, 6));
    assert_eq!((detail.request_body_stored, detail.response_body_stored), (8, 6));
    assert_eq!(detail.request_head, b"GET /x?y HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(detail.response_head, b"HTTP/1.1 404 No\r\n\r\n");
    assert_eq!(detail.client.unwrap().port(), 40000);
    assert_eq!(detail.facts, outcome().facts);
    assert_eq!(bed.store.body(id, Side::Request, 0..100).unwrap().unwrap(), b"question");
    assert_eq!(bed.store.body(id, Side::Response, 2..5).unwrap().unwrap(), b"swe");
    assert_eq!(bed.store.body(id, Side::Response, 9..12).unwrap().unwrap(), b"");
    assert_eq!(bed.store.body(FlowId(99), Side::Response, 0..1).unwrap(), None);
    assert_eq!(bed.store.flow(FlowId(99)).unwrap(), None);
    let stats = bed.store.stats();
    assert_eq!((stats.recorded, stats.unrecorded, stats.waiting_bytes, stats.last_error), (1, 0, 0, None));
}

#[tokio::test]
async fn nothing_is_shown_before_its_commit() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    let held = bed.hold_writer();
    let id = bed.flow("a.example", "/", b"body").await;
    assert!(bed.all().is_empty());
    assert_eq!(bed.store.flow(id).unwrap(), None);
    assert_eq!(bed.store.count(None).unwrap(), 0);
    assert!(events.try_recv().is_err());
    assert!(bed.store.stats().waiting_bytes > 0);
    drop(held);
    ended(&mut events, 1).await;
    assert_eq!(bed.all().len(), 1);
    assert_eq!(bed.store.stats().waiting_bytes, 0);
}

#[tokio::test]
async fn a_large_body_is_written_while_it_passes_and_read_by_range() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    let (request, response) = (noise(100_000), noise(3_000_000));
    let mut record = bed.store.recorder().begin(opening("a.example", "/large"));
    let id = record.id();
    for piece in request.chunks(777) {
        record.body(Side::Request, Bytes::copy_from_slice(piece)).await;
    }
    record.response_head(206, Bytes::from_static(b"HTTP/1.1 206 Partial\r\n\r\n"));
    for piece in response[..200_000].chunks(16_384) {
        record.body(Side::Response, Bytes::copy_from_slice(piece)).await;
    }
    let first = events.recv().await.unwrap();
    assert_eq!((first[0].id, first[0].duration_us), (id, None));
    assert_eq!(bed.all()[0].duration_us, None);
    record.body(Side::Response, Bytes::copy_from_slice(&response[200_000..])).await;
    record.finish(outcome()).await;
    ended(&mut events, 1).await;

    let detail = bed.store.flow(id).unwrap().unwrap();
    assert_eq!((detail.request_body_stored, detail.response_body_stored), (100_000, 3_000_000));
    assert_eq!((detail.summary.status, detail.summary.duration_us), (Some(206), Some(1234)));
    assert_eq!(detail.response_head, b"HTTP/1.1 206 Partial\r\n\r\n");
    assert_eq!(detail.facts, outcome().facts);
    let read = |side, range: std::ops::Range<u64>| bed.store.body(id, side, range).unwrap().unwrap();
    assert!(read(Side::Request, 0..u64::MAX) == request);
    let mut whole = Vec::new();
    while whole.len() < response.len() {
        let part = read(Side::Response, whole.len() as u64..u64::MAX);
        assert!(part.len() <= 1 << 20 && !part.is_empty());
        whole.extend(part);
    }
    assert!(whole == response);
    for start in [0, 65_535, 65_536, 65_537, 199_999, 2_999_990] {
        let range = start..(start + 70_000).min(response.len());
        assert!(read(Side::Response, range.start as u64..range.end as u64) == response[range]);
    }
    assert_eq!(read(Side::Response, 3_000_000..3_000_001), b"");
    assert_eq!(bed.store.stats().truncated_bodies, 0);
    assert_eq!(bed.store.stats().waiting_bytes, 0);
}

#[tokio::test]
async fn bodies_are_cut_at_the_limit_and_counted_in_full() {
    for (limit, length) in [(100, 250), (100_000, 250_000)] {
        let bed = Bed::new(&Recording { max_body_bytes: limit as u64, ..recording() });
        let mut events = bed.store.events();
        let body = noise(length);
        let id = bed.flow("a.example", "/", &body).await;
        ended(&mut events, 1).await;
        let detail = bed.store.flow(id).unwrap().unwrap();
        assert_eq!((detail.summary.response_bytes, detail.response_body_stored), (length as u64, limit as u64));
        assert!(bed.store.body(id, Side::Response, 0..1 << 20).unwrap().unwrap() == body[..limit]);
        let stats = bed.store.stats();
        assert_eq!((stats.truncated_bodies, stats.recorded, stats.unrecorded), (1, 1, 0));
    }
}

#[tokio::test]
async fn a_dropped_flow_is_recorded_as_interrupted() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    let mut record = bed.store.recorder().begin(opening("a.example", "/"));
    record.body(Side::Request, Bytes::copy_from_slice(b"half")).await;
    drop(record);
    let told = ended(&mut events, 1).await;
    assert!(told[0].error.as_deref().unwrap().starts_with("interrupted"));
    assert_eq!(bed.store.body(told[0].id, Side::Request, 0..10).unwrap().unwrap(), b"half");
}

#[tokio::test]
async fn flows_that_stand_still_do_not_hold_the_queue() {
    let bed = Bed::new(&Recording { queue_bytes: 1 << 20, max_wait_milliseconds: 60_000, ..recording() });
    let mut events = bed.store.events();
    // Together more than the queue, each less than a chunk.
    let mut still = Vec::new();
    for _ in 0..40 {
        let mut record = bed.store.recorder().begin(opening("still.example", "/"));
        record.body(Side::Response, Bytes::copy_from_slice(&noise(60_000))).await;
        still.push(record);
    }
    let id = bed.flow("quick.example", "/", &noise(50_000)).await;
    while !ended(&mut events, 1).await.iter().any(|summary| summary.id == id) {}
    for record in still {
        record.finish(outcome()).await;
    }
    ended(&mut events, 40).await;
    let stats = bed.store.stats();
    assert_eq!((stats.recorded, stats.unrecorded, stats.truncated_bodies, stats.waiting_bytes), (41, 0, 0, 0));
    for flow in bed.list(Some("host:still"), None, None, 100) {
        assert!(bed.store.body(flow.id, Side::Response, 0..1 << 20).unwrap().unwrap() == noise(60_000));
    }
}

#[tokio::test]
async fn pieces_of_any_size_are_found_by_range() {
    let bed = Bed::new(&Recording { queue_bytes: 1 << 20, ..recording() });
    let mut events = bed.store.events();
    let mut still = Vec::new();
    for _ in 0..9 {
        let mut record = bed.store.recorder().begin(opening("still.example", "/"));
        record.body(Side::Response, Bytes::copy_from_slice(&noise(60_000))).await;
        still.push(record);
    }
    // Half the queue stands still: every piece is passed on as it comes.
    let body = noise(200_000);
    let mut record = bed.store.recorder().begin(opening("a.example", "/"));
    let id = record.id();
    for piece in body.chunks(3001) {
        record.body(Side::Response, Bytes::copy_from_slice(piece)).await;
    }
    record.finish(outcome()).await;
    ended(&mut events, 1).await;
    for start in (0..200_000).step_by(2_999) {
        let end = (start + 5_000).min(200_000);
        assert!(
            bed.store.body(id, Side::Response, start as u64..end as u64).unwrap().unwrap() == body[start..end],
            "{start}"
        );
    }
}

#[tokio::test]
async fn without_a_project_flows_pass_and_are_counted() {
    let directory = Directory::new();
    let store = Store::new(&directory.0, &recording());
    let mut record = store.recorder().begin(opening("a.example", "/"));
    record.body(Side::Request, Bytes::copy_from_slice(b"x")).await;
    record.finish(outcome()).await;
    assert_eq!(store.stats().unrecorded, 1);
    assert!(store.count(None).is_err());
}

#[tokio::test]
async fn flows_of_dense_traffic_are_whole_in_a_segment_and_damage_is_told_for_each_alone() {
    let bed = Bed::new(&Recording { batch_milliseconds: 60_000, ..recording() });
    let mut events = bed.store.events();
    let body = |number: usize| format!("<{number:04}>").repeat(200);
    // A full batch does not wait for its time.
    let mut ids = Vec::new();
    for number in 0..super::super::queue::BATCH_ITEMS {
        ids.push(bed.flow("dense.example", &format!("/{number}"), body(number).as_bytes()).await);
    }
    ended(&mut events, ids.len()).await;
    let segments = bed.directory.project(1).with_extension("bodies");
    let files: Vec<_> = std::fs::read_dir(segments).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let mut bytes = std::fs::read(&files[0]).unwrap();
    assert!(bytes.len() > ids.len() * 1200, "all flows are in the segment");
    assert!(memchr::memmem::find(&bytes, b"<0001>").is_none() && memchr::memmem::find(&bytes, b"X-Tag").is_none());
    for (number, id) in ids.iter().enumerate() {
        let detail = bed.store.flow(*id).unwrap().unwrap();
        assert_eq!(detail.request_head, format!("GET /{number} HTTP/1.1\r\nHost: dense.example\r\n\r\n").as_bytes());
        assert_eq!(bed.store.body(*id, Side::Response, 0..5000).unwrap().unwrap(), body(number).as_bytes());
    }
    assert_eq!(bed.list(Some("body:\"<0007><0007>\""), None, None, 10).len(), 1);

    // The first piece begins the file.
    bytes[10] ^= 1;
    std::fs::write(&files[0], bytes).unwrap();
    assert!(matches!(bed.store.flow(ids[0]), Err(StoreError::DamagedFlow(id)) if id == ids[0].0));
    assert!(bed.store.flow(ids[1]).unwrap().is_some());
    assert_eq!(bed.all().len(), ids.len());
}
