//! What `merlon` may ask about the slots that `merlon-seal` (or systemd) opens, and about the TPM.
//!
//! All of it may be slow, so nothing here holds the keyslots while `merlon-seal` works.

use merlon_wire::admin::{
    AdminRefusal, KeyReport, MAX_PASSPHRASE, PcrThenNow, Request, Response, Tpm2Slot as SlotReport,
};
use merlon_wire::seal::{self, Failure, PCRS, POLICY_KEY_LEN, Tpm2Report};

use super::admin::{Answered, door_refused, misrouted, refuse, slots_refused, storage};
use super::reply::Reply;
use crate::door::DoorError;
use crate::keeper::{Keeper, Open};
use crate::log;
use crate::slots::approvals::{self, POLICY_LEN};
use crate::slots::credential::{self, CredentialSlot};
use crate::slots::tpm2::{Binding, Stretched, Tpm2Slot};
use crate::slots::{Kind, Refused, SlotError, Way, pkcs11, tpm2};

/// The shortest PIN, in bytes.
const MIN_PIN: usize = 4;

pub(super) fn add_tpm2(
    keeper: &Keeper,
    open: &Open,
    pcrs: Option<&[u8]>,
    pin: &[u8],
    policy_key: &[u8],
    reply: &mut Reply<'_>,
) -> Answered {
    if pcrs.is_some_and(|pcrs| pcrs.iter().any(|pcr| *pcr >= PCRS)) {
        return refuse(AdminRefusal::Pcr, reply);
    }
    if !pin.is_empty() && !(MIN_PIN..=MAX_PASSPHRASE).contains(&pin.len()) {
        return refuse(AdminRefusal::PinLength, reply);
    }
    if !matches!((policy_key.len(), policy_key.first()), (0, _) | (POLICY_KEY_LEN, Some(4))) {
        return refuse(AdminRefusal::PolicyKey, reply);
    }
    let pcrs = pcrs.map(|pcrs| {
        let mut pcrs = pcrs.to_vec();
        pcrs.sort_unstable();
        pcrs.dedup();
        pcrs
    });
    let made = || -> Result<_, Refused> {
        let pin = if pin.is_empty() { None } else { Some(Stretched::new(pin)?) };
        let to = Binding { pcrs, policy_key, once: false };
        let sealed = tpm2::seal(&keeper.means().door, &to, pin.as_ref())?;
        let id = keeper.slots().add(&open.master, Way::Tpm2(Box::new(sealed.slot)), &sealed.material)?;
        Ok((id, pin, sealed.notes))
    };
    let (id, pin, notes) = match made() {
        Ok(made) => made,
        Err(error) => return slots_refused(error, None, reply),
    };
    if let Some(pin) = pin {
        let kept = open.db().put_slot_secret(id, pin.halves());
        if let Err(error) = kept {
            // Without what is kept it could never be sealed anew.
            if let Err(error) = keeper.slots().remove(&open.master, id) {
                log::warn(format_args!("keyslot {id} is there, but what its PIN needs was not kept: {error}"));
            }
            return storage(&error, reply);
        }
    }
    log::info(format_args!("keyslot {id} (tpm2) was added"));
    reply.admin(&with_notes(id, notes))
}

pub(super) fn add_pkcs11(keeper: &Keeper, open: &Open, uri: &str, pin: Option<&[u8]>) -> Result<u32, Refused> {
    let pin = pin.filter(|pin| !pin.is_empty());
    let (slot, material) = pkcs11::wrap(&keeper.means().door, open.master.instance(), uri, pin)?;
    keeper.slots().add(&open.master, Way::Pkcs11(Box::new(slot)), &material)
}

pub(super) fn add_credential(keeper: &Keeper, open: &Open) -> Result<u32, Refused> {
    let material = credential::material(keeper.means())?;
    let mut slots = keeper.slots();
    if slots.slots().iter().any(|slot| slot.kind() == Kind::Credential) {
        return Err(Refused::SlotExists(Kind::Credential));
    }
    slots.add(&open.master, Way::Credential(CredentialSlot), &material)
}

