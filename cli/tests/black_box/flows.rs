//! Listing, following, showing.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::fake::{Instance, flow, http, json as answer, problem};

const FIELDS: [&str; 12] = [
    "id",
    "time",
    "method",
    "scheme",
    "host",
    "port",
    "path",
    "status",
    "request_bytes",
    "response_bytes",
    "duration_us",
    "error",
];

#[test]
fn json_is_one_flow_a_line_with_the_fields_of_the_contract() {
    let page = json!({ "flows": [flow(8, "b.example", "/2"), flow(7, "a.example", "/1")], "next": null });
    let ran = Instance::answering(answer(&page)).run(&["flows", "--json"]);
    ran.ended(0, &[]);
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["id"].as_i64().unwrap()).collect::<Vec<_>>(), [8, 7]);
    for field in FIELDS {
        assert!(lines[0].get(field).is_some(), "{field}");
    }
    assert_eq!(lines[0].as_object().unwrap().len(), FIELDS.len());
}

#[test]
fn pages_are_joined_up_to_the_limit_even_across_empty_ones() {
    let instance = Instance::api(|asked| {
        let has = |text: &str| asked.target.contains(text);
        let page = match () {
            () if has("before=50") => {
                json!({ "flows": [flow(3, "a", "/"), flow(2, "a", "/")], "next": 2 })
            }
            () if has("before=90") => json!({ "flows": [], "next": 50 }),
            () => json!({ "flows": [flow(99, "a", "/")], "next": 90 }),
        };
        assert!(has("query=host%3Aa%20and%20status%3A200"), "{}", asked.target);
        assert!(has("limit="), "{}", asked.target);
        answer(&page)
    });
    let ran = instance.run(&["flows", "host:a and status:200", "--limit", "3", "--json"]);
    ran.ended(0, &[]);
    assert_eq!(ran.out.lines().count(), 3);
}

#[test]
fn nothing_found_is_3_and_prints_nothing() {
    let instance = Instance::answering(answer(&json!({ "flows": [], "next": null })));
    let ran = instance.run(&["flows", "host:nobody"]);
    ran.ended(3, &["no flow matches"]);
    assert_eq!(ran.out, "");
}

#[test]
fn a_count_is_an_answer_even_if_it_is_none() {
    let ran = Instance::answering(answer(&json!({ "count": 0 }))).run(&["flows", "host:nobody", "--count"]);
    ran.ended(0, &[]);
    assert_eq!(ran.out, "0\n");
}

#[test]
fn a_closed_pipe_is_a_quiet_success() {
    let flows: Vec<Value> = (0..20_000).map(|id| flow(id, "a.example", "/a-path-of-some-length")).collect();
    let instance = Instance::answering(answer(&json!({ "flows": flows, "next": null })));
    let mut child = instance
        .command()
        .args(["flows", "--json", "--limit", "20000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(0), &b""[..]));
}

fn detail() -> Value {
    let mut detail = flow(7, "a.example", "/");
    let head = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let message = json!({
        "head": head, "head_base64": data_encoding::BASE64.encode(head.as_bytes()), "body_bytes": 9, "body_stored": 4,
    });
    let more = json!({
        "request": message, "response": null, "client_address": "127.0.0.1:5", "server_address": null,
        "client_tls": null, "server_tls": null, "server_certificate_sha256": null, "first_byte_us": null,
        "connection_reused": false,
    });
    detail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    detail
}

fn instance_with_bodies() -> Instance {
    Instance::api(|asked| match asked.target.as_str() {
        "/api/v1/flows/7" => answer(&detail()),
        "/api/v1/flows/7/request/head" => http("200 OK", "application/octet-stream", "GET / HTTP/1.1\r\n\r\n"),
        "/api/v1/flows/7/request/body" if asked.head.to_ascii_lowercase().contains("range: bytes=1-2\r\n") => {
            b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 1-2/4\r\nContent-Length: 2\r\n\r\n\xffb".to_vec()
        }
        "/api/v1/flows/7/request/body" => http("200 OK", "application/octet-stream", b"a\xffb\n"),
        _ => problem(merlon_api::ProblemCode::NoSuchFlow),
    })
}

#[test]
fn bytes_pass_unchanged_into_pipes_and_files() {
    let instance = instance_with_bodies();
    let raw = |arguments: &[&str]| instance.command().args(arguments).output().unwrap();
    let body = raw(&["show", "7", "--body", "request"]);
    assert_eq!((body.status.code(), body.stdout.as_slice()), (Some(0), &b"a\xffb\n"[..]));
    assert!(String::from_utf8(body.stderr).unwrap().contains("only the first 4 of 9 bytes"));
    assert_eq!(raw(&["show", "7", "--body", "request", "--range", "1-2"]).stdout, b"\xffb");
    assert_eq!(raw(&["show", "7", "--raw", "request"]).stdout, b"GET / HTTP/1.1\r\n\r\na\xffb\n");
    let file = instance.dir.join("out");
    let done = raw(&["show", "7", "--body", "request", "-o", file.to_str().unwrap()]);
    assert_eq!((done.status.code(), done.stdout.as_slice()), (Some(0), &b""[..]));
    assert_eq!(std::fs::read(&file).unwrap(), b"a\xffb\n");
}

#[test]
fn a_side_or_flow_that_is_not_there_is_3() {
    let instance = instance_with_bodies();
    instance.run(&["show", "7", "--body", "response"]).ended(3, &["flow 7 has no response"]);
    instance.run(&["show", "9"]).ended(3, &["There is no such flow"]);
}
