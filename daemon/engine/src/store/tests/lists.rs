//! Order, paging in both directions, filters in SQL and beyond it, counts.

use std::time::Duration;

use super::*;
use crate::store::list::page_within;

fn ids(flows: &[Summary]) -> Vec<i64> {
    flows.iter().map(|flow| flow.id.0).collect()
}

async fn bed_with(flows: usize) -> Bed {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    for number in 0..flows {
        let host = if number % 10 == 3 { "rare.example" } else { "www.example" };
        bed.flow(host, &format!("/{number}"), format!("number {number};").as_bytes()).await;
    }
    ended(&mut events, flows).await;
    bed
}

#[tokio::test]
async fn pages_go_both_ways() {
    let bed = bed_with(50).await;
    assert_eq!(ids(&bed.list(None, None, None, 3)), [50, 49, 48]);
    assert_eq!(ids(&bed.list(None, Some(FlowId(3)), None, 3)), [2, 1]);
    assert_eq!(ids(&bed.list(None, None, Some(FlowId(0)), 3)), [1, 2, 3]);
    assert_eq!(ids(&bed.list(None, None, Some(FlowId(48)), 3)), [49, 50]);
    assert_eq!(ids(&bed.list(None, Some(FlowId(9)), Some(FlowId(6)), 9)), [8, 7]);
    assert!(bed.list(None, None, Some(FlowId(50)), 3).is_empty());
    assert!(bed.list(None, Some(FlowId(i64::MIN)), None, 3).is_empty());
    assert!(bed.list(None, None, Some(FlowId(i64::MAX)), 3).is_empty());

    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = bed.store.list(&ListAsk { query: None, before, after: None, limit: 7 }).unwrap();
        seen.extend(ids(&page.flows));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=50).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn filters_find_the_same_in_sql_and_beyond_it() {
    let bed = bed_with(50).await;
    for (query, expected) in [
        ("host:rare", vec![44, 34, 24, 14, 4]),
        ("scheme:https and host=rare.example and path=/23", vec![24]),
        ("scheme:http", vec![]),
        ("status:200 and size>=9 and host:rare", vec![44, 34, 24, 14, 4]),
        ("body:\"number 7;\"", vec![8]),
        ("resp.header:\"x-tag: blue\" and host:rare", vec![44, 34, 24, 14, 4]),
        ("not resp.header:\"x-tag: blue\"", vec![]),
        ("req.header:\"host: rare\" and not body:\"number 3\"", vec![44, 24, 14]),
    ] {
        assert_eq!(ids(&bed.list(Some(query), None, None, 100)), expected, "{query}");
        let ast = crate::query::parse(query, 0).unwrap();
        assert_eq!(bed.store.count(Some(&ast)).unwrap(), expected.len() as u64, "{query}");
    }
    assert_eq!(bed.store.count(None).unwrap(), 50);
}

#[tokio::test]
async fn a_search_out_of_time_is_taken_up_where_it_stopped() {
    let bed = bed_with(30).await;
    let query = crate::query::parse("body:\"number 1\"", 0).unwrap();
    for rising in [false, true] {
        let (mut cursor, mut found, mut pages) = (if rising { Some(FlowId(0)) } else { None }, Vec::new(), 0);
        loop {
            let (before, after) = if rising { (None, cursor) } else { (cursor, None) };
            let ask = ListAsk { query: Some(query.clone()), before, after, limit: 2 };
            let page = bed
                .store
                .session()
                .unwrap()
                .readers
                .with(|connection| page_within(connection, &ask, Duration::ZERO))
                .unwrap();
            assert_eq!(page.scanned_all, page.next.is_none());
            found.extend(ids(&page.flows));
            pages += 1;
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, 30);
        found.sort_unstable();
        assert_eq!(found, [2, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
    }
}

#[tokio::test]
async fn a_needle_is_found_across_two_chunks() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    let mut body = noise(200_000);
    body[65_530..65_542].copy_from_slice(b"a-needle-x-y");
    bed.flow("a.example", "/", &body).await;
    bed.flow("a.example", "/", &noise(200_000)).await;
    ended(&mut events, 2).await;
    assert_eq!(ids(&bed.list(Some("resp.body:a-needle-x-y"), None, None, 9)), [1]);
    assert!(bed.list(Some("req.body:a-needle-x-y"), None, None, 9).is_empty());
}

#[tokio::test]
async fn flows_are_listed_by_their_beginning_not_their_end() {
    let bed = Bed::new(&recording());
    let mut events = bed.store.events();
    let records: Vec<_> = (0..5).map(|n| bed.store.recorder().begin(opening("a.example", &format!("/{n}")))).collect();
    for record in records.into_iter().rev() {
        record.finish(outcome()).await;
        ended(&mut events, 1).await;
    }
    let flows = bed.all();
    assert_eq!(ids(&flows), [5, 4, 3, 2, 1]);
    assert_eq!(&*flows[0].path, "/4");
}
