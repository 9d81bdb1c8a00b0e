//! Looking for keys in the memory of a running process, as root can.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt as _;

/// A run of a key that was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Found {
    /// Which key.
    pub(crate) key: &'static str,
    /// In which form: as it is, byte by byte reversed (a number of the signing library), or in hex.
    pub(crate) form: &'static str,
    /// The mapping, as `/proc/PID/maps` names it.
    pub(crate) mapping: String,
    /// Where the run begins.
    pub(crate) address: usize,
}

/// What a scan has seen.
pub(crate) struct Scan {
    /// Bytes that could be read.
    pub(crate) bytes: usize,
    /// Runs of at least 16 bytes.
    pub(crate) found: Vec<Found>,
}

/// The shortest run that counts.
const RUN: usize = 16;
/// Every run of 16 bytes holds one of the key's 8-byte blocks whole; these are searched for.
const BLOCK: usize = 8;

/// Scans all readable memory of `pid` for any 16-byte run of the keys. Mappings that even root cannot read
/// (`memfd_secret`) are passed over, and so are locked ones if `skip_locked` is set: they are the secret memory of
/// kernels without it.
pub(crate) fn scan(pid: u32, keys: &[(&'static str, &[u8])], skip_locked: bool) -> Scan {
    let mut forms: Vec<(&'static str, &'static str, Vec<u8>)> = Vec::new();
    for (name, key) in keys {
        forms.push((name, "plain", key.to_vec()));
        forms.push((name, "reversed", key.iter().rev().copied().collect()));
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        forms.push((name, "hex", hex.into_bytes()));
    }
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut scan = Scan { bytes: 0, found: Vec::new() };
    for mapping in mappings(pid) {
        if mapping.locked && skip_locked {
            continue;
        }
        let mut bytes = vec![0; mapping.end - mapping.start];
        if memory.read_exact_at(&mut bytes, mapping.start as u64).is_err() {
            continue;
        }
        scan.bytes += bytes.len();
        for (key, form, pattern) in &forms {
            for start in runs(&bytes, pattern) {
                let address = mapping.start + start;
                scan.found.push(Found { key, form, mapping: mapping.name.clone(), address });
            }
        }
    }
    scan
}

/// Where runs of at least 16 bytes of `pattern` begin; each once.
fn runs(bytes: &[u8], pattern: &[u8]) -> BTreeSet<usize> {
    let mut starts = BTreeSet::new();
    for offset in (0..=pattern.len() - BLOCK).step_by(BLOCK) {
        for at in memchr::memmem::find_iter(bytes, &pattern[offset..offset + BLOCK]) {
            let before =
                bytes[..at].iter().rev().zip(pattern[..offset].iter().rev()).take_while(|(a, b)| a == b).count();
            let after = bytes[at..].iter().zip(&pattern[offset..]).take_while(|(a, b)| a == b).count();
            if before + after >= RUN {
                starts.insert(at - before);
            }
        }
    }
    starts
}

struct Mapping {
    start: usize,
    end: usize,
    name: String,
    locked: bool,
}

fn mappings(pid: u32) -> Vec<Mapping> {
    let mut list: Vec<Mapping> = Vec::new();
    for line in fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap().lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if first == "VmFlags:" {
            if let Some(last) = list.last_mut() {
                last.locked = words.any(|flag| flag == "lo");
            }
        } else if let Some((start, end)) = first.split_once('-') {
            let number = |text| usize::from_str_radix(text, 16).unwrap();
            let name = words.nth(4).unwrap_or("anonymous").to_owned();
            list.push(Mapping { start: number(start), end: number(end), name, locked: false });
        }
    }
    list
}
