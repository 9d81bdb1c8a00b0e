//! Tests of the language, by theme.

mod agreement;
mod meaning;
mod reading;

use super::{Ast, FlowView, Part, QueryError, parse};

/// 2026-11-20T12:00:00Z.
const NOW: i64 = 1_795_176_000_000_000;

fn read(query: &str) -> Result<Ast, QueryError> {
    parse(query, NOW)
}

/// A flow held in memory.
#[derive(Clone, Debug)]
struct Sample {
    time_us: i64,
    duration_us: Option<i64>,
    scheme: &'static str,
    method: &'static str,
    host: String,
    port: u16,
    path: String,
    status: Option<u16>,
    request_bytes: u64,
    response_bytes: u64,
    error: Option<String>,
    request_head: Vec<u8>,
    response_head: Vec<u8>,
    request_body: Vec<u8>,
    response_body: Vec<u8>,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            time_us: NOW,
            duration_us: Some(20_000),
            scheme: "https",
            method: "GET",
            host: "www.example.com".into(),
            port: 443,
            path: "/Api/v1?q=It's".into(),
            status: Some(404),
            request_bytes: 0,
            response_bytes: 10_240,
            error: None,
            request_head: b"GET /Api HTTP/1.1\r\nHost: www.example.com\r\nX-Id:  a42\r\n\r\n".to_vec(),
            response_head: b"HTTP/1.1 404 Not Found\r\nServer: Thing\r\nX-Empty:\r\n\r\n".to_vec(),
            request_body: b"user=Ann".to_vec(),
            response_body: b"no\0such\xff".to_vec(),
        }
    }
}

impl FlowView for Sample {
    fn time_us(&self) -> i64 {
        self.time_us
    }
    fn duration_us(&self) -> Option<i64> {
        self.duration_us
    }
    fn scheme(&self) -> &str {
        self.scheme
    }
    fn method(&self) -> &str {
        self.method
    }
    fn host(&self) -> &str {
        &self.host
    }
    fn port(&self) -> u16 {
        self.port
    }
    fn path(&self) -> &str {
        &self.path
    }
    fn status(&self) -> Option<u16> {
        self.status
    }
    fn request_bytes(&self) -> u64 {
        self.request_bytes
    }
    fn response_bytes(&self) -> u64 {
        self.response_bytes
    }
    fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
    fn request_head(&self) -> &[u8] {
        &self.request_head
    }
    fn response_head(&self) -> &[u8] {
        &self.response_head
    }
    fn body_contains(&self, part: Part, needle: &[u8]) -> bool {
        let body = match part {
            Part::Request => &self.request_body,
            Part::Response => &self.response_body,
            Part::Either => panic!("a view is asked for one side at a time"),
        };
        memchr::memmem::find(body, needle).is_some()
    }
}
