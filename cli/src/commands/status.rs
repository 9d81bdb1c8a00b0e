//! `merlon status`: the state of the instance at a glance.

use merlon_api::status::{Authentication, IdentityStatus, Service};
use merlon_api::{Exposure, Health, IdentityState, Keys, Listener, ProblemCode, Process, Recorder, Status};
use merlon_wire::admin::{Request, Response};
use merlon_wire::keeper::{self, LockState};
use serde_json::json;

use super::flows::size;
use crate::admin::{Admin, unexpected};
use crate::client::Client;
use crate::error::CliError;
use crate::output::{Cell, Printer, Tone};
use crate::target::{Local, Target};

pub(super) async fn run(client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    if let Target::Local(local) = client.target()
        && local.is_hub()
    {
        return of_hub(local, printer);
    }
    let Seen { status, opening } = of(client).await?;
    if printer.is_json() {
        return printer.json(&status);
    }
    let mut fields: Vec<(&str, Cell)> = vec![
        ("instance", format!("{}, version {}", client.target(), status.version).into()),
        ("state", state(&status, opening)),
    ];
    if !status.locked {
        fields.push(("recorded", recorded(&status)));
    }
    fields.extend(status.listeners.iter().map(listener));
    fields.push(("keys", keys(&status)));
    fields.extend(status.identity.as_ref().map(|identity| ("sign-in", sign_in(identity))));
    fields.extend(status.processes.iter().map(|process| ("process", self::process(process))));
    printer.fields(fields)?;
    printer.flush()?;
    status.warnings.iter().for_each(|warning| printer.warn(warning));
    Ok(())
}

/// A hub serves no API of an instance: its keeper says how its keys are.
fn of_hub(local: &Local, printer: &mut Printer) -> Result<(), CliError> {
    let keeper = keeper(local)?;
    let (state, opening) = (keeper.state, keeper.state == LockState::Opening);
    if printer.is_json() {
        return printer.json(&json!({
            "name": "merlon-hub", "instance": keeper.instance, "locked": state != LockState::Unlocked,
            "keys": keys_of(&keeper), "warnings": keeper.warnings,
        }));
    }
    let (text, tone) = match state {
        LockState::Unlocked => ("its keeper is open", Tone::Good),
        LockState::Opening => (OPENING, Tone::Warn),
        LockState::Locked => ("locked; to open it: merlon unlock", Tone::Bad),
    };
    let text = if opening { format!("{text}; if none does: merlon unlock") } else { text.to_owned() };
    printer.fields(vec![
        ("hub", local.to_string().into()),
        ("state", Cell::toned(text, tone)),
        ("keys", describe(&keys_of(&keeper))),
    ])?;
    printer.flush()?;
    keeper.warnings.iter().for_each(|warning| printer.warn(warning));
    Ok(())
}

fn keys_of(keeper: &keeper::Status) -> Keys {
    Keys {
        opened_by: keeper.opened_by.clone(),
        keyslots: keeper.slots.clone(),
        recovery_confirmed: keeper.recovery_confirmed,
        secret_memory: keeper.secret_memory.clone(),
    }
}

/// What is told of an instance whose keeper has not come to an end with its first try.
pub(super) const OPENING: &str = "not open yet: the keeper still tries the keyslots that open by themselves";

/// What there is to see of an instance.
pub(super) struct Seen {
    pub(super) status: Status,
    /// It is locked for now: its keeper still tries the keyslots that open by themselves.
    pub(super) opening: bool,
}

/// The state of the instance. A locked one tells nothing by its API; its keeper does, to whoever may open its socket.
pub(super) async fn of(client: &mut Client) -> Result<Seen, CliError> {
    match client.status().await {
        Err(error) if error.problem == Some(ProblemCode::Locked) => {
            let health = client.health().await?;
            let keeper = match client.target() {
                Target::Local(local) => keeper(local).ok(),
                Target::Remote(_) => None,
            };
            let opening = keeper.as_ref().is_some_and(|keeper| keeper.state == LockState::Opening);
            Ok(Seen { status: locked(health, keeper), opening })
        }
        other => other.map(|status| Seen { status, opening: false }),
    }
}

fn keeper(local: &Local) -> Result<keeper::Status, CliError> {
    match Admin::connect(local)?.ask(&Request::Status)? {
        Response::Status(status) => Ok(status),
        _ => Err(unexpected()),
    }
}

