//! `merlon session`: who is signed in at the instance.

use merlon_api::{Session, SessionEnded};
use serde_json::json;

use super::flows::time;
use crate::args::SessionCommand;
use crate::client::Client;
use crate::error::CliError;
use crate::output::{Cell, Column, Printer};

const COLUMNS: [Column; 7] = [
    Column::left("ID"),
    Column::left("WHO"),
    Column::left("ROLE"),
    Column::left("BEGAN (UTC)"),
    Column::left("USED (UTC)"),
    Column::left("ENDS (UTC)"),
    Column::left("WITH").shrinking(),
];

pub(super) async fn run(command: &SessionCommand, client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    match command {
        SessionCommand::List => list(&client.sessions().await?.sessions, printer),
        SessionCommand::Revoke(args) => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if args.id.is_empty() || args.id.len() > 64 || !args.id.bytes().all(plain) {
                return Err(CliError::usage(format!("`{}` is no id of a session", args.id)).hint("merlon session list"));
            }
            let SessionEnded { revoked_at_issuer, problem } = client.end_session(&args.id).await?;
            if printer.is_json() {
                printer.json(&json!({
                    "id": args.id, "revoked_at_issuer": revoked_at_issuer, "problem": problem,
                }))?;
            }
            printer.say(&format!("ended session {}", args.id));
            if let Some(problem) = problem.filter(|_| !revoked_at_issuer) {
                printer.warn(&format!(
                    "the authorization server still has it, and its tokens are refused here: {problem}"
                ));
            }
            Ok(())
        }
    }
}

fn list(sessions: &[Session], printer: &mut Printer) -> Result<(), CliError> {
    if printer.is_json() {
        return sessions.iter().try_for_each(|session| printer.json(session));
    }
    if sessions.is_empty() {
        printer.say("nobody is signed in");
        return Ok(());
    }
    let rows: Vec<Vec<Cell>> = sessions
        .iter()
        .map(|session| {
            let name = if session.name.is_empty() { &session.subject } else { &session.name };
            let moment = |at: merlon_api::Timestamp| Cell::new(time(&at.to_string()));
            vec![
                session.id.as_str().into(),
                name.as_str().into(),
                session.role.to_string().into(),
                moment(session.created),
                moment(session.refreshed),
                moment(session.expires),
                session.label.as_str().into(),
            ]
        })
        .collect();
    printer.table(&COLUMNS, &rows)
}
