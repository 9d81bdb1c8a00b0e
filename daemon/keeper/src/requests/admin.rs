//! What `merlon` may ask on the admin socket: unlocking, keyslots, access tokens, proxy users.

use merlon_sandbox::secret::{Secret, SecretBuf};
use merlon_wire::admin::{AdminRefusal, Keyslot, MAX_LABEL, NewKeyslot, Request, Response, UnlockWith};
use merlon_wire::keeper::Refusal;

use super::Violation;
use super::reply::Reply;
use super::sealed;
use crate::crypto::CryptoError;
use crate::door::DoorError;
use crate::keeper::{Keeper, KeeperError, Open};
use crate::log;
use crate::secrets_db::{MAX_PROXY_USERS, MAX_TOKENS, SecretsError};
use crate::slots::{Kind, Material, Refused, Slot, SlotError, Way, passphrase, recovery};

pub(super) type Answered = Result<(), Violation>;

const ROLES: [&str; 3] = ["viewer", "operator", "owner"];

/// The name of a request in the table.
pub(super) fn name(request: &Request<'_>) -> &'static str {
    match request {
        Request::Status => "Status",
        Request::ListKeyslots => "ListKeyslots",
        Request::Unlock(_) => "Unlock",
        Request::AddKeyslot(_) => "AddKeyslot",
        Request::ConfirmRecovery(_) => "ConfirmRecovery",
        Request::RemoveKeyslot(_) => "RemoveKeyslot",
        Request::TestKeyslot { .. } => "TestKeyslot",
        Request::Reseal { .. } => "Reseal",
        Request::Policy(_) => "Policy",
        Request::Authorize { .. } => "Authorize",
        Request::KeyReport => "KeyReport",
        Request::PlanRotation(_) => "PlanRotation",
        Request::Rotate(_) => "Rotate",
        Request::CreateToken { .. } => "CreateToken",
        Request::ListTokens => "ListTokens",
        Request::RevokeToken(_) => "RevokeToken",
        Request::CreateProxyUser(_) => "CreateProxyUser",
        Request::ListProxyUsers => "ListProxyUsers",
        Request::RemoveProxyUser(_) => "RemoveProxyUser",
        Request::Backup { .. } => "Backup",
        Request::SealBackup { .. } => "SealBackup",
        Request::AuditList { .. } => "AuditList",
        Request::AuditVerify => "AuditVerify",
        Request::AcceptRollback(_) => "AcceptRollback",
        Request::CounterReset => "CounterReset",
        Request::ClaimCode => "ClaimCode",
    }
}

pub(super) fn status(keeper: &Keeper, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    reply.admin(&Response::Status(keeper.status()))
}

pub(super) fn list_keyslots(keeper: &Keeper, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let in_use = keeper.open().map(|open| open.slot);
    let list = keeper.slots().slots().into_iter().map(|slot| describe(slot, in_use)).collect();
    reply.admin(&Response::Keyslots(list))
}

pub(super) fn unlock(keeper: &Keeper, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::Unlock(with) = request else { return misrouted(request) };
    let means = keeper.means();
    let unlocked = keeper.unlock(|slots| {
        let opened = match *with {
            UnlockWith::Passphrase(typed) => slots.open_by_person(Kind::Passphrase, means, typed),
            UnlockWith::Recovery(typed) => slots.open_by_person(Kind::Recovery, means, typed),
            UnlockWith::Pin { pin, force } => slots.open_by_pin(means, pin, force),
            UnlockWith::Machine => slots.open_by_machine(means),
        };
        opened.map_err(Failure::Slots)
    });
    let typed = match with {
        UnlockWith::Passphrase(_) => Some("passphrase"),
        UnlockWith::Recovery(_) => Some("recovery key"),
        UnlockWith::Pin { .. } => Some("PIN"),
        UnlockWith::Machine => None,
    };
    match unlocked {
        Ok(Some(id)) => reply.admin(&Response::Keyslot(id)),
        Ok(None) => refuse(AdminRefusal::AlreadyUnlocked, reply),
        Err(Failure::Slots(error)) => slots_refused(error, typed, reply),
        Err(Failure::Keeper(KeeperError::Rollback(found))) => refuse(AdminRefusal::Rollback(found), reply),
        Err(Failure::Keeper(error)) => {
            log::error(format_args!("{error}"));
            reply.refuse(Refusal::Storage(error.to_string()))
        }
    }
}

pub(super) enum Failure {
    Slots(Refused),
    Keeper(KeeperError),
}

impl From<KeeperError> for Failure {
    fn from(error: KeeperError) -> Self {
        Self::Keeper(error)
    }
}

pub(super) fn add_keyslot(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::AddKeyslot(new) = request else { return misrouted(request) };
    let added = match new {
        NewKeyslot::File => keeper.slots().add_file(&open.master).map(|id| (id, None)),
        NewKeyslot::Passphrase(typed) if !passphrase::length_permitted(typed) => {
            return refuse(AdminRefusal::PassphraseLength, reply);
        }
        NewKeyslot::Passphrase(typed) => add_passphrase(keeper, open, typed).map(|id| (id, None)),
        NewKeyslot::Tpm2 { pcrs, pin, policy_key } => {
            return sealed::add_tpm2(keeper, open, pcrs.as_deref(), pin, policy_key, reply);
        }
        NewKeyslot::Pkcs11 { uri, pin } => sealed::add_pkcs11(keeper, open, uri, *pin).map(|id| (id, None)),
        NewKeyslot::Credential => sealed::add_credential(keeper, open).map(|id| (id, None)),
        NewKeyslot::Recovery => add_recovery(keeper, open).map(|(id, key)| (id, Some(key))),
    };
    match added {
        Ok((id, None)) => {
            log::info(format_args!("keyslot {id} was added"));
            reply.admin(&Response::Keyslot(id))
        }
        Ok((id, Some(key))) => {
            log::info(format_args!("recovery keyslot {id} was added, unconfirmed"));
            reply.admin(&Response::RecoveryKey { id, key: text(&key) })
        }
        Err(error) => slots_refused(error, None, reply),
    }
}

fn add_passphrase(keeper: &Keeper, open: &Open, typed: &[u8]) -> Result<u32, Refused> {
    let slot = passphrase::PassphraseSlot::new()?;
    // Slow, so before the keyslots are held.
    let material = slot.hash(typed)?;
    keeper.slots().add(&open.master, Way::Passphrase(slot), &material)
}

fn add_recovery(keeper: &Keeper, open: &Open) -> Result<(u32, SecretBuf), Refused> {
    let key = Secret::random().map_err(CryptoError::from)?;
    let printed = recovery::print(&key)?;
    let way = Way::Recovery(recovery::RecoverySlot { confirmed: false });
    let id = keeper.slots().add(&open.master, way, &key)?;
    Ok((id, printed))
}

pub(super) fn confirm_recovery(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::ConfirmRecovery(typed) = request else { return misrouted(request) };
    let confirmed = keeper.slots().confirm(&open.master, keeper.means(), typed);
    match confirmed {
        Ok(id) => {
            log::info(format_args!("recovery keyslot {id} was confirmed"));
            reply.admin(&Response::Keyslot(id))
        }
        Err(error) => slots_refused(error, Some("recovery key"), reply),
    }
}

pub(super) fn remove_keyslot(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::RemoveKeyslot(id) = request else { return misrouted(request) };
    let removed = keeper.slots().remove(&open.master, *id);
    match removed {
        Ok(()) => {
            if let Err(error) = open.db().delete_slot_secret(*id) {
                log::warn(format_args!("what was kept of the PIN of keyslot {id} could not be removed: {error}"));
            }
            log::info(format_args!("keyslot {id} was removed"));
            reply.admin(&Response::Keyslot(*id))
        }
        Err(error) => slots_refused(error, None, reply),
    }
}

pub(super) fn test_keyslot(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::TestKeyslot { id, secret } = request else { return misrouted(request) };
    let slot = match keeper.slots().get(*id) {
        Ok(slot) => slot.clone(),
        Err(error) => return slots_refused(error, None, reply),
    };
    let unwrapped = slot.unwrap(open.master.instance(), Material::typed(keeper.means(), secret));
    let typed = match slot.kind() {
        Kind::Passphrase => Some("passphrase"),
        Kind::Recovery => Some("recovery key"),
        _ => None,
    };
    match unwrapped {
        Ok(key) if key.ct_eq(open.master.key()) => reply.admin(&Response::Keyslot(*id)),
        Ok(_) => slots_refused(SlotError::WrongSecret.into(), typed, reply),
        Err(error) => slots_refused(error.into(), typed, reply),
    }
}

pub(super) fn create_token(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::CreateToken { role, label } = request else { return misrouted(request) };
    if !ROLES.contains(role) {
        return refuse(AdminRefusal::NoSuchRole(shortened(role)), reply);
    }
    if !is_label(label) {
        return refuse(AdminRefusal::BadLabel, reply);
    }
    let created = open.db().create_token(role, label);
    match created {
        Ok(token) => reply.admin(&Response::Token { id: &token.id, token: text(&token.text) }),
        Err(SecretsError::TooMany) => too_many("access tokens", MAX_TOKENS, reply),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn list_tokens(_: &Keeper, open: &Open, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let tokens = open.db().tokens();
    match tokens {
        Ok(tokens) => reply.admin(&Response::Tokens(tokens)),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn revoke_token(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::RevokeToken(id) = request else { return misrouted(request) };
    let revoked = open.db().revoke_token(id);
    removed(id, revoked, reply)
}

pub(super) fn create_proxy_user(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::CreateProxyUser(name) = request else { return misrouted(request) };
    if !is_label(name) {
        return refuse(AdminRefusal::BadLabel, reply);
    }
    let created = open.db().create_proxy_user(name);
    match created {
        Ok(password) => reply.admin(&Response::ProxyPassword(text(&password))),
        Err(SecretsError::Taken) => refuse(AdminRefusal::Taken((*name).to_owned()), reply),
        Err(SecretsError::TooMany) => too_many("proxy users", MAX_PROXY_USERS, reply),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn list_proxy_users(_: &Keeper, open: &Open, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let users = open.db().proxy_users();
    match users {
        Ok(users) => reply.admin(&Response::ProxyUsers(users)),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn remove_proxy_user(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::RemoveProxyUser(name) = request else { return misrouted(request) };
    let done = open.db().remove_proxy_user(name);
    removed(name, done, reply)
}

fn removed(name: &str, done: Result<bool, SecretsError>, reply: &mut Reply<'_>) -> Answered {
    match done {
        Ok(true) => reply.admin(&Response::Done),
        Ok(false) => refuse(AdminRefusal::NotFound(shortened(name)), reply),
        Err(error) => storage(&error, reply),
    }
}

fn describe(slot: &Slot, in_use: Option<u32>) -> Keyslot {
    let Slot { id, created_us, way, .. } = slot;
    Keyslot {
        id: *id,
        kind: slot.kind().name().to_owned(),
        created_us: *created_us,
        confirmed: matches!(way, Way::Recovery(recovery::RecoverySlot { confirmed: true })),
        in_use: in_use == Some(*id),
        pin: match way {
            Way::Tpm2(slot) => slot.pin.is_some(),
            Way::Pkcs11(slot) => slot.typed_pin,
            _ => false,
        },
        detail: way.opens().detail(),
    }
}

/// A refusal of the keyslots in the words of the protocol. `typed`: what a person typed, if somebody did.
pub(super) fn slots_refused(error: Refused, typed: Option<&str>, reply: &mut Reply<'_>) -> Answered {
    let refusal = match (error, typed) {
        (Refused::NoSuchSlot(id), _) => AdminRefusal::NoSuchSlot(id),
        (Refused::NoSlotOfKind(kind), _) => AdminRefusal::NoSlotOfKind(kind.name().to_owned()),
        (Refused::NoMachineSlot, _) => AdminRefusal::NoSlotOfKind("self-opening".to_owned()),
        (Refused::NoPinSlot, _) => AdminRefusal::NoSlotOfKind("PIN-protected".to_owned()),
        (Refused::OtherKind(id, kind), _) => AdminRefusal::OtherKind(id, kind.name().to_owned()),
        (Refused::NoneOpens(each), _) => AdminRefusal::SlotFailed(each),
        (Refused::SlotExists(kind), _) => AdminRefusal::SlotExists(kind.name().to_owned()),
        (Refused::LastSlot, _) => AdminRefusal::LastSlot,
        (Refused::TooMany, _) => AdminRefusal::TooMany("keyslots".to_owned()),
        (Refused::TooManyTpm2, _) => AdminRefusal::TooMany("tpm2 keyslots".to_owned()),
        (Refused::Slot(SlotError::Typo), _) => AdminRefusal::RecoveryTypo,
        (Refused::Slot(SlotError::NoCredential), _) => AdminRefusal::NoCredential,
        (Refused::Slot(SlotError::Door(error)), _) => door_refused(error),
        (Refused::Slot(SlotError::WrongSecret), Some(typed)) => AdminRefusal::WrongSecret(typed.to_owned()),
        (Refused::Slot(error), _) => AdminRefusal::SlotFailed(error.to_string()),
        (Refused::Slots(error), _) => {
            log::error(format_args!("{error}"));
            AdminRefusal::NotWritten(error.to_string())
        }
    };
    refuse(refusal, reply)
}

/// No answer of `merlon-seal`, or not the one wanted.
pub(super) fn door_refused(error: DoorError) -> AdminRefusal {
    match error {
        DoorError::Failed(failure) => AdminRefusal::Seal(failure),
        error => AdminRefusal::NoSeal(error.to_string()),
    }
}

fn too_many(what: &str, most: u32, reply: &mut Reply<'_>) -> Answered {
    refuse(AdminRefusal::TooMany(format!("{what} (at most {most})")), reply)
}

pub(super) fn storage(error: &SecretsError, reply: &mut Reply<'_>) -> Answered {
    log::error(format_args!("{error}"));
    reply.refuse(Refusal::Storage(error.to_string()))
}

pub(super) fn refuse(refusal: AdminRefusal, reply: &mut Reply<'_>) -> Answered {
    reply.admin(&Response::Refused(refusal))
}

fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c == ':') && text.trim() == text
}

/// Enough of what the peer sent to recognise it.
pub(super) fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_LABEL).collect()
}

/// Keys, tokens and passwords are made of ASCII letters.
pub(super) fn text(secret: &SecretBuf) -> &str {
    std::str::from_utf8(secret.as_slice()).expect("the alphabets of printed secrets are ASCII")
}

pub(super) fn claim_code(_: &Keeper, open: &Open, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let code = open.db().claim_code();
    match code {
        Ok(code) => reply.admin(&Response::ClaimCode(code.as_ref().map(text))),
        Err(error) => storage(&error, reply),
    }
}

/// The table led a request to the wrong handler: a fault of this program, and nothing is answered.
pub(super) fn misrouted(request: &Request<'_>) -> Answered {
    Err(Violation::NotPermitted(name(request)))
}
