//! What a token costs at the hub: client credentials by HTTP Basic, an ES256 JWT signed by the keeper and recorded on
//! stable storage before it is given out. CPU of all of the hub's processes within the window, over the requests answered.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::procs;
use crate::subject::child::Child;

/// What is aimed at, in microseconds.
const TARGET: f64 = 60.0;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The `merlon-hub` to measure, with its siblings beside it.
    #[arg(long)]
    hub: PathBuf,
    /// Files of the run.
    #[arg(long)]
    directory: PathBuf,
    /// The core that the hub gets. The caller pins this program to another.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Length of the window.
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
}

/// Measures, and gives a section of the report.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let directory = std::path::absolute(&arguments.directory)?;
    std::fs::create_dir_all(&directory)?;
    let (child, issuer) = start(&arguments.hub, &directory, arguments.core)?;
    let address: SocketAddr = issuer.strip_prefix("http://").context("the hub is not on plain loopback")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let window = Duration::from_secs_f64(arguments.seconds);
    let outcome = runtime.block_on(load(address, arguments.connections, window, child.id()))?;
    drop(child);
    Ok(outcome.markdown(arguments.connections))
}

fn start(program: &Path, directory: &Path, core: usize) -> Result<(Child, String)> {
    let data = directory.join("data");
    drop(std::fs::remove_dir_all(&data));
    let mut listen: Vec<OsString> = ["run", "--listen", "127.0.0.1:0", "--data-dir"].map(OsString::from).to_vec();
    listen.push(data.into());
    let log = directory.join("hub.log");
    let (child, ready) = Child::start_until_ready(program, &listen, Some(core), &log, Duration::from_secs(30))?;
    let issuer = ready.get("issuer")?.to_owned();
    Ok((child, issuer))
}

struct Outcome {
    requests: u64,
    window: Duration,
    /// Milliseconds, sorted.
    latencies: Vec<f64>,
    /// CPU by program.
    cpu: Vec<(String, Duration)>,
    resident: u64,
}

async fn load(address: SocketAddr, connections: usize, window: Duration, root: u32) -> Result<Outcome> {
    let request = Arc::new(prepare(address).await?);
    let (requests, counting) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let end = Instant::now() + Duration::from_millis(700) + window;
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (request, requests, counting) = (request.clone(), requests.clone(), counting.clone());
        tasks.spawn(async move { ask_until(address, &request, end, &requests, &counting).await });
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    let ids = procs::tree(root);
    let before = procs::cpu(&ids);
    counting.store(1, Ordering::Relaxed);
    let (began, at) = (Instant::now(), requests.load(Ordering::Relaxed));
    tokio::time::sleep_until((end - Duration::from_millis(50)).into()).await;
    let (answered, window) = (requests.load(Ordering::Relaxed) - at, began.elapsed());
    let after = procs::cpu(&ids);
    let resident = procs::memory(&ids).rss;
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    latencies.sort_by(f64::total_cmp);
    let spent = |id: &u32| after.get(id).zip(before.get(id)).map_or(Duration::ZERO, |(after, before)| *after - *before);
    let cpu = ids.iter().map(|id| (procs::name(*id), spent(id))).collect();
    Ok(Outcome { requests: answered, window, latencies, cpu, resident })
}

/// Registers a client; the whole request that it sends from then on.
async fn prepare(address: SocketAddr) -> Result<String> {
    let metadata = json!({ "client_name": "bench", "grant_types": ["client_credentials"], "scope": "flows:read" });
    let body = metadata.to_string();
    let length = body.len();
    let head = format!(
        "POST /register HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address).await?;
    let (status, answer) = exchange(&mut stream, &(head + &body)).await?;
    ensure!(status == 201, "registration was answered by {status}");
    let client: Value = serde_json::from_slice(&answer)?;
    let text = |name: &str| client[name].as_str().with_context(|| format!("the client has no {name}"));
    let basic = BASE64.encode(format!("{}:{}", text("client_id")?, text("client_secret")?).as_bytes());
    let form = "grant_type=client_credentials&scope=flows%3Aread";
    let length = form.len();
    Ok(format!(
        "POST /token HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic {basic}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    ))
}

async fn ask_until(
    address: SocketAddr,
    request: &str,
    end: Instant,
    requests: &AtomicU64,
    counting: &AtomicU64,
) -> Result<Vec<f64>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let began = Instant::now();
        let (status, body) = exchange(&mut stream, request).await?;
        ensure!(status == 200 && body.starts_with(b"{\"access_token\":\"ey"), "a token was refused with {status}");
        requests.fetch_add(1, Ordering::Relaxed);
        if counting.load(Ordering::Relaxed) == 1 {
            latencies.push(began.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok(latencies)
}

/// Sends a request and reads its answer, which has a length.
async fn exchange(stream: &mut TcpStream, request: &str) -> Result<(u16, Vec<u8>)> {
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::with_capacity(2048);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            bail!("the hub hung up");
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&bytes[..end])?;
        let status = head.get(9..12).context("no status")?.parse()?;
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let total = end + 4 + length.unwrap_or(0);
        while bytes.len() < total {
            ensure!(stream.read_buf(&mut bytes).await? > 0, "the hub hung up");
        }
        return Ok((status, bytes.split_off(end + 4)));
    }
}

impl Outcome {
    #[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
    fn markdown(&self, connections: usize) -> String {
        let per_request = |cpu: Duration| cpu.as_secs_f64() * 1e6 / self.requests.max(1) as f64;
        let all = per_request(self.cpu.iter().map(|(_, cpu)| *cpu).sum());
        let rate = self.requests as f64 / self.window.as_secs_f64();
        let at = |part: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of this list")]
            let index = (self.latencies.len().saturating_sub(1) as f64 * part) as usize;
            self.latencies.get(index).copied().unwrap_or(0.0)
        };
        let verdict = if all <= TARGET { "PASS" } else { "**MISS**" };
        let parts: Vec<_> = self.cpu.iter().map(|(name, cpu)| format!("{name} {:.1}", per_request(*cpu))).collect();
        format!(
            "\n## The hub: client credentials, ES256 JWT by the keeper, every token on stable storage\n\n\
             | c | req/s | p50 ms | p99 ms | CPU µs/req | target | | by process, µs | RSS MB |\n|---|---|---|---|---|---|---|---|---|\n\
             | {connections} | {rate:.0} | {:.2} | {:.2} | {all:.1} | ≤ {TARGET:.0} | {verdict} | {} | {:.1} |\n",
            at(0.5),
            at(0.99),
            parts.join(", "),
            self.resident as f64 / 1e6,
        )
    }
}