fn locked(health: Health, keeper: Option<keeper::Status>) -> Status {
    let instance = keeper.as_ref().map(|keeper| keeper.instance.clone());
    let warnings = keeper.as_ref().map(|keeper| keeper.warnings.clone()).unwrap_or_default();
    let keys = keeper.as_ref().map(keys_of);
    Status {
        name: health.name,
        version: health.version,
        instance,
        ready: health.ready,
        locked: true,
        keys,
        warnings,
        project: None,
        recorder: Recorder::default(),
        listeners: Vec::new(),
        processes: Vec::new(),
        identity: None,
    }
}

fn state(status: &Status, opening: bool) -> Cell {
    match &status.project {
        _ if opening => Cell::toned(format!("{OPENING}; if none does: merlon unlock"), Tone::Warn),
        _ if status.locked => Cell::toned("locked; to open it: merlon unlock", Tone::Bad),
        Some(project) if status.ready => {
            Cell::toned(format!("recording into project `{}` ({})", project.name, project.id), Tone::Good)
        }
        Some(project) => Cell::toned(format!("not ready, project `{}` ({})", project.name, project.id), Tone::Warn),
        None => Cell::toned("no project is open: merlon project list", Tone::Warn),
    }
}

fn recorded(status: &Status) -> Cell {
    let recorder = &status.recorder;
    let mut text = format!("{} flows since the start", recorder.recorded);
    let mut tone = Tone::Plain;
    if recorder.unrecorded > 0 {
        text.push_str(&format!(", {} NOT recorded", recorder.unrecorded));
        tone = Tone::Warn;
    }
    if recorder.truncated_bodies > 0 {
        text.push_str(&format!(", {} bodies cut", recorder.truncated_bodies));
    }
    if recorder.waiting_bytes > 0 {
        text.push_str(&format!(", {} waiting", size(recorder.waiting_bytes)));
    }
    if let Some(error) = &recorder.last_error {
        text.push_str(&format!("; last failure: {error}"));
        tone = Tone::Bad;
    }
    Cell::toned(text, tone)
}

fn listener(listener: &Listener) -> (&'static str, Cell) {
    let name = match listener.service {
        Service::Proxy => "proxy",
        Service::Api => "api",
    };
    let (reach, tone) = match listener.exposure {
        Exposure::Unix => ("this host, by the socket's mode", Tone::Plain),
        Exposure::Loopback => ("this host", Tone::Plain),
        Exposure::Public => ("PUBLIC", Tone::Warn),
    };
    let asks = match listener.authentication {
        Authentication::None => "no sign-in",
        Authentication::Socket => "no sign-in",
        Authentication::Basic => "password",
        Authentication::Bearer => "token",
    };
    let tls = if listener.tls { ", TLS" } else { "" };
    (name, Cell::toned(format!("{} ({reach}, {asks}{tls})", listener.address), tone))
}

fn keys(status: &Status) -> Cell {
    let Some(keys) = &status.keys else {
        let why = if status.locked { "locked" } else { "unknown: the keeper is away" };
        return Cell::toned(why, Tone::Bad);
    };
    describe(keys)
}

fn describe(keys: &Keys) -> Cell {
    let opened = keys.opened_by.as_ref().map_or_else(|| "locked".to_owned(), |kind| format!("opened by {kind}"));
    let text = format!("{opened}, held in {} memory; keyslots: {}", keys.secret_memory, keys.keyslots.join(", "));
    if keys.recovery_confirmed {
        text.into()
    } else {
        Cell::toned(format!("{text}; recovery unconfirmed: merlon keyslot add recovery"), Tone::Warn)
    }
}

fn sign_in(identity: &IdentityStatus) -> Cell {
    let issuer = identity.issuer.as_deref().unwrap_or_default();
    let owner = identity.owner.as_deref().unwrap_or("somebody");
    let (text, tone) = match identity.state {
        IdentityState::Local => ("with local tokens only".to_owned(), Tone::Plain),
        IdentityState::Unregistered => (format!("not registered with {issuer} yet"), Tone::Warn),
        IdentityState::Unclaimed => {
            (format!("by {issuer}; nobody owns the instance yet: merlon claim-code, then merlon login"), Tone::Warn)
        }
        IdentityState::Claimed => (format!("by {issuer}; {owner} owns the instance"), Tone::Plain),
        IdentityState::Deleted => (format!("{issuer} does not know the instance: merlon identity reset"), Tone::Bad),
    };
    Cell::toned(text, tone)
}

fn process(process: &Process) -> Cell {
    let pid = process.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    if process.connected {
        format!("{}{pid}", process.name).into()
    } else {
        Cell::toned(format!("{}{pid}: not connected", process.name), Tone::Bad)
    }
}
