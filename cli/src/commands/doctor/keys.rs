//! How the keys stand: TPM, machine slots, counter. Asked of the keeper on its admin socket; judged by pure functions.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use merlon_wire::admin::{KeyReport, PcrThenNow, Request, Response, Tpm2Slot};
use merlon_wire::seal::Tpm2Report;

use super::Check;
use crate::admin::{Admin, unexpected};
use crate::error::{CliError, Exit};
use crate::target::Local;

/// What Secure Boot is measured into (TCG PC Client Platform Firmware Profile, 3.3.4).
const SECURE_BOOT: u8 = 7;
/// Bytes of a PCR's value that are shown: enough to tell two apart.
const SHOWN: usize = 6;
const RECOVER: &str = "merlon keyslot reseal";

/// What was asked.
pub(super) struct Report {
    keys: KeyReport,
    /// Of each slot that takes signed policies: is there a signature for the machine as it is?
    approved: BTreeMap<u32, bool>,
}

/// Asks. A TPM may take its time, so this blocks.
///
/// # Errors
/// The keeper does not answer, or not this user.
pub(super) fn ask(local: &Local) -> Result<Report, CliError> {
    let mut admin = Admin::connect(local)?;
    let keys = match admin.ask_machine(&Request::KeyReport, || {})? {
        Response::KeyReport(keys) => keys,
        _ => return Err(unexpected()),
    };
    let mut approved = BTreeMap::new();
    // Without a TPM there is no present state to be signed.
    let signed = keys.tpm2_slots.iter().filter(|slot| slot.signed && keys.tpm.is_ok());
    for slot in signed {
        match admin.ask_machine(&Request::Policy(slot.id), || {})? {
            Response::Policy { authorized, .. } => approved.insert(slot.id, authorized),
            _ => return Err(unexpected()),
        };
    }
    Ok(Report { keys, approved })
}

/// What the answer means; `told`: what the status said already.
pub(super) fn all(report: Result<Report, CliError>, told: &[Check]) -> Vec<Check> {
    let Report { keys, approved } = match report {
        Ok(report) => report,
        // The instance does not run, which is said elsewhere.
        Err(error) if error.exit == Exit::Unreachable => return Vec::new(),
        Err(error) => {
            let why = error.why.map(|why| format!(": {why}")).unwrap_or_default();
            return vec![Check::warning("keys", format!("not looked at: {}{why}", error.what), "sudo merlon doctor")];
        }
    };
    let mut checks = match &keys.tpm {
        Ok(tpm) => self::tpm(tpm, &keys.tpm2_slots),
        Err(why) if keys.tpm2_slots.is_empty() => {
            vec![Check::ok("tpm", format!("none, and no keyslot needs one: {why}"))]
        }
        Err(why) => vec![Check::wrong("tpm", why, "merlon keyslot add recovery, before the instance is restarted")],
    };
    for slot in &keys.tpm2_slots {
        checks.extend(self::slot(slot, keys.tpm.is_ok(), approved.get(&slot.id).copied().unwrap_or_default()));
    }
    checks.push(counter(&keys.counter));
    let new = keys.notes.iter().filter(|note| !told.iter().any(|check| check.detail == **note));
    checks.extend(new.map(|note| self::note(note)));
    checks
}

fn note(text: &str) -> Check {
    if text.contains("does not open") {
        Check::warning("last start", text, "do what it says")
    } else {
        Check::ok("last start", text)
    }
}

fn tpm(tpm: &Tpm2Report, slots: &[Tpm2Slot]) -> Vec<Check> {
    let mut checks = vec![if tpm.tcti.starts_with("swtpm:") {
        let detail = format!("{}: an emulator, which protects nothing ({})", tpm.tcti, tpm.maker);
        Check::warning("tpm", detail, "set tpm.tcti = \"device:/dev/tpmrm0\" and tpm.allow_emulator = false")
    } else if tpm.resource_manager {
        Check::ok("tpm", format!("{}, behind the kernel's resource manager ({})", tpm.tcti, tpm.maker))
    } else {
        let detail = format!("{}: no resource manager, so programs can lock each other out ({})", tpm.tcti, tpm.maker);
        Check::warning("tpm", detail, "set tpm.tcti = \"device:/dev/tpmrm0\"")
    }];
    if tpm.srk_name.is_empty() && !slots.is_empty() {
        checks.push(Check::wrong(
            "tpm",
            "there is no storage root key at 0x81000001: the TPM was cleared",
            remedy_reseal(slots),
        ));
    }
    checks.extend(lockout(tpm, slots));
    checks
}

