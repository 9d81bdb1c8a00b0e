//! Traffic is chosen by attackers: nothing of it may reach a terminal as it is.

use serde_json::json;

use crate::fake::{Instance, flow, http, json as answer};

const EVIL: &str = "/\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\nfake line\u{202e}\u{200b}\u{7f}";

#[track_caller]
fn harmless(text: &str) {
    let harmful = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{200b}' | '\u{202e}');
    assert!(!text.chars().any(harmful), "{text:?}");
}

#[test]
fn tables_and_json_hold_no_control_characters() {
    let page = json!({ "flows": [flow(7, "evil\u{1b}[31m.example", EVIL)], "next": null });
    let instance = Instance::answering(answer(&page));
    let table = instance.run(&["flows"]);
    table.ended(0, &[]);
    harmless(&table.out);
    assert_eq!(table.out.lines().count(), 2, "{}", table.out);
    assert!(table.out.contains("\\x1b[2J"), "{}", table.out);
    let lines = instance.run(&["flows", "--json"]);
    harmless(&lines.out);
    let value: serde_json::Value = serde_json::from_str(&lines.out).unwrap();
    assert_eq!(value["path"], EVIL, "the value itself is unchanged");
}

#[test]
fn heads_and_errors_hold_no_control_characters() {
    let head = format!("GET {EVIL} HTTP/1.1\r\nX: \u{1b}[31m\r\n\r\n");
    let head_base64 = data_encoding::BASE64.encode(&[head.as_bytes(), b"\xff\x9b"].concat());
    let message = json!({ "head": head, "head_base64": head_base64, "body_bytes": 0, "body_stored": 0 });
    let mut detail = flow(7, "h", EVIL);
    let more = json!({
        "request": message, "response": message, "client_address": EVIL, "server_address": EVIL, "client_tls": null,
        "server_tls": { "version": EVIL, "cipher": EVIL, "server_name": EVIL, "alpn": EVIL },
        "server_certificate_sha256": EVIL, "first_byte_us": 1, "connection_reused": true, "error": EVIL,
    });
    detail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let shown = Instance::answering(answer(&detail)).run(&["show", "7"]);
    shown.ended(0, &[]);
    harmless(&shown.out);
    assert!(shown.out.contains("\\xff\\x9b"), "{}", shown.out);

    let problem = json!({ "type": "x", "title": EVIL, "status": 500, "detail": EVIL, "code": "new" });
    let refused = Instance::answering(http("500 X", "application/problem+json", problem.to_string())).run(&["flows"]);
    refused.ended(1, &["\\x1b[2J"]);
    harmless(&refused.err);
}

#[test]
fn colours_do_not_come_unasked_and_do_not_come_from_traffic() {
    let page = json!({ "flows": [flow(7, "h", "/\u{1b}[35m")], "next": null });
    let instance = Instance::answering(answer(&page));
    assert!(!instance.run(&["flows"]).out.contains('\u{1b}'));
    let forced = instance.run(&["flows", "--color", "always"]);
    assert!(forced.out.contains("\u{1b}[32m200\u{1b}[0m") && !forced.out.contains("\u{1b}[35m"), "{:?}", forced.out);
    let by_environment = instance.command().arg("flows").env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(by_environment.stdout.contains(&0x1b));
    let refused = instance.command().arg("flows").env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().unwrap();
    assert!(!refused.stdout.contains(&0x1b));
}
