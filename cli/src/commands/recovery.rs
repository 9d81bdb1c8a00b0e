//! Recovery keys: printed once, and typed back, which proves that somebody kept them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use merlon_sandbox::secret::SecretBuf;
use merlon_wire::admin::{AdminRefusal, NewKeyslot, Request, Response};
use serde_json::json;

use super::keyslot::answer_of;
use crate::admin::{Admin, unexpected};
use crate::error::CliError;
use crate::output::Printer;
use crate::secret;
use crate::target::Local;

const CONFIRM: &str = "merlon keyslot confirm --recovery-file FILE";
/// How often a key may be mistyped.
const TRIES: u32 = 3;
/// How long a confirmation file is waited for, and how often it is looked at.
const FILE_LIMIT: Duration = Duration::from_secs(120);
const FILE_STEP: Duration = Duration::from_millis(100);

pub(super) fn add(local: &Local, confirm_file: Option<&Path>, printer: &mut Printer) -> Result<(), CliError> {
    let added = {
        let mut admin = Admin::connect(local)?;
        let Response::RecoveryKey { id, key } = admin.ask(&Request::AddKeyslot(NewKeyslot::Recovery))? else {
            return Err(unexpected());
        };
        if printer.is_json() {
            printer.secret_json(&json!({ "id": id, "kind": "recovery" }), "key", key)?;
        } else {
            printer.say("This key opens the instance when nothing else does. It is shown this once; keep it away from this host.");
            printer.secret_line(key)?;
        }
        id
    };
    let confirmed = match confirm_file {
        Some(file) => {
            wait_for(file).and_then(|()| from_file(local, file, printer)).map_err(|e| unconfirmed(added, e))?
        }
        None if secret::can_ask() => typed(local, printer).map_err(|e| unconfirmed(added, e))?,
        None => {
            printer.warn(&format!(
                "recovery unconfirmed: keyslot {added} counts once its key was typed back; to do so: {CONFIRM}"
            ));
            return Ok(());
        }
    };
    if confirmed != added {
        let other = CliError::failed("another recovery key was given back than the new one")
            .because(format!("it opens keyslot {confirmed}"));
        return Err(unconfirmed(added, other));
    }
    done(confirmed, printer)
}

pub(super) fn confirm(local: &Local, file: Option<&Path>, printer: &mut Printer) -> Result<(), CliError> {
    let id = match file {
        Some(file) => from_file(local, file, printer)?,
        None => {
            drop(Admin::connect(local)?);
            typed(local, printer)?
        }
    };
    done(id, printer)
}

fn done(id: u32, printer: &mut Printer) -> Result<(), CliError> {
    if printer.is_json() {
        return printer.json(&json!({ "id": id, "confirmed": true }));
    }
    printer.say(&format!("keyslot {id}: confirmed"));
    Ok(())
}

fn unconfirmed(id: u32, error: CliError) -> CliError {
    if error.is_silent() {
        return CliError {
            what: format!("recovery unconfirmed: keyslot {id} counts once its key was typed back"),
            ..error
        }
        .hint(CONFIRM);
    }
    let why = [error.what.clone(), error.why.clone().unwrap_or_default()].join("\n");
    CliError { what: format!("recovery unconfirmed: keyslot {id} was added, and its key not given back"), ..error }
        .because(why.trim_end())
        .hint(CONFIRM)
}

fn from_file(local: &Local, file: &Path, printer: &Printer) -> Result<u32, CliError> {
    let key = secret::from_file(file, "recovery key", printer)?;
    give_back(local, &key)
}

fn typed(local: &Local, printer: &mut Printer) -> Result<u32, CliError> {
    let mut tries = 1;
    loop {
        let key = secret::ask("Type the recovery key back: ", true, CONFIRM, printer)?;
        match give_back(local, &key) {
            Err(error) if tries < TRIES && error.exit == crate::error::Exit::Failed => printer.warn(&error.what),
            other => return other,
        }
        tries += 1;
    }
}

fn give_back(local: &Local, key: &SecretBuf) -> Result<u32, CliError> {
    let key = key.as_slice().trim_ascii();
    if key.is_empty() {
        return Err(AdminRefusal::RecoveryTypo.into());
    }
    answer_of(Admin::connect(local)?.ask(&Request::ConfirmRecovery(key))?).map(|answer| answer.id)
}

/// Waits until the file is there, holds something, and grows no more. A named pipe is waited for by opening it.
fn wait_for(file: &Path) -> Result<(), CliError> {
    let end = Instant::now() + FILE_LIMIT;
    let mut before = None;
    loop {
        let len = match fs::metadata(file) {
            Ok(metadata) if !metadata.is_file() => return Ok(()),
            Ok(metadata) => Some(metadata.len()),
            Err(_) => None,
        };
        if len.is_some_and(|len| len > 0) && len == before {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(CliError::failed(format!("no key came in {}", file.display()))
                .because(format!("it was waited for {} s", FILE_LIMIT.as_secs())));
        }
        before = len;
        std::thread::sleep(FILE_STEP);
    }
}
