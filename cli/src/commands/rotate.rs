//! `merlon keyslot rotate`: the keeper replaces the master key and all slots, then the engine gives each project its new
//! key. Run again, it goes on where it stood.

use merlon_wire::admin::{Keyslot, Request, Response, RotationPlan};
use serde_json::json;
use tokio::runtime;

use super::keyslot::slots;
use super::recovery;
use crate::admin::{Admin, unexpected};
use crate::args::RotateArgs;
use crate::client::{Client, Credentials};
use crate::error::CliError;
use crate::output::Printer;
use crate::secret;
use crate::target::{Local, Target};

const AGAIN: &str = "merlon keyslot rotate";

pub(super) fn run(args: &RotateArgs, local: &Local, target: &Target, printer: &mut Printer) -> Result<(), CliError> {
    let passphrase =
        args.passphrase_file.as_ref().map(|file| secret::from_file(file, "passphrase", printer)).transpose()?;
    let passphrase = passphrase.as_ref().map_or(&[][..], |typed| typed.as_slice());
    let plan = match Admin::connect(local)?.ask(&Request::PlanRotation(passphrase))? {
        Response::RotationPlan(plan) => plan,
        _ => return Err(unexpected()),
    };
    let mut added = None;
    if plan.waiting > 0 {
        printer.say(&format!("going on: {} projects wait for their new key", plan.waiting));
    } else {
        tell(&plan, &slots(local)?, printer)?;
        let mut admin = Admin::connect(local)?;
        let Response::RecoveryKey { id, key } = admin.ask(&Request::Rotate(passphrase))? else {
            return Err(unexpected());
        };
        recovery::show(id, key, printer)?;
        printer.flush()?;
        added = Some(id);
    }
    // The projects first: until they have their new keys, the old ones open them.
    let done = if local.is_hub() {
        printer
            .say(&format!("the hub's database gets its new key when the hub starts again: {}", local.start_command()));
        Ok(())
    } else {
        projects(target, printer)
    };
    if let Some(id) = added {
        let confirmed = recovery::confirm_new(local, id, args.confirm_file.as_deref(), printer);
        done.and(confirmed)
    } else {
        done
    }
}

/// What will happen, before it does.
fn tell(plan: &RotationPlan, slots: &[Keyslot], printer: &mut Printer) -> Result<(), CliError> {
    let named = |ids: &[u32], recovery: bool| {
        let chosen = slots.iter().filter(|slot| ids.contains(&slot.id) && (slot.kind == "recovery") == recovery);
        chosen.map(|slot| format!("{} ({})", slot.id, slot.kind)).collect::<Vec<_>>().join(", ")
    };
    printer.say("A new master key and a new key for each project are made; the old keys open nothing afterwards.");
    printer.say(&format!("keyslots made again: {}", named(&plan.kept, false)));
    let recovery = named(&plan.dropped, true);
    if !recovery.is_empty() {
        printer.say(&format!("replaced by a new recovery key: {recovery}"));
    }
    let gone = named(&plan.dropped, false);
    if !gone.is_empty() {
        printer.warn(&format!("these keyslots go, because they cannot be made again without what opens them: {gone}"));
        if secret::can_ask() {
            let instead = "merlon keyslot rotate --passphrase-file FILE";
            let typed = secret::ask("Type `rotate` to go on without them: ", true, instead, printer)?;
            if typed.as_slice().trim_ascii() != b"rotate" {
                return Err(CliError::failed("nothing was changed").because("it was not confirmed").hint(instead));
            }
        }
    }
    Ok(())
}

/// Has the engine do its part, however long it takes.
fn projects(target: &Target, printer: &mut Printer) -> Result<(), CliError> {
    let mut client = Client::new(target.clone(), Credentials::Nobody);
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::failed("the program cannot start").because(e))?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = advance(&mut client, printer) => done,
            _ = tokio::signal::ctrl_c() => Err(CliError::interrupted()),
        }
    });
    match done {
        Ok((rekeyed, None)) => {
            if printer.is_json() {
                return printer.json(&json!({ "projects": rekeyed, "waiting": 0 }));
            }
            printer.say("all projects have their new keys");
            Ok(())
        }
        Ok((_, Some(problem))) => {
            Err(CliError::failed("not every project has its new key yet").because(problem).hint(AGAIN))
        }
        Err(error) if error.is_silent() || error.hint.is_some() => Err(error),
        Err(error) => Err(error.hint(AGAIN)),
    }
}

/// How many projects got their key, and why some did not.
async fn advance(client: &mut Client, printer: &mut Printer) -> Result<(u32, Option<String>), CliError> {
    let mut rekeyed = 0;
    loop {
        let state = client.advance_rotation().await?;
        rekeyed += state.rekeyed;
        let why = format!("{} projects wait for their new key", state.waiting);
        if !state.under_way {
            return Ok((rekeyed, state.problem.or((state.waiting > 0).then_some(why))));
        }
        printer.say(&why);
    }
}
