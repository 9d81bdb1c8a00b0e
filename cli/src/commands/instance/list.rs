//! `merlon instance list`: what systemd runs here and says of it, the user's own instances, and the remote ones that the
//! user has named. Asks systemd and looks at sockets; asks no instance.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use merlon_config::{InstanceName, ListenAddress, Paths};
use serde::Serialize;

use super::configured;
use crate::args::Daemon;
use crate::book::{Book, Entry};
use crate::commands::{config, in_runtime};
use crate::env::Env;
use crate::error::CliError;
use crate::output::{Cell, Column, Printer, Tone};
use crate::session::Store;
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
    kind: Kind,
    /// The address of a remote one.
    url: Option<String>,
    /// Who is signed in there from this machine.
    signed_in: Option<String>,
    /// It is meant where none is named.
    in_use: bool,
}

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Run by systemd.
    System,
    /// A directory of the user's.
    Own,
    /// On another machine.
    Remote,
}

#[derive(Debug, Serialize)]
struct Part {
    process: String,
    state: String,
}

const COLUMNS: [Column; 8] = [
    Column::left(""),
    Column::left("NAME"),
    Column::left("KIND"),
    Column::left("STATE"),
    Column::left("AT BOOT"),
    Column::left("PROXY"),
    Column::left("API"),
    Column::left("SAYS").shrinking(),
];

pub(super) fn run(env: &Env, printer: &mut Printer) -> Result<(), CliError> {
    let book = Book::read(env)?;
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
    let mut instances: Vec<Instance> =
        names.iter().map(|name| look_at(name, units.as_mut())).collect::<Result<_, _>>()?;
    instances.extend(own(env).filter(|own| !names.iter().any(|name| name.as_str() == own.name)));
    instances.extend(remote(&book, env, printer)?);
    let in_use = book.default.as_deref().unwrap_or("default");
    instances.iter_mut().for_each(|instance| instance.in_use = instance.name == in_use);
    if printer.is_json() {
        return instances.iter().try_for_each(|instance| printer.json(instance));
    }
    if instances.is_empty() {
        printer.say("there is no instance; to make one: sudo merlon instance create NAME; to name a remote one: merlon instance add NAME --url URL");
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

impl Instance {
    fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            state: None,
            enabled: None,
            unwell: Vec::new(),
            proxy: Vec::new(),
            api: Vec::new(),
            says: None,
            problem: None,
            kind,
            url: None,
            signed_in: None,
            in_use: false,
        }
    }
}

/// Directories that `merlond run` serves or has served, by their default place.
fn own(env: &Env) -> impl Iterator<Item = Instance> {
    let home = env.data_home.as_ref().map(|home| home.join("merlon"));
    let entries = home.and_then(|home| fs::read_dir(home).ok()).into_iter().flatten().flatten();
    let mut found: Vec<Instance> = entries
        .filter_map(|entry| {
            let name: InstanceName = entry.file_name().to_str()?.parse().ok()?;
            let paths = Paths::below(&entry.path());
            // A directory that is something else has no keeper's directory in it.
            paths.keeper.is_dir().then(|| {
                let runs = std::os::unix::net::UnixStream::connect(paths.api_socket()).is_ok();
                let state = if runs { "active" } else { "inactive" };
                Instance { state: Some(state.to_owned()), ..Instance::new(name.as_str(), Kind::Own) }
            })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.into_iter()
}

/// What the user has named, and who is signed in there.
fn remote(book: &Book, env: &Env, printer: &Printer) -> Result<Vec<Instance>, CliError> {
    if book.remote.is_empty() {
        return Ok(Vec::new());
    }
    let sessions = match Store::of(env) {
        Some(store) => in_runtime(async { Ok(store.all(printer).await) })?,
        None => Vec::new(),
    };
    let of_entry = |(name, entry): (&String, &Entry)| {
        let session = sessions.iter().find(|stored| stored.reach.url == entry.url).map(|stored| &stored.session);
        let who = |session: &merlon_api::Session| {
            if session.name.is_empty() { session.subject.clone() } else { session.name.clone() }
        };
        Instance {
            url: Some(entry.url.clone()),
            says: session.map(|session| format!("signed in as {}, role {}", who(session), session.role)),
            signed_in: session.map(who),
            ..Instance::new(name, Kind::Remote)
        }
    };
    Ok(book.remote.iter().map(of_entry).collect())
}

fn look_at(name: &InstanceName, units: Option<&mut Units>) -> Result<Instance, CliError> {
    let mut instance = Instance::new(name.as_str(), Kind::System);
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
    let unknown = if instance.kind == Kind::System { "unknown" } else { "-" };
    let mut state = instance.state.clone().unwrap_or_else(|| unknown.to_owned());
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
        None => unknown,
    };
    let addresses = |addresses: &[String]| if addresses.is_empty() { "-".to_owned() } else { addresses.join(", ") };
    let says = match (&instance.problem, &instance.says) {
        (Some(problem), _) => Cell::toned(problem, Tone::Bad),
        (None, Some(says)) => says.as_str().into(),
        (None, None) if instance.kind == Kind::Remote => "not signed in".into(),
        (None, None) => "-".into(),
    };
    let api = instance.url.clone().unwrap_or_else(|| addresses(&instance.api));
    let kind = match instance.kind {
        Kind::System => "system",
        Kind::Own => "own",
        Kind::Remote => "remote",
    };
    vec![
        if instance.in_use { "*" } else { "" }.into(),
        instance.name.as_str().into(),
        kind.into(),
        Cell::toned(state, tone),
        at_boot.into(),
        addresses(&instance.proxy).into(),
        api.into(),
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
