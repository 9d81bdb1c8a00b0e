//! How a process stands, as `/proc` tells it: filters, rights, dumps, and AppArmor's profile.
//!
//! Owned here: what every thread of a confined process must show. Tracing tries the main thread only; this shows that
//! no other thread stayed outside.

use std::fs;
use std::io;

use nix::unistd::Pid;

/// One thing that must hold.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) name: &'static str,
    pub(crate) found: String,
    pub(crate) good: bool,
}

/// Every line of a thread's `status` that must hold, and whether only a unit sees to it.
const OF_THREADS: &[(&str, &str, bool)] = &[
    ("NoNewPrivs", "1", false),
    ("Seccomp", "2", false),
    ("CapInh", "0000000000000000", true),
    ("CapPrm", "0000000000000000", true),
    ("CapEff", "0000000000000000", true),
    ("CapBnd", "0000000000000000", true),
    ("CapAmb", "0000000000000000", true),
];

/// The capabilities of this very process: does it have all that the kernel knows?
///
/// # Errors
/// `/proc` cannot be read.
pub(crate) fn has_every_capability() -> io::Result<bool> {
    let last: u32 = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?.trim().parse().unwrap_or(u32::MAX);
    let status = fs::read_to_string("/proc/self/status")?;
    let effective = line(&status, "CapEff").and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(0);
    Ok(effective.count_ones() > last)
}

/// AppArmor's word on the process: `merlon-keeper (enforce)`, or nothing where there is no AppArmor.
pub(crate) fn apparmor(pid: Pid) -> Option<String> {
    let word = fs::read_to_string(format!("/proc/{pid}/attr/apparmor/current")).ok()?;
    Some(word.trim_end_matches(['\0', '\n']).to_owned())
}

/// Is it a service of systemd?
///
/// # Errors
/// `/proc` cannot be read.
pub(crate) fn is_service(pid: Pid) -> io::Result<bool> {
    Ok(fs::read_to_string(format!("/proc/{pid}/cgroup"))?.lines().any(|line| line.ends_with(".service")))
}

/// What must hold of the process and each of its threads.
///
/// # Errors
/// `/proc` cannot be read.
pub(crate) fn facts(pid: Pid, unit: bool, own_sandbox: bool) -> io::Result<Vec<Fact>> {
    let mut facts = Vec::new();
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        threads.push(fs::read_to_string(entry?.path().join("status"))?);
    }
    for (name, wanted, of_unit) in OF_THREADS {
        if *of_unit && !unit {
            continue;
        }
        let other = threads.iter().filter_map(|status| line(status, name)).find(|found| found != wanted);
        let found = format!("{} in each of {} threads", other.unwrap_or(wanted), threads.len());
        facts.push(Fact { name, found, good: other.is_none() && !threads.is_empty() });
    }
    let status = threads.first().map(String::as_str).unwrap_or_default();
    if unit {
        let user = line(status, "Uid").unwrap_or_default();
        facts.push(Fact { name: "Uid", found: user.to_owned(), good: !user.split('\t').any(|id| id == "0") });
    }
    if own_sandbox {
        // Landlock and seccomp of its own come after those of the unit: two filters each, see `sandbox::seccomp`.
        let filters = line(status, "Seccomp_filters").and_then(|count| count.parse::<u32>().ok());
        let found = filters.map_or_else(|| "not told".to_owned(), |count| count.to_string());
        facts.push(Fact { name: "Seccomp_filters", found, good: filters.is_none_or(|count| count >= 2) });
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap_or_default();
    let good = core.split_whitespace().take(2).all(|limit| limit == "0") && !core.is_empty();
    facts.push(Fact { name: "Max core file size", found: core.trim().to_owned(), good });
    if let Some(word) = apparmor(pid).filter(|_| unit) {
        facts.push(Fact { name: "AppArmor", good: word.ends_with("(enforce)"), found: word });
    }
    Ok(facts)
}

fn line<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut values = status.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    values.next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_status_are_found_by_their_whole_name() {
        let status = "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t3\n";
        assert_eq!(line(status, "Seccomp"), Some("2"));
        assert_eq!(line(status, "Seccomp_filters"), Some("3"));
        assert_eq!(line(status, "CapEff"), None);
    }
}
