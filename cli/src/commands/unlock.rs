//! `merlon unlock`: opens a locked instance, by the keeper's admin socket.

use merlon_wire::admin::{Request, Response, UnlockWith};
use merlon_wire::keeper::{LockState, Status};
use serde_json::json;

use super::keyslot::slot_of;
use crate::admin::{Admin, unexpected};
use crate::args::UnlockArgs;
use crate::error::CliError;
use crate::output::Printer;
use crate::secret;
use crate::target::Target;

pub(super) fn run(args: &UnlockArgs, target: &Target, printer: &mut Printer) -> Result<(), CliError> {
    let local = target.local("a locked instance is opened")?;
    let status = match Admin::connect(local)?.ask(&Request::Status)? {
        Response::Status(status) => status,
        _ => return Err(unexpected()),
    };
    if status.state == LockState::Unlocked {
        printer.say("the instance is open already");
        return if printer.is_json() { printer.json(&json!({ "locked": false })) } else { Ok(()) };
    }
    if let Some(name) = &args.accept_rollback {
        match Admin::connect(local)?.ask(&Request::AcceptRollback(name))? {
            Response::Keyslot(id) => return opened(id, printer),
            // No slot opens by itself, so somebody types.
            Response::Done => {}
            _ => return Err(unexpected()),
        }
    }
    let recovery =
        args.recovery || args.recovery_file.is_some() || (args.passphrase_file.is_none() && only_recovery(&status));
    let (file, what, flag, echo) = if recovery {
        (&args.recovery_file, "recovery key", "--recovery-file", true)
    } else {
        (&args.passphrase_file, "passphrase", "--passphrase-file", false)
    };
    let typed = match file {
        Some(file) => secret::from_file(file, what, printer)?,
        None => {
            let prompt = if recovery { "Recovery key: " } else { "Passphrase: " };
            secret::ask(prompt, echo, &format!("merlon unlock {flag} FILE"), printer)?
        }
    };
    let with = if recovery {
        UnlockWith::Recovery(typed.as_slice().trim_ascii())
    } else {
        UnlockWith::Passphrase(typed.as_slice())
    };
    let id = slot_of(Admin::connect(local)?.ask(&Request::Unlock(with))?)?;
    opened(id, printer)
}

fn opened(id: u32, printer: &mut Printer) -> Result<(), CliError> {
    if printer.is_json() {
        return printer.json(&json!({ "locked": false, "keyslot": id }));
    }
    printer.say(&format!("unlocked by keyslot {id}"));
    Ok(())
}

fn only_recovery(status: &Status) -> bool {
    let has = |kind: &str| status.slots.iter().any(|slot| slot == kind);
    has("recovery") && !has("passphrase")
}
