//! What a table of figures is worth nothing without: the machine, the kernel, and the versions of everything measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::subject::Programs;

/// Lines for the head of the report.
pub(crate) fn collect(programs: &Programs, more: &[String]) -> Vec<String> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let value = |text: &str, key: &str, separator: char| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(separator))
            .map(|value| value.trim().trim_matches('"').to_owned())
    };
    let unknown = || "unknown".to_owned();
    let mut lines = vec![
        format!(
            "CPU: {}, {} online",
            value(&cpuinfo, "model name", ':').unwrap_or_else(unknown),
            cpuinfo.lines().filter(|line| line.starts_with("processor")).count()
        ),
        format!("Memory: {}", value(&read("/proc/meminfo"), "MemTotal", ':').unwrap_or_else(unknown)),
        format!("Kernel: {}", read("/proc/sys/kernel/osrelease").trim()),
        format!("System: {}", value(&read("/etc/os-release"), "PRETTY_NAME", '=').unwrap_or_else(unknown)),
    ];
    if let Some(merlond) = &programs.merlond {
        lines.push(format!("Merlon: {}", version(merlond)));
    }
    if programs.hudsucker.is_some() {
        lines.push("hudsucker: 0.25.0, no handler, one thread, TCP_NODELAY, aws-lc-rs; records nothing".to_owned());
    }
    if let Some(mitmdump) = &programs.mitmdump {
        lines.push(format!("mitmdump: {}, --quiet; records nothing", version(mitmdump)));
    }
    lines.extend(more.iter().cloned());
    lines
}

/// The first lines of `--version`, joined.
fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let words: Vec<&str> = text.lines().take(3).flat_map(str::split_ascii_whitespace).collect();
    if words.is_empty() { "version unknown".to_owned() } else { words.join(" ") }
}
