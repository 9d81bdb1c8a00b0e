//! Signed policies for `tpm2` slots: `policy-signatures.json` beside the keyslots.
//!
//! Nothing here is secret and nothing is trusted: the TPM judges each signature. That is why they can be taken while
//! the keeper is locked, and why a damaged file is no more than a list without entries.

use std::io;
use std::path::Path;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use data_encoding::HEXLOWER_PERMISSIVE;
use merlon_sandbox::files;
use merlon_wire::seal::{Approval, MAX_APPROVALS};
use serde::{Deserialize, Serialize};

/// The file's name in the keeper's directory.
pub(crate) const FILE: &str = "policy-signatures.json";
/// Bytes of a policy digest.
pub(crate) const POLICY_LEN: usize = 32;
/// The longest signature: two integers of P-256 in DER.
const MAX_SIGNATURE: usize = 80;
/// More than the most entries need.
const MAX_BYTES: usize = 256 << 10;

/// A signature over a policy, for one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    slot: u32,
    policy: Vec<u8>,
    signature: Vec<u8>,
}

impl Kept {
    /// As `merlon-seal` takes it.
    pub(super) fn approval(&self) -> Approval<'_> {
        Approval { policy: &self.policy, signature: &self.signature }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    slot: u32,
    policy: String,
    signature: String,
}

/// The signatures for a slot, the newest first.
pub(crate) fn of(dir: &Path, slot: u32) -> Vec<Kept> {
    all(dir).into_iter().rev().filter(|kept| kept.slot == slot).take(MAX_APPROVALS).collect()
}

/// Is there a signature over this policy for the slot?
pub(crate) fn has(dir: &Path, slot: u32, policy: &[u8]) -> bool {
    of(dir, slot).iter().any(|kept| kept.policy == policy)
}

/// Is this a signature (ECDSA with SHA-256, DER) by the key over the policy?
pub(crate) fn is_by(key: &[u8], policy: &[u8], signature: &[u8]) -> bool {
    policy.len() == POLICY_LEN
        && signature.len() <= MAX_SIGNATURE
        && UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(policy, signature).is_ok()
}

/// Keeps a signature. It replaces an earlier one over the same policy; of too many the oldest goes.
pub(crate) fn keep(dir: &Path, slot: u32, policy: &[u8], signature: &[u8]) -> io::Result<()> {
    let mut list = all(dir);
    list.retain(|kept| kept.slot != slot || kept.policy != policy);
    list.push(Kept { slot, policy: policy.to_vec(), signature: signature.to_vec() });
    while list.iter().filter(|kept| kept.slot == slot).count() > MAX_APPROVALS {
        let oldest = list.iter().position(|kept| kept.slot == slot).unwrap_or_default();
        list.remove(oldest);
    }
    write(dir, &list)
}

/// Forgets those of a slot that is removed.
pub(crate) fn forget(dir: &Path, slot: u32) -> io::Result<()> {
    let mut list = all(dir);
    let before = list.len();
    list.retain(|kept| kept.slot != slot);
    if list.len() == before { Ok(()) } else { write(dir, &list) }
}

/// All of them, the oldest first.
fn all(dir: &Path) -> Vec<Kept> {
    let read = files::read_owned(&dir.join(FILE), MAX_BYTES, 0o022).ok();
    let records: Vec<Record> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let bytes = |hex: &str| HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok();
    records
        .into_iter()
        .filter_map(|record| {
            let policy = bytes(&record.policy).filter(|policy| policy.len() == POLICY_LEN)?;
            let signature = bytes(&record.signature).filter(|signature| signature.len() <= MAX_SIGNATURE)?;
            Some(Kept { slot: record.slot, policy, signature })
        })
        .collect()
}

fn write(dir: &Path, list: &[Kept]) -> io::Result<()> {
    let hex = |bytes: &[u8]| HEXLOWER_PERMISSIVE.encode(bytes);
    let records: Vec<_> = list
        .iter()
        .map(|kept| Record { slot: kept.slot, policy: hex(&kept.policy), signature: hex(&kept.signature) })
        .collect();
    let text = serde_json::to_string(&records).map_err(io::Error::other)?;
    files::write_atomic(dir, FILE, text.as_bytes(), 0o600)
}
