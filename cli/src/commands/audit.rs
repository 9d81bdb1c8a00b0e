//! `merlon audit`: the keeper's audit log, by its admin socket.

use merlon_wire::admin::{AuditEntry, AuditVerdict, Request, Response};
use serde_json::{Value, json};

use super::flows::time;
use crate::admin::{Admin, unexpected};
use crate::args::AuditCommand;
use crate::error::CliError;
use crate::output::{Cell, Column, Printer};
use crate::target::Target;

const COLUMNS: [Column; 4] =
    [Column::right("ENTRY"), Column::left("TIME (UTC)"), Column::left("EVENT"), Column::left("DETAILS").shrinking()];

pub(super) fn run(command: &AuditCommand, target: &Target, printer: &mut Printer) -> Result<(), CliError> {
    let mut admin = Admin::connect(target.local("the audit log is read")?)?;
    match command {
        AuditCommand::List(args) => list(&entries(&mut admin, args.limit)?, printer),
        AuditCommand::Verify => match admin.ask(&Request::AuditVerify)? {
            Response::AuditVerdict(verdict) => judge(&verdict, printer),
            _ => Err(unexpected()),
        },
    }
}

/// Answer by answer, each as long as fits a frame.
fn entries(admin: &mut Admin, limit: u32) -> Result<Vec<AuditEntry>, CliError> {
    let mut all: Vec<AuditEntry> = Vec::new();
    loop {
        let left = limit.saturating_sub(u32::try_from(all.len()).unwrap_or(u32::MAX));
        let before = all.last().map(|entry| entry.sequence);
        if left == 0 {
            return Ok(all);
        }
        let Response::AuditEntries(mut more) = admin.ask(&Request::AuditList { before, limit: left })? else {
            return Err(unexpected());
        };
        if more.is_empty() {
            return Ok(all);
        }
        all.append(&mut more);
    }
}

fn list(entries: &[AuditEntry], printer: &mut Printer) -> Result<(), CliError> {
    let details = |entry: &AuditEntry| serde_json::from_str::<Value>(&entry.details).unwrap_or_default();
    if printer.is_json() {
        return entries.iter().try_for_each(|entry| {
            let AuditEntry { sequence, time, event, .. } = entry;
            printer.json(&json!({ "sequence": sequence, "time": time, "event": event, "details": details(entry) }))
        });
    }
    let rows: Vec<Vec<Cell>> = entries
        .iter()
        .map(|entry| {
            let shown = words(&details(entry));
            vec![entry.sequence.to_string().into(), time(&entry.time).into(), entry.event.as_str().into(), shown.into()]
        })
        .collect();
    printer.table(&COLUMNS, &rows)
}

/// `slot 1, kind file`
fn words(details: &Value) -> String {
    let fields = details.as_object().into_iter().flatten();
    let words = fields.map(|(name, value)| match value {
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn judge(verdict: &AuditVerdict, printer: &mut Printer) -> Result<(), CliError> {
    let AuditVerdict { entries, first, last, problem } = verdict;
    if printer.is_json() {
        printer.json(&json!({ "entries": entries, "first": first, "last": last, "problem": problem }))?;
    }
    match problem {
        None => {
            printer.say(&format!("the audit log is whole: {entries} entries"));
            Ok(())
        }
        Some(problem) => Err(CliError::failed("the audit log is not whole").because(problem)),
    }
}
