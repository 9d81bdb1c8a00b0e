//! What queries mean, on flows one by one.

use super::{NOW, Sample, read};
use crate::query::Finder;

fn holds(query: &str, flow: &Sample) -> bool {
    read(query).unwrap_or_else(|error| panic!("{query}: {error}")).matches(flow)
}

#[test]
fn conditions_that_hold_and_that_do_not() {
    let flow = Sample::default();
    for query in [
        "",
        "example.com",
        "EXAMPLE.com/api",
        "host:Example",
        "host=WWW.example.com",
        "host!=example.com",
        "path:api",
        "path:IT'S",
        "path=/Api/v1?q=It's",
        "url:com/api",
        "method:get",
        "method=Get",
        "scheme:https",
        "status:404",
        "status:4xx",
        "status=4XX",
        "status!=200",
        "status>=400",
        "status>3xx",
        "status<=4xx",
        "size=10k",
        "size:10240",
        "size<1M",
        "size:>=10kb",
        "request_size:0",
        "port:443",
        "port>80",
        "duration:20ms",
        "duration>19999us",
        "duration<1s",
        "duration<=1m",
        "error:none",
        "not error:x",
        "header:\"x-id: 42\"",
        "header:\"X-ID:A42\"",
        "header=\"x-id: a42\"",
        "header=host",
        "header:a42",
        "req.header=x-id",
        "resp.header:thing",
        "header=\"x-empty:\"",
        "header:\"x-empty:\"",
        "body:Ann",
        "req.body:user",
        "resp.body:\"\\0such\\xff\"",
        "body:\"\"",
        "host:\"\"",
        "time:2026-11-20",
        "time>=2026-11-20",
        "time<=2026-11-20",
        "time<2026-11-21",
        "time>2026-11-19",
        "time:2026-11-20T12:00Z",
        "time:2026-11-20T12:00:00Z",
        "time:2026-11-20T13:00:00.0+01:00",
        "time=2026-11-20t07:00:00.000000-05:00",
        "time:-1h",
        "time>-1s",
        "time>=-0s",
    ] {
        assert!(holds(query, &flow), "{query}");
        assert!(query.is_empty() || !holds(&format!("not ({query})"), &flow), "{query}");
    }
    for query in [
        "example.org",
        "host=example.com",
        "path=/api/v1?q=it's",
        "method:GE",
        "scheme:http",
        "status:5xx",
        "status:none",
        "status>4xx",
        "size>10k",
        "error:x",
        "error!=none",
        "header:\"x-id: 43\"",
        "header=\"x-id: 42\"",
        "header=x",
        "header:\"x-i: 42\"",
        "header:get",
        "resp.header=x-id",
        "req.header:thing",
        "body:ann",
        "resp.body:user",
        "req.body:such",
        "time>2026-11-20",
        "time<2026-11-20",
        "time:2026-11-20T12:01Z",
        "time<-1h",
        "time:2026-11-20T12:00:00-01:00",
        "port!=443",
    ] {
        assert!(!holds(query, &flow), "{query}");
    }
}

#[test]
fn what_a_flow_lacks_does_not_hold() {
    let flow = Sample {
        status: None,
        duration_us: None,
        error: Some("Connection refused".into()),
        response_head: vec![],
        ..Sample::default()
    };
    for query in [
        "status:none",
        "status!=200",
        "not status<600",
        "not duration>=0us",
        "error:REFUSED",
        "error!=none",
        "error=\"connection refused\"",
    ] {
        assert!(holds(query, &flow), "{query}");
    }
    for query in ["status>=100", "status<600", "duration<1m", "error:none", "error:\"none\"", "resp.header:a"] {
        assert!(!holds(query, &flow), "{query}");
    }
}

#[test]
fn a_relative_time_is_counted_from_now() {
    let old = Sample { time_us: NOW - 3_600_000_001, ..Sample::default() };
    assert!(holds("time<-1h", &old) && !holds("time:-1h", &old) && holds("time:-2h", &old) && holds("time>-1w", &old));
}

#[test]
fn sql_for_what_columns_can_tell() {
    let sql = |query: &str| {
        let filter = read(query).unwrap().sql();
        (filter.clause, filter.exact)
    };
    assert_eq!(sql(""), ("1".into(), true));
    assert_eq!(sql("body:x"), ("1".into(), false));
    assert_eq!(sql("not body:x"), ("1".into(), false));
    assert_eq!(sql("host=a body:x"), ("(f.host = ?)".into(), false));
    assert_eq!(sql("host=a or body:x"), ("1".into(), false));
    assert_eq!(sql("not (host=a or body:x)"), ("NOT (f.host = ?)".into(), false));
    assert_eq!(sql("not (host=a body:x)"), ("1".into(), false));
    assert_eq!(
        sql("host=a and (port:1 or status:2xx)"),
        ("((f.host = ?) AND ((f.port = ?) OR ifnull(f.status BETWEEN ? AND ?, 0)))".into(), true)
    );
}

#[test]
fn a_needle_is_found_across_pieces() {
    let body = b"abcabcabd-xyz";
    for needle in [&b"abcabd"[..], b"a", b"-", b"xyz", b"abcabcabd-xyz", b"", b"nope", b"abcc"] {
        let expected = memchr::memmem::find(body, needle).is_some();
        for first in 0..=body.len() {
            for second in first..=body.len() {
                let mut finder = Finder::new(needle);
                finder.feed(&body[..first]);
                finder.feed(&body[first..second]);
                assert_eq!(finder.feed(&body[second..]), expected, "{first} {second}");
            }
        }
        let mut finder = Finder::new(needle);
        for byte in body {
            finder.feed(&[*byte]);
        }
        assert_eq!(finder.found(), expected);
    }
}
