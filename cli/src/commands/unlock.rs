//! `merlon unlock`: opens a locked instance, by the keeper's admin socket.

use std::path::Path;

use merlon_wire::admin::{Keyslot, Request, Response, UnlockWith};
use merlon_wire::keeper::LockState;
use serde_json::json;

use super::keyslot::{self, Answer};
use super::machine;
use crate::admin::{Admin, unexpected};
use crate::args::UnlockArgs;
use crate::error::{CliError, Exit};
use crate::output::Printer;
use crate::secret;
use crate::target::{Local, Target};

/// What it is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    Passphrase,
    Recovery,
    Pin,
    Machine,
}

pub(super) fn run(args: &UnlockArgs, target: &Target, printer: &mut Printer) -> Result<(), CliError> {
    let local = target.local("a locked instance is opened")?;
    match state(local)? {
        LockState::Unlocked => open_already(printer),
        LockState::Locked => unlock(args, local, printer),
        LockState::Opening => {
            printer.say("the keeper still tries the keyslots that open by themselves; it takes this one after them");
            match unlock(args, local, printer) {
                // One of them has opened it meanwhile.
                Err(_) if state(local)? == LockState::Unlocked => open_already(printer),
                outcome => outcome,
            }
        }
    }
}

fn state(local: &Local) -> Result<LockState, CliError> {
    match Admin::connect(local)?.ask(&Request::Status)? {
        Response::Status(status) => Ok(status.state),
        _ => Err(unexpected()),
    }
}

fn open_already(printer: &mut Printer) -> Result<(), CliError> {
    printer.say("the instance is open already");
    if printer.is_json() { printer.json(&json!({ "locked": false })) } else { Ok(()) }
}

fn unlock(args: &UnlockArgs, local: &Local, printer: &mut Printer) -> Result<(), CliError> {
    if let Some(name) = &args.accept_rollback {
        let mut admin = Admin::connect(local)?;
        match admin.ask_machine(&Request::AcceptRollback(name), || machine::waiting(printer))? {
            // No slot opens by itself, so somebody types.
            Response::Done => {}
            answer => return opened(&keyslot::answer_of(answer)?, printer),
        }
    }
    let with = match named(args) {
        Some(with) => with,
        None => fitting(&keyslot::slots(local)?)?,
    };
    let answer = match with {
        With::Machine => ask(UnlockWith::Machine, local, printer)?,
        With::Pin => {
            let pin = given(args.pin_file.as_deref(), "PIN", "PIN: ", false, "--pin-file", printer)?;
            ask(UnlockWith::Pin { pin: pin.as_slice(), force: args.force }, local, printer)?
        }
        With::Passphrase => {
            let file = args.passphrase_file.as_deref();
            let passphrase = given(file, "passphrase", "Passphrase: ", false, "--passphrase-file", printer)?;
            ask(UnlockWith::Passphrase(passphrase.as_slice()), local, printer)?
        }
        With::Recovery => {
            let file = args.recovery_file.as_deref();
            let key = given(file, "recovery key", "Recovery key: ", true, "--recovery-file", printer)?;
            ask(UnlockWith::Recovery(key.as_slice().trim_ascii()), local, printer)?
        }
    };
    opened(&answer, printer)
}

fn opened(answer: &Answer, printer: &mut Printer) -> Result<(), CliError> {
    if printer.is_json() {
        printer.json(&json!({ "locked": false, "keyslot": answer.id }))?;
        printer.flush()?;
    } else {
        printer.say(&format!("unlocked by keyslot {}", answer.id));
    }
    answer.notes.iter().for_each(|note| printer.note(note));
    Ok(())
}

fn ask(with: UnlockWith<'_>, local: &Local, printer: &Printer) -> Result<Answer, CliError> {
    let pin = matches!(with, UnlockWith::Pin { .. });
    machine::ask(&Request::Unlock(with), local, printer).map_err(|error| match only_tpm_slot(pin, local) {
        Some(id) => error.of_slot(id),
        None => error,
    })
}

/// The slot that a message about a TPM is about, if there is but one that it can be about.
fn only_tpm_slot(pin: bool, local: &Local) -> Option<u32> {
    let slots = keyslot::slots(local).ok()?;
    let mut tried = slots.iter().filter(|slot| slot.kind == "tpm2" && slot.pin == pin);
    let only = tried.next()?;
    tried.next().is_none().then_some(only.id)
}

/// From the file, or from somebody who is asked.
fn given(
    file: Option<&Path>,
    what: &str,
    prompt: &str,
    echo: bool,
    flag: &str,
    printer: &mut Printer,
) -> Result<merlon_sandbox::secret::SecretBuf, CliError> {
    match file {
        Some(file) => secret::from_file(file, what, printer),
        None => secret::ask(prompt, echo, &format!("merlon unlock {flag} FILE"), printer),
    }
}

/// What the command line says.
fn named(args: &UnlockArgs) -> Option<With> {
    let choices = [
        (args.machine, With::Machine),
        (args.pin || args.pin_file.is_some() || args.force, With::Pin),
        (args.passphrase || args.passphrase_file.is_some(), With::Passphrase),
        (args.recovery || args.recovery_file.is_some(), With::Recovery),
    ];
    choices.into_iter().find_map(|(chosen, with)| chosen.then_some(with))
}

/// What is asked for where nothing is said: a PIN, else a passphrase, else the recovery key, by what the instance has.
fn fitting(slots: &[Keyslot]) -> Result<With, CliError> {
    let has = |kind: &str| slots.iter().any(|slot| slot.kind == kind);
    let choices = [
        (slots.iter().any(|slot| slot.pin), With::Pin),
        (has("passphrase"), With::Passphrase),
        (has("recovery"), With::Recovery),
    ];
    choices.into_iter().find_map(|(there, with)| there.then_some(with)).ok_or_else(|| {
        CliError::new(Exit::NothingFound, "the instance has no keyslot that a person could open")
            .because("all of its keyslots open by themselves, or not at all; the instance's log says why they did not")
            .hint("merlon unlock --machine tries them again; merlon doctor")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(kinds: &[(&str, bool)]) -> Vec<Keyslot> {
        let slot = |&(kind, pin): &(&str, bool)| Keyslot {
            id: 1,
            kind: kind.to_owned(),
            created_us: 0,
            confirmed: true,
            in_use: false,
            pin,
            detail: String::new(),
        };
        kinds.iter().map(slot).collect()
    }

    #[test]
    fn what_is_asked_for_is_what_the_instance_has() {
        for (kinds, with) in [
            (&[("tpm2", true), ("passphrase", false), ("recovery", false)][..], With::Pin),
            (&[("pkcs11", true), ("recovery", false)], With::Pin),
            (&[("tpm2", false), ("passphrase", false), ("recovery", false)], With::Passphrase),
            (&[("tpm2", false), ("recovery", false)], With::Recovery),
        ] {
            assert_eq!(fitting(&slots(kinds)).unwrap(), with, "{kinds:?}");
        }
        let nothing = fitting(&slots(&[("tpm2", false), ("file", false)])).unwrap_err();
        assert_eq!(nothing.exit, Exit::NothingFound);
        assert!(nothing.hint.unwrap().contains("merlon unlock --machine"));
    }
}
