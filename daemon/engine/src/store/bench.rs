//! What recording and listing cost, measured: only with the feature `bench`, which no shipped binary has.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use merlon_config::Recording;
use merlon_sandbox::secret::{Secret, SecretError};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;

use super::{ListAsk, ProjectMeta, Store, StoreError};
use crate::flow::{Facts, FlowId, Opening, Outcome, Scheme, Side, TlsFacts};
use crate::query;

/// Flows with a body of 1 MB.
const LARGE: u64 = 300;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The runtime.
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
    /// The processor time cannot be read.
    #[error("no processor time: {0}")]
    Usage(#[from] nix::Error),
    /// A query.
    #[error(transparent)]
    Query(#[from] query::QueryError),
}

/// Records `flows` small flows and some large ones into project 1 of an empty store below `directory`, lists and counts
/// them, and returns a table.
pub(crate) fn run(directory: &Path, flows: u64) -> Result<String, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let key: Secret<32> = Secret::random()?;
    let again = Secret::init(|copy| copy.copy_from_slice(key.expose()))?;
    let project = ProjectMeta { id: 1, name: "bench".into() };
    let store = Store::new(directory, &Recording::default());
    store.open(project.clone(), key)?;
    let mut table = String::new();

    let bodies = noise(1 << 16);
    let facts = facts();
    // What making a flow costs is the proxy's, not the recorder's.
    let before = Cpu::now()?;
    for number in 0..flows {
        std::hint::black_box(synthetic(number));
    }
    let making = Cpu::now()?.since(&before);

    let before = Cpu::now()?;
    let started = Instant::now();
    runtime.block_on(record(
        &store,
        0..flows,
        |number| {
            let start = usize::try_from(number * 61).unwrap_or(0) % (bodies.len() - 1024);
            &bodies[start..start + 1024]
        },
        &facts,
    ));
    store.close();
    let wall = started.elapsed();
    let spent = Cpu::now()?.since(&before);
    line(&mut table, "1 KB: CPU a flow, all threads, with checkpoint", per(spent.process - making.process, flows));
    line(&mut table, "1 KB: CPU a flow on the proxy's thread", per(spent.thread.saturating_sub(making.thread), flows));
    line(&mut table, "1 KB: CPU a flow in the kernel", per(spent.kernel.saturating_sub(making.kernel), flows));
    line(&mut table, "1 KB: wall a flow", per(wall, flows));
    let stats = store.stats();
    let _ = writeln!(
        table,
        "recorded {} unrecorded {} truncated {}",
        stats.recorded, stats.unrecorded, stats.truncated_bodies
    );

    let started = Instant::now();
    store.open(project, again)?;
    line(&mut table, "open", format!("{:?}", started.elapsed()));
    for (what, text) in [
        ("newest 100", None),
        ("newest 100 of a host with 1 %", Some("host=one-percent.example")),
        ("newest 100 of a host with 0.005 %", Some("host=rare.example")),
        ("newest 100, header", Some("resp.header:\"x-number: 7\"")),
        ("newest 100, absent body", Some("resp.body:\"not in any body\"")),
    ] {
        let ask = ListAsk { query: parse(text)?, before: None, after: None, limit: 100 };
        for pass in ["first", "again"] {
            let (page, time) = timed(|| store.list(&ask))?;
            let found = format!("{time} ({} found, all seen: {})", page.flows.len(), page.scanned_all);
            line(&mut table, &format!("{what}, {pass}"), found);
        }
    }
    for (what, text) in [("count", None), ("count of a host", Some("host=one-percent.example"))] {
        let ast = parse(text)?;
        let (count, time) = timed(|| store.count(ast.as_ref()))?;
        line(&mut table, what, format!("{time} ({count})"));
    }
    let id = FlowId(i64::try_from(flows / 2).unwrap_or(1).max(1));
    let (found, time) = timed(|| store.flow(id))?;
    line(&mut table, "one flow", format!("{time} ({})", found.is_some()));

    let large = noise(1 << 20);
    let before = Cpu::now()?;
    runtime.block_on(record(&store, flows..flows + LARGE, |_| &large, &facts));
    store.close();
    let spent = Cpu::now()?.since(&before);
    line(&mut table, "1 MB: CPU a flow, all threads, with checkpoint", per(spent.process, LARGE));
    line(&mut table, "1 MB: CPU a flow on the proxy's thread", per(spent.thread, LARGE));
    Ok(table)
}

async fn record<'a>(store: &Store, numbers: std::ops::Range<u64>, body: impl Fn(u64) -> &'a [u8], facts: &Facts) {
    let recorder = store.recorder();
    for number in numbers {
        let (opening, response) = synthetic(number);
        let mut record = recorder.begin(opening);
        record.response_head(200, response);
        for piece in body(number).chunks(32 << 10) {
            record.body(Side::Response, Bytes::copy_from_slice(piece)).await;
        }
        record.finish(Outcome { duration_us: 1500, facts: facts.clone(), error: None }).await;
    }
}

