//! `merlon instance list`: what is configured, and what systemd says of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use merlon_config::{InstanceName, ListenAddress, Paths};
use serde::Serialize;

use super::configured;
use crate::args::Daemon;
use crate::commands::config;
use crate::error::CliError;
use crate::output::{Cell, Column, Printer, Tone};
use crate::units::{State, Units};

/// One line of `--json`.
#[derive(Debug, Serialize)]
struct Instance {
    name: String,
    /// `active`, `inactive`, `failed`, ...; none if systemd cannot be asked.
    state: Option<String>,
    /// Does it start at boot?
    enabled: Option<bool>,
    /// Services that are not as the engine is.
    unwell: Vec<Part>,
    proxy: Vec<String>,
    api: Vec<String>,
    /// What the engine says of itself: how it is opened, or that it is locked.
    says: Option<String>,
    /// What is wrong with its configuration.
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct Part {
    process: String,
    state: String,
}

const COLUMNS: [Column; 6] = [
    Column::left("NAME"),
    Column::left("STATE"),
    Column::left("AT BOOT"),
    Column::left("PROXY"),
    Column::left("API"),
    Column::left("SAYS").shrinking(),
];

pub(super) fn run(printer: &mut Printer) -> Result<(), CliError> {
    let mut units = match Units::connect() {
        Ok(units) => Some(units),
        Err(error) => {
            let why = error.why.map(|why| format!(": {why}")).unwrap_or_default();
            printer.warn(&format!("{}{why}", error.what));
            None
        }
    };
    let with_configuration = configured()?;
    let mut names: BTreeSet<InstanceName> = with_configuration.into_iter().collect();
    names.extend(with_data());
    let instances: Vec<Instance> = names.iter().map(|name| look_at(name, units.as_mut())).collect::<Result<_, _>>()?;
    if printer.is_json() {
        return instances.iter().try_for_each(|instance| printer.json(instance));
    }
    if instances.is_empty() {
        printer.say("there is no instance; to make one: sudo merlon instance create NAME");
        return Ok(());
    }
    let rows: Vec<Vec<Cell>> = instances.iter().map(row).collect();
    printer.table(&COLUMNS, &rows)
}

/// Data outlives a configuration that was removed with `--keep-data`.
fn with_data() -> Vec<InstanceName> {
    let entries = fs::read_dir(Path::new("/var/lib/merlon")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn look_at(name: &InstanceName, units: Option<&mut Units>) -> Result<Instance, CliError> {
    let mut instance = Instance {
        name: name.to_string(),
        state: None,
        enabled: None,
        unwell: Vec::new(),
        proxy: Vec::new(),
        api: Vec::new(),
        says: None,
        problem: None,
    };
    let path = Paths::system(name).config;
    if !path.exists() {
        instance.problem = Some(format!("only data: {} is gone", path.display()));
    } else {
        match config::of_file(&path) {
            Ok(config) => {
                let texts = |addresses: &[ListenAddress]| addresses.iter().map(ToString::to_string).collect();
                instance.proxy = texts(&config.proxy.listen);
                instance.api = texts(&config.api.listen);
            }
            Err(error) => instance.problem = Some(error.why.unwrap_or(error.what)),
        }
    }
    let Some(units) = units else { return Ok(instance) };
    let engine = Daemon::Engine.service(name);
    let state = units.state(&engine)?;
    instance.enabled = Some(matches!(state.file.as_str(), "enabled" | "enabled-runtime"));
    let says = units.status_text(&engine)?;
    instance.says = Some(says).filter(|says| !says.is_empty() && !state.is_stopped());
    for daemon in [Daemon::Keeper, Daemon::Dialer] {
        let part = units.state(&daemon.service(name))?;
        if is_unwell(&part, &state) {
            instance.unwell.push(Part { process: daemon.to_string(), state: part.active });
        }
    }
    instance.state = Some(state.active);
    Ok(instance)
}

/// A keeper or dialer that failed, or that is not there although the engine is.
fn is_unwell(part: &State, engine: &State) -> bool {
    part.active == "failed" || (engine.active == "active" && part.active != "active")
}

fn row(instance: &Instance) -> Vec<Cell> {
    let mut state = instance.state.clone().unwrap_or_else(|| "unknown".to_owned());
    let mut tone = match state.as_str() {
        "active" => Tone::Good,
        "failed" => Tone::Bad,
        _ => Tone::Plain,
    };
    for part in &instance.unwell {
        state.push_str(&format!(", {} {}", part.process, part.state));
        tone = Tone::Bad;
    }
    let at_boot = match instance.enabled {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    };
    let addresses = |addresses: &[String]| if addresses.is_empty() { "-".to_owned() } else { addresses.join(", ") };
    let says = match (&instance.problem, &instance.says) {
        (Some(problem), _) => Cell::toned(problem, Tone::Bad),
        (None, Some(says)) => says.as_str().into(),
        (None, None) => "-".into(),
    };
    vec![
        instance.name.as_str().into(),
        Cell::toned(state, tone),
        at_boot.into(),
        addresses(&instance.proxy).into(),
        addresses(&instance.api).into(),
        says,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(active: &str) -> State {
        State {
            load: "loaded".into(),
            active: active.into(),
            sub: String::new(),
            file: "disabled".into(),
            needs_reload: false,
        }
    }

    #[test]
    fn a_part_is_told_of_where_it_is_worse_than_the_engine() {
        assert!(is_unwell(&state("failed"), &state("inactive")));
        assert!(is_unwell(&state("activating"), &state("active")));
        assert!(!is_unwell(&state("active"), &state("active")));
        assert!(!is_unwell(&state("inactive"), &state("inactive")));
    }
}
