//! The memory of running processes, as root sees it: how much there is, and what can be found in it.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};

use crate::process::children;

/// A run that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Of which secret.
    pub secret: String,
    /// As it is; `reversed` byte by byte, as a number of the signing library; or in letters.
    pub form: &'static str,
    /// The mapping, as `/proc/PID/maps` names it.
    pub mapping: String,
    /// Where the run begins.
    pub address: usize,
    /// Printable bytes around it, to see what holds it.
    pub around: String,
}

/// What a scan has seen.
pub struct Scan {
    /// Bytes that were read.
    pub bytes: usize,
    /// Runs of at least 16 bytes.
    pub found: Vec<Found>,
}

/// The shortest run that counts.
const RUN: usize = 16;
/// Every run of [`RUN`] bytes holds one of the secret's blocks of this size whole; these are searched for.
const BLOCK: usize = 8;
/// Bytes of a mapping that are read at once; pieces overlap by more than any secret is long.
const PIECE: usize = 16 << 20;
const OVERLAP: usize = 4096;

/// Searches everything that root can read of a process for runs of 16 bytes of any of the secrets: as they are,
/// reversed, in hex, and in base64. What root cannot read (`memfd_secret`) is passed over.
#[must_use]
pub fn scan(pid: u32, secrets: &[(String, Vec<u8>)]) -> Scan {
    let mut forms = Vec::new();
    for (name, secret) in secrets {
        forms.push((name, "plain", secret.clone()));
        forms.push((name, "reversed", secret.iter().rev().copied().collect()));
        forms.push((name, "hex", HEXLOWER.encode(secret).into_bytes()));
        forms.push((name, "HEX", HEXUPPER.encode(secret).into_bytes()));
        // In a longer text a secret begins at any of three places of a base64 group; its own whole groups show.
        for skip in 0..3 {
            let whole = &secret[skip..];
            forms.push((name, "base64", BASE64.encode(&whole[..whole.len() / 3 * 3]).into_bytes()));
        }
    }
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut scan = Scan { bytes: 0, found: Vec::new() };
    let mut buffer = Vec::new();
    for (start, end, name) in mappings(pid) {
        let mut at = start;
        while at < end {
            let stop = end.min(at + PIECE + OVERLAP);
            buffer.resize(stop - at, 0);
            // Secret memory, or a mapping that went meanwhile.
            if memory.read_exact_at(&mut buffer, at as u64).is_err() {
                break;
            }
            scan.bytes += buffer.len().min(PIECE);
            for (secret, form, pattern) in &forms {
                for run in runs(&buffer, pattern).into_iter().filter(|run| *run < PIECE) {
                    let around = buffer[run.saturating_sub(48)..buffer.len().min(run + 96)].escape_ascii().to_string();
                    let found =
                        Found { secret: (*secret).clone(), form, mapping: name.clone(), address: at + run, around };
                    scan.found.push(found);
                }
            }
            at += PIECE;
        }
    }
    scan
}

/// Where runs of the pattern begin, each once.
fn runs(bytes: &[u8], pattern: &[u8]) -> BTreeSet<usize> {
    let mut starts = BTreeSet::new();
    for offset in (0..=pattern.len().saturating_sub(BLOCK)).step_by(BLOCK) {
        let Some(block) = pattern.get(offset..offset + BLOCK) else { continue };
        for at in memchr::memmem::find_iter(bytes, block) {
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

fn mappings(pid: u32) -> Vec<(usize, usize, String)> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mapping = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let readable = words.next()?.starts_with('r');
        let name = words.nth(3).unwrap_or("anonymous").to_owned();
        let number = |text| usize::from_str_radix(text, 16).ok();
        readable.then_some((number(start)?, number(end)?, name))
    };
    maps.lines().filter_map(mapping).collect()
}

/// KiB of memory that a process holds, its share of what is shared included (PSS); where only root may know that, the
/// resident size, which is more.
#[must_use]
pub fn held_kib(pid: u32) -> u64 {
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned))?;
        line.split_whitespace().next()?.parse().ok()
    };
    field("smaps_rollup", "Pss:").or_else(|| field("status", "VmRSS:")).unwrap_or_else(|| panic!("no process {pid}"))
}

/// [`held_kib`] of a parent and all of its children.
#[must_use]
pub fn held_by_all_kib(parent: u32) -> u64 {
    children(parent).iter().map(|(pid, _)| held_kib(*pid)).sum::<u64>() + held_kib(parent)
}
