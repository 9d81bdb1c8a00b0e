//! The recorder alone: `merlond bench-store` of a build with the feature `bench` writes flows of its own making into a
//! project, by the very code that records traffic, and says what that took.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::subject::Child;

/// How it was measured.
pub(crate) const HOW: &str = "`merlond bench-store`, full batches, 1 KB bodies";
/// Flows that are written.
const FLOWS: &str = "300000";
/// The longest time that it may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Microseconds of CPU for each flow.
pub(crate) fn measure(merlond: &Path, core: usize, directory: &Path) -> Result<f64> {
    std::fs::create_dir_all(directory)?;
    let arguments = ["bench-store".into(), "--data-dir".into(), directory.into(), "--flows".into(), FLOWS.into()];
    let log = directory.with_extension("log");
    let (_child, ready) = Child::start_until_ready(merlond, &arguments, Some(core), &log, LIMIT)
        .context("this merlond measures no recording (it needs the feature `bench`)")?;
    ready.get("cpu_us_per_flow")?.parse().context("merlond bench-store printed an odd figure")
}
