//! `merlon doctor`: looks at everything, says what is wrong, and what to do about each.
//!
//! The examinations are pure ([`examine`] on the instance's own report, [`keys`] on the keeper's, [`files`] on modes and
//! owners); [`system`] asks systemd where it runs the instance; this file asks and prints.

mod examine;
mod files;
mod keys;
mod system;

use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;

use super::status::Seen;
use super::{machine, status};
use crate::client::Client;
use crate::error::{CliError, Exit};
use crate::output::{Cell, Column, Printer, Tone};
use crate::target::{Local, Owner, Target};

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Ok,
    /// Works, and could be better.
    Warning,
    /// Must be mended.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    what: String,
    verdict: Verdict,
    detail: String,
    /// What to do; none where all is well.
    remedy: Option<String>,
}

impl Check {
    fn ok(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Ok, detail: detail.into(), remedy: None }
    }

    fn warning(what: impl Into<String>, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, remedy: Some(remedy.into()), ..Self::ok(what, detail) }
    }

    fn wrong(what: impl Into<String>, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Wrong, remedy: Some(remedy.into()), ..Self::ok(what, detail) }
    }
}

pub(super) async fn run(client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    let (mut checks, status, unreachable) = match status::of(client).await {
        Ok(Seen { status, opening }) => (examine::all(&status, opening), Some(status), None),
        // The files can be looked at even so.
        Err(error) if error.exit == Exit::Unreachable && matches!(client.target(), Target::Local(_)) => {
            (Vec::new(), None, Some(error))
        }
        Err(error) => return Err(error),
    };
    if let Target::Local(local) = client.target() {
        let report = key_report(local, printer).await;
        let of_keys = keys::all(report, &checks);
        checks.extend(of_keys);
        if let Owner::System(name) = &local.owner {
            // A locked engine does not tell its listeners.
            let status = status.as_ref().filter(|status| !status.locked);
            checks.extend(system::all(name, &local.paths, status));
        }
        checks.extend(files::all(local));
    }
    print(&checks, printer)?;
    if let Some(error) = unreachable {
        return Err(error);
    }
    match checks.iter().filter(|check| check.verdict == Verdict::Wrong).count() {
        0 => Ok(()),
        1 => Err(CliError::failed("1 thing is wrong; its line above says what to do")),
        wrong => Err(CliError::failed(format!("{wrong} things are wrong; their lines above say what to do"))),
    }
}

/// On a thread of its own, so that Ctrl-C ends the wait for a slow TPM.
async fn key_report(local: &Local, printer: &Printer) -> Result<keys::Report, CliError> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let (told, mut answer) = oneshot::channel();
    let asked = local.clone();
    std::thread::spawn(move || {
        // Nobody waits any more after Ctrl-C.
        drop(told.send(keys::ask(&asked)));
    });
    let ended = |_| CliError::failed("the keeper could not be asked");
    match tokio::time::timeout(PATIENCE, &mut answer).await {
        Ok(report) => report.map_err(ended)?,
        Err(_) => {
            machine::waiting(printer);
            answer.await.map_err(ended)?
        }
    }
}

fn print(checks: &[Check], printer: &mut Printer) -> Result<(), CliError> {
    const COLUMNS: [Column; 3] = [Column::left(""), Column::left("WHAT"), Column::left("HOW IT IS")];
    if printer.is_json() {
        return checks.iter().try_for_each(|check| printer.json(check));
    }
    let rows: Vec<Vec<Cell>> = checks
        .iter()
        .flat_map(|check| {
            let (word, tone) = match check.verdict {
                Verdict::Ok => ("ok", Tone::Good),
                Verdict::Warning => ("warning", Tone::Warn),
                Verdict::Wrong => ("WRONG", Tone::Bad),
            };
            let line = vec![Cell::toned(word, tone), check.what.as_str().into(), printer.quoting(&check.detail).into()];
            let remedy = check.remedy.as_ref().map(|remedy| {
                vec!["".into(), "".into(), Cell::toned(format!("-> {}", printer.pasteable(remedy)), Tone::Faint)]
            });
            std::iter::once(line).chain(remedy)
        })
        .collect();
    printer.table(&COLUMNS, &rows)
}
