//! The load client: closed-loop HTTP/1.1 over a fixed number of connections, straight to the origin or through a proxy.
//! It counts and times requests within a window and checks every response's status and length. It knows nothing of the
//! programs under test; who wants to read their CPU time hooks into the window's moments.

mod connection;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::{JoinSet, LocalSet};

use crate::content::Content;

/// Connections that still wait for an answer so long after the end of the window count as errors.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after a failed request, so that a dead proxy does not turn the loop into a storm.
const AFTER_FAILURE: Duration = Duration::from_millis(20);

/// Requests of one connection where they are spread over many addresses.
pub(crate) const SPREAD: u32 = 100;

/// What is asked, of whom, how often.
#[derive(Clone)]
pub(crate) struct Plan {
    /// The proxy; none goes straight to the origin.
    pub(crate) proxy: Option<SocketAddr>,
    /// The origin, of the scheme meant.
    pub(crate) origin: SocketAddr,
    /// The roots that the server's certificate must verify against; none speaks plain HTTP.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// What is fetched.
    pub(crate) content: Content,
    /// Whether connections and host names are used again.
    pub(crate) reuse: Reuse,
    /// Each connection goes to another of the origin's addresses, and ends after [`SPREAD`] requests.
    pub(crate) spread: bool,
    /// Requests in flight.
    pub(crate) connections: usize,
    /// Time before the window.
    pub(crate) warm_up: Duration,
    /// Length of the window.
    pub(crate) window: Duration,
    /// The window also ends after so many requests.
    pub(crate) limit: Option<u64>,
}

/// What a request may use of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Reuse {
    /// Its connection.
    Connection,
    /// Its host name, so the proxy has a certificate for it.
    Host,
    /// Nothing: connection and host name are new each time.
    Nothing,
}

/// Points of a run at which others may measure. The client waits meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Warm-up is over.
    Opens,
    /// The window is over, requests are still in flight.
    Closes,
    /// No request is in flight; kept-alive connections are open.
    Idle,
}

/// What a run counted within its window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Requests answered well.
    pub(crate) requests: u64,
    /// Requests answered well over the whole run.
    pub(crate) answered: u64,
    /// Requests that failed, over the whole run.
    pub(crate) errors: u64,
    /// The first failure, in words.
    pub(crate) first_error: Option<String>,
    /// Length of the window as it was.
    pub(crate) elapsed: Duration,
    /// Median time of a request.
    pub(crate) p50: Duration,
    /// Time that 99 of 100 requests stayed below.
    pub(crate) p99: Duration,
}

impl Outcome {
    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        per(self.requests, self.elapsed)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
fn per(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(1e-9)
}

/// Roots from a PEM file, for TLS without resumption: each handshake is a full one.
pub(crate) fn trusting(file: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).with_context(|| format!("cannot read {}", file.display()))? {
        roots.add(certificate?).with_context(|| format!("{} holds no certificate to trust", file.display()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// What the connections of one run share.
struct Shared {
    plan: Plan,
    counting: Cell<bool>,
    stop: Cell<bool>,
    full: tokio::sync::Notify,
    latencies: RefCell<Vec<u32>>,
    opened: Cell<u64>,
    answered: Cell<u64>,
    errors: Cell<u64>,
    first_error: RefCell<Option<String>>,
}

impl Shared {
    fn succeeded(&self, time: Duration) {
        self.answered.set(self.answered.get() + 1);
        if !self.counting.get() {
            return;
        }
        let mut latencies = self.latencies.borrow_mut();
        latencies.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
        if self.plan.limit.is_some_and(|limit| latencies.len() as u64 >= limit) {
            self.counting.set(false);
            self.full.notify_one();
        }
    }

    /// The number of a new connection, from 0.
    fn next(&self) -> u64 {
        self.opened.replace(self.opened.get() + 1)
    }

    fn failed(&self, error: String) {
        self.errors.set(self.errors.get() + 1);
        self.first_error.borrow_mut().get_or_insert(error);
    }
}

/// Runs the plan. `probe` is called at each [`Moment`].
pub(crate) fn run(plan: &Plan, mut probe: impl FnMut(Moment)) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = Rc::new(Shared {
        plan: plan.clone(),
        counting: Cell::new(false),
        stop: Cell::new(false),
        full: tokio::sync::Notify::new(),
        latencies: RefCell::new(Vec::with_capacity(1 << 20)),
        opened: Cell::new(0),
        answered: Cell::new(0),
        errors: Cell::new(0),
        first_error: RefCell::new(None),
    });
    let elapsed = LocalSet::new().block_on(&runtime, async {
        let mut clients = JoinSet::new();
        for _ in 0..plan.connections {
            clients.spawn_local(client(Rc::clone(&shared)));
        }
        tokio::time::sleep(plan.warm_up).await;
        probe(Moment::Opens);
        let opened = Instant::now();
        shared.counting.set(true);
        // The window ends by whichever comes first.
        drop(tokio::time::timeout(plan.window, shared.full.notified()).await);
        shared.counting.set(false);
        let elapsed = opened.elapsed();
        probe(Moment::Closes);
        shared.stop.set(true);

        let mut open = Vec::new();
        let drained = tokio::time::timeout(DRAIN, async {
            while let Some(connection) = clients.join_next().await {
                open.push(connection);
            }
        });
        if drained.await.is_err() {
            for _ in 0..clients.len() {
                shared.failed(format!("no answer within {} s after the window", DRAIN.as_secs()));
            }
        }
        probe(Moment::Idle);
        elapsed
    });
    let mut latencies = shared.latencies.take();
    latencies.sort_unstable();
    Ok(Outcome {
        requests: latencies.len() as u64,
        answered: shared.answered.get(),
        errors: shared.errors.get(),
        first_error: shared.first_error.take(),
        elapsed,
        p50: percentile(&latencies, 50),
        p99: percentile(&latencies, 99),
    })
}

fn percentile(sorted: &[u32], percent: usize) -> Duration {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    Duration::from_micros(sorted.get(at).copied().unwrap_or(0).into())
}

/// One closed loop. Returns its connection, if one is still open, for the caller to keep.
async fn client(shared: Rc<Shared>) -> Option<connection::Connection> {
    let mut kept = None;
    while !shared.stop.get() {
        let began = Instant::now();
        match connection::request(&shared, kept.take()).await {
            Ok(connection) => {
                shared.succeeded(began.elapsed());
                kept = connection;
            }
            Err(error) => {
                shared.failed(format!("{error:#}"));
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_few_values_are_among_them() {
        assert_eq!(percentile(&[], 50), Duration::ZERO);
        assert_eq!(percentile(&[7], 99), Duration::from_micros(7));
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 50), Duration::from_micros(51));
        assert_eq!(percentile(&hundred, 99), Duration::from_micros(100));
    }
}
