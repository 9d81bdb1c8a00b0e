//! `merlon instance`: the instances that systemd runs on this machine, and the remote ones that the user names.
//!
//! Owns what an instance consists of besides its data: `/etc/merlon/NAME.toml` and `/etc/sysusers.d/merlon-NAME.conf`.
//! Starts and stops nothing; that is systemctl's. What the user names is in the [`crate::book`].

mod create;
mod list;
mod named;
mod ports;
mod remove;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use merlon_config::{InstanceName, Paths};

use crate::args::{Global, InstanceCommand};
use crate::env::Env;
use crate::error::{CliError, Exit};
use crate::output::Printer;

pub(super) fn run(
    command: &InstanceCommand,
    global: &Global,
    env: &Env,
    printer: &mut Printer,
) -> Result<(), CliError> {
    let adding = matches!(command, InstanceCommand::Add(_));
    let named = global.data_dir.is_some() || global.instance.is_some() || global.hub;
    if named || (!adding && !global.instance_flags().is_empty()) {
        return Err(CliError::usage(
            "`merlon instance` takes no --data-dir, --instance or --hub, and --url for `add` only",
        )
        .because("it names instances by its arguments"));
    }
    match command {
        InstanceCommand::Create(args) => create::run(args, printer),
        InstanceCommand::Add(args) => named::add(args, global, env, printer),
        InstanceCommand::Use(args) => named::choose(args, env, printer),
        InstanceCommand::List => list::run(env, printer),
        InstanceCommand::Remove(args) => match named::forget(&args.name, env, printer)? {
            Some(()) => Ok(()),
            None => remove::run(args, printer),
        },
    }
}

/// Declares the users of one instance, for systemd-sysusers.
fn users_file(name: &InstanceName) -> PathBuf {
    PathBuf::from(format!("/etc/sysusers.d/merlon-{name}.conf"))
}

/// Only root may write below /etc.
fn must_be_root(what: &str, command: &str) -> Result<(), CliError> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(CliError::new(Exit::Refused, format!("only root may {what}")).hint(format!("sudo {command}")))
}

/// Names of the instances that have a configuration, sorted.
fn configured() -> Result<Vec<InstanceName>, CliError> {
    let directory = Path::new(Paths::SYSTEM_CONFIG);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => {
            return Err(CliError::failed(format!("{} cannot be read", directory.display())).because(e));
        }
    };
    let files = entries.flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let mut names: Vec<InstanceName> = files.filter_map(|path| path.file_stem()?.to_str()?.parse().ok()).collect();
    names.sort();
    Ok(names)
}

/// Runs one of systemd's own tools to its end.
fn run_tool(program: &str, arguments: &[&str]) -> Result<(), CliError> {
    let failed = |why: String| CliError::failed(format!("{program} {} failed", arguments.join(" "))).because(why);
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Err(failed(if said.is_empty() { output.status.to_string() } else { said }))
}

/// The manager reads its units again, and the generator the configurations. Nothing to do where systemd does not run.
fn reload_manager() -> Result<(), CliError> {
    if crate::units::systemd_runs() { run_tool("/usr/bin/systemctl", &["daemon-reload"]) } else { Ok(()) }
}
