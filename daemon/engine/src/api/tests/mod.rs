//! The API against a real store and a keeper that follows a script, over the real protocol.

mod access;
mod backup;
mod bodies;
mod events;
mod flows;
mod keeper;
mod projects;
mod rotation;
mod serve;

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use merlon_sandbox::secret::Secret;
use merlon_wire::SandboxReport;
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::{ApiState, Arrival, Facts, router};
use crate::flow::{FlowId, Opening, Outcome, Scheme, Side};
use crate::identity::{Identity, Setup};
use crate::links::Links;
use crate::store::{ProjectMeta, Store};
use keeper::FakeKeeper;

/// An instance without a proxy: a store in a directory of its own, a keeper, the routes.
struct Instance {
    app: Router,
    state: ApiState,
    store: Store,
    keeper: FakeKeeper,
    links: Links,
    stop: watch::Sender<bool>,
    directory: PathBuf,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the answer is JSON")
    }

    fn code(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        (self.status.as_u16(), problem["code"].as_str().unwrap().to_owned())
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn project(id: u64) -> ProjectMeta {
    ProjectMeta { id, name: format!("p{id}") }
}

impl Instance {
    /// With project 1 open.
    async fn new(name: &str) -> Self {
        let instance = Self::empty(name).await;
        instance.store.open(project(1), Secret::random().unwrap()).unwrap();
        instance
    }

    async fn empty(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("merlon-api-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let recording = merlon_config::Recording { batch_milliseconds: 1, ..merlon_config::Recording::default() };
        let store = Store::new(&directory, &recording);
        let (keeper, links) = FakeKeeper::start().await;
        let (stop, stopping) = watch::channel(false);
        let facts = Facts {
            listeners: Vec::new(),
            allowed_hosts: Vec::new(),
            host_name: Some("vault".into()),
            sandbox: SandboxReport::default(),
            warnings: Vec::new(),
        };
        let state = ApiState::new(store.clone(), links.clone(), Identity::new(local(), links.clone()), facts, stopping);
        Self { app: router::router(state.clone()), state, store, keeper, links, stop, directory }
    }

    async fn ask(&self, arrival: Arrival, request: Request<Body>) -> Answer {
        let response = self.open(arrival, request).await;
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    /// The answer with its body still to come.
    async fn open(&self, arrival: Arrival, mut request: Request<Body>) -> axum::response::Response {
        request.extensions_mut().insert(arrival);
        self.app.clone().oneshot(request).await.unwrap()
    }

    /// As owner over the Unix socket.
    async fn get(&self, path: &str) -> Answer {
        self.ask(Arrival::Unix, get(path).body(Body::empty()).unwrap()).await
    }

    async fn send(&self, method: &str, path: &str, json: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        self.ask(Arrival::Unix, request.body(Body::from(json.to_owned())).unwrap()).await
    }

    /// Over TCP, with this token.
    async fn get_with(&self, path: &str, token: &str) -> Answer {
        let request = get(path).header("host", "localhost").header("authorization", format!("Bearer {token}"));
        self.ask(tcp(), request.body(Body::empty()).unwrap()).await
    }

    /// Records a flow and waits until it is committed.
    async fn record(&self, host: &str, path: &str, response_body: &[u8]) -> FlowId {
        let mut events = self.store.events();
        let mut record = self.store.recorder().begin(Opening {
            time_us: 1_700_000_000_000_000,
            scheme: Scheme::Https,
            method: "GET".into(),
            host: host.into(),
            port: 443,
            path: path.into(),
            head: Bytes::from(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Odd:  \u{ff}\r\n\r\n")),
            client: Some("127.0.0.1:4000".parse().unwrap()),
        });
        let id = record.id();
        record.response_head(200, Bytes::from_static(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"));
        record.body(Side::Response, Bytes::copy_from_slice(response_body)).await;
        record.finish(Outcome { duration_us: 42, facts: crate::flow::Facts::default(), error: None }).await;
        loop {
            let batch = events.recv().await.unwrap();
            if batch.iter().any(|flow| flow.id == id && flow.duration_us.is_some()) {
                return id;
            }
        }
    }

    fn file(&self, id: u64) -> PathBuf {
        self.directory.join("projects").join(format!("{id}.db"))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.store.close();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn get(path: &str) -> axum::http::request::Builder {
    Request::builder().uri(path)
}

fn tcp() -> Arrival {
    Arrival::Tcp { tls: true, local: "127.0.0.1:8443".parse().unwrap(), peer: "127.0.0.1".parse().unwrap() }
}

/// No authorization server.
fn local() -> Setup {
    Setup::read(&merlon_config::Identity::default(), &rustls::RootCertStore::empty(), "test", None).unwrap()
}

/// Waits for what must come soon; a test that hangs says nothing.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it comes within 20 s")
}

fn exists(path: &Path) -> bool {
    path.try_exists().unwrap()
}
