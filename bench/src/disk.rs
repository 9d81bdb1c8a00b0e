//! What the machine itself charges for bytes written to a file, without any of the programs under test: on some virtual
//! machines fresh pages of the page cache cost more than everything that Merlon does with a recorded megabyte.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::Result;
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::content::Content;
use crate::procs;

/// Megabytes that are written.
const MEGABYTES: u16 = 256;

/// A line for the report: CPU time of a megabyte written to a new file, and written again over it.
pub(crate) fn cost(directory: &Path) -> Result<String> {
    let path = directory.join("cost");
    let mut file = File::create(&path)?;
    let fresh = write(&mut file)?;
    let again = write(&mut file)?;
    drop(file);
    fs::remove_file(path)?;
    Ok(format!(
        "Page cache: a megabyte written to a file costs {fresh:.2} ms of CPU in fresh pages, {again:.2} ms over old ones (what is recorded is written twice: to the log, then to the database)"
    ))
}

/// Memory that the machine has been given by its host and that nobody uses. Dropping it leaves the pages to whoever
/// writes next: a virtual machine whose host takes free memory back within seconds is then measured as one that keeps it.
pub(crate) struct Reserve {
    // An anonymous file in memory, gone with the process whatever happens.
    _file: File,
}

impl Reserve {
    /// Takes so many megabytes, if four times as many are available.
    pub(crate) fn take(megabytes: u64) -> Result<Option<Self>> {
        if procs::available() / 4 < megabytes << 20 {
            return Ok(None);
        }
        let mut file = File::from(memfd_create("merlon-bench-reserve", MFdFlags::MFD_CLOEXEC)?);
        for _ in 0..megabytes {
            file.write_all(Content::Megabyte.body())?;
        }
        Ok(Some(Self { _file: file }))
    }
}

/// Milliseconds of CPU for each megabyte.
fn write(file: &mut File) -> Result<f64> {
    let own = || procs::cpu(&[std::process::id()]).values().sum::<std::time::Duration>();
    file.seek(SeekFrom::Start(0))?;
    let before = own();
    for _ in 0..MEGABYTES {
        file.write_all(Content::Megabyte.body())?;
    }
    Ok((own() - before).as_secs_f64() * 1e3 / f64::from(MEGABYTES))
}
