//! Lists, pages, counts, details, and what is said of wrong questions.

use super::*;

#[tokio::test]
async fn pages_follow_each_other_in_both_directions() {
    let instance = Instance::new("pages").await;
    for number in 0..5 {
        instance.record("a.example", &format!("/{number}"), b"body").await;
    }
    let ids = |answer: &Answer| -> Vec<i64> {
        answer.json()["flows"].as_array().unwrap().iter().map(|flow| flow["id"].as_i64().unwrap()).collect()
    };
    let first = instance.get("/api/v1/flows?limit=2").await;
    assert_eq!(ids(&first), [5, 4]);
    let next = first.json()["next"].as_i64().unwrap();
    let second = instance.get(&format!("/api/v1/flows?limit=2&before={next}")).await;
    assert_eq!(ids(&second), [3, 2]);
    let rising = instance.get("/api/v1/flows?after=3").await;
    assert_eq!((ids(&rising), rising.json()["next"].clone()), (vec![4, 5], Value::Null));
    assert_eq!(ids(&instance.get("/api/v1/flows?query=path%3D%2F3").await), [4]);
    assert_eq!(ids(&instance.get("/api/v1/flows?query=&before=&limit=").await).len(), 5);
    assert_eq!(instance.get("/api/v1/flows/count").await.json()["count"], 5);
    assert_eq!(instance.get("/api/v1/flows/count?query=host:nowhere").await.json()["count"], 0);
}

#[tokio::test]
async fn a_line_is_what_scripts_rely_on_and_a_detail_has_the_exact_bytes() {
    let instance = Instance::new("detail").await;
    let FlowId(id) = instance.record("a.example", "/x?y=1", b"hello").await;
    let line = &instance.get("/api/v1/flows").await.json()["flows"][0];
    let expected = serde_json::json!({
        "id": id, "time": "2023-11-14T22:13:20.000000Z", "method": "GET", "scheme": "https", "host": "a.example",
        "port": 443, "path": "/x?y=1", "status": 200, "request_bytes": 0, "response_bytes": 5, "duration_us": 42,
        "error": null,
    });
    assert_eq!(line, &expected);
    let detail = instance.get(&format!("/api/v1/flows/{id}")).await.json();
    assert_eq!(detail["host"], "a.example");
    assert_eq!((&detail["response"]["body_bytes"], &detail["response"]["body_stored"]), (&5.into(), &5.into()));
    assert_eq!(detail["client_address"], "127.0.0.1:4000");
    let head = data_encoding::BASE64.decode(detail["request"]["head_base64"].as_str().unwrap().as_bytes()).unwrap();
    let raw = instance.get(&format!("/api/v1/flows/{id}/request/head")).await;
    assert_eq!(raw.body, head);
    assert!(
        raw.body.ends_with(b"\r\n\r\n") && raw.body.starts_with(b"GET /x?y=1 HTTP/1.1\r\nHost: a.example\r\nX-Odd:  ")
    );
    assert_eq!(raw.header("content-type"), "application/octet-stream");
}

#[tokio::test]
async fn wrong_questions_are_answered_with_what_is_wrong() {
    let instance = Instance::new("wrong").await;
    for path in [
        "/api/v1/flows?limit=0",
        "/api/v1/flows?limit=1001",
        "/api/v1/flows?limit=x",
        "/api/v1/flows?limit=-1",
        "/api/v1/flows?befor=1",
        "/api/v1/flows?before=1&after=1",
        "/api/v1/flows?limit=1&limit=2",
        "/api/v1/flows/abc",
        "/api/v1/flows/-1",
        "/api/v1/flows/99999999999999999999",
        "/api/v1/flows/%2e",
        "/api/v1/flows/count?limit=1",
        "/api/v1/events?before=1",
    ] {
        let answer = instance.get(path).await;
        assert_eq!(answer.code(), (400, "invalid_parameter".into()), "{path}");
    }
    let answer = instance.get("/api/v1/flows?query=host:a%20(").await;
    assert_eq!(answer.code(), (400, "invalid_query".into()));
    assert!(answer.json()["position"].as_u64().is_some());
    let long = "a".repeat(merlon_api::MAX_QUERY + 1);
    assert_eq!(instance.get(&format!("/api/v1/flows?query={long}")).await.code(), (400, "invalid_query".into()));
    assert_eq!(instance.get("/api/v1/flows/7").await.code(), (404, "no_such_flow".into()));
    assert_eq!(instance.get("/api/v1/flows/7/request/body").await.code(), (404, "no_such_flow".into()));
}

#[tokio::test]
async fn without_an_open_project_there_is_nothing_to_read() {
    let instance = Instance::empty("unopened").await;
    for path in
        ["/api/v1/flows", "/api/v1/flows/count", "/api/v1/flows/1", "/api/v1/flows/1/response/body", "/api/v1/events"]
    {
        assert_eq!(instance.get(path).await.code(), (409, "no_project_open".into()), "{path}");
    }
    assert_eq!(instance.get("/health").await.json()["ready"], false);
}

#[tokio::test]
async fn status_description_help_and_certificate_are_there() {
    let instance = Instance::new("instance").await;
    let status: merlon_api::Status = serde_json::from_slice(&instance.get("/api/v1/status").await.body).unwrap();
    assert!(status.ready && !status.locked);
    assert_eq!(status.project.unwrap().name, "p1");
    assert_eq!(status.instance.unwrap().len(), 32);
    assert!(status.warnings.iter().any(|warning| warning.contains("mended")));
    assert_eq!(
        status.processes.iter().map(|p| (p.name.as_str(), p.connected)).collect::<Vec<_>>(),
        [("merlond", true), ("merlon-keeper", true), ("merlon-dialer", false)]
    );
    assert_eq!(instance.get_with("/api/v1/openapi.json", "viewer").await.json(), merlon_api::openapi());
    assert!(String::from_utf8_lossy(&instance.get("/api/v1/queries/help").await.body).contains("host"));
    let pem = instance.get("/api/v1/ca.pem").await;
    let text = String::from_utf8(pem.body.to_vec()).unwrap();
    assert!(text.starts_with("-----BEGIN CERTIFICATE-----\nMDAw") && text.ends_with("\n-----END CERTIFICATE-----\n"));
    assert!(text.lines().all(|line| line.len() <= 64));
}
