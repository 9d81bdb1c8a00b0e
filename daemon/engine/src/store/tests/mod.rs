//! The store from outside: recorder in, readers and events out, real files below a directory of each test's own.

mod backup;
mod faults;
mod lists;
mod opening;
mod recording;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use merlon_config::Recording;
use merlon_sandbox::secret::Secret;
use rusqlite::Connection;
use tokio::sync::broadcast::Receiver;

use super::{ListAsk, ProjectMeta, Store, Summary, schema};
use crate::flow::{Facts, FlowId, Opening, Outcome, Scheme, Side};

/// A store with project 1 open, in a directory that goes with it.
struct Bed {
    store: Store,
    directory: Directory,
}

struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("merlon-store-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn project(&self, id: u64) -> PathBuf {
        schema::project_path(&self.0, id)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn recording() -> Recording {
    Recording { batch_milliseconds: 1, ..Recording::default() }
}

fn key() -> Secret<32> {
    Secret::init(|key| key.fill(7)).unwrap()
}

fn project(id: u64) -> ProjectMeta {
    ProjectMeta { id, name: format!("project {id}") }
}

impl Bed {
    fn new(recording: &Recording) -> Self {
        let directory = Directory::new();
        let store = Store::new(&directory.0, recording);
        store.open(project(1), key()).unwrap();
        Self { store, directory }
    }

    /// Keeps the writer from committing, as long as it is held.
    fn hold_writer(&self) -> Connection {
        let options = merlon_cipherdb::Options { create: false, ..schema::form() };
        let other = merlon_cipherdb::open(&self.directory.project(1), &key(), options).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        other
    }

    /// Records a finished flow with a body.
    async fn flow(&self, host: &str, path: &str, body: &[u8]) -> FlowId {
        let mut record = self.store.recorder().begin(opening(host, path));
        record.response_head(200, Bytes::from_static(b"HTTP/1.1 200 OK\r\nX-Tag: Blue\r\n\r\n"));
        record.body(Side::Response, Bytes::copy_from_slice(body)).await;
        let id = record.id();
        record.finish(outcome()).await;
        id
    }

    fn all(&self) -> Vec<Summary> {
        self.list(None, None, None, 1000)
    }

    fn list(&self, query: Option<&str>, before: Option<FlowId>, after: Option<FlowId>, limit: u32) -> Vec<Summary> {
        let query = query.map(|query| crate::query::parse(query, 0).unwrap());
        self.store.list(&ListAsk { query, before, after, limit }).unwrap().flows
    }
}

fn opening(host: &str, path: &str) -> Opening {
    Opening {
        time_us: 1_700_000_000_000_000,
        scheme: Scheme::Https,
        method: "GET".into(),
        host: host.into(),
        port: 443,
        path: path.into(),
        head: Bytes::from(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")),
        client: Some("127.0.0.1:40000".parse().unwrap()),
    }
}

fn outcome() -> Outcome {
    Outcome { duration_us: 1234, facts: Facts { connection_reused: true, ..Facts::default() }, error: None }
}

/// Waits until this many flows have ended and are committed.
async fn ended(events: &mut Receiver<Arc<[Summary]>>, mut flows: usize) -> Vec<Summary> {
    let mut all = Vec::new();
    while flows > 0 {
        for summary in events.recv().await.unwrap().iter() {
            flows -= usize::from(summary.duration_us.is_some());
            all.push(summary.clone());
        }
    }
    all
}

/// Bytes of which no two places look alike.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(length)
    .collect()
}
