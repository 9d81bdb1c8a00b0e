//! The whole run: each case against each subject in turn, each on a fresh start; then memory over many flows, the time
//! of a start, and queries. Whatever fails becomes a line of the report, so that one broken part does not hide the rest.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::cases::{self, CASES, Case};
use crate::client::{self, Api};
use crate::content::Content;
use crate::load::Outcome;
use crate::measure::{self, Origin, Sample, Span};
use crate::recording::Recording;
use crate::report::{Flat, Report, Row};
use crate::subject::{self, Programs, Proxy, Subject};
use crate::{disk, facts, history, recording, targets};

/// Percent of one core that others may use before a window is waited for, or repeated.
const QUIET: f64 = 8.0;
/// Starts that are timed.
const STARTS: usize = 20;
/// Flows after which memory is read first, and those that follow.
const FLAT: (u64, u64) = (10_000, 90_000);

/// Megabytes of memory kept ready for the files of a window that writes large bodies.
const RESERVE: u64 = 2048;

/// What to run.
pub(crate) struct Suite {
    /// The programs.
    pub(crate) programs: Programs,
    /// Files of the run; removed as it goes.
    pub(crate) directory: PathBuf,
    /// Subjects, in the order of the table.
    pub(crate) subjects: Vec<Subject>,
    /// Names of cases; all if empty.
    pub(crate) cases: Vec<String>,
    /// Length of a window.
    pub(crate) window: Duration,
    /// When nothing new is begun any more.
    pub(crate) deadline: Instant,
    /// Flows that the query part looks among; 0 leaves it out.
    pub(crate) history: u64,
    /// Memory and starts are measured too.
    pub(crate) extras: bool,
    /// More lines for the head of the report.
    pub(crate) facts: Vec<String>,
}

impl Suite {
    /// Runs everything. `progress` gets a line for each step.
    pub(crate) fn run(&self, mut progress: impl FnMut(&str)) -> Result<Report> {
        fs::create_dir_all(&self.directory).with_context(|| format!("cannot create {}", self.directory.display()))?;
        let origin = Origin::start(&self.directory)?;
        let mut report = Report {
            facts: facts::collect(&self.programs, &self.facts),
            rows: Vec::new(),
            flat: Vec::new(),
            targets: Vec::new(),
            store: String::new(),
            remarks: Vec::new(),
        };
        match disk::cost(&self.directory) {
            Ok(line) => report.facts.push(line),
            Err(error) => report.remarks.push(format!("The cost of writing a file: {error:#}")),
        }
        for case in CASES.iter().filter(|case| self.cases.is_empty() || self.cases.iter().any(|name| name == case.name))
        {
            for subject in &self.subjects {
                let sample =
                    self.case(case, *subject, &origin, &mut report.remarks).map_err(|error| format!("{error:#}"));
                progress(&described(case, *subject, &sample));
                report.rows.push(Row { case: *case, subject: *subject, sample });
            }
        }
        let mut starts = Err("not asked for".to_owned());
        if self.extras {
            for subject in self.subjects.iter().filter(|subject| **subject != Subject::Direct) {
                match self.flat(*subject, &origin) {
                    Ok(Some(flat)) => {
                        progress(&format!("memory {}: × {:.2}", subject.name(), flat.growth()));
                        report.flat.push(flat);
                    }
                    Ok(None) => {}
                    Err(error) => report.remarks.push(format!("Memory of {}: {error:#}", subject.name())),
                }
            }
            starts = self.starts(&origin).map_err(|error| format!("{error:#}"));
            progress(&format!("start to ready: {starts:?}"));
        }
        let history = self.history(&origin, &mut progress);
        let recording = self.recording().map_err(|error| format!("{error:#}"));
        match &recording {
            Ok(recording) => {
                progress(&format!("recording alone: {} µs a flow", recording.cpu));
                report.store.clone_from(&recording.table);
            }
            Err(why) => progress(&format!("recording alone: {why}")),
        }
        report.targets = targets::judge(&report, &starts, &history, &recording);
        Ok(report)
    }

    fn check_deadline(&self) -> Result<()> {
        anyhow::ensure!(Instant::now() < self.deadline, "left out: the run's time was over");
        Ok(())
    }

    fn merlon_wanted(&self) -> Result<&Path> {
        anyhow::ensure!(self.subjects.contains(&Subject::Merlon), "merlon was left out");
        self.programs.merlond.as_deref().context("merlond was not there")
    }

