//! The report as Markdown: the machine, the table of all cases side by side, and each target with its verdict.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cases::Case;
use crate::measure::Sample;
use crate::subject::Subject;
use crate::targets::{Bound, Target};

/// One line of the table.
pub(crate) struct Row {
    /// What was asked.
    pub(crate) case: Case,
    /// Of whom.
    pub(crate) subject: Subject,
    /// What came of it, or why nothing did.
    pub(crate) sample: Result<Sample, String>,
}

/// A small table of its own: memory over many flows.
pub(crate) struct Flat {
    /// Whose.
    pub(crate) subject: Subject,
    /// After the first flows.
    pub(crate) before: (u64, crate::procs::Memory),
    /// After all of them.
    pub(crate) after: (u64, crate::procs::Memory),
}

/// Everything that the report holds.
pub(crate) struct Report {
    /// Lines on the machine and the programs.
    pub(crate) facts: Vec<String>,
    /// The big table.
    pub(crate) rows: Vec<Row>,
    /// Memory over many flows.
    pub(crate) flat: Vec<Flat>,
    /// The targets.
    pub(crate) targets: Vec<Target>,
    /// What `merlond bench-store` printed.
    pub(crate) store: String,
    /// What else the reader must know.
    pub(crate) remarks: Vec<String>,
}

impl Report {
    /// The sample of a case, if it was taken.
    pub(crate) fn sample(&self, name: &str, connections: usize, subject: Subject) -> Option<&Sample> {
        let row = self
            .rows
            .iter()
            .find(|row| row.case.name == name && row.case.connections == connections && row.subject == subject)?;
        row.sample.as_ref().ok()
    }

    /// The whole text.
    pub(crate) fn markdown(&self) -> String {
        let mut text =
            String::from("# Bench\n\nWritten by `make bench`; what the figures mean: `bench/README.md`.\n\n");
        for fact in &self.facts {
            line(&mut text, format_args!("- {fact}"));
        }
        self.targets(&mut text);
        self.cases(&mut text);
        self.flat(&mut text);
        if !self.store.is_empty() {
            line(&mut text, format_args!("\n## The store alone\n\n```\n{}\n```", self.store.trim_end()));
        }
        if !self.remarks.is_empty() {
            text.push_str("\n## Remarks\n\n");
            for remark in &self.remarks {
                line(&mut text, format_args!("- {remark}"));
            }
        }
        text
    }

    fn targets(&self, text: &mut String) {
        text.push_str(
            "\n## Targets\n\n| figure | target | measured | measured / target | | how |\n|---|---|---|---|---|---|\n",
        );
        for target in &self.targets {
            let bound = if target.bound == Bound::Most { "≤" } else { "≥" };
            let verdict = match target.kept() {
                Some(true) => "PASS",
                Some(false) => "**MISS**",
                None => "not measured",
            };
            let measured =
                target.measured.map_or_else(|| "–".to_owned(), |value| format!("{} {}", short(value), target.unit));
            let ratio = target.measured.map_or_else(|| "–".to_owned(), |value| format!("{:.2}", value / target.value));
            let (what, value, unit, note) = (target.what, short(target.value), target.unit, &target.note);
            line(text, format_args!("| {what} | {bound} {value} {unit} | {measured} | {ratio} | {verdict} | {note} |"));
        }
    }

