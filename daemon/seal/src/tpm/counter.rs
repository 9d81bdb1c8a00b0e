//! An NV counter (TPM 2.0 part 1, 37.2.4): it only rises, and a new one begins above all that ever were.

use merlon_wire::seal::{Counter, Failure};
use tss_esapi::Context;
use tss_esapi::attributes::NvIndexAttributesBuilder;
use tss_esapi::constants::NvIndexType;
use tss_esapi::constants::response_code::Tss2ResponseCodeKind as Kind;
use tss_esapi::handles::{NvIndexHandle, NvIndexTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::resource_handles::{NvAuth, Provision};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::NvPublicBuilder;

use super::Tpm;
use super::failure::{kind, unexpected, while_doing};
use super::seal::{AUTH_LEN, authorisation};
use super::session::{self, Cover};
use super::srk::{self, Srk};
use crate::serve::Answer;

/// Among the indices that the owner of the machine gives out (TCG Registry of Reserved TPM 2.0 Handles, 2.2.2).
const FIRST: u32 = 0x0180_0100;
const LAST: u32 = 0x01bf_ffff;
/// Bytes of a counter.
const LEN: u16 = 8;

/// Makes one at the first index that is free, and moves it once: before that it has no value.
pub(super) fn define(tpm: &mut Tpm, auth: &[u8]) -> Result<Answer, Failure> {
    const DOING: &str = "making the counter";
    check(auth)?;
    let index = free(tpm)?;
    let context = &mut tpm.context;
    let srk = srk::find_or_make(context)?;
    let built = NvIndexAttributesBuilder::new()
        .with_nv_index_type(NvIndexType::Counter)
        .with_auth_write(true)
        .with_auth_read(true)
        .with_no_da(true)
        .build()
        .and_then(|attributes| {
            NvPublicBuilder::new()
                .with_nv_index(NvIndexTpmHandle::new(index)?)
                .with_index_name_algorithm(HashingAlgorithm::Sha256)
                .with_index_attributes(attributes)
                .with_data_area_size(usize::from(LEN))
                .build()
        });
    let public = built.map_err(while_doing(DOING))?;
    let secret = authorisation(auth).map_err(while_doing(DOING))?;
    let session = session::hmac(context, &srk, None, Cover::Request)?;
    context
        .execute_with_session(Some(session), |context| context.nv_define_space(Provision::Owner, Some(secret), public))
        .map_err(|error| of_owner(DOING, error))?;
    let made = Counter { index, auth };
    advance_with(context, &srk, &made)
}

/// Moves it by one and reads it.
pub(super) fn advance(tpm: &mut Tpm, counter: &Counter<'_>) -> Result<Answer, Failure> {
    let srk = known(&mut tpm.context, counter)?;
    advance_with(&mut tpm.context, &srk, counter)
}

/// Reads it; the answer is authenticated by a key that only the counter's owner and the TPM have.
pub(super) fn read(tpm: &mut Tpm, counter: &Counter<'_>) -> Result<u64, Failure> {
    let context = &mut tpm.context;
    let srk = known(context, counter)?;
    let handle = open(context, counter)?;
    let session = session::hmac(context, &srk, None, Cover::Response)?;
    value(context, session, handle, counter)
}

/// Removes it. That is the machine owner's right; the authorisation shows that it is ours.
pub(super) fn remove(tpm: &mut Tpm, counter: &Counter<'_>) -> Result<(), Failure> {
    const DOING: &str = "removing the counter";
    let context = &mut tpm.context;
    let srk = known(context, counter)?;
    let handle = open(context, counter)?;
    let session = session::hmac(context, &srk, None, Cover::Response)?;
    value(context, session, handle, counter)?;
    session::set(context, session, Cover::Nothing)?;
    context
        .execute_with_session(Some(session), |context| context.nv_undefine_space(Provision::Owner, handle))
        .map_err(|error| of_owner(DOING, error))
}

fn advance_with(context: &mut Context, srk: &Srk, counter: &Counter<'_>) -> Result<Answer, Failure> {
    const DOING: &str = "moving the counter";
    let handle = open(context, counter)?;
    let session = session::hmac(context, srk, None, Cover::Nothing)?;
    context
        .execute_with_session(Some(session), |context| context.nv_increment(NvAuth::NvIndex(handle), handle))
        .map_err(|error| of_index(DOING, counter, error))?;
    // Its name has changed: it now says that it was written.
    let handle = open(context, counter)?;
    session::set(context, session, Cover::Response)?;
    let value = value(context, session, handle, counter)?;
    Ok(Answer::Counter { index: counter.index, value })
}

fn value(
    context: &mut Context,
    session: AuthSession,
    handle: NvIndexHandle,
    counter: &Counter<'_>,
) -> Result<u64, Failure> {
    const DOING: &str = "reading the counter";
    let read = context
        .execute_with_session(Some(session), |context| context.nv_read(NvAuth::NvIndex(handle), handle, LEN, 0))
        .map_err(|error| of_index(DOING, counter, error))?;
    let bytes = <[u8; 8]>::try_from(read.value()).map_err(|_| unexpected(DOING, "it has no 8 bytes"))?;
    Ok(u64::from_be_bytes(bytes))
}

/// The key that sessions begin with. A TPM without one was cleared, and has no counter either.
fn known(context: &mut Context, counter: &Counter<'_>) -> Result<Srk, Failure> {
    check(counter.auth)?;
    srk::find(context)?.ok_or(Failure::NoCounter(counter.index))
}

fn open(context: &mut Context, counter: &Counter<'_>) -> Result<NvIndexHandle, Failure> {
    const DOING: &str = "looking for the counter";
    if !(FIRST..=LAST).contains(&counter.index) {
        return Err(Failure::NoCounter(counter.index));
    }
    let index = NvIndexTpmHandle::new(counter.index).map_err(while_doing(DOING))?;
    let object = context.tr_from_tpm_public(TpmHandle::NvIndex(index)).map_err(|error| match kind(&error) {
        Some(Kind::Handle) => Failure::NoCounter(counter.index),
        _ => while_doing(DOING)(error),
    })?;
    let auth = authorisation(counter.auth).map_err(while_doing(DOING))?;
    context.tr_set_auth(object, auth).map_err(while_doing(DOING))?;
    Ok(NvIndexHandle::from(object))
}

fn free(tpm: &mut Tpm) -> Result<u32, Failure> {
    let taken: Vec<u32> = tpm.handles(FIRST)?.into_iter().map(u32::from).collect();
    let full = || unexpected("making the counter", "no index is free");
    (FIRST..=LAST).find(|index| !taken.contains(index)).ok_or_else(full)
}

/// What has another authorisation is not this counter: somebody removed it and put his own there.
fn of_index(doing: &'static str, counter: &Counter<'_>, error: tss_esapi::Error) -> Failure {
    match kind(&error) {
        Some(Kind::BadAuth | Kind::AuthFail) => Failure::NoCounter(counter.index),
        _ => while_doing(doing)(error),
    }
}

fn of_owner(doing: &'static str, error: tss_esapi::Error) -> Failure {
    match kind(&error) {
        Some(Kind::BadAuth | Kind::AuthFail) => {
            unexpected(doing, "the owner hierarchy has a password, and counters are made and removed without one")
        }
        _ => while_doing(doing)(error),
    }
}

fn check(auth: &[u8]) -> Result<(), Failure> {
    if auth.len() == AUTH_LEN {
        return Ok(());
    }
    Err(Failure::Request("a counter's authorisation has the wrong length".to_owned()))
}
