//! One window of load with what the machine did meanwhile: CPU time of the proxy's processes, of origin and client, of
//! everybody else, and the proxy's memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cases::Case;
use crate::disk::Reserve;
use crate::load::{self, Moment, Outcome, Plan};
use crate::procs::{self, Machine, Memory};
use crate::subject::{Child, Proxy};

/// A running origin.
pub(crate) struct Origin {
    child: Child,
    http: std::net::SocketAddr,
    https: std::net::SocketAddr,
    /// The certificate that the proxies must trust.
    pub(crate) authority: std::path::PathBuf,
}

impl Origin {
    /// Starts this very program as the origin, on the core of the caller.
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        let own = std::env::current_exe().context("cannot find the own program")?;
        let arguments = ["origin".into(), "--directory".into(), directory.into()];
        let log = directory.join("origin.log");
        let (child, ready) = Child::start_until_ready(&own, &arguments, None, &log, Duration::from_secs(10))?;
        Ok(Self {
            child,
            http: ready.get("http")?.parse()?,
            https: ready.get("https")?.parse()?,
            authority: ready.get("ca")?.into(),
        })
    }
}

/// Times of one window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Before the window.
    pub(crate) warm_up: Duration,
    /// The window at most.
    pub(crate) window: Duration,
    /// Requests at most.
    pub(crate) limit: Option<u64>,
}

/// What one window showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Requests and their times.
    pub(crate) outcome: Outcome,
    /// CPU time of each of the proxy's programs, by name.
    pub(crate) programs: BTreeMap<String, Duration>,
    /// CPU time of the origin.
    pub(crate) origin: Duration,
    /// CPU time of the client.
    pub(crate) client: Duration,
    /// CPU time of everything else, kernel threads that write to the disk included.
    pub(crate) foreign: Duration,
    /// CPU time that the hypervisor gave to others.
    pub(crate) steal: Duration,
    /// The proxy's memory under load.
    pub(crate) busy: Memory,
    /// The proxy's memory with the same connections open and idle.
    pub(crate) idle: Memory,
    /// Processes of the proxy came or went.
    pub(crate) unstable: bool,
}

impl Sample {
    /// CPU time of all of the proxy's processes.
    pub(crate) fn cpu(&self) -> Duration {
        self.programs.values().sum()
    }

    /// The same for each request, in milliseconds.
    pub(crate) fn cpu_per_request(&self) -> Option<f64> {
        let rate = self.outcome.rate();
        let load = self.cpu().as_secs_f64() / self.outcome.elapsed.as_secs_f64().max(1e-9);
        (rate > 0.0).then(|| 1e3 * load / rate)
    }

    /// A time as percent of the window, so that 100 is one whole core.
    pub(crate) fn percent(&self, time: Duration) -> f64 {
        100.0 * time.as_secs_f64() / self.outcome.elapsed.as_secs_f64().max(1e-9)
    }
}

/// CPU times at one moment.
#[derive(Default)]
struct Reading {
    proxy: BTreeMap<u32, Duration>,
    own: Duration,
    origin: Duration,
    machine: Machine,
}

/// Loads the proxy (or the origin itself) as the case says. `reserve` is given up when the window opens.
pub(crate) fn window(
    case: &Case,
    proxy: Option<&Proxy>,
    origin: &Origin,
    span: Span,
    mut reserve: Option<Reserve>,
) -> Result<Sample> {
    let authority = proxy.map_or(&origin.authority, |proxy| &proxy.authority);
    let plan = Plan {
        proxy: proxy.map(|proxy| proxy.address),
        origin: if case.tls { origin.https } else { origin.http },
        tls: if case.tls { Some(load::trusting(authority)?) } else { None },
        content: case.content,
        reuse: case.reuse,
        spread: case.spread,
        connections: case.connections,
        warm_up: span.warm_up,
        window: span.window,
        limit: span.limit,
    };
    let one = |id: u32| procs::cpu(&[id]).remove(&id).unwrap_or_default();
    let members = || proxy.map_or_else(Vec::new, |proxy| procs::tree(proxy.child.id()));
    let read = |members: &[u32]| Reading {
        proxy: procs::cpu(members),
        own: one(std::process::id()),
        origin: one(origin.child.id()),
        machine: Machine::now(),
    };
    let (mut before, mut after) = (Reading::default(), Reading::default());
    let (mut busy, mut idle) = (Memory::default(), Memory::default());
    let outcome = load::run(&plan, |moment| match moment {
        Moment::Opens => {
            drop(reserve.take());
            before = read(&members());
        }
        Moment::Closes => {
            let members = members();
            after = read(&members);
            busy = procs::memory(&members);
        }
        Moment::Idle => idle = procs::memory(&members()),
    })?;

    let mut programs = BTreeMap::<String, Duration>::new();
    for (id, cpu) in &after.proxy {
        let spent = cpu.saturating_sub(before.proxy.get(id).copied().unwrap_or_default());
        *programs.entry(procs::name(*id)).or_default() += spent;
    }
    let client = after.own.saturating_sub(before.own);
    let origin = after.origin.saturating_sub(before.origin);
    let known = client + origin + programs.values().sum::<Duration>();
    Ok(Sample {
        outcome,
        origin,
        client,
        foreign: after.machine.busy.saturating_sub(before.machine.busy).saturating_sub(known),
        steal: after.machine.steal.saturating_sub(before.machine.steal),
        unstable: !before.proxy.keys().eq(after.proxy.keys()),
        programs,
        busy,
        idle,
    })
}

/// Waits until others use less than `percent` of one core, or the limit is over.
pub(crate) fn wait_for_quiet(percent: f64, limit: Duration) {
    let step = Duration::from_millis(250);
    let began = std::time::Instant::now();
    loop {
        let before = Machine::now();
        std::thread::sleep(step);
        let spent = Machine::now().busy.saturating_sub(before.busy);
        if 100.0 * spent.as_secs_f64() / step.as_secs_f64() < percent || began.elapsed() > limit {
            return;
        }
    }
}
