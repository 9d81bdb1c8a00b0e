//! What the kernel says of processes and of the machine: CPU time, memory, descendants. Reads `/proc` only.

use std::collections::BTreeMap;
use std::fs;
use std::ops::AddAssign;
use std::time::Duration;

/// Milliseconds of one tick of `/proc`'s CPU times: `USER_HZ` is 100 on every architecture that Merlon runs on.
const TICK: u64 = 10;

/// The process and all that descend from it, in order of their ids.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let parents: BTreeMap<u32, u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, stat(id)?.parent)))
        .collect();
    let belongs = |id: u32| std::iter::successors(Some(id), |id| parents.get(id).copied()).any(|id| id == root);
    parents.keys().copied().filter(|id| belongs(*id)).collect()
}

/// Name of the program, as the kernel knows it.
pub(crate) fn name(id: u32) -> String {
    fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default().trim().to_owned()
}

/// CPU time (user and system) of each process that still lives.
pub(crate) fn cpu(ids: &[u32]) -> BTreeMap<u32, Duration> {
    ids.iter().filter_map(|id| Some((*id, stat(*id)?.cpu))).collect()
}

struct Stat {
    parent: u32,
    cpu: Duration,
}

fn stat(id: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name in parentheses may hold spaces and parentheses itself.
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let cpu = Duration::from_millis(TICK * (ticks(11)? + ticks(12)?));
    Some(Stat { parent: fields.get(1)?.parse().ok()?, cpu })
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident, shared pages counted in each process.
    pub(crate) rss: u64,
    /// Resident, shared pages divided by their users; none where the kernel does not tell.
    pub(crate) pss: Option<u64>,
    /// The most that was ever resident, each process by itself.
    pub(crate) peak: u64,
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.rss += other.rss;
        self.peak += other.peak;
        self.pss = self.pss.zip(other.pss).map(|(one, two)| one + two);
    }
}

/// Memory of the processes together.
pub(crate) fn memory(ids: &[u32]) -> Memory {
    let mut all = Memory { pss: Some(0), ..Memory::default() };
    for id in ids {
        let read = |file: &str| fs::read_to_string(format!("/proc/{id}/{file}")).ok();
        let Some(status) = read("status") else {
            continue;
        };
        all += Memory {
            rss: kilobytes(&status, "VmRSS:").unwrap_or(0),
            peak: kilobytes(&status, "VmHWM:").unwrap_or(0),
            pss: read("smaps_rollup").and_then(|text| kilobytes(&text, "Pss:")),
        };
    }
    all
}

/// Bytes of memory that the machine could give to programs.
pub(crate) fn available() -> u64 {
    fs::read_to_string("/proc/meminfo").ok().and_then(|text| kilobytes(&text, "MemAvailable:")).unwrap_or(0)
}

fn kilobytes(text: &str, field: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

/// CPU time of the whole machine since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Machine {
    /// Spent on anything, interrupts included.
    pub(crate) busy: Duration,
    /// Taken by the hypervisor for others.
    pub(crate) steal: Duration,
}

impl Machine {
    /// Now.
    pub(crate) fn now() -> Self {
        fs::read_to_string("/proc/stat").ok().and_then(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<u64> = text.lines().next()?.split_ascii_whitespace().skip(1).flat_map(str::parse).collect();
        let at = |index: usize| fields.get(index).copied().unwrap_or(0);
        let busy = at(0) + at(1) + at(2) + at(5) + at(6);
        Some(Self { busy: Duration::from_millis(TICK * busy), steal: Duration::from_millis(TICK * at(7)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = parse_stat("7 (a) b) S 3 7 7 0 -1 4194560 1 2 3 4 150 50 9 9 20 0 1 0 5").unwrap();
        assert_eq!((stat.parent, stat.cpu), (3, Duration::from_secs(2)));
    }

    #[test]
    fn this_process_is_in_its_own_tree_and_uses_memory() {
        let own = tree(std::process::id());
        assert!(own.contains(&std::process::id()));
        let memory = memory(&[std::process::id()]);
        assert!(memory.rss > 0 && memory.peak >= memory.rss);
    }

    #[test]
    fn idle_time_is_not_busy() {
        let machine = Machine::parse("cpu  100 0 50 9000 10 1 2 30 0 0\ncpu0 …").unwrap();
        assert_eq!((machine.busy, machine.steal), (Duration::from_millis(1530), Duration::from_millis(300)));
    }
}
