//! The store alone: `merlond bench-store`, in a build with the feature `bench`, records flows of its own making by the
//! very code that records traffic, lists and counts them, and prints a table.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// How it was measured.
pub(crate) const HOW: &str = "`merlond bench-store`: all threads, full batches, 1 KB bodies, checkpoint included";
/// The line of the table that the target is about.
const LINE: &str = "1 KB: CPU a flow, all threads, with checkpoint";

/// What the store said of itself.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    /// Microseconds of CPU for each small flow.
    pub(crate) cpu: f64,
    /// The whole table.
    pub(crate) table: String,
}

/// Records that many small flows.
pub(crate) fn measure(merlond: &Path, core: usize, directory: &Path, flows: u64) -> Result<Recording> {
    std::fs::create_dir_all(directory)?;
    let output = Command::new("taskset")
        .args(["-c", &core.to_string()])
        .arg(merlond)
        .args(["bench-store", "--flows", &flows.to_string(), "--data-dir"])
        .arg(directory)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", merlond.display()))?;
    ensure!(
        output.status.success(),
        "{} bench-store failed: {}",
        merlond.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    parse(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn parse(table: String) -> Result<Recording> {
    let value =
        table.lines().find_map(|line| line.strip_prefix(LINE)).context("bench-store printed no CPU time of a flow")?;
    let cpu = value.trim().strip_suffix("µs").context("bench-store printed an odd unit")?.trim().parse()?;
    Ok(Recording { cpu, table })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_is_found_by_its_line() {
        let table = "1 KB: CPU a flow, all threads, with checkpoint     8.25 µs\nopen    1ms\n";
        assert_eq!(parse(table.to_owned()).unwrap().cpu, 8.25);
        assert!(parse("nothing".to_owned()).is_err());
    }
}
