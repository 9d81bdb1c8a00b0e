//! What the owner may ask about evidence: the audit log, and what to do about an old copy of the keeper's files.

use merlon_wire::admin::{AdminRefusal, Request, Response};
use merlon_wire::keeper::Refusal;

use super::admin::{Answered, Failure, misrouted, refuse, shortened, slots_refused};
use super::reply::Reply;
use crate::audit::AuditError;
use crate::keeper::{Keeper, KeeperError, Open};
use crate::log;
use crate::slots::Refused;

pub(super) fn audit_list(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::AuditList { before, limit } = request else { return misrouted(request) };
    match keeper.audit.list(open, *before, *limit) {
        Ok(entries) => reply.admin(&Response::AuditEntries(entries)),
        Err(error) => unreadable(&error, reply),
    }
}

pub(super) fn audit_verify(keeper: &Keeper, open: &Open, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    match keeper.audit.verify(open) {
        Ok(verdict) => reply.admin(&Response::AuditVerdict(verdict)),
        Err(error) => unreadable(&error, reply),
    }
}

pub(super) fn accept_rollback(keeper: &Keeper, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::AcceptRollback(name) = request else { return misrouted(request) };
    if keeper.open().is_some() {
        return refuse(AdminRefusal::AlreadyUnlocked, reply);
    }
    match keeper.generation.accept(name) {
        Some(_) => try_again(keeper, reply),
        None => refuse(AdminRefusal::NothingToAccept(shortened(name)), reply),
    }
}

pub(super) fn counter_reset(keeper: &Keeper, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    if !keeper.generation.is_on() {
        return refuse(AdminRefusal::CounterOff, reply);
    }
    let Some(open) = keeper.open() else {
        keeper.generation.reset_at_next_opening();
        return try_again(keeper, reply);
    };
    match keeper.renew_counter(&open) {
        Ok(()) => reply.admin(&Response::Done),
        Err(why) => refuse(AdminRefusal::NoSeal(why), reply),
    }
}

/// Something was accepted: the machine's slots may open the instance now. If none does, a person will.
fn try_again(keeper: &Keeper, reply: &mut Reply<'_>) -> Answered {
    let opened = keeper.unlock(|slots| slots.open_by_machine(keeper.means()).map_err(Failure::Slots));
    match opened {
        Ok(Some(id)) => reply.admin(&Response::Keyslot(id)),
        Ok(None) | Err(Failure::Slots(Refused::NoMachineSlot | Refused::NoneOpens(_))) => reply.admin(&Response::Done),
        Err(Failure::Slots(error)) => slots_refused(error, None, reply),
        // Another file is old too; it wants its own word.
        Err(Failure::Keeper(KeeperError::Rollback(found))) => refuse(AdminRefusal::Rollback(found), reply),
        Err(Failure::Keeper(error)) => {
            log::error(format_args!("{error}"));
            reply.refuse(Refusal::Storage(error.to_string()))
        }
    }
}

fn unreadable(error: &AuditError, reply: &mut Reply<'_>) -> Answered {
    log::error(format_args!("the audit log cannot be read: {error}"));
    reply.refuse(Refusal::Storage(error.to_string()))
}