fn remedy_reseal(slots: &[Tpm2Slot]) -> String {
    slots.iter().map(|slot| format!("{RECOVER} {}", slot.id)).collect::<Vec<_>>().join(", then ")
}

fn lockout(tpm: &Tpm2Report, slots: &[Tpm2Slot]) -> Vec<Check> {
    let Tpm2Report { lockout_counter: failures, lockout_after: limit, lockout_interval: seconds, .. } = tpm;
    let pin = slots.iter().any(|slot| slot.pin);
    let detail = format!("{failures} of {limit} failures; one is forgotten each {seconds} s");
    let clear = "wait, or tpm2_dictionarylockout --clear-lockout";
    let counter = if failures >= limit && pin {
        Check::wrong("lockout", format!("locked out, the right PIN is refused too: {detail}"), clear)
    } else if failures >= limit {
        Check::warning("lockout", format!("locked out: {detail}; no keyslot here needs a PIN"), clear)
    } else if *failures > 0 {
        Check::warning("lockout", detail, "look who tries PINs, if it was not you")
    } else {
        Check::ok("lockout", detail)
    };
    let reset = match (tpm.lockout_auth_set, pin) {
        (true, _) => Check::ok("lockoutAuth", "set: the lockout cannot be reset without its password"),
        (false, true) => Check::warning(
            "lockoutAuth",
            "not set: whoever reaches the TPM can reset the lockout, and try PINs without end",
            "tpm2_changeauth -c lockout PASSWORD, and keep the password",
        ),
        (false, false) => Check::ok("lockoutAuth", "not set; it would matter only to a keyslot with a PIN"),
    };
    vec![counter, reset]
}

fn slot(slot: &Tpm2Slot, there: bool, approved: bool) -> Vec<Check> {
    let id = slot.id;
    let what = format!("keyslot {id}");
    let sealed = merlon_api::Timestamp(slot.sealed_us).to_string();
    let (date, _) = sealed.split_once('.').unwrap_or((&sealed, ""));
    let pin = if slot.pin { ", with a PIN" } else { "" };
    let mut checks = vec![Check::ok(&what, format!("tpm2{pin}, last sealed {} UTC", date.replace('T', " ")))];
    if slot.once {
        checks.push(Check::warning(
            &what,
            "opens the next start whatever is booted, and is removed by it",
            format!("restart for your update, or merlon keyslot remove {id}"),
        ));
    }
    if !there {
        return checks;
    }
    checks.push(if slot.srk_matches {
        Check::ok(&what, "the TPM's storage root key is the pinned one")
    } else {
        let detail = "another TPM, or it was cleared: its storage root key is not the pinned one";
        return [checks, vec![Check::wrong(&what, detail, format!("{RECOVER} {id}"))]].concat();
    });
    if !slot.once {
        checks.extend(pcrs(slot, &what, approved));
    }
    checks
}

fn pcrs(slot: &Tpm2Slot, what: &str, approved: bool) -> Vec<Check> {
    let id = slot.id;
    let mut checks = Vec::new();
    if slot.pcrs.is_empty() && slot.pin {
        checks.push(Check::ok(what, "bound to no PCR: the PIN opens it whatever is booted on this machine"));
    } else if slot.pcrs.is_empty() {
        checks.push(Check::warning(
            what,
            "bound to no PCR: it opens whatever system is booted on this machine",
            "turn Secure Boot on, then merlon keyslot add tpm2 --pcrs 7; or add one with --pin",
        ));
    }
    let zero = |pcr: &PcrThenNow| pcr.index == SECURE_BOOT && pcr.then == [0; 32];
    if slot.pcrs.iter().any(zero) {
        checks.push(Check::warning(
            what,
            "PCR 7 was all zero when it was sealed: the firmware measures nothing into it, so it binds nothing",
            "turn on Secure Boot, or add a slot with --pin",
        ));
    }
    for pcr in &slot.pcrs {
        let index = pcr.index;
        checks.push(match pcr.then == pcr.now {
            true => Check::ok(what, format!("PCR {index}: {} then and now", short(&pcr.now))),
            false if slot.signed && approved => {
                let detail = format!("PCR {index}: {} then, {} now; signed", short(&pcr.then), short(&pcr.now));
                Check::ok(what, detail)
            }
            false => {
                let detail =
                    format!("PCR {index}: {} then, {} now: it does not open", short(&pcr.then), short(&pcr.now));
                let remedy = if slot.signed {
                    format!("merlon keyslot policy {id} --out policy.bin, sign it, merlon keyslot authorize {id}")
                } else {
                    format!("{RECOVER} {id}, if the change of firmware, Secure Boot or boot loader was yours")
                };
                Check::wrong(what, detail, remedy)
            }
        });
    }
    checks
}

