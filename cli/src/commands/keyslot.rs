//! `merlon keyslot`: the ways in which the master key can be unwrapped, by the keeper's admin socket.
//!
//! A connection is held for one question only, never while somebody types.

use merlon_sandbox::secret::SecretBuf;
use merlon_wire::admin::{Keyslot, NewKeyslot, Request, Response};
use serde::Serialize;
use serde_json::json;

use super::flows::time;
use super::{machine, recovery, rotate};
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
                None => {
                    let instead = "merlon keyslot add passphrase --passphrase-file FILE";
                    new_secret("passphrase", instead, local, printer)?
                }
            };
            add(local, &NewKeyslot::Passphrase(passphrase.as_slice()), printer)
        }
        KeyslotCommand::Add(AddKeyslot::Tpm2(args)) => machine::add_tpm2(args, local, printer),
        KeyslotCommand::Add(AddKeyslot::Pkcs11(args)) => machine::add_pkcs11(args, local, printer),
        KeyslotCommand::Add(AddKeyslot::Credential) => add(local, &NewKeyslot::Credential, printer),
        KeyslotCommand::Add(AddKeyslot::Recovery(args)) => recovery::add(local, args.confirm_file.as_deref(), printer),
        KeyslotCommand::Confirm(args) => recovery::confirm(local, args.recovery_file.as_deref(), printer),
        KeyslotCommand::Remove(args) => {
            let answer = answer_of(Admin::connect(local)?.ask(&Request::RemoveKeyslot(args.id))?)?;
            say(&answer, "removed", printer)
        }
        KeyslotCommand::Rotate(args) => rotate::run(args, local, target, printer),
        KeyslotCommand::Test(args) => test(args, local, printer),
        KeyslotCommand::Reseal(args) => machine::reseal(args, local, printer),
        KeyslotCommand::Policy(args) => machine::policy(args, local, printer),
        KeyslotCommand::Authorize(args) => machine::authorize(args, local, printer),
        KeyslotCommand::Counter(CounterCommand::Reset) => {
            let mut admin = Admin::connect(local)?;
            // The answer is a slot where the reset has opened the instance.
            match admin.ask_machine(&Request::CounterReset, || machine::waiting(printer))? {
                Response::Done => {}
                answer => say(&answer_of(answer)?, "opened the instance", printer)?,
            }
            printer.say("the next moves go to a new rollback counter");
            Ok(())
        }
    }
}

/// The answer to whatever acts on one slot.
pub(super) struct Answer {
    pub(super) id: u32,
    /// What is to be told besides; whole sentences.
    pub(super) notes: Vec<String>,
}

pub(super) fn answer_of(response: Response<'_>) -> Result<Answer, CliError> {
    match response {
        Response::Keyslot(id) => Ok(Answer { id, notes: Vec::new() }),
        Response::KeyslotWithNotes { id, notes } => Ok(Answer { id, notes }),
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
    let answer = answer_of(Admin::connect(local)?.ask(&Request::AddKeyslot(slot.clone()))?)?;
    say(&answer, "added", printer)
}

/// What was done; data for a program, talk for people. Notes are talk in both cases.
pub(super) fn say(answer: &Answer, done: &str, printer: &mut Printer) -> Result<(), CliError> {
    let Answer { id, notes } = answer;
    if printer.is_json() {
        printer.json(&json!({ "id": id, "done": done }))?;
        printer.flush()?;
    } else {
        printer.say(&format!("keyslot {id}: {done}"));
    }
    notes.iter().for_each(|note| printer.note(note));
    Ok(())
}

/// Typed twice, because nobody sees what they type.
pub(super) fn new_secret(
    what: &str,
    instead: &str,
    local: &Local,
    printer: &mut Printer,
) -> Result<SecretBuf, CliError> {
    // Nobody shall type a secret for an instance that is not there.
    drop(Admin::connect(local)?);
    let first = secret::ask(&format!("New {what}: "), false, instead, printer)?;
    let again = secret::ask("The same again: ", false, instead, printer)?;
    if first.as_slice() == again.as_slice() {
        Ok(first)
    } else {
        Err(CliError::failed("nothing was added").because(format!("the two {what}s differ")))
    }
}

fn test(args: &TestArgs, local: &Local, printer: &mut Printer) -> Result<(), CliError> {
    let slots = slots(local)?;
    let Some(slot) = slots.iter().find(|slot| slot.id == args.id) else {
        return Err(
            CliError::new(Exit::NothingFound, format!("there is no keyslot {}", args.id)).hint("merlon keyslot list")
        );
    };
    let pin_instead = format!("merlon keyslot test {} --pin-file FILE", args.id);
    let typed = match (slot.kind.as_str(), &args.passphrase_file, &args.recovery_file, &args.pin_file) {
        ("passphrase", Some(file), None, None) => Some(secret::from_file(file, "passphrase", printer)?),
        ("recovery", None, Some(file), None) => Some(secret::from_file(file, "recovery key", printer)?),
        ("tpm2" | "pkcs11", None, None, Some(file)) if slot.pin => Some(secret::from_file(file, "PIN", printer)?),
        // A token may do without: its PIN may be in the configuration.
        ("tpm2", None, None, None) if slot.pin => Some(secret::ask("PIN: ", false, &pin_instead, printer)?),
        ("passphrase", None, None, None) => {
            let instead = format!("merlon keyslot test {} --passphrase-file FILE", args.id);
            Some(secret::ask("Passphrase: ", false, &instead, printer)?)
        }
        ("recovery", None, None, None) => {
            let instead = format!("merlon keyslot test {} --recovery-file FILE", args.id);
            Some(secret::ask("Recovery key: ", true, &instead, printer)?)
        }
        (_, None, None, None) => None,
        ("tpm2", None, None, Some(_)) => {
            return Err(CliError::usage(format!("keyslot {} has no PIN", args.id)).hint("merlon keyslot list"));
        }
        (kind, ..) => {
            return Err(CliError::usage(format!("keyslot {} is of kind {kind}", args.id))
                .because("the file given is for another kind")
                .hint("merlon keyslot list"));
        }
    };
    let secret = typed.as_ref().map_or(&[][..], |typed| typed.as_slice());
    let request = Request::TestKeyslot { id: args.id, secret };
    let answer = machine::ask(&request, local, printer).map_err(|e| {
        let asks_for_a_pin = slot.kind == "pkcs11" && typed.is_none();
        if asks_for_a_pin { e.hint(pin_instead.as_str()) } else { e.of_slot(args.id) }
    })?;
    say(&answer, "opens", printer)
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
