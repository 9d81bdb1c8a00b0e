//! `merlon help` and completions. The query language is explained by the instance that speaks it.

use clap::CommandFactory as _;

use crate::args::{Cli, HelpArgs};
use crate::client::Client;
use crate::env;
use crate::error::CliError;
use crate::output::{Cell, Column, Printer};

const EXIT_CODES: [(u8, &str); 8] = [
    (0, "done"),
    (1, "failed; for doctor: something is wrong"),
    (2, "wrong use: an argument, a query or a name cannot be"),
    (3, "nothing found: no such flow, project, token, session, keyslot or instance, or no flow or log entry matches"),
    (4, "sign-in needed: no session or token, or one that has ended, is unknown or revoked"),
    (
        5,
        "refused: the role, the scopes, the authorization server or the mode of the socket or file does not permit it, or only root may",
    ),
    (69, "the instance is unreachable"),
    (130, "interrupted by Ctrl-C"),
];

/// Is the topic one that only an instance can explain?
pub(super) fn asks_instance(args: &HelpArgs) -> bool {
    args.words == ["query"]
}

pub(super) async fn query(client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    let text = client.query_help().await?;
    printer.block(&text)
}

pub(super) fn run(args: &HelpArgs, printer: &mut Printer) -> Result<(), CliError> {
    match args.words.as_slice() {
        [topic] if topic == "exit-codes" => {
            const COLUMNS: [Column; 2] = [Column::right("CODE"), Column::left("MEANING")];
            let rows: Vec<Vec<Cell>> =
                EXIT_CODES.iter().map(|(code, meaning)| vec![code.to_string().into(), (*meaning).into()]).collect();
            printer.table(&COLUMNS, &rows)
        }
        [topic] if topic == "environment" => {
            const COLUMNS: [Column; 2] = [Column::left("VARIABLE"), Column::left("MEANING")];
            let rows: Vec<Vec<Cell>> =
                env::VARIABLES.iter().map(|(name, meaning)| vec![(*name).into(), (*meaning).into()]).collect();
            printer.table(&COLUMNS, &rows)
        }
        words => {
            let mut command = Cli::command();
            command.build();
            let mut found = &mut command;
            for word in words {
                found = found.find_subcommand_mut(word).ok_or_else(|| {
                    CliError::usage(format!("there is no command or topic `{}`", words.join(" "))).hint("merlon help")
                })?;
            }
            let text = found.render_long_help().to_string();
            printer.block(&text)
        }
    }
}

pub(super) fn completions(shell: clap_complete::Shell, printer: &mut Printer) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "merlon", &mut script);
    printer.bytes(&script)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn the_topic_names_every_exit_code() {
        let exits = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::NothingFound,
            Exit::SignIn,
            Exit::Refused,
            Exit::Unreachable,
            Exit::Interrupted,
        ];
        assert_eq!(EXIT_CODES.map(|(code, _)| code), exits.map(|exit| exit as u8));
    }
}
