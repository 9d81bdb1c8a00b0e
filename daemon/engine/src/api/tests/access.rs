//! Who is let in, to what, and what is said to those who are not.

use axum::body::Body;
use axum::http::Request;
use merlon_api::endpoints::Method;
use merlon_api::{Access, ENDPOINTS, Operation, Role};
use merlon_wire::keeper::LockState;

use super::*;

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

/// Every endpoint of the table with every role: in or out as the table says, by nothing else.
#[tokio::test]
async fn the_table_decides_for_every_role_and_endpoint() {
    let instance = Instance::new("matrix").await;
    for endpoint in ENDPOINTS {
        let path = endpoint.path.replace("{id}", "999").replace("{name}", "nobody");
        for role in Role::ALL {
            let bearer = format!("Bearer {role}");
            let headers = [("host", "localhost"), ("authorization", bearer.as_str())];
            let response = instance.open(tcp(), request(endpoint.method.as_str(), &path, &headers)).await;
            let permitted = match endpoint.access {
                Access::Public | Access::Authenticated => true,
                Access::Scope(scope) => role.holds(scope),
            };
            assert_eq!(response.status() != 403, permitted, "{role} {} {path}", endpoint.method.as_str());
            assert_ne!(response.status(), 401, "{role} {path}");
        }
        let owner = instance.open(Arrival::Unix, request(endpoint.method.as_str(), &path, &[])).await;
        assert!(![401, 403].contains(&owner.status().as_u16()), "by the socket: {path}");
        let anonymous = instance.open(tcp(), request(endpoint.method.as_str(), &path, &[("host", "localhost")])).await;
        assert_eq!(anonymous.status() != 401, endpoint.access == Access::Public, "{path}");
    }
}

#[tokio::test]
async fn each_refusal_has_its_own_code_and_challenge() {
    let instance = Instance::new("codes").await;
    let path = "/api/v1/flows";
    for (header, code, challenge) in [
        (None, "token_missing", "Bearer"),
        (Some("Basic eDp5"), "token_malformed", "Bearer error=\"invalid_token\""),
        (Some("Bearer two words"), "token_malformed", "Bearer error=\"invalid_token\""),
        (Some("Bearer stranger"), "token_unknown", "Bearer error=\"invalid_token\""),
    ] {
        let mut headers = vec![("host", "localhost")];
        headers.extend(header.map(|value| ("authorization", value)));
        let answer = instance.ask(tcp(), request("GET", path, &headers)).await;
        assert_eq!(answer.code(), (401, code.to_owned()));
        assert_eq!(answer.header("www-authenticate"), challenge);
        assert!(!String::from_utf8_lossy(&answer.body).contains("stranger"), "a token is never shown");
    }

    let answer = instance
        .ask(
            tcp(),
            request("DELETE", "/api/v1/projects/9", &[("host", "localhost"), ("authorization", "Bearer operator")]),
        )
        .await;
    assert_eq!(answer.code(), (403, "scope_missing".into()));
    assert_eq!(answer.json()["scope"], "instance:admin");
    assert!(answer.header("www-authenticate").contains("insufficient_scope"));

    instance.keeper.script().rate_limited = true;
    let answer = instance.get_with(path, "viewer").await;
    assert_eq!(answer.code(), (429, "rate_limited".into()));
    assert_eq!(answer.header("retry-after"), "1");
    instance.keeper.script().rate_limited = false;

    assert_eq!(instance.get_with(path, "odd").await.code(), (503, "keeper_failed".into()));
}

#[tokio::test]
async fn a_token_is_verified_every_time_and_dead_once_revoked() {
    let instance = Instance::new("revoked").await;
    assert_eq!(instance.get_with("/api/v1/flows", "viewer").await.status, 200);
    assert_eq!(instance.get_with("/api/v1/flows", "viewer").await.status, 200);
    assert_eq!(instance.keeper.script().verified, 2);
    instance.keeper.script().tokens.clear();
    assert_eq!(instance.get_with("/api/v1/flows", "viewer").await.code(), (401, "token_unknown".into()));
}

#[tokio::test]
async fn behind_the_door_is_everything_that_the_table_does_not_make_public() {
    let instance = Instance::new("door").await;
    let stranger = [("host", "localhost")];
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/api"),
        ("GET", "/api/v1/"),
        ("GET", "/api/v1/nothing"),
        ("GET", "/health/"),
        ("POST", "/api/v1/flows"),
        ("OPTIONS", "/api/v1/flows"),
        ("TRACE", "/api/v1/status"),
        ("GET", "//health"),
        ("GET", "/api/v1/flows/../../health"),
        ("GET", "/%68ealth"),
        ("POST", "/health"),
        ("CONNECT", "localhost:80"),
    ] {
        let answer = instance.ask(tcp(), request(method, path, &stranger)).await;
        assert!([401, 421].contains(&answer.status.as_u16()), "{method} {path}: {}", answer.status);
    }
    assert_eq!(instance.get("/nothing").await.code(), (404, "no_such_endpoint".into()));
    let answer = instance.send("POST", "/api/v1/flows/1", "").await;
    assert_eq!(answer.code(), (405, "method_not_allowed".into()));
    assert_eq!(answer.header("allow"), "GET, HEAD");
    let answer = instance.send("PUT", "/api/v1/projects", "{}").await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD, POST"));
}

