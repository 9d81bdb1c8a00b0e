//! `merlond`: the parent of an instance (`run`) and its engine (`engine`). This file wires only.

mod api;
mod api_tls;
mod args;
mod auth;
mod engine;
mod flow;
mod http;
mod identity;
mod links;
mod listeners;
mod liveness;
mod opening;
mod parent;
mod proxy;
mod query;
mod reload;
mod rotation;
mod service;
mod settings;
mod signin;
mod store;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use merlon_sandbox::journal;

use args::{Cli, Command};
// So that every module says `crate::log` and `crate::exit`.
use merlon_parent::{exit, log};

/// Wipes what the connections of the API free: access tokens pass through buffers of several libraries.
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
    match cli.command {
        Command::Run(args) => {
            journal::open("merlond", "parent", journal::instance_of(args.settings.config.as_deref()));
            parent::run(&args)
        }
        Command::Engine(args) => {
            journal::open("merlond", "engine", journal::instance_of(args.settings.config.as_deref()));
            engine::run(&args)
        }
        #[cfg(feature = "bench")]
        Command::BenchStore(args) => bench_store(&args),
    }
}

/// Prints what the store costs.
#[cfg(feature = "bench")]
fn bench_store(args: &args::BenchStore) -> ExitCode {
    use std::io::Write as _;
    let (mut stream, text, code) = match store::bench::run(&args.data_dir, args.flows) {
        Ok(table) => (Box::new(std::io::stdout()) as Box<dyn std::io::Write>, table, exit::OK),
        Err(error) => (Box::new(std::io::stderr()) as Box<dyn std::io::Write>, format!("merlond: {error}\n"), exit::IO),
    };
    // What cannot be printed cannot be told either.
    drop(stream.write_all(text.as_bytes()));
    exit::with(code)
}
