//! `merlon config`: the settings that result from all layers, and whether a file is right.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use merlon_config::{Config, ConfigError, Layer, Layers, ListenAddress, Origin, Resolved, judge_proxy_bind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{ConfigCommand, ConfigShowArgs};
use crate::env::Env;
use crate::error::CliError;
use crate::output::{Cell, Column, Printer, Tone};
use crate::target::{Owner, Target};

/// One line of `merlon config show --json`.
#[derive(Serialize)]
struct Setting<'a> {
    key: &'a str,
    value: Value,
    origin: String,
}

/// The largest configuration file.
const MAX_FILE: u64 = 1 << 20;

pub(super) fn needs_no_instance(command: &ConfigCommand) -> bool {
    matches!(command, ConfigCommand::Check(_))
}

pub(super) fn run(command: &ConfigCommand, target: &Target, env: &Env, printer: &mut Printer) -> Result<(), CliError> {
    let local = target.local("the configuration is read")?;
    let file = &local.paths.config;
    match command {
        ConfigCommand::Check(_) => check(command, printer),
        ConfigCommand::Path => {
            let absolute = std::path::absolute(file).unwrap_or_else(|_| file.clone()).display().to_string();
            if !file.exists() {
                printer.say("the file does not exist yet; until then the defaults hold");
            }
            if printer.is_json() { printer.json(&json!({ "path": absolute })) } else { printer.line(&absolute) }
        }
        ConfigCommand::Show(args) => {
            let mut layers = Layers::default();
            if let Some(text) = read(file)? {
                layers.push(Layer::file(&file.display().to_string(), &text).map_err(wrong)?);
            }
            for (name, value) in &env.merlon {
                if let Some(layer) = Layer::environment(name, value).map_err(wrong)? {
                    layers.push(layer);
                }
            }
            let resolved = layers.resolve().map_err(wrong)?;
            show(args, &resolved, printer)?;
            let from_environment = resolved.origins.values().any(|origin| matches!(origin, Origin::Environment(_)));
            if from_environment && matches!(local.owner, Owner::System(_)) {
                printer.warn("the environment of this shell is not that of the service");
            }
            Ok(())
        }
    }
}

/// Also what the daemon would refuse only when it binds.
pub(super) fn check(command: &ConfigCommand, printer: &mut Printer) -> Result<(), CliError> {
    let ConfigCommand::Check(args) = command else {
        return Ok(());
    };
    let name = args.file.display().to_string();
    let config = of_file(&args.file)?;
    for listen in &config.proxy.listen {
        if let ListenAddress::Tcp(address) = listen {
            judge_proxy_bind(*address, config.proxy.allow_public_bind)
                .map_err(|e| CliError::failed("the configuration cannot be used").because(format!("{name}: {e}")))?;
        }
    }
    printer.say(&format!("{name} is right"));
    Ok(())
}

fn show(args: &ConfigShowArgs, resolved: &Resolved, printer: &mut Printer) -> Result<(), CliError> {
    const COLUMNS: [Column; 3] = [Column::left("KEY"), Column::left("VALUE"), Column::left("ORIGIN")];
    let origin = |key: &str| resolved.origins.get(key).cloned().unwrap_or(Origin::Default);
    let chosen = resolved.values.iter().filter(|(key, _)| !args.changed || origin(key) != Origin::Default);
    if printer.is_json() {
        let mut chosen = chosen;
        return chosen.try_for_each(|(key, value)| {
            let origin = origin(key).to_string();
            // A TOML value of these kinds is nearly always a JSON value too; else its text stands for it.
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.clone()));
            printer.json(&Setting { key, value, origin })
        });
    }
    let rows: Vec<Vec<Cell>> = chosen
        .map(|(key, value)| {
            let origin = origin(key);
            let tone = if origin == Origin::Default { Tone::Faint } else { Tone::Plain };
            let mut row = vec![key.as_str().into(), value.as_str().into()];
            if args.origin {
                row.push(Cell::toned(origin.to_string(), tone));
            }
            row
        })
        .collect();
    if rows.is_empty() {
        printer.say("every setting stands at its default; to see them: merlon config show");
        return Ok(());
    }
    printer.table(if args.origin { &COLUMNS } else { &COLUMNS[..2] }, &rows)
}

/// What one file says, defaults included.
///
/// # Errors
/// It is not there, cannot be read, or is wrong.
pub(super) fn of_file(path: &Path) -> Result<Config, CliError> {
    let name = path.display().to_string();
    let text = read(path)?.ok_or_else(|| CliError::failed(format!("{name} does not exist")))?;
    let mut layers = Layers::default();
    layers.push(Layer::file(&name, &text).map_err(wrong)?);
    Ok(layers.resolve().map_err(wrong)?.config)
}

/// The text of a file; none if there is none.
fn read(path: &Path) -> Result<Option<String>, CliError> {
    let failed = |why: String| CliError::failed(format!("{} cannot be read", path.display())).because(why);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e.to_string())),
    };
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|e| failed(e.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(failed(format!("it is larger than {MAX_FILE} bytes")));
    }
    Ok(Some(text))
}

fn wrong(error: ConfigError) -> CliError {
    CliError::failed("the configuration cannot be used").because(error)
}