fn short(value: &[u8; 32]) -> String {
    format!("{}…", HEXLOWER.encode(value.get(..SHOWN).unwrap_or(value)))
}

/// `off`, a value that is right, or what is wrong in words.
fn counter(text: &str) -> Check {
    if text == "off" {
        Check::ok("counter", "off: an old copy of the keeper's files put back is not noticed")
    } else if text.starts_with(|first: char| first.is_ascii_digit()) {
        Check::ok("counter", text)
    } else {
        Check::wrong("counter", text, "do what it says, once you know why")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn healthy() -> Report {
        let tpm = Tpm2Report {
            tcti: "device:/dev/tpmrm0".into(),
            resource_manager: true,
            maker: "IBM".into(),
            srk_name: vec![1; 34],
            pcrs: Vec::new(),
            policy: [0; 32],
            lockout_counter: 0,
            lockout_after: 32,
            lockout_interval: 600,
            lockout_auth_set: true,
        };
        let slot = Tpm2Slot {
            id: 4,
            srk_matches: true,
            pcrs: vec![PcrThenNow { index: 7, then: [0xab; 32], now: [0xab; 32] }],
            pin: true,
            signed: false,
            once: false,
            sealed_us: 1_000_000,
        };
        let keys = KeyReport {
            tpm: Ok(tpm),
            tpm2_slots: vec![slot],
            secret_memory: "memfd_secret".into(),
            counter: "12, as it should be".into(),
            notes: vec!["Opened by keyslot 4 (tpm2).".into()],
        };
        Report { keys, approved: BTreeMap::new() }
    }

    fn tpm_of(report: &mut Report) -> &mut Tpm2Report {
        report.keys.tpm.as_mut().unwrap()
    }

    fn judged(report: Report) -> Vec<Check> {
        let checks = all(Ok(report), &[]);
        for check in &checks {
            assert_eq!(check.remedy.is_none(), check.verdict == Verdict::Ok, "{check:?}");
        }
        checks
    }

    #[test]
    fn a_healthy_tpm_has_nothing_to_mend_and_shows_each_fact() {
        let checks = judged(healthy());
        assert!(checks.iter().all(|check| check.verdict == Verdict::Ok), "{checks:?}");
        let text: Vec<String> = checks.iter().map(|check| format!("{} {}", check.what, check.detail)).collect();
        for part in [
            "tpm device:/dev/tpmrm0, behind the kernel's resource manager (IBM)",
            "lockout 0 of 32 failures; one is forgotten each 600 s",
            "lockoutAuth set",
            "keyslot 4 tpm2, with a PIN, last sealed 1970-01-01 00:00:01 UTC",
            "keyslot 4 the TPM's storage root key is the pinned one",
            "keyslot 4 PCR 7: abababababab… then and now",
            "counter 12",
            "last start Opened by keyslot 4",
        ] {
            assert!(text.iter().any(|line| line.starts_with(part)), "{part} is not in {text:#?}");
        }
    }

    #[test]
    fn each_fault_is_found_and_has_its_weight_and_remedy() {
        type Fault = fn(&mut Report);
        let faults: [(Fault, Verdict, &str, &str); 14] = [
            (|r| r.keys.tpm = Err("there is no TPM".into()), Verdict::Wrong, "tpm", "keyslot add recovery"),
            (|r| r.keys.counter = "It is behind.".into(), Verdict::Wrong, "counter", "know why"),
            (|r| tpm_of(r).resource_manager = false, Verdict::Warning, "tpm", "/dev/tpmrm0"),
            (|r| tpm_of(r).tcti = "swtpm:host=127.0.0.1,port=1".into(), Verdict::Warning, "tpm", "allow_emulator"),
            (|r| tpm_of(r).srk_name.clear(), Verdict::Wrong, "tpm", "merlon keyslot reseal 4"),
            (|r| tpm_of(r).lockout_counter = 1, Verdict::Warning, "lockout", "who tries"),
            (|r| tpm_of(r).lockout_counter = 32, Verdict::Wrong, "lockout", "tpm2_dictionarylockout"),
            (|r| tpm_of(r).lockout_auth_set = false, Verdict::Warning, "lockoutAuth", "tpm2_changeauth -c lockout"),
            (|r| r.keys.tpm2_slots[0].srk_matches = false, Verdict::Wrong, "keyslot 4", "merlon keyslot reseal 4"),
            (|r| r.keys.tpm2_slots[0].pcrs[0].now = [1; 32], Verdict::Wrong, "keyslot 4", "merlon keyslot reseal 4"),
            (|r| r.keys.tpm2_slots[0].once = true, Verdict::Warning, "keyslot 4", "merlon keyslot remove 4"),
            (
                |r| r.keys.tpm2_slots[0].pcrs[0] = PcrThenNow { index: 7, then: [0; 32], now: [0; 32] },
                Verdict::Warning,
                "keyslot 4",
                "Secure Boot",
            ),
            (
                |r| {
                    r.keys.tpm2_slots[0].pin = false;
                    r.keys.tpm2_slots[0].pcrs.clear();
                },
                Verdict::Warning,
                "keyslot 4",
                "--pcrs 7",
            ),
            (
                |r| r.keys.notes = vec!["Keyslot 4 (tpm2) does not open: x.".into()],
                Verdict::Warning,
                "last start",
                "what it says",
            ),
        ];
        for (at, (fault, verdict, what, remedy)) in faults.into_iter().enumerate() {
            let mut report = healthy();
            fault(&mut report);
            let bad: Vec<Check> = judged(report).into_iter().filter(|check| check.verdict != Verdict::Ok).collect();
            assert_eq!(bad.len(), 1, "fault {at}: {bad:?}");
            assert_eq!((bad[0].verdict, bad[0].what.as_str()), (verdict, what), "fault {at}");
            assert!(bad[0].remedy.as_ref().unwrap().contains(remedy), "fault {at}: {bad:?}");
        }
    }

    #[test]
    fn a_changed_pcr_of_a_signed_slot_needs_a_signature_only() {
        let changed = |approved| {
            let mut report = healthy();
            report.keys.tpm2_slots[0].signed = true;
            report.keys.tpm2_slots[0].pcrs[0].now = [0xcd; 32];
            report.approved.insert(4, approved);
            judged(report)
        };
        let waiting = changed(false);
        let wrong = waiting.iter().find(|check| check.verdict == Verdict::Wrong).unwrap();
        assert!(wrong.detail.contains("PCR 7: abababababab… then, cdcdcdcdcdcd… now"), "{wrong:?}");
        assert!(wrong.remedy.as_ref().unwrap().contains("merlon keyslot policy 4"), "{wrong:?}");
        let signed = changed(true);
        assert!(signed.iter().all(|check| check.verdict == Verdict::Ok), "{signed:?}");
    }

    #[test]
    fn what_only_a_pin_needs_is_no_warning_without_one() {
        let mut report = healthy();
        report.keys.tpm2_slots[0].pin = false;
        tpm_of(&mut report).lockout_auth_set = false;
        assert!(judged(report).iter().all(|check| check.verdict == Verdict::Ok));
    }

    #[test]
    fn a_machine_without_a_tpm_that_needs_none_is_well() {
        let mut report = healthy();
        report.keys.tpm = Err("there is no TPM at /dev/tpmrm0".into());
        report.keys.tpm2_slots.clear();
        assert!(judged(report).iter().all(|check| check.verdict == Verdict::Ok));
    }

    #[test]
    fn what_the_status_said_is_not_said_again_and_a_refusal_is_a_warning() {
        let told = [Check::warning("note", "Opened by keyslot 4 (tpm2).", "x")];
        assert!(all(Ok(healthy()), &told).iter().all(|check| check.what != "last start"));
        let refused = all(Err(CliError::new(Exit::Refused, "it does not let you in")), &[]);
        assert!(matches!(refused.as_slice(), [only] if only.verdict == Verdict::Warning), "{refused:?}");
        assert!(all(Err(CliError::new(Exit::Unreachable, "gone")), &[]).is_empty());
    }
}