    fn case(&self, case: &Case, subject: Subject, origin: &Origin, remarks: &mut Vec<String>) -> Result<Sample> {
        self.check_deadline()?;
        anyhow::ensure!(self.programs.has(subject), "not installed");
        let directory = self.directory.join(format!("{}-{}-{}", subject.name(), case.name, case.connections));
        let span = Span { warm_up: Duration::from_millis(700), window: self.window, limit: None };
        let mut best: Option<Sample> = None;
        for attempt in 0..2 {
            measure::wait_for_quiet(QUIET, Duration::from_secs(3));
            let writes = subject == Subject::Merlon && case.content == Content::Megabyte;
            let reserve = if writes { disk::Reserve::take(RESERVE)? } else { None };
            let proxy = subject::start(subject, &self.programs, &directory, &origin.authority)?;
            let sample = measure::window(case, proxy.as_ref(), origin, span, reserve)?;
            if let Some(proxy) = &proxy {
                remarks.extend(recorded(case, proxy, &sample.outcome)?);
            }
            drop(proxy);
            forget(&directory, subject);
            let foreign = sample.percent(sample.foreign);
            if best.as_ref().is_none_or(|best| foreign < best.percent(best.foreign)) {
                best = Some(sample);
            }
            if foreign < QUIET || attempt > 0 {
                break;
            }
        }
        let sample = best.context("no window was measured")?;
        if let Some(error) = &sample.outcome.first_error {
            remarks.push(format!("{} c={} {}: {error}", case.name, case.connections, subject.name()));
        }
        Ok(sample)
    }

    fn flat(&self, subject: Subject, origin: &Origin) -> Result<Option<Flat>> {
        self.check_deadline()?;
        let directory = self.directory.join(format!("{}-flat", subject.name()));
        let Some(proxy) = subject::start(subject, &self.programs, &directory, &origin.authority)? else {
            return Ok(None);
        };
        let load = |limit| {
            let span = Span { warm_up: Duration::ZERO, window: Duration::from_secs(10), limit: Some(limit) };
            measure::window(&cases::SMALL, Some(&proxy), origin, span, None)
        };
        let first = load(FLAT.0)?;
        let rest = load(FLAT.1)?;
        drop(proxy);
        forget(&directory, subject);
        let flows = first.outcome.requests;
        let before = (flows, first.idle);
        Ok(Some(Flat { subject, before, after: (flows + rest.outcome.requests, rest.idle) }))
    }

    /// Milliseconds of each start on an instance that exists, sorted.
    fn starts(&self, origin: &Origin) -> Result<Vec<f64>> {
        self.check_deadline()?;
        let merlond = self.merlon_wanted()?;
        let directory = self.directory.join("merlon-start");
        let log = directory.with_extension("log");
        fs::create_dir_all(&directory)?;
        let start = || subject::merlon(merlond, self.programs.core, &directory, &origin.authority, &log);
        drop(start()?);
        let mut times = Vec::new();
        for _ in 0..STARTS {
            let began = Instant::now();
            let proxy = start()?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
            drop(proxy);
        }
        forget(&directory, Subject::Merlon);
        times.sort_by(f64::total_cmp);
        Ok(times)
    }

    fn history(&self, origin: &Origin, progress: &mut dyn FnMut(&str)) -> Result<history::Times, String> {
        if self.history == 0 {
            return Err("not asked for".to_owned());
        }
        let measured = (|| {
            self.check_deadline()?;
            let merlond = self.merlon_wanted()?;
            let directory = self.directory.join("merlon-history");
            let times = history::measure(merlond, self.programs.core, &directory, origin, self.history, self.deadline);
            forget(&directory, Subject::Merlon);
            times
        })();
        let times = measured.map_err(|error| format!("{error:#}"));
        progress(&format!("history: {times:?}"));
        times
    }

    /// What the recorder alone costs.
    fn recording(&self) -> Result<Recording> {
        anyhow::ensure!(self.history > 0, "not asked for");
        self.check_deadline()?;
        let directory = self.directory.join("merlon-recording");
        self.merlon_wanted()?;
        let recorder = self.programs.recorder.as_deref().context("no merlond with the feature `bench` was there")?;
        let cpu = recording::measure(recorder, self.programs.core, &directory, self.history);
        forget(&directory, Subject::Merlon);
        cpu
    }
}

/// Removes what the subject wrote; its log stays for whoever must find out why it failed.
fn forget(directory: &Path, subject: Subject) {
    // mitmdump's authority takes a second to make, so it keeps its directory's name but not its place here.
    if subject != Subject::Direct {
        drop(fs::remove_dir_all(directory));
    }
}

/// Whether Merlon says that it recorded all that was answered. A remark if not.
fn recorded(case: &Case, proxy: &Proxy, outcome: &Outcome) -> Result<Option<String>> {
    let Some(socket) = &proxy.api else {
        return Ok(None);
    };
    let recorder = client::settled(&mut Api::connect(socket)?, outcome.answered)?;
    let complete = recorder["unrecorded"] == 0 && recorder["recorded"].as_u64() >= Some(outcome.answered);
    let problem =
        format!("{} c={}: {} answered, the recorder says {recorder}", case.name, case.connections, outcome.answered);
    Ok((!complete).then_some(problem))
}

fn described(case: &Case, subject: Subject, sample: &Result<Sample, String>) -> String {
    let what = format!("{} c={} {}", case.name, case.connections, subject.name());
    match sample {
        Err(why) => format!("{what}: {why}"),
        Ok(sample) => format!(
            "{what}: {:.0} req/s, p50 {:?}, p99 {:?}, {:.4} ms CPU, others {:.0} %, {} errors",
            sample.outcome.rate(),
            sample.outcome.p50,
            sample.outcome.p99,
            sample.cpu_per_request().unwrap_or(0.0),
            sample.percent(sample.foreign),
            sample.outcome.errors,
        ),
    }
}
