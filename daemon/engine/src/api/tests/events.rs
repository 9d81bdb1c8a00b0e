//! The event stream: told after the commit, taken up again without a gap, ended when its reason ends.

use axum::body::Body;
use merlon_api::Flow;

use super::*;

struct Reader {
    body: Body,
    text: String,
}

impl Reader {
    async fn open(instance: &Instance, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = instance.open(Arrival::Unix, request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Self { body: response.into_body(), text: String::new() }
    }

    /// Name, id and data of the next event; none at the end.
    async fn next(&mut self) -> Option<(String, String, String)> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
                let event = (field("event: "), field("id: "), field("data: "));
                let comment = block.starts_with(':');
                self.text = rest.to_owned();
                if comment {
                    continue;
                }
                return Some(event);
            }
            let piece = soon(self.body.frame()).await?.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    async fn flow(&mut self) -> (Flow, String) {
        let (name, id, data) = self.next().await.expect("the stream goes on");
        assert_eq!(name, "flow", "{data}");
        (serde_json::from_str(&data).unwrap(), id)
    }
}

#[tokio::test]
async fn flows_are_told_of_as_they_are_committed_and_filtered() {
    let instance = Instance::new("live").await;
    instance.record("a.example", "/before", b"x").await;
    let mut all = Reader::open(&instance, "/api/v1/events", &[]).await;
    let mut some = Reader::open(&instance, "/api/v1/events?query=body:needle", &[]).await;
    instance.record("a.example", "/1", b"hay").await;
    instance.record("b.example", "/2", b"a needle in it").await;
    assert_eq!(all.flow().await.0.path, "/1");
    assert_eq!(all.flow().await.0.path, "/2");
    assert_eq!(some.flow().await.0.path, "/2");
}

#[tokio::test]
async fn a_stream_is_taken_up_where_it_ended() {
    let instance = Instance::new("resume").await;
    let mut reader = Reader::open(&instance, "/api/v1/events?after=0", &[]).await;
    instance.record("a.example", "/1", b"").await;
    let (flow, place) = reader.flow().await;
    assert_eq!(flow.path, "/1");
    drop(reader);
    instance.record("a.example", "/2", b"").await;
    instance.record("a.example", "/3", b"").await;
    let mut again = Reader::open(&instance, "/api/v1/events?after=0", &[("last-event-id", &place)]).await;
    let mut paths = Vec::new();
    while paths.last().is_none_or(|path| path != "/3") {
        paths.push(again.flow().await.0.path);
    }
    // The first ended within the slack before its event and may be told of again; the others must be.
    assert!(paths.ends_with(&["/2".to_owned(), "/3".to_owned()]), "{paths:?}");
    instance.record("a.example", "/4", b"").await;
    assert_eq!(again.flow().await.0.path, "/4");
}

#[tokio::test]
async fn a_flow_that_ended_after_a_later_one_is_told_of_after_a_reconnection() {
    let instance = Instance::new("overtaken").await;
    let now = crate::api::flows::now_us();
    let opening = |path: &str| Opening {
        time_us: now,
        scheme: Scheme::Http,
        method: "GET".into(),
        host: "a.example".into(),
        port: 80,
        path: path.into(),
        head: Bytes::new(),
        client: None,
    };
    let slow = instance.store.recorder().begin(opening("/slow"));
    let mut reader = Reader::open(&instance, "/api/v1/events", &[]).await;
    instance.record("a.example", "/fast", b"").await;
    let (_, place) = reader.flow().await;
    drop(reader);
    slow.finish(Outcome { duration_us: 5_000_000, facts: crate::flow::Facts::default(), error: None }).await;
    let mut again = Reader::open(&instance, "/api/v1/events", &[("last-event-id", &place)]).await;
    assert_eq!(again.flow().await.0.path, "/slow");
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_so_and_how_to_go_on() {
    let instance = Instance::new("lagged").await;
    let mut reader = Reader::open(&instance, "/api/v1/events", &[]).await;
    for number in 0..300 {
        // One commit each: more than are kept for a slow reader.
        instance.record("a.example", &format!("/{number}"), b"").await;
    }
    let (name, _, data) = reader.next().await.unwrap();
    assert_eq!(name, "lagged");
    let lagged: merlon_api::Lagged = serde_json::from_str(&data).unwrap();
    let missed = instance.get(&format!("/api/v1/flows?after={}&limit=1000", lagged.after)).await;
    assert_eq!(missed.json()["flows"].as_array().unwrap().len(), 300);
    assert!(reader.flow().await.0.id > 1);
}

#[tokio::test]
async fn another_project_ends_the_stream_and_its_places_mean_nothing_there() {
    let instance = Instance::new("other").await;
    let mut reader = Reader::open(&instance, "/api/v1/events", &[]).await;
    instance.record("a.example", "/1", b"").await;
    let (_, place) = reader.flow().await;
    instance.store.open(project(2), Secret::random().unwrap()).unwrap();
    instance.record("b.example", "/2", b"").await;
    let (name, _, data) = reader.next().await.unwrap();
    assert_eq!(name, "problem");
    assert!(data.contains("no_project_open"), "{data}");
    assert!(reader.next().await.is_none());
    let mut again = Reader::open(&instance, "/api/v1/events", &[("last-event-id", &place)]).await;
    instance.record("b.example", "/3", b"").await;
    assert_eq!(again.flow().await.0.path, "/3");
}

#[tokio::test]
async fn a_revoked_token_ends_its_stream_and_a_lost_keeper_does_not() {
    let instance = Instance::new("standing").await;
    for code in ["token_unknown", "rate_limited", "locked"] {
        let request = get("/api/v1/events").header("host", "localhost").header("authorization", "Bearer viewer");
        let response = instance.open(tcp(), request.body(Body::empty()).unwrap()).await;
        let mut body = response.into_body();
        let mut piece = async || {
            let frame = soon(body.frame()).await?.unwrap();
            Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
        };
        assert_eq!(piece().await.unwrap(), ": connected\n\n");
        instance.keeper.die(&instance.links).await;
        for _ in 0..3 {
            assert_eq!(piece().await.unwrap(), ": alive\n\n");
        }
        match code {
            "token_unknown" => drop(instance.keeper.script().tokens.remove(&b"viewer"[..])),
            "rate_limited" => instance.keeper.script().rate_limited = true,
            _ => instance.keeper.script().state = merlon_wire::keeper::LockState::Locked,
        }
        instance.keeper.connect();
        let mut last = String::new();
        while let Some(piece) = piece().await {
            last = piece;
        }
        assert!(last.contains(code), "{last}");
        let mut script = instance.keeper.script();
        script.tokens.insert(b"viewer".to_vec(), "viewer".into());
        script.rate_limited = false;
    }
}

#[tokio::test]
async fn streams_end_with_the_instance_and_are_bounded() {
    let instance = Instance::new("bounded").await;
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(Reader::open(&instance, "/api/v1/events", &[]).await);
    }
    assert_eq!(instance.get("/api/v1/events").await.code(), (503, "busy".into()));
    assert_eq!(instance.get("/api/v1/flows").await.status, 200);
    open.pop();
    open.push(Reader::open(&instance, "/api/v1/events", &[]).await);
    instance.stop.send(true).unwrap();
    for mut reader in open {
        assert!(reader.next().await.is_none());
    }
    assert_eq!(instance.get("/api/v1/flows").await.code(), (503, "stopping".into()));
}
