//! `merlon instance add`, `use`, and `remove` of a remote instance: what the user calls them.

use merlon_config::{InstanceName, Paths};
use serde_json::json;

use crate::args::{Global, InstanceAddArgs, InstanceNameArgs};
use crate::book::{Book, Entry};
use crate::client::{Client, Credentials};
use crate::commands::{in_runtime, logout};
use crate::env::Env;
use crate::error::{CliError, Exit};
use crate::output::Printer;
use crate::session::Store;
use crate::target::{Remote, Target, parse_pin};

/// The name that is meant where nothing is chosen.
const DEFAULT: &str = "default";

pub(super) fn add(args: &InstanceAddArgs, global: &Global, env: &Env, printer: &mut Printer) -> Result<(), CliError> {
    let name = args.name.as_str();
    let url = global.url.as_deref().ok_or_else(|| {
        CliError::usage("the address of the instance is missing")
            .hint(format!("merlon instance add {name} --url https://HOST:8443"))
    })?;
    let pin = args.pin.as_deref().map(parse_pin).transpose()?;
    let absolute = |path: &std::path::PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let remote = Remote { ca_file: global.ca_file.as_ref().map(absolute), pin, ..Remote::parse(url)? };
    if is_local(&args.name, env) {
        return Err(CliError::failed(format!("there is a local instance `{name}` already"))
            .because("one name would mean two instances")
            .hint("choose another name; those in use: merlon instance list"));
    }
    ask(&remote, printer)?;
    let entry =
        Entry { url: remote.url(), ca_file: remote.ca_file, pin: pin.map(|pin| data_encoding::HEXLOWER.encode(&pin)) };
    let before = Book::change(env, |book| Ok(book.remote.insert(name.to_owned(), entry.clone())))?;
    if printer.is_json() {
        printer.json(&json!({ "name": name, "url": entry.url, "ca_file": entry.ca_file, "pin": entry.pin }))?;
    }
    let verb = if before.is_some() { "changed" } else { "added" };
    printer.say(&format!("{verb} `{name}`: {}", entry.url));
    printer.say(&format!(
        "to sign in: merlon --instance {name} login; to mean it from now on: merlon instance use {name}"
    ));
    Ok(())
}

/// Is it there, and can it be trusted? One that cannot be reached now may be reached tomorrow; one that shows a wrong
/// certificate must not be named.
fn ask(remote: &Remote, printer: &mut Printer) -> Result<(), CliError> {
    let mut client = Client::new(Target::Remote(remote.clone()), Credentials::Nobody);
    match in_runtime(async { client.health().await }) {
        Ok(health) => {
            printer.say(&format!("{} {} answers there", health.name, health.version));
            Ok(())
        }
        Err(error) if error.exit == Exit::Unreachable => {
            let why = error.why.map(|why| format!(": {why}")).unwrap_or_default();
            printer.warn(&format!("{}{why}; it is named all the same", error.what));
            Ok(())
        }
        Err(error) => Err(error),
    }
}

pub(super) fn choose(args: &InstanceNameArgs, env: &Env, printer: &mut Printer) -> Result<(), CliError> {
    let name = args.name.as_str();
    Book::change(env, |book| {
        if !book.remote.contains_key(name) && !is_local(&args.name, env) && name != DEFAULT {
            return Err(CliError::new(Exit::NothingFound, format!("there is no instance `{name}`"))
                .hint(format!("merlon instance list; merlon instance add {name} --url https://HOST:8443")));
        }
        book.default = Some(name.to_owned()).filter(|name| name != DEFAULT);
        Ok(())
    })?;
    if printer.is_json() {
        printer.json(&json!({ "in_use": name }))?;
    }
    printer.say(&format!("`{name}` is meant from now on, wherever no other instance is named"));
    let other = [
        ("MERLON_DATA_DIR", env.data_dir.is_some()),
        ("MERLON_INSTANCE", env.instance.is_some()),
        ("MERLON_URL", env.url.is_some()),
    ];
    for (variable, _) in other.into_iter().filter(|(_, set)| *set) {
        printer.warn(&format!("{variable} is set in this shell and goes first"));
    }
    Ok(())
}

/// Forgets a remote instance and signs out there; none if no remote instance is called so.
pub(super) fn forget(name: &InstanceName, env: &Env, printer: &mut Printer) -> Result<Option<()>, CliError> {
    let Some(entry) = Book::read(env)?.remote.remove(name.as_str()) else { return Ok(None) };
    let signed_out = match (Remote::of_entry(&entry), Store::of(env)) {
        (Ok(remote), Some(store)) => in_runtime(async { logout::of(&remote, &store, printer).await }).map(drop),
        _ => Ok(()),
    };
    Book::change(env, |book| {
        book.remote.remove(name.as_str());
        if book.default.as_deref() == Some(name.as_str()) {
            book.default = None;
        }
        Ok(())
    })?;
    if printer.is_json() {
        printer.json(&json!({ "name": name.as_str(), "removed": [entry.url] }))?;
    }
    printer.say(&format!("forgot `{name}`: {}", entry.url));
    signed_out.map(Some)
}

/// Does somebody on this machine have an instance of this name?
fn is_local(name: &InstanceName, env: &Env) -> bool {
    let system = Paths::system(name);
    let own = env.data_home.as_ref().map(|home| home.join("merlon").join(name.as_str()));
    [Some(system.config), Some(system.store), own].into_iter().flatten().any(|path| path.exists())
}
