//! `merlon keyslot`: the ways in which the master key can be unwrapped, by the keeper's admin socket.
//!
//! A connection is held for one question only, never while somebody types.

use merlon_sandbox::secret::SecretBuf;
use merlon_wire::admin::{Keyslot, NewKeyslot, Request, Response};
use serde::Serialize;
use serde_json::json;

use super::flows::time;
use super::recovery;
use crate::admin::{Admin, unexpected};
use crate::args::{AddKeyslot, CounterCommand, KeyslotCommand, TestArgs};
use crate::error::{CliError, Exit};
use crate::output::{Cell, Column, Printer, Tone};
use crate::secret;
use crate::target::{Local, Target};

const COLUMNS: [Column; 5] = [
    Column::right("ID"),
    Column::left("KIND"),
    Column::left("CREATED (UTC)"),
    Column::left("STATE"),
    Column::left("DETAIL").shrinking(),
];

#[derive(Serialize)]
struct Shown<'a> {
    id: u32,
    kind: &'a str,
    created: String,
    confirmed: bool,
    in_use: bool,
    detail: &'a str,
}

pub(super) fn run(command: &KeyslotCommand, target: &Target, printer: &mut Printer) -> Result<(), CliError> {
    let local = target.local("keyslots are managed")?;
    match command {
        KeyslotCommand::List => list(&slots(local)?, printer),
        KeyslotCommand::Add(AddKeyslot::File) => add(local, &NewKeyslot::File, printer),
        KeyslotCommand::Add(AddKeyslot::Passphrase(args)) => {
            let passphrase = match &args.passphrase_file {
                Some(file) => secret::from_file(file, "passphrase", printer)?,
                None => new_passphrase(local, printer)?,
            };
            add(local, &NewKeyslot::Passphrase(passphrase.as_slice()), printer)
        }
        KeyslotCommand::Add(AddKeyslot::Recovery(args)) => recovery::add(local, args.confirm_file.as_deref(), printer),
        KeyslotCommand::Confirm(args) => recovery::confirm(local, args.recovery_file.as_deref(), printer),
        KeyslotCommand::Remove(args) => {
            let id = slot_of(Admin::connect(local)?.ask(&Request::RemoveKeyslot(args.id))?)?;
            say(id, "removed", printer)
        }
        KeyslotCommand::Test(args) => test(args, local, printer),
        KeyslotCommand::Counter(CounterCommand::Reset) => {
            // The answer is a slot where the reset has opened the instance.
            if let Response::Keyslot(id) = Admin::connect(local)?.ask(&Request::CounterReset)? {
                say(id, "opened the instance", printer)?;
            }
            printer.say("the next moves go to a new rollback counter");
            Ok(())
        }
    }
}

/// The answer to whatever acts on one slot.
pub(super) fn slot_of(response: Response<'_>) -> Result<u32, CliError> {
    match response {
        Response::Keyslot(id) => Ok(id),
        _ => Err(unexpected()),
    }
}

pub(super) fn slots(local: &Local) -> Result<Vec<Keyslot>, CliError> {
    match Admin::connect(local)?.ask(&Request::ListKeyslots)? {
        Response::Keyslots(slots) => Ok(slots),
        _ => Err(unexpected()),
    }
}

fn add(local: &Local, slot: &NewKeyslot<'_>, printer: &mut Printer) -> Result<(), CliError> {
    let id = slot_of(Admin::connect(local)?.ask(&Request::AddKeyslot(slot.clone()))?)?;
    say(id, "added", printer)
}

fn say(id: u32, done: &str, printer: &mut Printer) -> Result<(), CliError> {
    if printer.is_json() {
        return printer.json(&json!({ "id": id, "done": done }));
    }
    printer.say(&format!("keyslot {id}: {done}"));
    Ok(())
}

/// Typed twice, because nobody sees what they type.
fn new_passphrase(local: &Local, printer: &mut Printer) -> Result<SecretBuf, CliError> {
    // Nobody shall type a passphrase for an instance that is not there.
    drop(Admin::connect(local)?);
    let instead = "merlon keyslot add passphrase --passphrase-file FILE";
    let first = secret::ask("New passphrase: ", false, instead, printer)?;
    let again = secret::ask("The same again: ", false, instead, printer)?;
    if first.as_slice() == again.as_slice() {
        Ok(first)
    } else {
        Err(CliError::failed("nothing was added").because("the two passphrases differ"))
    }
}

fn test(args: &TestArgs, local: &Local, printer: &mut Printer) -> Result<(), CliError> {
    let slots = slots(local)?;
    let Some(slot) = slots.iter().find(|slot| slot.id == args.id) else {
        return Err(
            CliError::new(Exit::NothingFound, format!("there is no keyslot {}", args.id)).hint("merlon keyslot list")
        );
    };
    let typed = match (slot.kind.as_str(), &args.passphrase_file, &args.recovery_file) {
        ("passphrase", Some(file), None) => Some(secret::from_file(file, "passphrase", printer)?),
        ("recovery", None, Some(file)) => Some(secret::from_file(file, "recovery key", printer)?),
        ("passphrase", None, None) => {
            let instead = format!("merlon keyslot test {} --passphrase-file FILE", args.id);
            Some(secret::ask("Passphrase: ", false, &instead, printer)?)
        }
        ("recovery", None, None) => {
            let instead = format!("merlon keyslot test {} --recovery-file FILE", args.id);
            Some(secret::ask("Recovery key: ", true, &instead, printer)?)
        }
        (_, None, None) => None,
        (kind, ..) => {
            return Err(CliError::usage(format!("keyslot {} is of kind {kind}", args.id))
                .because("the file given is for another kind")
                .hint("merlon keyslot list"));
        }
    };
    let secret = typed.as_ref().map_or(&[][..], |typed| typed.as_slice());
    let id = slot_of(Admin::connect(local)?.ask(&Request::TestKeyslot { id: args.id, secret })?)?;
    say(id, "opens", printer)
}

fn list(slots: &[Keyslot], printer: &mut Printer) -> Result<(), CliError> {
    let created = |slot: &Keyslot| merlon_api::Timestamp(slot.created_us).to_string();
    if printer.is_json() {
        return slots.iter().try_for_each(|slot| {
            let Keyslot { id, kind, confirmed, in_use, detail, .. } = slot;
            let (id, confirmed, in_use) = (*id, *confirmed, *in_use);
            printer.json(&Shown { id, kind, created: created(slot), confirmed, in_use, detail })
        });
    }
    let rows: Vec<Vec<Cell>> = slots
        .iter()
        .map(|slot| {
            let unconfirmed = slot.kind == "recovery" && !slot.confirmed;
            let state = match (unconfirmed, slot.in_use) {
                (true, _) => Cell::toned("unconfirmed", Tone::Warn),
                (false, true) => Cell::toned("in use", Tone::Good),
                (false, false) => "".into(),
            };
            let (kind, detail) = (slot.kind.as_str(), slot.detail.as_str());
            vec![slot.id.to_string().into(), kind.into(), time(&created(slot)).into(), state, detail.into()]
        })
        .collect();
    printer.table(&COLUMNS, &rows)
}
