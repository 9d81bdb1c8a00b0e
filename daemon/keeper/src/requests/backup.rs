//! What `merlon backup` asks: the keeper's part, and at its end the MAC of the manifest.

use merlon_sandbox::secret::Secret;
use merlon_wire::admin::{AdminRefusal, Request, Response};

use super::admin::{Answered, misrouted, refuse, slots_refused, storage};
use super::reply::Reply;
use crate::backup::{self, BackupError};
use crate::keeper::{Keeper, Open};
use crate::log;
use crate::slots::{SlotError, Way, passphrase};

pub(super) fn backup(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::Backup { passphrase: typed } = request else { return misrouted(request) };
    if !typed.is_empty() && !passphrase::length_permitted(typed) {
        return refuse(AdminRefusal::PassphraseLength, reply);
    }
    // A project that waits for its new key may have the old one or the new one at any moment.
    let waiting = open.db().waiting();
    match waiting {
        Ok(0) => {}
        Ok(waiting) => return refuse(AdminRefusal::RotationUnderWay(waiting), reply),
        Err(error) => return storage(&error, reply),
    }
    // Slow, so before the keyslots are held.
    let extra = match (!typed.is_empty()).then(|| slot_for(typed)).transpose() {
        Ok(extra) => extra,
        Err(error) => return slots_refused(error.into(), None, reply),
    };
    let keyslots = keeper.slots().for_backup(&open.master, extra);
    let keyslots = match keyslots {
        Ok(Some(keyslots)) => keyslots,
        Ok(None) => return refuse(AdminRefusal::NoWayIntoBackup, reply),
        Err(error) => return slots_refused(error, None, reply),
    };
    match backup::make(keeper.dir(), open, &keyslots) {
        Ok(made) => {
            log::info(format_args!("a backup is made"));
            reply.attach(made.file.into());
            reply.admin(&Response::Backup {
                instance: open.master.instance().hex(),
                projects: made.projects,
                state: made.state,
                parts: made.parts,
            })
        }
        Err(error) => failed(&error, reply),
    }
}

fn slot_for(typed: &[u8]) -> Result<(Way, Secret<32>), SlotError> {
    let slot = passphrase::PassphraseSlot::new()?;
    let material = slot.hash(typed)?;
    Ok((Way::Passphrase(slot), material))
}

pub(super) fn seal(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::SealBackup { state, manifest } = request else { return misrouted(request) };
    let now = backup::state(open, &open.db());
    let mac = match now {
        Ok(now) if now == *state => backup::manifest_mac(&open.master, manifest).map_err(BackupError::from),
        Ok(_) => return refuse(AdminRefusal::BackupOutdated, reply),
        Err(error) => Err(error),
    };
    match mac {
        Ok(mac) => {
            log::info(format_args!("a backup was authenticated"));
            reply.admin(&Response::BackupMac(mac))
        }
        Err(error) => failed(&error, reply),
    }
}

fn failed(error: &BackupError, reply: &mut Reply<'_>) -> Answered {
    log::error(format_args!("no backup was made: {error}"));
    refuse(AdminRefusal::BackupFailed(error.to_string()), reply)
}
