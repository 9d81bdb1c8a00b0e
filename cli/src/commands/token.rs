//! `merlon token`: access tokens for the API, by the keeper's admin socket.

use merlon_wire::admin::{Request, Response, Token};
use serde::Serialize;

use super::flows::time;
use crate::admin::{Admin, unexpected};
use crate::args::TokenCommand;
use crate::error::CliError;
use crate::output::{Cell, Column, Printer};
use crate::target::Target;

const COLUMNS: [Column; 4] =
    [Column::left("ID"), Column::left("ROLE"), Column::left("CREATED (UTC)"), Column::left("LABEL").shrinking()];

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    role: &'a str,
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
}

pub(super) fn run(command: &TokenCommand, target: &Target, printer: &mut Printer) -> Result<(), CliError> {
    let mut admin = Admin::connect(target.local("access tokens are managed")?)?;
    match command {
        TokenCommand::Create(args) => {
            let role = args.role.as_str();
            let label = args.label.as_deref().unwrap_or(role);
            let Response::Token { id, token } = admin.ask(&Request::CreateToken { role, label })? else {
                return Err(unexpected());
            };
            if printer.is_json() {
                return printer.secret_json(&Shown { id, role, label, created: None }, "token", token);
            }
            printer.secret_line(token)?;
            printer.say(&format!(
                "token {id}, role {role}; it is shown this once. To revoke it: merlon token revoke {id}"
            ));
            Ok(())
        }
        TokenCommand::List => match admin.ask(&Request::ListTokens)? {
            Response::Tokens(tokens) => list(&tokens, printer),
            _ => Err(unexpected()),
        },
        TokenCommand::Revoke(args) => match admin.ask(&Request::RevokeToken(&args.id))? {
            Response::Done => {
                printer.say(&format!("revoked token {}", args.id));
                Ok(())
            }
            _ => Err(unexpected()),
        },
    }
}

fn list(tokens: &[Token], printer: &mut Printer) -> Result<(), CliError> {
    let created = |token: &Token| merlon_api::Timestamp(token.created_us).to_string();
    if printer.is_json() {
        return tokens.iter().try_for_each(|token| {
            let Token { id, role, label, .. } = token;
            printer.json(&Shown { id, role, label, created: Some(created(token)) })
        });
    }
    let rows: Vec<Vec<Cell>> = tokens
        .iter()
        .map(|token| {
            let (id, role, label) = (token.id.as_str(), token.role.as_str(), token.label.as_str());
            vec![id.into(), role.into(), time(&created(token)).into(), label.into()]
        })
        .collect();
    printer.table(&COLUMNS, &rows)
}
