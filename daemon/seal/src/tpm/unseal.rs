//! Unsealing a value: exactly once in a process.

use merlon_sandbox::secret::{Secret, SecretError};
use merlon_wire::seal::{Failure, MAX_APPROVALS, Tpm2Object, Tpm2Unseal};
use tss_esapi::constants::response_code::Tss2ResponseCodeKind as Kind;
use tss_esapi::handles::ObjectHandle;
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{Digest, Private, Public, SensitiveData};
use tss_esapi::traits::UnMarshall as _;
use tss_esapi::{Context, Error};

use super::approval::{self, PolicyKey};
use super::failure::{judged, kind, unexpected, while_doing};
use super::lockout::Lockout;
use super::seal::{AUTH_LEN, asks_for_auth_value, authorisation};
use super::session::Cover;
use super::srk::{self, Srk};
use super::{Tpm, pcrs, session};
use crate::serve::Answer;

const DOING: &str = "unsealing";
/// A PCR may be extended between the policy and its use; then the policy is built again.
const PCR_RACES: u32 = 3;

/// Unseals.
pub(super) fn unseal(tpm: &mut Tpm, wanted: &Tpm2Unseal<'_>) -> Result<Answer, Failure> {
    let object = &wanted.object;
    let auth_len = if object.pin { AUTH_LEN } else { 0 };
    if wanted.auth.len() != auth_len || wanted.approvals.len() > MAX_APPROVALS {
        return Err(Failure::Request("an authorisation has the wrong length, or there are too many".to_owned()));
    }
    let key = if object.policy_key.is_empty() { None } else { Some(PolicyKey::parse(&object.policy_key)?) };
    let context = &mut tpm.context;
    let srk = srk::pinned(context, &object.srk_name)?;
    let loaded = load(context, &srk, object)?;
    // With a PIN, what comes back is encrypted by a key that comes from the PIN too.
    let encrypting = if object.pin {
        Lockout::read(context)?.permits(wanted.force)?;
        let auth = authorisation(wanted.auth).map_err(while_doing(DOING))?;
        context.tr_set_auth(loaded, auth).map_err(while_doing(DOING))?;
        let bound = session::hmac(context, &srk, Some(loaded), Cover::Response)?;
        session::last(context, bound)?;
        Some(bound)
    } else {
        None
    };
    let cover = if object.pin { Cover::Nothing } else { Cover::Response };
    let policy = session::policy(context, &srk, cover)?;
    let mut races = 0;
    let opened = loop {
        fulfil(context, policy, wanted, key.as_ref())?;
        let sessions = (Some(AuthSession::from(policy)), encrypting, None);
        match context.execute_with_sessions(sessions, |context| context.unseal(loaded)) {
            Ok(opened) => break opened,
            Err(error) if kind(&error) == Some(Kind::PcrChanged) && races < PCR_RACES => {
                races += 1;
                context.policy_restart(policy).map_err(while_doing(DOING))?;
            }
            Err(error) => return Err(meaning(context, object, error)),
        }
    };
    keep(opened).map(Answer::Secret)
}

fn load(context: &mut Context, srk: &Srk, object: &Tpm2Object) -> Result<ObjectHandle, Failure> {
    let parsed =
        Public::unmarshall(&object.public).and_then(|public| Ok((public, Private::try_from(object.private.clone())?)));
    let (public, private) = parsed.map_err(|_| Failure::Damaged)?;
    // The storage root key has no password, and what is loaded is encrypted and authenticated by the TPM itself.
    let loaded =
        context.execute_with_session(Some(AuthSession::Password), |context| context.load(srk.handle, private, public));
    loaded
        .map(ObjectHandle::from)
        .map_err(|error| if judged(&error) { Failure::Damaged } else { while_doing(DOING)(error) })
}

/// Does what the object's policy asks for.
fn fulfil(
    context: &mut Context,
    session: PolicySession,
    wanted: &Tpm2Unseal<'_>,
    key: Option<&PolicyKey>,
) -> Result<(), Failure> {
    let object = &wanted.object;
    if !object.pcrs.is_empty() {
        let indices: Vec<u8> = object.pcrs.iter().map(|pcr| pcr.index).collect();
        let selection = pcrs::ordered(&indices).and_then(|o| pcrs::selection(&o).map_err(while_doing(DOING)))?;
        context.policy_pcr(session, Digest::default(), selection).map_err(while_doing(DOING))?;
    }
    if let Some(key) = key {
        approval::authorize(context, session, key, &wanted.approvals)?;
    }
    if asks_for_auth_value(&object.pcrs, key.is_some(), object.pin) {
        context.policy_auth_value(session).map_err(while_doing(DOING))?;
    }
    Ok(())
}

/// What a refusal means for the operator.
fn meaning(context: &mut Context, object: &Tpm2Object, error: Error) -> Failure {
    let told = match kind(&error) {
        Some(Kind::AuthFail) if object.pin => Lockout::read(context).map(|lockout| lockout.refusal()),
        Some(Kind::Lockout) => {
            Lockout::read(context).map(|lockout| Failure::Lockout { wait_seconds: lockout.interval })
        }
        Some(Kind::PolicyFail) => pcrs::changed(context, &object.pcrs)
            .map(|changed| if changed.is_empty() { Failure::Damaged } else { Failure::PcrMismatch { changed } }),
        Some(Kind::BadAuth) => Ok(Failure::Damaged),
        _ => Ok(while_doing(DOING)(error)),
    };
    told.unwrap_or_else(|failure| failure)
}

fn keep(opened: SensitiveData) -> Result<Secret<32>, Failure> {
    let bytes: &[u8; 32] = opened.value().try_into().map_err(|_| Failure::Damaged)?;
    // The library's own copy is wiped when it is dropped; the stack's goes with the process.
    Secret::init(|secret| secret.copy_from_slice(bytes))
        .map_err(|error: SecretError| unexpected(DOING, &error.to_string()))
}