pub(super) fn reseal(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::Reseal { id, next_boot_once } = request else { return misrouted(request) };
    let slot = match tpm2_slot(keeper, *id) {
        Ok(slot) => slot,
        Err(error) => return slots_refused(error, None, reply),
    };
    let done = if *next_boot_once {
        seal_for_next_start(keeper, open, *id, &slot)
    } else {
        seal_anew(keeper, open, *id, &slot)
    };
    match done {
        Ok((id, notes)) => reply.admin(&with_notes(id, notes)),
        Err(error) => slots_refused(error, None, reply),
    }
}

/// A new secret, sealed to the machine as it is now; the PIN and the policy key stay.
fn seal_anew(keeper: &Keeper, open: &Open, id: u32, slot: &Tpm2Slot) -> Result<(u32, Vec<String>), Refused> {
    let pin = match &slot.pin {
        None => None,
        Some(cost) => {
            let kept = open.db().slot_secret(id).map_err(|error| {
                log::error(format_args!("{error}"));
                SlotError::PinNotKept
            })?;
            Some(Stretched::kept(cost.clone(), kept.ok_or(SlotError::PinNotKept)?))
        }
    };
    let to = Binding { pcrs: Some(slot.pcrs()), policy_key: &slot.object.policy_key, once: slot.once };
    let sealed = tpm2::seal(&keeper.means().door, &to, pin.as_ref())?;
    keeper.slots().replace(&open.master, id, Way::Tpm2(Box::new(sealed.slot)), &sealed.material)?;
    log::info(format_args!("keyslot {id} (tpm2) was sealed anew"));
    Ok((id, sealed.notes))
}

/// A second slot, which any state of the machine opens, once.
fn seal_for_next_start(keeper: &Keeper, open: &Open, id: u32, slot: &Tpm2Slot) -> Result<(u32, Vec<String>), Refused> {
    let to = Binding { pcrs: Some(Vec::new()), policy_key: &[], once: true };
    let sealed = tpm2::seal(&keeper.means().door, &to, None)?;
    let once = keeper.slots().add(&open.master, Way::Tpm2(Box::new(sealed.slot)), &sealed.material)?;
    log::info(format_args!("keyslot {once} (tpm2) was made for the next start"));
    let mut notes = sealed.notes;
    notes.push(format!(
        "Keyslot {once} opens the next start of this instance whatever was changed in the firmware, and is removed by \
         it. Then run `merlon keyslot reseal {id}`."
    ));
    if slot.pin.is_some() {
        notes.push("Until then whoever starts this machine opens the instance without the PIN.".to_owned());
    }
    Ok((once, notes))
}

pub(super) fn policy(keeper: &Keeper, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::Policy(id) = request else { return misrouted(request) };
    let slot = match tpm2_slot(keeper, *id) {
        Ok(slot) => slot,
        Err(error) => return slots_refused(error, None, reply),
    };
    match describe(keeper, slot.pcrs()) {
        Ok(report) => {
            let authorized = approvals::has(keeper.dir(), *id, &report.policy);
            reply.admin(&Response::Policy { digest: report.policy, pcrs: slot.pcrs(), authorized })
        }
        Err(error) => refuse(door_refused(error), reply),
    }
}