/// A flow with heads of about 384 and 324 bytes.
fn synthetic(number: u64) -> (Opening, Bytes) {
    let host = match number {
        n if n % 20_000 == 17 => "rare.example".to_owned(),
        n if n % 100 == 5 => "one-percent.example".to_owned(),
        n => format!("host-{}.example", n.wrapping_mul(0x9E37_79B9) % 1000),
    };
    let path = format!("/api/v2/items/{number:08}?session=0123456789abcdef&page=3");
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0)\r\nAccept: \
         text/html,application/json;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, \
         deflate, br\r\nCookie: id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nConnection: keep-alive\r\n\r\n"
    );
    let response = format!(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 01:00:00 GMT\r\nContent-Type: application/json; \
         charset=utf-8\r\nContent-Length: 1024\r\nX-Number: {number}\r\nCache-Control: no-store, max-age=0\r\n\
         Strict-Transport-Security: max-age=31536000\r\nX-Request-Id: 0123456789abcdef0123456789abcdef\r\nConnection: \
         keep-alive\r\n\r\n"
    );
    let opening = Opening {
        time_us: 1_790_000_000_000_000 + number.cast_signed() * 50,
        scheme: Scheme::Https,
        method: "GET".into(),
        host: host.into(),
        port: 443,
        path: path.into(),
        head: head.into(),
        client: Some(([127, 0, 0, 1], 40_000).into()),
    };
    (opening, response.into())
}

fn facts() -> Facts {
    let tls = TlsFacts {
        version: "TLSv1.3".into(),
        cipher: "TLS13_AES_256_GCM_SHA384".into(),
        server_name: Some("host-1.example".into()),
        alpn: Some("http/1.1".into()),
    };
    Facts {
        server: Some(([203, 0, 113, 7], 443).into()),
        client_tls: Some(tls.clone()),
        server_tls: Some(tls),
        server_certificate_sha256: Some("5a".repeat(32).into()),
        first_byte_us: Some(900),
        connection_reused: true,
    }
}

fn parse(text: Option<&str>) -> Result<Option<query::Ast>, BenchError> {
    Ok(text.map(|text| query::parse(text, 0)).transpose()?)
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

/// What something returns, its time on the clock, and its processor time.
fn timed<T>(read: impl FnOnce() -> Result<T, StoreError>) -> Result<(T, String), BenchError> {
    let before = Cpu::now()?;
    let started = Instant::now();
    let result = read()?;
    let wall = started.elapsed();
    let spent = Cpu::now()?.since(&before).thread;
    Ok((result, format!("{:.2} ms, CPU {:.2} ms", wall.as_secs_f64() * 1e3, spent.as_secs_f64() * 1e3)))
}

fn per(time: Duration, flows: u64) -> String {
    format!("{:.2} µs", time.as_secs_f64() * 1e6 / flows.max(1) as f64)
}

fn line(table: &mut String, what: &str, value: impl std::fmt::Display) {
    let _ = writeln!(table, "{what:<50} {value}");
}

/// Processor time, user and system.
struct Cpu {
    process: Duration,
    /// Of it in the kernel.
    kernel: Duration,
    thread: Duration,
}

impl Cpu {
    fn now() -> Result<Self, nix::Error> {
        let process = getrusage(UsageWho::RUSAGE_SELF)?;
        let thread = getrusage(UsageWho::RUSAGE_THREAD)?;
        Ok(Self { process: total(process), kernel: duration(process.system_time()), thread: total(thread) })
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            process: self.process - before.process,
            kernel: self.kernel - before.kernel,
            thread: self.thread - before.thread,
        }
    }
}

fn total(usage: Usage) -> Duration {
    duration(usage.user_time()) + duration(usage.system_time())
}

fn duration(time: TimeVal) -> Duration {
    let microseconds = time.tv_sec() * 1_000_000 + time.tv_usec();
    Duration::from_micros(microseconds.max(0).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `MERLON_BENCH_FLOWS` makes it a measurement (in release, with `--nocapture`).
    #[test]
    fn a_run_records_everything() {
        let flows = std::env::var("MERLON_BENCH_FLOWS").map_or(2000, |flows| flows.parse().unwrap());
        let directory = std::env::temp_dir().join(format!("merlon-bench-{}", std::process::id()));
        let table = run(&directory, flows).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        println!("{table}");
        assert!(table.contains(&format!("recorded {flows} unrecorded 0 truncated 0")));
    }
}
