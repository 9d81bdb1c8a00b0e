//! `merlon-seal`: the one program that speaks to a TPM or loads a PKCS#11 module. It does one operation and ends.
//!
//! This file wires: descriptors, configuration, time limit, request, answer, in this order. It must not do anything
//! else.

mod arguments;
mod command_line;
mod exit;
mod log;
mod pkcs11;
mod serve;
mod tpm;

use std::process::ExitCode;

use clap::Parser as _;
use merlon_config::Config;
use merlon_sandbox::inherit::Inherited;
use merlon_sandbox::{journal, process, secret};

use command_line::Arguments;
use exit::Fatal;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::usage(&error),
    };
    journal::open("merlon-seal", "seal", journal::instance_of(arguments.config.as_deref()));
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            log::error(format_args!("{fatal}"));
            fatal.code()
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Fatal> {
    let mut inherited = Inherited::take(&arguments.fd)?;
    process::harden()?;
    let asked = inherited.one("seal")?;
    drop(inherited);
    let config = prepare(arguments).inspect_err(|_| serve::turn_away(&asked))?;
    serve::one(&asked, &config)
}

fn prepare(arguments: &Arguments) -> Result<Config, Fatal> {
    let config = arguments.configuration()?;
    if !config.keeper.memfd_secret {
        secret::force_locked()?;
    }
    serve::limit(config.keeper.seal_seconds)?;
    log::silence_libraries().map_err(Fatal::Io)?;
    Ok(config)
}
