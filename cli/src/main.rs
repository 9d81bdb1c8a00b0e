//! `merlon`: the command line of a Merlon instance.
//!
//! This file wires: arguments and environment are read once, the command runs, its error becomes words and an exit
//! code. The layers below it: [`args`] says what may be typed, [`target`] which instance is meant, [`client`] and
//! [`admin`] ask it, [`book`] and [`session`] remember for the user, [`units`] and [`journal`] ask systemd, [`output`]
//! prints, and [`commands`] join them, one file each.

mod admin;
mod args;
mod backup;
mod book;
mod certificate;
mod client;
mod commands;
mod env;
mod error;
mod file;
mod journal;
mod output;
mod policy_key;
mod quoting;
mod secret;
mod session;
mod target;
mod units;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::env::Env;
use crate::error::Exit;
use crate::output::Printer;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help_or_error) => {
            // Help and version go to standard output; a reader that has gone wants no more of it.
            let _ = help_or_error.print();
            return if help_or_error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let env = Env::read();
    let mut printer = Printer::new(cli.global.color, cli.global.format(), cli.global.quiet, &env);
    let done = commands::run(&cli, &env, &mut printer);
    match done.and_then(|()| printer.flush()) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            // What was found until then is still data.
            let _ = printer.flush();
            printer.error(&error);
            error.exit.into()
        }
    }
}