#[tokio::test]
async fn a_locked_instance_says_so_to_everybody() {
    let instance = Instance::empty("locked").await;
    instance.keeper.script().state = LockState::Locked;
    says_that_it_is_locked(&instance).await;
    // Nor does anybody get more from one that is not open yet.
    instance.keeper.script().state = LockState::Opening;
    says_that_it_is_locked(&instance).await;
    let detail = instance.get("/api/v1/status").await.json()["detail"].clone();
    assert!(detail.as_str().unwrap().contains("still tries the keyslots"), "{detail}");
    instance.keeper.script().state = LockState::Unlocked;
    instance.store.open(project(1), Secret::random().unwrap()).unwrap();
    assert_eq!(instance.get("/health").await.json()["ready"], true);
}

async fn says_that_it_is_locked(instance: &Instance) {
    let health = instance.ask(tcp(), request("GET", "/health", &[("host", "localhost")])).await;
    assert_eq!((health.status.as_u16(), health.json()["ready"].clone()), (200, false.into()));
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.operation != Operation::Health) {
        let path = endpoint.path.replace("{id}", "1").replace("{name}", "nobody");
        for headers in [&[("host", "localhost")][..], &[("host", "localhost"), ("authorization", "Bearer owner")]] {
            let answer = instance.ask(tcp(), request(endpoint.method.as_str(), &path, headers)).await;
            assert_eq!(answer.code(), (503, "locked".into()), "{path}");
            assert!(answer.json()["detail"].as_str().unwrap().contains("merlon unlock"));
        }
        let answer = instance.ask(Arrival::Unix, request(endpoint.method.as_str(), &path, &[])).await;
        assert_eq!(answer.code(), (503, "locked".into()), "{path}");
    }
}

#[tokio::test]
async fn without_a_keeper_the_owner_reads_on_and_tokens_wait_for_it() {
    let instance = Instance::new("keeperless").await;
    instance.record("a.example", "/", b"x").await;
    instance.keeper.die(&instance.links).await;
    assert_eq!(instance.get("/api/v1/flows").await.json()["flows"].as_array().unwrap().len(), 1);
    let status = instance.get("/api/v1/status").await.json();
    assert_eq!((&status["ready"], &status["keys"], &status["instance"]), (&false.into(), &Value::Null, &Value::Null));
    assert_eq!(status["processes"][1]["connected"], false);
    assert_eq!(instance.get("/health").await.json()["ready"], false);
    let (projects, flows) =
        tokio::join!(instance.get("/api/v1/projects"), instance.get_with("/api/v1/flows", "viewer"));
    assert_eq!(projects.code(), (503, "keeper_unreachable".into()));
    assert_eq!(flows.code(), (503, "keeper_unreachable".into()));
    instance.keeper.connect();
    assert_eq!(soon(instance.get_with("/api/v1/flows", "viewer")).await.status, 200);
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_turned_away_before_anything_else() {
    let instance = Instance::new("rebinding").await;
    let verified = instance.keeper.script().verified;
    for path in ["/health", "/api/v1/flows", "/nothing"] {
        let headers = [("host", "evil.example"), ("authorization", "Bearer owner")];
        assert_eq!(instance.ask(tcp(), request("GET", path, &headers)).await.code(), (421, "host_refused".into()));
        let headers = [("host", "localhost"), ("origin", "https://evil.example"), ("authorization", "Bearer owner")];
        assert_eq!(instance.ask(tcp(), request("GET", path, &headers)).await.code(), (403, "origin_refused".into()));
        let unix = instance.ask(Arrival::Unix, request("GET", path, &[("origin", "http://localhost")])).await;
        assert_eq!(unix.code(), (403, "origin_refused".into()));
    }
    assert_eq!(instance.keeper.script().verified, verified, "the keeper was not even asked");
    let headers = [("host", "vault"), ("origin", "https://vault"), ("authorization", "Bearer viewer")];
    assert_eq!(instance.ask(tcp(), request("GET", "/api/v1/flows", &headers)).await.status, 200);
}

#[tokio::test]
async fn every_answer_forbids_to_keep_sniff_frame_or_run_it() {
    let instance = Instance::new("headers").await;
    for (method, path) in [("GET", "/health"), ("GET", "/api/v1/flows"), ("GET", "/nothing"), ("PUT", "/health")] {
        let answer = instance.ask(Arrival::Unix, request(method, path, &[])).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
    }
    // What strangers may do takes JSON, which a page of another site cannot send unasked.
    let public = ENDPOINTS.iter().filter(|endpoint| endpoint.access == Access::Public);
    assert!(public.into_iter().all(|endpoint| endpoint.method == Method::Get || endpoint.body.is_some()));
}
