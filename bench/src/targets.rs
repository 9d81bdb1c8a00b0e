//! The targets: what Merlon has to reach, judged by what was measured.

use crate::measure::Sample;
use crate::recording::Recording;
use crate::report::{Flat, Report, megabytes};
use crate::subject::Subject;
use crate::{history, recording};

/// On which side of the bound a figure must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// At most.
    Most,
    /// At least.
    Least,
}

/// A figure with its bound.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// What it is.
    pub(crate) what: &'static str,
    /// On which side.
    pub(crate) bound: Bound,
    /// The bound.
    pub(crate) value: f64,
    /// Unit of both.
    pub(crate) unit: &'static str,
    /// What was measured; none if it was not.
    pub(crate) measured: Option<f64>,
    /// How it was measured, or why it was not.
    pub(crate) note: String,
}

impl Target {
    /// Is the bound kept? None if nothing was measured.
    pub(crate) fn kept(&self) -> Option<bool> {
        self.measured.map(|measured| match self.bound {
            Bound::Most => measured <= self.value,
            Bound::Least => measured >= self.value,
        })
    }
}

/// Holds the targets against what was measured; an error says why something was not.
pub(crate) fn judge(
    report: &Report,
    starts: &Result<Vec<f64>, String>,
    history: &Result<history::Times, String>,
    recording: &Result<Recording, String>,
) -> Vec<Target> {
    let merlon =
        |name, connections| report.sample(name, connections, Subject::Merlon).filter(|s| s.outcome.requests > 0);
    let small = merlon("https-1k", 32);
    let large = merlon("https-1m", 32);
    let many = merlon("https-1m", 128);
    let new_host = merlon("newhost", 16);
    let flat = report.flat.iter().find(|flat| flat.subject == Subject::Merlon);
    let target = |what, bound, value, unit, measured, note: &str| Target {
        what,
        bound,
        value,
        unit,
        measured,
        note: note.to_owned(),
    };
    let most = |what, value, unit, measured, note: &str| target(what, Bound::Most, value, unit, measured, note);
    let spread = |sample: &Sample| sample.outcome.p99.as_secs_f64() / sample.outcome.p50.as_secs_f64().max(1e-9);
    let peak = many.map(|s| megabytes(s.busy.peak.max(s.idle.peak)));
    let median = starts.as_ref().ok().and_then(|times| times.get(times.len() / 2).copied());
    let range = match starts {
        Ok(times) => format!(
            "median of {} starts of `merlond run` on an instance; {:.0} to {:.0} ms",
            times.len(),
            times.first().copied().unwrap_or_default(),
            times.last().copied().unwrap_or_default()
        ),
        Err(why) => why.clone(),
    };
    let times = history.as_ref().ok();
    let among = match history {
        Ok(times) => format!("among {} flows; {}", times.flows, history::HOW),
        Err(why) => why.clone(),
    };
    vec![
        most(
            "https-1k, CPU per request",
            0.045,
            "ms",
            small.and_then(Sample::cpu_per_request),
            "all processes; aim 0.030",
        ),
        target(
            "https-1k, rate",
            Bound::Least,
            20_000.0,
            "req/s",
            small.map(|s| s.outcome.rate()),
            "32 connections, one core",
        ),
        most("https-1k, p99 / p50", 3.0, "×", small.map(spread), "32 connections"),
        most(
            "https-1m, CPU per request",
            1.3,
            "ms",
            large.and_then(Sample::cpu_per_request),
            "32 connections, bodies recorded",
        ),
        most("https-1m, peak memory", 150.0, "MB", peak, "128 connections; each process's peak resident size, added"),
        most("memory after 100,000 flows", 1.1, "×", flat.map(Flat::growth), "resident, over that after 10,000"),
        most(
            "newhost, CPU per request",
            0.5,
            "ms",
            new_host.and_then(Sample::cpu_per_request),
            "leaf minted by the keeper",
        ),
        most("start to ready", 100.0, "ms", median, &range),
        most("newest 100", 10.0, "ms", times.map(|t| t.newest), &among),
        most("newest 100 of a host with 1 %", 20.0, "ms", times.map(|t| t.common), &among),
        most("newest 100 of a rare host", 300.0, "ms", times.map(|t| t.rare), &among),
        most("count of a host's flows", 300.0, "ms", times.map(|t| t.count), &among),
        most(
            "recording alone, CPU per flow",
            9.0,
            "µs",
            recording.as_ref().ok().map(|recording| recording.cpu),
            recording.as_ref().err().map_or(recording::HOW, String::as_str),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_itself_is_kept() {
        let target =
            |bound, measured| Target { what: "x", bound, value: 5.0, unit: "ms", measured, note: String::new() };
        assert_eq!(target(Bound::Most, Some(5.0)).kept(), Some(true));
        assert_eq!(target(Bound::Least, Some(4.9)).kept(), Some(false));
        assert_eq!(target(Bound::Most, None).kept(), None);
    }
}
