//! The smallest client of Merlon's API that timing needs: GET over its Unix socket, one kept-alive connection, JSON
//! answers with a length.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The longest answer waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// A connection to the API.
pub(crate) struct Api(UnixStream);

impl Api {
    /// Connects.
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).with_context(|| format!("cannot connect to {}", socket.display()))?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(Self(stream))
    }

    /// The answer to a GET, and how long it took from sending to its last byte.
    pub(crate) fn get(&mut self, target: &str) -> Result<(Value, Duration)> {
        let began = Instant::now();
        write!(self.0, "GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n")?;
        let mut received = Vec::new();
        let mut part = vec![0; 64 << 10];
        let (head, length) = loop {
            let read = self.0.read(&mut part).context("the API does not answer")?;
            ensure!(read > 0, "the API closed the connection");
            received.extend_from_slice(&part[..read]);
            if let Some(head) = crate::origin::head_end(&received) {
                break (head, length(&received[..head])?);
            }
        };
        while received.len() < head + length {
            let read = self.0.read(&mut part)?;
            ensure!(read > 0, "the API's answer ended early");
            received.extend_from_slice(&part[..read]);
        }
        let took = began.elapsed();
        ensure!(
            received.starts_with(b"HTTP/1.1 200 "),
            "GET {target} was answered with {}",
            String::from_utf8_lossy(&received[..received.len().min(600)])
        );
        Ok((serde_json::from_slice(&received[head..])?, took))
    }
}

/// Waits until the recorder has committed `flows` flows, and gives its counters either way.
pub(crate) fn settled(api: &mut Api, flows: u64) -> Result<Value> {
    let mut recorder = Value::Null;
    for _ in 0..100 {
        recorder = api.get("/api/v1/status")?.0["recorder"].take();
        if recorder["waiting_bytes"] == 0 && recorder["recorded"].as_u64() >= Some(flows) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(recorder)
}

fn length(head: &[u8]) -> Result<usize> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.context("the API's answer has no length")?.trim().parse().context("the API's answer has an odd length")
}
