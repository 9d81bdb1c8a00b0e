//! The one place where requests become entries of the audit log: after each was handled, and before it is answered.
//!
//! What counts is what was answered. A peer that learns of a change learns of it after its entry is on disk; a crash
//! in between leaves a change without an entry whose answer nobody has seen.

use std::net::SocketAddr;

use merlon_wire::admin::{NewKeyslot, Request as AdminRequest, Response as AdminResponse, UnlockWith};
use merlon_wire::identity::{Owner, Session, SessionState};
use merlon_wire::keeper::{Request as LinkRequest, Response as LinkResponse};
use merlon_wire::{Frame, decode};

use crate::audit::Event;
use crate::keeper::{Keeper, Open};

/// Records what the engine asked for and got.
pub(super) fn of_link(keeper: &Keeper, request: &LinkRequest<'_>, answer: &[u8]) {
    let counted = matches!(request, LinkRequest::IssueLeaf { .. } | LinkRequest::IssueApiLeaf { .. });
    let recorded = matches!(
        request,
        LinkRequest::CreateProject { .. }
            | LinkRequest::ProjectKey { .. }
            | LinkRequest::DeleteProject { .. }
            | LinkRequest::Override { .. }
            | LinkRequest::StoreRegistration(_)
            | LinkRequest::Claim { .. }
            | LinkRequest::ResetIdentity
            | LinkRequest::BeginSession(_)
            | LinkRequest::EndSession(_)
            | LinkRequest::RotateSigningKeys
    );
    // Most requests are neither, and their answers need not be read.
    if !counted && !recorded {
        return;
    }
    let Ok(Frame { body: answer, .. }) = decode::<Frame<LinkResponse<'_>>>(answer) else { return };
    let open = keeper.open();
    let event = match (request, answer) {
        (_, LinkResponse::Leaf(_)) => return open.iter().for_each(|open| keeper.audit.leaf(open)),
        (LinkRequest::CreateProject { .. }, LinkResponse::Project(project)) => {
            Event::ProjectCreated { id: project.id, name: project.name }
        }
        (LinkRequest::ProjectKey { id }, LinkResponse::ProjectKey(_)) => Event::ProjectKey { id: *id },
        (LinkRequest::DeleteProject { id }, LinkResponse::Done) => Event::ProjectDeleted { id: *id },
        (LinkRequest::Override { address }, LinkResponse::Done) => match address.parse::<SocketAddr>() {
            Ok(address) => Event::BindOverride { address: address.to_string() },
            // Of no engine of this build; what it says is not written.
            Err(_) => Event::BindOverride { address: "unknown".to_owned() },
        },
        (request, answer) => match identity_event(request, answer) {
            Some(event) => event,
            None => return,
        },
    };
    keeper.audit.record_of_engine(open.as_deref(), event);
    // An old copy of the files would make the instance anybody's again who has its old code.
    if let (LinkRequest::Claim { .. }, Some(open)) = (request, open) {
        keeper.count_change(&open);
    }
}

/// The event of a request about the instance's identity or a hub's keys.
fn identity_event(request: &LinkRequest<'_>, answer: LinkResponse<'_>) -> Option<Event> {
    Some(match (request, answer) {
        (LinkRequest::StoreRegistration(registration), LinkResponse::Done) => {
            let client = &registration.client;
            Event::Registered { issuer: client.issuer.clone(), client: client.client_id.clone() }
        }
        (LinkRequest::Claim { owner, .. }, LinkResponse::Done) => {
            let Owner { issuer, subject, name } = owner.clone();
            Event::Claimed { issuer, subject, name }
        }
        (LinkRequest::ResetIdentity, LinkResponse::Done) => Event::IdentityReset {},
        (LinkRequest::BeginSession(_), LinkResponse::Session(session)) => {
            let Session { id, subject, name, label, role, .. } = session;
            Event::SessionBegun { id, subject, name, label, role }
        }
        (LinkRequest::EndSession(_), LinkResponse::SessionState(SessionState::Live(session))) => {
            let Session { id, subject, name, .. } = session;
            Event::SessionEnded { id, subject, name }
        }
        (LinkRequest::RotateSigningKeys, LinkResponse::SigningKeys(_)) => Event::SigningKeysRotated {},
        _ => return None,
    })
}

/// Records what the owner asked for and got, and moves the rollback counter with each change of slots, tokens and
/// users.
pub(super) fn of_admin(keeper: &Keeper, request: &AdminRequest<'_>, answer: &[u8]) {
    let Ok(Frame { body: answer, .. }) = decode::<Frame<AdminResponse<'_>>>(answer) else { return };
    let open = keeper.open();
    let open = open.as_deref();
    let (events, counts) = admin_events(open, request, &answer);
    if !events.is_empty() {
        keeper.audit.record(open, events);
    }
    if let Some(open) = open.filter(|_| counts) {
        keeper.count_change(open);
    }
}