pub(super) fn authorize(keeper: &Keeper, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::Authorize { id, policy, signature } = request else { return misrouted(request) };
    let slot = match tpm2_slot(keeper, *id) {
        Ok(slot) => slot,
        Err(error) => return slots_refused(error, None, reply),
    };
    if slot.object.policy_key.is_empty() {
        let why = "it was made without a policy key, so no signature opens it";
        return refuse(AdminRefusal::SlotFailed(why.to_owned()), reply);
    }
    let policy = match policy.len() {
        POLICY_LEN => policy.to_vec(),
        0 => match describe(keeper, slot.pcrs()) {
            Ok(report) => report.policy.to_vec(),
            Err(error) => return refuse(door_refused(error), reply),
        },
        _ => return refuse(AdminRefusal::Seal(Failure::BadSignature), reply),
    };
    // The TPM judges it in the end; a mistake is told now.
    if !approvals::is_by(&slot.object.policy_key, &policy, signature) {
        return refuse(AdminRefusal::Seal(Failure::BadSignature), reply);
    }
    // Held, so that two administrators do not write the file at once.
    let slots = keeper.slots();
    let kept = approvals::keep(keeper.dir(), *id, &policy, signature);
    drop(slots);
    match kept {
        Ok(()) => {
            log::info(format_args!("a signed policy was taken for keyslot {id}"));
            reply.admin(&Response::Done)
        }
        Err(error) => refuse(AdminRefusal::NotWritten(format!("{}: {error}", approvals::FILE)), reply),
    }
}

pub(super) fn key_report(keeper: &Keeper, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let (slots, notes) = {
        let set = keeper.slots();
        let slots: Vec<(u32, Tpm2Slot)> =
            set.slots().into_iter().filter_map(|slot| Some((slot.id, tpm2_way(&slot.way)?))).collect();
        (slots, set.notes().to_vec())
    };
    let opened = keeper.status().opened_by.zip(keeper.open());
    let opened = opened.map(|(kind, open)| format!("The instance was opened by keyslot {} ({kind}).", open.slot));
    let notes = opened.into_iter().chain(notes).collect();
    let mut pcrs: Vec<u8> = slots.iter().flat_map(|(_, slot)| slot.pcrs()).collect();
    pcrs.sort_unstable();
    pcrs.dedup();
    let tpm = describe(keeper, pcrs);
    let tpm2_slots = slots.iter().map(|(id, slot)| slot_report(*id, slot, tpm.as_ref().ok())).collect();
    reply.admin(&Response::KeyReport(KeyReport {
        tpm: tpm.map_err(|error| error.to_string()),
        tpm2_slots,
        secret_memory: merlon_sandbox::secret::backend().as_str().to_owned(),
        counter: "off".to_owned(),
        notes,
    }))
}

/// Without a TPM no PCR can be compared, and none is listed.
fn slot_report(id: u32, slot: &Tpm2Slot, tpm: Option<&Tpm2Report>) -> SlotReport {
    let now = |index| tpm?.pcrs.iter().find(|pcr| pcr.index == index).map(|pcr| pcr.value);
    SlotReport {
        id,
        srk_matches: tpm.is_some_and(|tpm| tpm.srk_name == slot.object.srk_name),
        pcrs: slot
            .object
            .pcrs
            .iter()
            .filter_map(|pcr| Some(PcrThenNow { index: pcr.index, then: pcr.value, now: now(pcr.index)? }))
            .collect(),
        pin: slot.pin.is_some(),
        signed: !slot.object.policy_key.is_empty(),
        once: slot.once,
        sealed_us: slot.sealed_us,
    }
}

fn describe(keeper: &Keeper, pcrs: Vec<u8>) -> Result<Tpm2Report, DoorError> {
    keeper.means().door.expect(&seal::Request::Describe { pcrs }, |response| match response {
        seal::Response::Report(report) => Some(report),
        _ => None,
    })
}

fn tpm2_slot(keeper: &Keeper, id: u32) -> Result<Tpm2Slot, Refused> {
    let slots = keeper.slots();
    tpm2_way(&slots.get(id)?.way).ok_or(Refused::OtherKind(id, Kind::Tpm2))
}

fn tpm2_way(way: &Way) -> Option<Tpm2Slot> {
    match way {
        Way::Tpm2(slot) => Some((**slot).clone()),
        _ => None,
    }
}

fn with_notes(id: u32, notes: Vec<String>) -> Response<'static> {
    if notes.is_empty() { Response::Keyslot(id) } else { Response::KeyslotWithNotes { id, notes } }
}
