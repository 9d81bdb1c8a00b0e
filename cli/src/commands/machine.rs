//! `merlon keyslot` for machine slots: TPM, PKCS#11 token, systemd credential; sealing anew and signed policies.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use merlon_sandbox::secret::SecretBuf;
use merlon_wire::admin::{NewKeyslot, Request, Response};
use serde_json::json;

use super::keyslot::{self, Answer};
use crate::admin::{Admin, unexpected};
use crate::args::{AuthorizeArgs, Pkcs11Args, PolicyArgs, ResealArgs, Tpm2Args};
use crate::error::CliError;
use crate::file::Output;
use crate::output::Printer;
use crate::target::Local;
use crate::{policy_key, secret};

/// Bytes of a policy's digest.
const DIGEST_LEN: usize = 32;
/// ECDSA on P-256 in DER (RFC 3279, 2.2.3): two integers of at most 33 bytes, each with a head of two, and one of two.
const MAX_SIGNATURE: usize = 72;
/// DER's tag of a SEQUENCE.
const SEQUENCE: u8 = 0x30;

pub(super) fn add_tpm2(args: &Tpm2Args, local: &Local, printer: &mut Printer) -> Result<(), CliError> {
    let policy_key = args.policy_key.as_deref().map(policy_key::read).transpose()?;
    let pin = match &args.pin_file {
        Some(file) => Some(secret::from_file(file, "PIN", printer)?),
        None if args.pin => {
            let instead = "merlon keyslot add tpm2 --pin-file FILE";
            Some(keyslot::new_secret("PIN", instead, local, printer)?)
        }
        None => None,
    };
    let slot = NewKeyslot::Tpm2 {
        pcrs: args.pcrs.as_ref().map(|pcrs| pcrs.0.clone()),
        pin: pin.as_ref().map_or(&[], SecretBuf::as_slice),
        policy_key: policy_key.as_ref().map_or(&[], |point| &point[..]),
    };
    add(local, slot, printer)
}

pub(super) fn add_pkcs11(args: &Pkcs11Args, local: &Local, printer: &mut Printer) -> Result<(), CliError> {
    let pin = match &args.pin_file {
        Some(file) => Some(secret::from_file(file, "PIN", printer)?),
        None if args.pin => {
            // Nobody shall type a PIN for an instance that is not there.
            drop(Admin::connect(local)?);
            Some(secret::ask(
                "PIN of the token: ",
                false,
                "merlon keyslot add pkcs11 --uri URI --pin-file FILE",
                printer,
            )?)
        }
        None => None,
    };
    let slot = NewKeyslot::Pkcs11 { uri: &args.uri.0, pin: pin.as_ref().map(SecretBuf::as_slice) };
    add(local, slot, printer)
}

fn add(local: &Local, slot: NewKeyslot<'_>, printer: &mut Printer) -> Result<(), CliError> {
    let answer = ask(&Request::AddKeyslot(slot), local, printer)?;
    keyslot::say(&answer, "added", printer)
}

pub(super) fn reseal(args: &ResealArgs, local: &Local, printer: &mut Printer) -> Result<(), CliError> {
    let &ResealArgs { id, next_boot_once } = args;
    let answer = ask(&Request::Reseal { id, next_boot_once }, local, printer).map_err(|e| e.of_slot(id))?;
    if !next_boot_once {
        return keyslot::say(&answer, "sealed to the machine as it is now", printer);
    }
    keyslot::say(&answer, "opens the next start, once, and is removed by it", printer)?;
    if !printer.is_json() {
        printer.say(&format!("Now update and restart the machine. Then: merlon keyslot reseal {id}"));
    }
    Ok(())
}

