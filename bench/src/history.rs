//! Queries among many flows: fills an instance through its proxy with real requests to a hundred addresses (and a few to
//! one more), restarts it, and times what a client of the API waits for.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::cases;
use crate::client::{self, Api};
use crate::measure::{self, Origin, Span};
use crate::subject;

/// How the times were taken.
pub(crate) const HOW: &str = "median of 9 over the API's Unix socket, after a restart; `host:` or `host=`, the slower";
/// Times that each query is asked.
const ROUNDS: usize = 9;
/// The longest time that filling may take; fewer flows are better than none.
const FILL: Duration = Duration::from_secs(120);

/// Times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Flows that were looked among.
    pub(crate) flows: u64,
    /// The newest 100.
    pub(crate) newest: f64,
    /// The newest 100 of a host that has one in a hundred.
    pub(crate) common: f64,
    /// The newest 100 of a host that has fewer, at the very beginning.
    pub(crate) rare: f64,
    /// How many a host has.
    pub(crate) count: f64,
}

/// Fills `directory` with that many flows, and asks.
pub(crate) fn measure(
    merlond: &Path,
    core: usize,
    directory: &Path,
    origin: &Origin,
    flows: u64,
    deadline: Instant,
) -> Result<Times> {
    let log = directory.with_extension("log");
    std::fs::create_dir_all(directory)?;
    let start = || subject::merlon(merlond, core, directory, &origin.authority, &log);
    let socket = |proxy: &subject::Proxy| proxy.api.clone().context("merlond named no API socket");

    let proxy = start()?;
    let span = Span {
        warm_up: Duration::ZERO,
        window: FILL.min(deadline.saturating_duration_since(Instant::now())),
        limit: Some(flows),
    };
    let answered = measure::window(&cases::SPREAD, Some(&proxy), origin, span, None)?.outcome.answered;
    let recorder = client::settled(&mut Api::connect(&socket(&proxy)?)?, answered)?;
    ensure!(recorder["recorded"].as_u64() >= Some(answered), "{answered} answered, the recorder says {recorder}");
    drop(proxy);

    let proxy = start()?;
    let mut api = Api::connect(&socket(&proxy)?)?;
    let total = count(&mut api, "")?.0;
    ensure!(total >= answered, "{answered} answered, {total} found after a restart");
    let newest = page(&mut api, "", 100)?;
    let common = slower(["host:127.0.0.50", "host%3D127.0.0.50"].map(|query| page(&mut api, query, 100)))?;
    let rare = slower(["host:127.0.1.1", "host%3D127.0.1.1"].map(|query| page(&mut api, query, 1)))?;
    let count = slower(["host:127.0.0.50", "host%3D127.0.0.50"].map(|query| Ok(count(&mut api, query)?.1)))?;
    Ok(Times { flows: total, newest, common, rare, count })
}

fn slower(times: [Result<f64>; 2]) -> Result<f64> {
    let [one, two] = times;
    Ok(one?.max(two?))
}

/// The median time until 100 flows are there, or the last of those that match. An answer may hold fewer than asked for
/// and name where to go on; who wants 100 asks again.
fn page(api: &mut Api, query: &str, least: usize) -> Result<f64> {
    median(|| {
        let mut found = 0;
        let mut took = 0.0;
        let mut from = String::new();
        while found < 100 {
            let target = format!("/api/v1/flows?limit={}{from}&query={query}", 100 - found);
            let (value, time) = api.get(&target)?;
            took += time.as_secs_f64() * 1e3;
            found += value["flows"].as_array().map_or(0, Vec::len);
            match value["next"].as_i64() {
                Some(next) => from = format!("&before={next}"),
                None => break,
            }
        }
        ensure!(found >= least, "`{query}` found {found} flows, not {least}");
        Ok(took)
    })
}

/// How many match, and the median time.
fn count(api: &mut Api, query: &str) -> Result<(u64, f64)> {
    let mut counted = 0;
    let time = median(|| {
        let (value, time) = api.get(&format!("/api/v1/flows/count?query={query}"))?;
        counted = value["count"].as_u64().context("the API counts nothing")?;
        Ok(time.as_secs_f64() * 1e3)
    })?;
    Ok((counted, time))
}

fn median(mut once: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut times = (0..ROUNDS).map(|_| once()).collect::<Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2])
}
