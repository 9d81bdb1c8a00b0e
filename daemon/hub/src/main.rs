//! `merlon-hub`: an OAuth 2.0 authorization server for instances and their people. This file wires only.

mod accounts;
mod api;
mod app;
mod arrival;
mod clients;
mod clock;
mod command_line;
mod front;
mod housekeeping;
mod issuer;
mod keys;
mod limits;
mod listener;
mod oauth;
mod opening;
mod pages;
mod parent;
mod random;
mod routes;
mod server;
mod service;
mod settings;
mod setup_code;
mod store;
mod tls;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use merlon_sandbox::journal;

use command_line::{Cli, Command};
// So that every module says `crate::log`.
use merlon_parent::{exit, log};

/// Wipes what the connections free: passwords, codes and tokens pass through buffers of several libraries.
#[global_allocator]
static ALLOCATOR: merlon_sandbox::wipe::Allocator = merlon_sandbox::wipe::Allocator;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; what cannot be printed cannot be told either.
            drop(error.print());
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return exit::with(if asked { exit::OK } else { exit::USAGE });
        }
    };
    let journal = |process, settings: &command_line::Settings| {
        journal::open("merlon-hub", process, journal::instance_of(settings.config.as_deref()));
    };
    match cli.command {
        Command::Run(args) => {
            journal("parent", &args.settings);
            parent::run(&args)
        }
        Command::Serve(args) => {
            journal("hub", &args.settings);
            server::run(&args)
        }
        Command::SetupCode(args) => {
            journal::open("merlon-hub", "setup-code", None);
            setup_code::run(&args)
        }
    }
}
