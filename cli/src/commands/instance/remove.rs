//! `merlon instance remove`: a stopped instance, for good.
//!
//! Deletes what is named by the instance's own paths and follows no symbolic link: the services own their directories
//! and could have put one there.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use merlon_config::{InstanceName, Paths};
use serde_json::json;

use super::{must_be_root, reload_manager, run_tool, users_file};
use crate::args::{Daemon, InstanceRemoveArgs};
use crate::error::{CliError, Exit};
use crate::output::Printer;
use crate::secret;
use crate::units::{self, SOCKETS, Units};

pub(super) fn run(args: &InstanceRemoveArgs, printer: &mut Printer) -> Result<(), CliError> {
    let name = &args.name;
    must_be_root("remove an instance", &format!("merlon instance remove {name}"))?;
    let paths = Paths::system(name);
    let mut doomed = vec![paths.config.clone(), users_file(name)];
    if !args.keep_data {
        doomed.extend([paths.keeper.clone(), paths.store.clone()]);
    }
    let mut there = Vec::new();
    for path in doomed {
        if judged(&path)? {
            there.push(path);
        }
    }
    if there.is_empty() {
        return Err(CliError::new(Exit::NothingFound, format!("there is no instance `{name}`"))
            .because(format!("{} does not exist", paths.config.display()))
            .hint("merlon instance list"));
    }
    must_be_stopped(name)?;
    if !args.yes {
        confirm(name, args.keep_data, printer)?;
    }
    if units::systemd_runs() {
        run_tool("/usr/bin/systemctl", &["--quiet", "disable", &Daemon::Engine.service(name)])?;
    }
    // The configuration first: without it nothing starts on what is half gone.
    for path in &there {
        delete(path)?;
    }
    reload_manager()?;
    let removed: Vec<String> = there.iter().map(|path| path.display().to_string()).collect();
    if printer.is_json() {
        printer.json(&json!({ "name": name.as_str(), "removed": removed }))?;
    }
    printer.say(&format!("removed instance `{name}`: {}", removed.join(", ")));
    if args.keep_data {
        printer.say(&format!("kept: {}, {}", paths.keeper.display(), paths.store.display()));
    }
    printer.say(&format!(
        "its users stay, so that no other user gets their numbers and what they may own elsewhere; to remove them: {}",
        Daemon::ALL.map(|daemon| format!("userdel {}", daemon.user(name))).join("; ")
    ));
    Ok(())
}

/// Is it there? A symbolic link is refused before anything is deleted.
fn judged(path: &Path) -> Result<bool, CliError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => Err(CliError::failed("nothing was removed")
            .because(format!("{} is a symbolic link, and what it points to may be somebody else's", path.display()))
            .hint("remove the link and what it points to yourself, then try again")),
        Ok(_) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(CliError::failed(format!("{} cannot be looked at", path.display())).because(e)),
    }
}

/// `remove_dir_all` opens each directory without following links, so that no service can lead it elsewhere.
fn delete(path: &PathBuf) -> Result<(), CliError> {
    let directory = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let deleted = if directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    deleted.map_err(|e| CliError::failed(format!("{} cannot be removed", path.display())).because(e))
}

fn must_be_stopped(name: &InstanceName) -> Result<(), CliError> {
    if !units::systemd_runs() {
        return Ok(());
    }
    let mut asked = Units::connect()?;
    let services = Daemon::ALL.map(|daemon| daemon.service(name));
    let sockets = SOCKETS.map(|socket| format!("{socket}@{name}.socket"));
    for unit in services.iter().chain(&sockets) {
        let state = asked.state(unit)?;
        if !state.is_stopped() {
            return Err(CliError::failed(format!("the instance `{name}` is running"))
                .because(format!("{unit} is {}", state.active))
                .hint(format!("sudo systemctl disable --now merlond@{name}")));
        }
    }
    Ok(())
}

fn confirm(name: &InstanceName, keep_data: bool, printer: &mut Printer) -> Result<(), CliError> {
    let lost = if keep_data {
        "its configuration goes; its keys and what it recorded stay"
    } else {
        "its keys, its CA and all it recorded can never be read again, but from a backup"
    };
    let prompt = format!("Instance `{name}`: {lost}. Type its name to remove it: ");
    let keep = if keep_data { " --keep-data" } else { "" };
    let typed = secret::ask(&prompt, true, &format!("merlon instance remove {name}{keep} --yes"), printer)?;
    if typed.as_slice() == name.as_str().as_bytes() {
        Ok(())
    } else {
        Err(CliError::failed("nothing was removed").because("what was typed is not the instance's name"))
    }
}
