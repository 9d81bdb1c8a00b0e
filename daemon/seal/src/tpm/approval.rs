//! Signed policies: a signature by the keyslot's policy key stands for the PCRs (PolicyAuthorize; TPM 2.0 part 3,
//! 23.16). The TPM judges the signature.

use merlon_wire::seal::{Approval, Failure, POLICY_KEY_LEN};
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::handles::ObjectHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::PolicySession;
use tss_esapi::structures::{
    Digest, EccParameter, EccPoint, EccScheme, EccSignature, KeyDerivationFunctionScheme, Name, Nonce, Public,
    PublicBuilder, PublicEccParameters, Signature, SymmetricDefinitionObject, VerifiedTicket,
};
use tss_esapi::{Context, Error};

use super::failure::{judged, while_doing};
use super::{names, policy};

const DOING: &str = "checking a signed policy";

/// The policy key as the TPM sees it.
pub(super) struct PolicyKey {
    public: Public,
    pub(super) name: Vec<u8>,
}

impl PolicyKey {
    /// From an uncompressed point on P-256. That it lies on the curve, the TPM checks when it is used.
    pub(super) fn parse(point: &[u8]) -> Result<Self, Failure> {
        let refused = || Failure::Request("the policy key is no uncompressed point on P-256".to_owned());
        let point: &[u8; POLICY_KEY_LEN] = point.try_into().map_err(|_| refused())?;
        let [4, coordinates @ ..] = point else { return Err(refused()) };
        let (x, y) = coordinates.split_at(32);
        let public = public(x, y).map_err(while_doing(DOING))?;
        let name = names::of(&public).ok_or_else(refused)?;
        Ok(Self { public, name })
    }

    /// Asks the TPM whether it takes this key at all.
    pub(super) fn check(&self, context: &mut Context) -> Result<(), Failure> {
        let loaded = self.load(context)?;
        context.flush_context(loaded).map_err(while_doing(DOING))
    }

    fn load(&self, context: &mut Context) -> Result<ObjectHandle, Failure> {
        let loaded = context.load_external_public(self.public.clone(), Hierarchy::Owner);
        loaded.map(ObjectHandle::from).map_err(|error| {
            if judged(&error) {
                return Failure::Request("the TPM does not take the policy key: it is no point on P-256".to_owned());
            }
            while_doing(DOING)(error)
        })
    }
}

/// Lets the policy key's signature over the present policy stand for that policy.
pub(super) fn authorize(
    context: &mut Context,
    session: PolicySession,
    key: &PolicyKey,
    approvals: &[Approval<'_>],
) -> Result<(), Failure> {
    let digest = context.policy_get_digest(session).map_err(while_doing(DOING))?;
    let policy = digest.value().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut judged = Err(Failure::NoSignature { policy });
    for approval in approvals.iter().filter(|approval| approval.policy == digest.value()) {
        judged = verified(context, key, approval);
        // One that does not fit does not stand in the way of one that does.
        if !matches!(judged, Err(Failure::BadSignature)) {
            break;
        }
    }
    let ticket = judged?;
    let name = Name::try_from(key.name.clone()).map_err(while_doing(DOING))?;
    context.policy_authorize(session, digest, Nonce::default(), &name, ticket).map_err(while_doing(DOING))
}

fn verified(context: &mut Context, key: &PolicyKey, approval: &Approval<'_>) -> Result<VerifiedTicket, Failure> {
    let (r, s) = numbers(approval.signature).ok_or(Failure::BadSignature)?;
    let number = |bytes: &[u8]| EccParameter::try_from(bytes.to_vec());
    let signature = number(&r)
        .and_then(|r| EccSignature::create(HashingAlgorithm::Sha256, r, number(&s)?))
        .map_err(while_doing(DOING))?;
    let digest = Digest::try_from(policy::approval(approval.policy).to_vec()).map_err(while_doing(DOING))?;
    let loaded = key.load(context)?;
    let ticket = context.verify_signature(loaded.into(), digest, Signature::EcDsa(signature));
    context.flush_context(loaded).map_err(while_doing(DOING))?;
    ticket.map_err(|error| if judged(&error) { Failure::BadSignature } else { while_doing(DOING)(error) })
}

/// r and s of a signature in DER: SEQUENCE { INTEGER, INTEGER } (RFC 3279, 2.2.3), each as 32 bytes.
fn numbers(der: &[u8]) -> Option<([u8; 32], [u8; 32])> {
    let [0x30, length, rest @ ..] = der else { return None };
    if usize::from(*length) != rest.len() {
        return None;
    }
    let (r, rest) = number(rest)?;
    let (s, rest) = number(rest)?;
    rest.is_empty().then_some((r, s))
}

/// One positive INTEGER of at most 256 bits, and what follows it.
fn number(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [0x02, length, rest @ ..] = der else { return None };
    let (digits, rest) = rest.split_at_checked(usize::from(*length))?;
    // The first bit is the sign.
    if digits.first()? & 0x80 != 0 {
        return None;
    }
    let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
    let mut number = [0; 32];
    let start = number.len().checked_sub(digits.len())?;
    number[start..].copy_from_slice(digits);
    Some((number, rest))
}

fn public(x: &[u8], y: &[u8]) -> Result<Public, Error> {
    let attributes = ObjectAttributesBuilder::new().with_user_with_auth(true).with_sign_encrypt(true).build()?;
    // With no scheme of its own it takes the signature's.
    let (none, kdf) = (SymmetricDefinitionObject::Null, KeyDerivationFunctionScheme::Null);
    let parameters = PublicEccParameters::new(none, EccScheme::Null, EccCurve::NistP256, kdf);
    let point = EccPoint::new(EccParameter::try_from(x.to_vec())?, EccParameter::try_from(y.to_vec())?);
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters)
        .with_ecc_unique_identifier(point)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_in_der_has_two_numbers_and_nothing_else() {
        let good = [0x30, 7, 2, 2, 0, 0x80, 2, 1, 5];
        let (r, s) = numbers(&good).unwrap();
        assert_eq!((r[31], s[31], r[30]), (0x80, 5, 0));
        let longest = [&[0x30, 70, 2, 33, 0][..], &[0xff; 32], &[2, 33, 0], &[0xee; 32]].concat();
        assert_eq!(numbers(&longest), Some(([0xff; 32], [0xee; 32])));
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 0],
            &[0x31, 6, 2, 1, 1, 2, 1, 1],
            &[0x30, 6, 2, 1, 0x80, 2, 1, 1],
            &[0x30, 6, 2, 1, 1, 2, 1, 1, 0],
            &[0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1],
            &[0x30, 6, 2, 1, 1, 2, 9, 1],
        ] {
            assert_eq!(numbers(bad), None, "{bad:?}");
        }
        let long = [&[0x30, 39, 2, 34, 1][..], &[1; 33], &[2, 1, 1]].concat();
        assert_eq!(numbers(&long), None);
    }
}
