//! Names: the digests by which the TPM and its users mean the same object (TPM 2.0 part 1, 16).

use aws_lc_rs::digest::{self, SHA256, SHA384};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::structures::Public;
use tss_esapi::traits::Marshall as _;

/// TPM_ALG_SHA256
pub(super) const ALG_SHA256: [u8; 2] = [0x00, 0x0b];
/// TPM_ALG_SHA384
const ALG_SHA384: [u8; 2] = [0x00, 0x0c];

/// SHA-256 over all parts in a row.
pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// The name of an object, computed from its public area. None if its hash is neither SHA-256 nor SHA-384.
pub(super) fn of(public: &Public) -> Option<Vec<u8>> {
    let area = public.marshall().ok()?;
    let (id, digest) = match public.name_hashing_algorithm() {
        HashingAlgorithm::Sha256 => (ALG_SHA256, digest::digest(&SHA256, &area)),
        HashingAlgorithm::Sha384 => (ALG_SHA384, digest::digest(&SHA384, &area)),
        _ => return None,
    };
    Some([&id, digest.as_ref()].concat())
}
