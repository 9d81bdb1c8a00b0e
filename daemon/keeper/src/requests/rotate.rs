//! Replacing all keys, as it is asked for on the admin socket.

use merlon_wire::admin::{AdminRefusal, Request, Response, RotationPlan};
use merlon_wire::keeper::Refusal;

use super::Violation;
use super::admin::{misrouted, refuse, slots_refused, storage, text};
use super::reply::Reply;
use crate::keeper::{Keeper, Open};
use crate::rotation::{self, RotateError};
use crate::slots::Refused;

type Answered = Result<(), Violation>;

pub(super) fn plan(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::PlanRotation(passphrase) = request else { return misrouted(request) };
    match rotation::plan(keeper, open, passphrase) {
        Ok((waiting, plan)) => {
            reply.admin(&Response::RotationPlan(RotationPlan { waiting, kept: plan.kept, dropped: plan.dropped }))
        }
        Err(error) => refused(error, reply),
    }
}

pub(super) fn rotate(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::Rotate(passphrase) = request else { return misrouted(request) };
    match rotation::rotate(keeper, open, passphrase) {
        Ok((id, key)) => reply.admin(&Response::RecoveryKey { id, key: text(&key) }),
        Err(error) => refused(error, reply),
    }
}

fn refused(error: RotateError, reply: &mut Reply<'_>) -> Answered {
    match error {
        RotateError::UnderWay(waiting) => refuse(AdminRefusal::RotationUnderWay(waiting), reply),
        RotateError::Slots(Refused::LastSlot) => refuse(AdminRefusal::RotationNeedsPassphrase, reply),
        RotateError::Slots(error) => slots_refused(error, Some("passphrase"), reply),
        RotateError::Secrets(error) => storage(&error, reply),
        RotateError::Broken(error) => reply.refuse(Refusal::Storage(error.to_string())),
    }
}
