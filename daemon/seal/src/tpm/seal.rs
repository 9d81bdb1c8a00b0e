//! Sealing a value.

use merlon_wire::seal::{Failure, Pcr, SECRET_LEN, Tpm2Object, Tpm2Seal};
use tss_esapi::Error;
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::structures::{
    Auth, Digest, KeyedHashScheme, Public, PublicBuilder, PublicKeyedHashParameters, SensitiveData,
};
use tss_esapi::traits::Marshall as _;

use super::approval::PolicyKey;
use super::failure::{unexpected, while_doing};
use super::lockout::Lockout;
use super::session::Cover;
use super::{Tpm, names, pcrs, policy, session, srk};
use crate::serve::Answer;

const DOING: &str = "sealing";
/// Of a PIN's half, and of a counter.
pub(super) const AUTH_LEN: usize = 32;
/// Secure Boot: its keys, and by whom what was started is signed.
const DEFAULT_PCR: u8 = 7;

/// Seals.
pub(super) fn seal(tpm: &mut Tpm, wanted: &Tpm2Seal<'_>) -> Result<Answer, Failure> {
    let pin = !wanted.auth.is_empty();
    if wanted.secret.len() != SECRET_LEN || (pin && wanted.auth.len() != AUTH_LEN) {
        return Err(Failure::Request("a value or an authorisation has the wrong length".to_owned()));
    }
    let key = if wanted.policy_key.is_empty() { None } else { Some(PolicyKey::parse(wanted.policy_key)?) };
    let context = &mut tpm.context;
    let mut notes = Vec::new();
    let chosen = choose(context, wanted.pcrs.as_deref(), key.is_some(), &mut notes)?;
    if let Some(key) = &key {
        key.check(context)?;
    }
    if pin && !Lockout::read(context)?.auth_set {
        notes.push(
            "The TPM's lockout authorisation is not set: whoever reaches the TPM can reset the count of wrong PINs. \
             Set it with `tpm2_changeauth -c lockout`."
                .to_owned(),
        );
    }
    let srk = srk::find_or_make(context)?;
    let digest = digest(&chosen, key.as_ref(), pin);
    let template = template(digest, pin).map_err(while_doing(DOING))?;
    let session = session::hmac(context, &srk, None, Cover::Both)?;
    let made = context.execute_with_session(Some(session), |context| {
        let auth = if pin { Some(authorisation(wanted.auth)?) } else { None };
        let secret = SensitiveData::try_from(wanted.secret.to_vec())?;
        context.create(srk.handle, template.clone(), auth, Some(secret), None, None)
    });
    let made = made.map_err(while_doing(DOING))?;
    if names::of(&made.out_public).is_none() || made.out_public.auth_policy() != template.auth_policy() {
        return Err(unexpected(DOING, "the sealed object has another policy than was asked for"));
    }
    let public = made.out_public.marshall().map_err(while_doing(DOING))?;
    let object = Tpm2Object {
        srk_name: srk.name,
        public,
        private: made.out_private.value().to_vec(),
        pcrs: chosen,
        policy_key: wanted.policy_key.to_vec(),
        pin,
    };
    Ok(Answer::Sealed { object, notes })
}

/// The TPM drops zeroes at the end of an authorisation, libtss2 does not.
pub(super) fn authorisation(bytes: &[u8]) -> Result<Auth, Error> {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    Auth::try_from(bytes[..used].to_vec())
}

/// Something has to be asked for, so without PCRs and key it is the authorisation, be it empty.
pub(super) fn asks_for_auth_value(pcrs: &[Pcr], signed: bool, pin: bool) -> bool {
    pin || (pcrs.is_empty() && !signed)
}

fn digest(pcrs: &[Pcr], key: Option<&PolicyKey>, pin: bool) -> [u8; 32] {
    let base = match key {
        Some(key) => policy::authorized_by(&key.name),
        None => policy::over_pcrs(pcrs),
    };
    if asks_for_auth_value(pcrs, key.is_some(), pin) { policy::and_auth_value(&base) } else { base }
}

fn choose(
    context: &mut tss_esapi::Context,
    wanted: Option<&[u8]>,
    signed: bool,
    notes: &mut Vec<String>,
) -> Result<Vec<Pcr>, Failure> {
    if signed && wanted.is_some_and(<[u8]>::is_empty) {
        return Err(Failure::Request("a policy key signs values of PCRs, and none is named".to_owned()));
    }
    let values = pcrs::read(context, wanted.unwrap_or(&[DEFAULT_PCR]))?;
    let idle: Vec<String> =
        values.iter().filter(|pcr| pcrs::measures_nothing(pcr)).map(|pcr| pcr.index.to_string()).collect();
    if wanted.is_none() && !signed && !idle.is_empty() {
        notes.push(
            "PCR 7 measures nothing on this machine (no Secure Boot measurements), so the key is bound to the TPM only, \
             not to the state of the machine: whoever starts another system on this machine can open it. A PIN prevents \
             that."
                .to_owned(),
        );
        return Ok(Vec::new());
    }
    if !idle.is_empty() {
        let idle = idle.join(", ");
        notes.push(format!("PCR {idle} measure nothing on this machine: that the key is bound to them means nothing."));
    }
    if values.is_empty() {
        notes.push(
            "The key is bound to the TPM only, not to the state of the machine: whoever starts another system on this \
             machine can use the TPM as well."
                .to_owned(),
        );
    }
    Ok(values)
}

/// A sealed value: it stays in this TPM and below this key, and only its policy opens it. Dictionary attack protection
/// is for PINs; without one a lockout by somebody else's failures must not lock this out.
fn template(policy: [u8; 32], pin: bool) -> Result<Public, Error> {
    let attributes =
        ObjectAttributesBuilder::new().with_fixed_tpm(true).with_fixed_parent(true).with_no_da(!pin).build()?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_auth_policy(Digest::try_from(policy.to_vec())?)
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(Digest::default())
        .build()
}