pub(super) fn policy(args: &PolicyArgs, local: &Local, printer: &mut Printer) -> Result<(), CliError> {
    let id = args.id;
    let (digest, pcrs, authorized) = of_slot(id, local, printer).map_err(|e| e.of_slot(id))?;
    if let Some(path) = &args.out {
        // Public: it goes to whoever signs.
        let mut file = Output::create(path, 0o644)?;
        file.write(&digest)?;
        file.finish()?;
    }
    let hex = HEXLOWER.encode(&digest);
    if printer.is_json() {
        return printer.json(&json!({ "id": id, "policy": hex, "pcrs": pcrs, "authorized": authorized }));
    }
    printer.line(&hex)?;
    printer.flush()?;
    let over = match pcrs.as_slice() {
        [] => "over no PCR".to_owned(),
        pcrs => format!("over PCR {}", pcrs.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")),
    };
    let next = if authorized {
        "a signature for it is kept already".to_owned()
    } else {
        format!("no signature for it is kept; sign it, then: merlon keyslot authorize {id} --signature-file FILE")
    };
    printer.say(&format!("{over}; {next}"));
    Ok(())
}

fn of_slot(id: u32, local: &Local, printer: &Printer) -> Result<([u8; DIGEST_LEN], Vec<u8>, bool), CliError> {
    let mut admin = Admin::connect(local)?;
    match admin.ask_machine(&Request::Policy(id), || waiting(printer))? {
        Response::Policy { digest, pcrs, authorized } => Ok((digest, pcrs, authorized)),
        _ => Err(unexpected()),
    }
}

pub(super) fn authorize(args: &AuthorizeArgs, local: &Local, printer: &mut Printer) -> Result<(), CliError> {
    let id = args.id;
    let signature = signature(&args.signature_file)?;
    let policy = args.policy_file.as_deref().map(digest).transpose()?;
    let request =
        Request::Authorize { id, policy: policy.as_ref().map_or(&[], |digest| &digest[..]), signature: &signature };
    let mut admin = Admin::connect(local)?;
    let answer = match admin.ask_machine(&request, || waiting(printer)).map_err(|e| e.of_slot(id))? {
        Response::Done => Answer { id, notes: Vec::new() },
        other => keyslot::answer_of(other)?,
    };
    keyslot::say(&answer, "the signature is kept; a locked instance opens by it: merlon unlock --machine", printer)
}

/// One question to which a TPM or a token works the answer.
pub(super) fn ask(request: &Request<'_>, local: &Local, printer: &Printer) -> Result<Answer, CliError> {
    keyslot::answer_of(Admin::connect(local)?.ask_machine(request, || waiting(printer))?)
}

/// Told to whoever waits.
pub(super) fn waiting(printer: &Printer) {
    printer.say("waiting for the TPM or the token (at most keeper.seal_seconds for each slot, 90 s by default) ...");
}

fn signature(path: &Path) -> Result<Vec<u8>, CliError> {
    let bytes = read(path, "signature", MAX_SIGNATURE)?;
    let is_one = (8..=MAX_SIGNATURE).contains(&bytes.len())
        && bytes.first() == Some(&SEQUENCE)
        && bytes.get(1).is_some_and(|&len| usize::from(len) + 2 == bytes.len());
    is_one.then_some(bytes).ok_or_else(|| {
        CliError::failed(format!("{} holds no signature", path.display()))
            .because("an ECDSA signature on P-256 in DER is wanted, in binary")
            .hint("openssl dgst -sha256 -sign policy-key.pem -out policy.sig policy.bin")
    })
}

/// 32 bytes, or the same in hex as `merlon keyslot policy` prints them.
fn digest(path: &Path) -> Result<[u8; DIGEST_LEN], CliError> {
    let bytes = read(path, "policy", 2 * DIGEST_LEN + 2)?;
    let binary = <[u8; DIGEST_LEN]>::try_from(bytes.as_slice()).ok();
    let hex = || <[u8; DIGEST_LEN]>::try_from(HEXLOWER.decode(bytes.trim_ascii_end()).ok()?).ok();
    binary.or_else(hex).ok_or_else(|| {
        CliError::failed(format!("{} holds no policy", path.display()))
            .because("32 bytes are wanted, as `merlon keyslot policy ID --out FILE` writes them")
    })
}

/// A small file that is no secret; one byte more than `most` is read of a longer one.
fn read(path: &Path, what: &str, most: usize) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|e| CliError::failed(format!("the {what} cannot be read from {}", path.display())).because(e))?;
    Ok(bytes)
}
