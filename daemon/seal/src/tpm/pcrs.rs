//! PCRs of the SHA-256 bank.

use merlon_wire::seal::{Failure, PCRS, Pcr};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::structures::{PcrSelectSize, PcrSelectionList, PcrSelectionListBuilder, PcrSlot};
use tss_esapi::{Context, Error};

use super::failure::{unexpected, while_doing};

const DOING: &str = "reading the PCRs";

/// Rising, each once; refused if there is no such PCR.
pub(super) fn ordered(indices: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut ordered = indices.to_vec();
    ordered.sort_unstable();
    ordered.dedup();
    match ordered.last() {
        Some(last) if *last >= PCRS => Err(Failure::Request(format!("there is no PCR {last}"))),
        _ => Ok(ordered),
    }
}

/// Their values now. The TPM gives at most eight at a time.
pub(super) fn read(context: &mut Context, indices: &[u8]) -> Result<Vec<Pcr>, Failure> {
    let mut wanted = ordered(indices)?;
    let mut values = Vec::with_capacity(wanted.len());
    while !wanted.is_empty() {
        let asked = selection(&wanted).map_err(while_doing(DOING))?;
        let (_, given, digests) = context.pcr_read(asked).map_err(while_doing(DOING))?;
        let given: Vec<u8> = wanted.iter().copied().filter(|index| selects(&given, *index)).collect();
        if given.is_empty() || given.len() != digests.len() {
            return Err(unexpected(DOING, "the TPM has no PCR bank for SHA-256"));
        }
        for (index, digest) in given.iter().zip(digests.value()) {
            let value =
                <[u8; 32]>::try_from(digest.value()).map_err(|_| unexpected(DOING, "a value has no 32 bytes"))?;
            values.push(Pcr { index: *index, value });
        }
        wanted.retain(|index| !given.contains(index));
    }
    values.sort_unstable_by_key(|pcr| pcr.index);
    Ok(values)
}

/// The ones that differ from what they were.
pub(super) fn changed(context: &mut Context, before: &[Pcr]) -> Result<Vec<u8>, Failure> {
    let indices: Vec<u8> = before.iter().map(|pcr| pcr.index).collect();
    let now = read(context, &indices)?;
    Ok(before.iter().filter(|pcr| !now.contains(pcr)).map(|pcr| pcr.index).collect())
}

/// Nothing was measured into it: it is as it was at reset.
pub(super) fn measures_nothing(pcr: &Pcr) -> bool {
    pcr.value == [0; 32] || pcr.value == [0xff; 32]
}

/// As TPML_PCR_SELECTION.
pub(super) fn selection(indices: &[u8]) -> Result<PcrSelectionList, Error> {
    let slots = indices.iter().map(|index| slot(*index)).collect::<Result<Vec<_>, _>>()?;
    PcrSelectionListBuilder::new()
        .with_size_of_select(PcrSelectSize::ThreeOctets)
        .with_selection(HashingAlgorithm::Sha256, &slots)
        .build()
}

fn selects(list: &PcrSelectionList, index: u8) -> bool {
    let Ok(slot) = slot(index) else { return false };
    let sha256 = |s: &&tss_esapi::structures::PcrSelection| s.hashing_algorithm() == HashingAlgorithm::Sha256;
    list.get_selections().iter().filter(sha256).any(|selection| selection.is_selected(slot))
}

fn slot(index: u8) -> Result<PcrSlot, Error> {
    PcrSlot::try_from(1u32.checked_shl(index.into()).unwrap_or(0))
}
