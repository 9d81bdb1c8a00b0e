//! The storage root key at 0x81000001 (TCG TPM v2.0 Provisioning Guidance, 7.8).
//!
//! It is made if nothing is there. What others put there is used if it is a storage key, and is never replaced.

use merlon_sandbox::secret::ct_eq;
use merlon_wire::seal::Failure;
use tss_esapi::attributes::{ObjectAttributes, ObjectAttributesBuilder};
use tss_esapi::constants::response_code::Tss2ResponseCodeKind as Kind;
use tss_esapi::handles::{KeyHandle, ObjectHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::dynamic_handles::Persistent;
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::resource_handles::{Hierarchy, Provision};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    EccParameter, EccPoint, EccScheme, KeyDerivationFunctionScheme, Public, PublicBuilder, PublicEccParametersBuilder,
    SymmetricDefinitionObject,
};
use tss_esapi::{Context, Error};

use super::failure::{kind, unexpected, while_doing};
use super::names;

/// Where it is persistent.
const HANDLE: u32 = 0x8100_0001;

/// The key, checked.
pub(super) struct Srk {
    pub(super) handle: KeyHandle,
    /// Computed here from its public area.
    pub(super) name: Vec<u8>,
}

/// The key that a keyslot names, or none.
pub(super) fn pinned(context: &mut Context, name: &[u8]) -> Result<Srk, Failure> {
    let (srk, attributes) = read(context)?.ok_or(Failure::OtherTpm)?;
    if !ct_eq(&srk.name, name) {
        return Err(Failure::OtherTpm);
    }
    check(attributes)?;
    Ok(srk)
}

/// The key that is there; made if none is.
pub(super) fn find_or_make(context: &mut Context) -> Result<Srk, Failure> {
    if let Some(found) = find(context)? {
        return Ok(found);
    }
    make(context)?;
    find(context)?.ok_or_else(|| unexpected("making the storage root key", "it is not there afterwards"))
}

/// The key that is there, if one is.
pub(super) fn find(context: &mut Context) -> Result<Option<Srk>, Failure> {
    let Some((srk, attributes)) = read(context)? else { return Ok(None) };
    check(attributes)?;
    Ok(Some(srk))
}

/// The name of what is there, whatever it is; empty if nothing is.
pub(super) fn name(context: &mut Context) -> Result<Vec<u8>, Failure> {
    Ok(read(context)?.map(|(srk, _)| srk.name).unwrap_or_default())
}

fn read(context: &mut Context) -> Result<Option<(Srk, ObjectAttributes)>, Failure> {
    const DOING: &str = "reading the storage root key";
    let persistent = PersistentTpmHandle::new(HANDLE).map_err(while_doing(DOING))?;
    let object = match context.tr_from_tpm_public(TpmHandle::Persistent(persistent)) {
        Ok(object) => object,
        Err(error) if kind(&error) == Some(Kind::Handle) => return Ok(None),
        Err(error) => return Err(while_doing(DOING)(error)),
    };
    let handle = KeyHandle::from(object);
    let (public, told, _) = context.read_public(handle).map_err(while_doing(DOING))?;
    let known = context.tr_get_name(object).map_err(while_doing(DOING))?;
    let name = names::of(&public).ok_or_else(|| Failure::NotAStorageKey("its name has an unknown hash".to_owned()))?;
    // The name is what the TPM is recognised by, so it is computed here. What was said about the key before, by which
    // libtss2 encrypts, has to bear the same name.
    if !ct_eq(&name, told.value()) || !ct_eq(&name, known.value()) {
        return Err(unexpected(
            DOING,
            "its name does not fit its public area; what the TPM says is altered on its way",
        ));
    }
    Ok(Some((Srk { handle, name }, public.object_attributes())))
}

fn check(attributes: ObjectAttributes) -> Result<(), Failure> {
    let wanted = [
        (attributes.restricted(), "restricted"),
        (attributes.decrypt(), "decrypt"),
        (attributes.fixed_tpm(), "fixedTPM"),
        (attributes.fixed_parent(), "fixedParent"),
    ];
    match wanted.iter().find(|(set, _)| !set) {
        None => Ok(()),
        Some((_, name)) => Err(Failure::NotAStorageKey(format!("it is not {name}"))),
    }
}

fn make(context: &mut Context) -> Result<(), Failure> {
    const DOING: &str = "making the storage root key";
    let denied = |error: Error| match kind(&error) {
        // 0x9A2: the owner's password is not empty.
        Some(Kind::BadAuth | Kind::AuthFail) => Failure::OwnerAuth,
        _ => while_doing(DOING)(error),
    };
    let template = template().map_err(while_doing(DOING))?;
    let persistent = PersistentTpmHandle::new(HANDLE).map_err(while_doing(DOING))?;
    context.execute_with_session(Some(AuthSession::Password), |context| {
        let made = context.create_primary(Hierarchy::Owner, template, None, None, None, None).map_err(denied)?;
        let object = ObjectHandle::from(made.key_handle);
        context.evict_control(Provision::Owner, object, Persistent::Persistent(persistent)).map_err(denied)?;
        context.flush_context(object).map_err(while_doing(DOING))
    })
}

/// Template of an ECC storage key on P-256 (TCG EK Credential Profile, template L-2, as an SRK: no policy, a user's
/// authorisation that is empty, and no dictionary attack protection, so that lost power locks nobody out).
fn template() -> Result<Public, Error> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(true)
        .with_decrypt(true)
        .build()?;
    let parameters = PublicEccParametersBuilder::new()
        .with_symmetric(SymmetricDefinitionObject::AES_128_CFB)
        .with_ecc_scheme(EccScheme::Null)
        .with_curve(EccCurve::NistP256)
        .with_key_derivation_function_scheme(KeyDerivationFunctionScheme::Null)
        .with_is_decryption_key(true)
        .with_restricted(true)
        .build()?;
    let zeroes = || EccParameter::try_from(vec![0; 32]);
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters)
        .with_ecc_unique_identifier(EccPoint::new(zeroes()?, zeroes()?))
        .build()
}
