//! Policy digests, computed here (TPM 2.0 part 3, 23): what the TPM will compute when a policy is fulfilled.

use merlon_wire::seal::Pcr;

use super::names::{ALG_SHA256, sha256};

const CC_POLICY_AUTHORIZE: [u8; 4] = 0x0000_016a_u32.to_be_bytes();
const CC_POLICY_AUTH_VALUE: [u8; 4] = 0x0000_016b_u32.to_be_bytes();
const CC_POLICY_PCR: [u8; 4] = 0x0000_017f_u32.to_be_bytes();

/// A policy that asks for nothing.
pub(super) const EMPTY: [u8; 32] = [0; 32];

/// PolicyPCR over these PCRs (rising) with these values; without any, a policy that asks for nothing.
pub(super) fn over_pcrs(pcrs: &[Pcr]) -> [u8; 32] {
    if pcrs.is_empty() {
        return EMPTY;
    }
    let mut bits = [0u8; 3];
    for pcr in pcrs {
        if let Some(byte) = bits.get_mut(usize::from(pcr.index / 8)) {
            *byte |= 1 << (pcr.index % 8);
        }
    }
    // TPML_PCR_SELECTION: one bank, three octets.
    let selection = [&1u32.to_be_bytes()[..], &ALG_SHA256, &[3], &bits].concat();
    let values: Vec<&[u8]> = pcrs.iter().map(|pcr| &pcr.value[..]).collect();
    sha256(&[&EMPTY, &CC_POLICY_PCR, &selection, &sha256(&values)])
}

/// PolicyAuthorize by the key of this name, with an empty policyRef. It forgets what came before.
pub(super) fn authorized_by(key_name: &[u8]) -> [u8; 32] {
    sha256(&[&sha256(&[&EMPTY, &CC_POLICY_AUTHORIZE, key_name])])
}

/// PolicyAuthValue after `before`.
pub(super) fn and_auth_value(before: &[u8; 32]) -> [u8; 32] {
    sha256(&[before, &CC_POLICY_AUTH_VALUE])
}

/// What an approver signs: the digest of the policy, with an empty policyRef. It is what `openssl dgst -sha256 -sign`
/// signs over a file of the policy's 32 bytes.
pub(super) fn approval(policy: &[u8]) -> [u8; 32] {
    sha256(&[policy])
}