    fn cases(&self, text: &mut String) {
        text.push_str(
            "\n## Cases, side by side\n\n\
             | case | c | proxy | req/s | p50 ms | p99 ms | CPU ms/req | × hudsucker | proxy CPU % | RSS MB | PSS MB | peak MB | idle RSS MB | origin % | client % | others % | steal % | errors |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            let (case, name) = (&row.case, row.subject.name());
            let sample = match &row.sample {
                Ok(sample) => sample,
                Err(why) => {
                    line(text, format_args!("| {} | {} | {name} | {why} ||||||||||||||", case.name, case.connections));
                    continue;
                }
            };
            let peer = self.sample(case.name, case.connections, Subject::Hudsucker).and_then(Sample::cpu_per_request);
            let own = sample.cpu_per_request();
            let direct = row.subject == Subject::Direct;
            let or_dash = |value: Option<String>| value.filter(|_| !direct).unwrap_or_else(|| "–".to_owned());
            let megabytes = |bytes: u64| or_dash(Some(mb(bytes)));
            line(
                text,
                format_args!(
                    "| {} | {} | {name} | {:.0} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0} | {:.0} | {:.0} | {:.0} | {}{} |",
                    case.name,
                    case.connections,
                    sample.outcome.rate(),
                    ms(sample.outcome.p50),
                    ms(sample.outcome.p99),
                    or_dash(own.map(|value| format!("{value:.4}"))),
                    or_dash(own.zip(peer).map(|(own, peer)| format!("{:.2}", own / peer))),
                    or_dash(Some(format!("{:.0}", sample.percent(sample.cpu())))),
                    megabytes(sample.busy.rss),
                    or_dash(sample.busy.pss.map(mb)),
                    megabytes(sample.busy.peak.max(sample.idle.peak)),
                    megabytes(sample.idle.rss),
                    sample.percent(sample.origin),
                    sample.percent(sample.client),
                    sample.percent(sample.foreign),
                    sample.percent(sample.steal),
                    sample.outcome.errors,
                    if sample.unstable { " (processes changed)" } else { "" },
                ),
            );
        }
        let parts = self.rows.iter().filter(|row| row.subject == Subject::Merlon).filter_map(|row| {
            let sample = row.sample.as_ref().ok().filter(|sample| sample.outcome.requests > 0)?;
            let parts: Vec<String> = sample
                .programs
                .iter()
                .map(|(name, time)| {
                    let share = time.as_secs_f64() / sample.cpu().as_secs_f64().max(1e-9);
                    format!("{name} {:.4}", share * sample.cpu_per_request().unwrap_or(0.0))
                })
                .collect();
            Some(format!("- {} c={}: {}", row.case.name, row.case.connections, parts.join(", ")))
        });
        let parts: Vec<String> = parts.collect();
        if !parts.is_empty() {
            text.push_str("\nMerlon's CPU ms/req by program:\n\n");
            text.push_str(&parts.join("\n"));
            text.push('\n');
        }
    }

    fn flat(&self, text: &mut String) {
        if self.flat.is_empty() {
            return;
        }
        text.push_str(
            "\n## Memory over many flows (https-1k, c=32, connections open and idle)\n\n\
             | proxy | flows | RSS MB | PSS MB | flows | RSS MB | PSS MB | growth |\n|---|---|---|---|---|---|---|---|\n",
        );
        for flat in &self.flat {
            let pss = |memory: &crate::procs::Memory| memory.pss.map_or_else(|| "–".to_owned(), mb);
            line(
                text,
                format_args!(
                    "| {} | {} | {} | {} | {} | {} | {} | {:.2} |",
                    flat.subject.name(),
                    flat.before.0,
                    mb(flat.before.1.rss),
                    pss(&flat.before.1),
                    flat.after.0,
                    mb(flat.after.1.rss),
                    pss(&flat.after.1),
                    flat.growth(),
                ),
            );
        }
    }
}

impl Flat {
    /// Memory afterwards over memory before.
    #[expect(clippy::cast_precision_loss, reason = "a ratio of megabytes")]
    pub(crate) fn growth(&self) -> f64 {
        self.after.1.rss as f64 / (self.before.1.rss as f64).max(1.0)
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // A String takes all that is written.
    let _ = writeln!(text, "{arguments}");
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

/// Bytes as megabytes.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn mb(bytes: u64) -> String {
    format!("{:.1}", megabytes(bytes))
}

/// Three digits, more where they stand before the point.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