/// The events of a request, and whether an old copy of the files would undo what it changed.
fn admin_events(open: Option<&Open>, request: &AdminRequest<'_>, answer: &AdminResponse<'_>) -> (Vec<Event>, bool) {
    let refused = matches!(answer, AdminResponse::Refused(_));
    let slot = match answer {
        AdminResponse::Keyslot(id)
        | AdminResponse::RecoveryKey { id, .. }
        | AdminResponse::KeyslotWithNotes { id, .. } => Some(*id),
        _ => None,
    };
    // The slot that has just opened the instance.
    let opened = || slot.and_then(|_| open.map(Open::unlocked));
    let change = match (request, slot) {
        (AdminRequest::Unlock(with), None) => {
            let failed = refused && open.is_none();
            return (failed.then(|| Event::UnlockFailed { kind: tried(with) }).into_iter().collect(), false);
        }
        (AdminRequest::Unlock(_), Some(_)) => return (opened().into_iter().collect(), false),
        (AdminRequest::AcceptRollback(name), _) => {
            let file = accepted(name).filter(|_| accepted_by(answer));
            let accepted = file.map(|file| Event::RollbackAccepted { file });
            return (accepted.into_iter().chain(opened()).collect(), false);
        }
        (AdminRequest::CounterReset, _) if !refused => {
            return ([Event::CounterReset {}].into_iter().chain(opened()).collect(), false);
        }
        (AdminRequest::Authorize { id, .. }, _) if !refused => {
            return (vec![Event::PolicyAuthorized { slot: *id }], false);
        }
        (AdminRequest::AddKeyslot(new), Some(slot)) => Event::KeyslotAdded { slot, kind: kind(new) },
        (AdminRequest::ConfirmRecovery(_), Some(slot)) => Event::KeyslotConfirmed { slot },
        (AdminRequest::RemoveKeyslot(_), Some(slot)) => Event::KeyslotRemoved { slot },
        (AdminRequest::Reseal { next_boot_once, .. }, Some(slot)) => {
            Event::KeyslotResealed { slot, next_boot_once: *next_boot_once }
        }
        (AdminRequest::Rotate(_), Some(recovery_slot)) => Event::KeysRotated { recovery_slot },
        (AdminRequest::SealBackup { .. }, _) if !refused => return (vec![Event::BackupMade {}], false),
        (AdminRequest::CreateToken { role, label }, _) => match answer {
            AdminResponse::Token { id, .. } => {
                Event::TokenCreated { id: (*id).to_owned(), role: (*role).to_owned(), label: (*label).to_owned() }
            }
            _ => return (Vec::new(), false),
        },
        (AdminRequest::RevokeToken(id), _) if !refused => Event::TokenRevoked { id: (*id).to_owned() },
        (AdminRequest::CreateProxyUser(name), _) if !refused => Event::ProxyUserAdded { name: (*name).to_owned() },
        (AdminRequest::RemoveProxyUser(name), _) if !refused => Event::ProxyUserRemoved { name: (*name).to_owned() },
        _ => return (Vec::new(), false),
    };
    (vec![change], true)
}

/// Accepted, whatever else was found: another old file is refused by its own name.
fn accepted_by(answer: &AdminResponse<'_>) -> bool {
    use merlon_wire::admin::AdminRefusal::{AlreadyUnlocked, NothingToAccept};
    !matches!(answer, AdminResponse::Refused(AlreadyUnlocked | NothingToAccept(_)))
}

fn accepted(name: &str) -> Option<&'static str> {
    ["secrets.db", "keyslots", "counter"].into_iter().find(|known| *known == name)
}

fn tried(with: &UnlockWith<'_>) -> &'static str {
    match with {
        UnlockWith::Passphrase(_) => "passphrase",
        UnlockWith::Recovery(_) => "recovery",
        UnlockWith::Pin { .. } => "pin",
        UnlockWith::Machine => "machine",
    }
}

fn kind(new: &NewKeyslot<'_>) -> &'static str {
    match new {
        NewKeyslot::File => "file",
        NewKeyslot::Passphrase(_) => "passphrase",
        NewKeyslot::Recovery => "recovery",
        NewKeyslot::Tpm2 { .. } => "tpm2",
        NewKeyslot::Pkcs11 { .. } => "pkcs11",
        NewKeyslot::Credential => "credential",
    }
}
