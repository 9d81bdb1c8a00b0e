//! Sessions (TPM 2.0 part 1, 19): each begins with a random value that is encrypted to the storage root key, so that
//! whoever reads the wire has neither its key nor what its parameters say.

use merlon_wire::seal::Failure;
use tss_esapi::Context;
use tss_esapi::Error;
use tss_esapi::WrapperErrorKind;
use tss_esapi::attributes::SessionAttributesBuilder;
use tss_esapi::constants::SessionType;
use tss_esapi::handles::ObjectHandle;
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::SymmetricDefinition;

use super::failure::while_doing;
use super::srk::Srk;

/// Which parameters of a command are encrypted; the first of its request, of its response, if they are buffers.
#[derive(Clone, Copy)]
pub(super) enum Cover {
    Both,
    Request,
    Response,
    Nothing,
}

/// A session that authorises by HMAC and encrypts. With `bind` its key also comes from that object's authorisation: who
/// put another key in the storage root key's place does not have it.
pub(super) fn hmac(
    context: &mut Context,
    srk: &Srk,
    bind: Option<ObjectHandle>,
    cover: Cover,
) -> Result<AuthSession, Failure> {
    let session = start(context, srk, bind, SessionType::Hmac).map_err(while_doing("starting a session"))?;
    set(context, session, cover)?;
    Ok(session)
}

/// A session that authorises one command by a policy, and encrypts its response if `cover` says so.
pub(super) fn policy(context: &mut Context, srk: &Srk, cover: Cover) -> Result<PolicySession, Failure> {
    let session = start(context, srk, None, SessionType::Policy).map_err(while_doing("starting a session"))?;
    set(context, session, cover)?;
    last(context, session)?;
    PolicySession::try_from(session).map_err(while_doing("starting a session"))
}

/// Says what the next command's parameters need.
pub(super) fn set(context: &mut Context, session: AuthSession, cover: Cover) -> Result<(), Failure> {
    let (attributes, mask) = SessionAttributesBuilder::new()
        .with_continue_session(true)
        .with_decrypt(matches!(cover, Cover::Both | Cover::Request))
        .with_encrypt(matches!(cover, Cover::Both | Cover::Response))
        .build();
    context.tr_sess_set_attributes(session, attributes, mask).map_err(while_doing("preparing a session"))
}

/// The TPM ends the session with the next command, if that succeeds.
pub(super) fn last(context: &mut Context, session: AuthSession) -> Result<(), Failure> {
    let (attributes, mask) = SessionAttributesBuilder::new().with_continue_session(false).build();
    context.tr_sess_set_attributes(session, attributes, mask).map_err(while_doing("preparing a session"))
}

fn start(
    context: &mut Context,
    srk: &Srk,
    bind: Option<ObjectHandle>,
    kind: SessionType,
) -> Result<AuthSession, Error> {
    let symmetric = SymmetricDefinition::AES_128_CFB;
    context
        .start_auth_session(Some(srk.handle), bind, None, kind, symmetric, HashingAlgorithm::Sha256)?
        .ok_or(Error::WrapperError(WrapperErrorKind::WrongValueFromTpm))
}
