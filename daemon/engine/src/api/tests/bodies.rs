//! Bodies by range, and the harness that hostile bytes are served in.

use axum::body::Body;

use super::*;

async fn range(instance: &Instance, id: i64, headers: &[(&str, &str)]) -> Answer {
    let mut request = get(&format!("/api/v1/flows/{id}/response/body"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    instance.ask(Arrival::Unix, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn bodies_come_whole_and_by_range() {
    let instance = Instance::new("ranges").await;
    let FlowId(id) = instance.record("a.example", "/", b"0123456789").await;
    let whole = range(&instance, id, &[]).await;
    assert_eq!(
        (whole.status.as_u16(), &whole.body[..], whole.header("content-length")),
        (200, &b"0123456789"[..], "10")
    );
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let part = range(&instance, id, &[("range", "bytes=2-4")]).await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &b"234"[..]));
    assert_eq!((part.header("content-range"), part.header("content-length")), ("bytes 2-4/10", "3"));
    let last = range(&instance, id, &[("range", "bytes=-1")]).await;
    assert_eq!((&last.body[..], last.header("content-range")), (&b"9"[..], "bytes 9-9/10"));
    let beyond = range(&instance, id, &[("range", "bytes=10-")]).await;
    assert_eq!((beyond.code(), beyond.header("content-range")), ((416, "range_not_satisfiable".into()), "bytes */10"));
    let changed = range(&instance, id, &[("range", "bytes=2-4"), ("if-range", "\"x\"")]).await;
    assert_eq!((changed.status.as_u16(), changed.body.len()), (200, 10));
    let empty = instance.get(&format!("/api/v1/flows/{id}/request/body")).await;
    assert_eq!((empty.status.as_u16(), empty.body.len(), empty.header("content-length")), (200, 0, "0"));
}

#[tokio::test]
async fn a_large_body_comes_in_pieces_and_unchanged() {
    let instance = Instance::new("large").await;
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251).to_le_bytes()[0]).collect();
    let FlowId(id) = instance.record("a.example", "/", &body).await;
    assert!(range(&instance, id, &[]).await.body == body);
    let part = range(&instance, id, &[("range", "bytes=999999-2000000")]).await;
    assert!(part.body == body[999_999..2_000_001]);
    let request = get(&format!("/api/v1/flows/{id}/response/body")).method("HEAD").body(Body::empty()).unwrap();
    let head = instance.ask(Arrival::Unix, request).await;
    assert_eq!((head.status.as_u16(), head.body.len(), head.header("content-length")), (200, 0, "3000000"));
}

#[tokio::test]
async fn hostile_bytes_are_attachments_of_no_type_in_a_sandbox() {
    let instance = Instance::new("hostile").await;
    let FlowId(id) = instance.record("a.example", "/", b"<script>alert(1)</script>").await;
    for part in ["request/body", "response/body", "request/head", "response/head"] {
        let answer = instance.get(&format!("/api/v1/flows/{id}/{part}")).await;
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert!(answer.header("content-disposition").starts_with("attachment; filename=\"flow-"), "{part}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(answer.header("content-security-policy").ends_with("; sandbox"), "{part}");
    }
}

#[tokio::test]
async fn a_body_breaks_off_rather_than_go_on_with_another_project() {
    let instance = Instance::new("switched").await;
    let FlowId(id) = instance.record("a.example", "/", &vec![1; 3_000_000]).await;
    let request = get(&format!("/api/v1/flows/{id}/response/body")).body(Body::empty()).unwrap();
    let mut body = instance.open(Arrival::Unix, request).await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    instance.store.open(project(2), Secret::random().unwrap()).unwrap();
    let mut rest = Ok(());
    while let Some(frame) = body.frame().await {
        rest = frame.map(drop);
    }
    assert!(rest.is_err());
}
