//! `merlon restore`: lays a backup out as an instance's directory, whole or not at all. It has no key: whether the
//! manifest is the one that the instance's keeper has authenticated is shown by the first unlocking.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::flows::time;
use crate::args::RestoreArgs;
use crate::backup::{Bad, Manifest, Name, Reader};
use crate::error::CliError;
use crate::output::Printer;
use crate::target::quoted;

/// By this the keeper knows that the instance was restored.
const MARKER: &str = "keeper/restore.json";

pub(super) fn run(args: &RestoreArgs, dir: Option<&Path>, printer: &mut Printer) -> Result<(), CliError> {
    let dir = dir.ok_or_else(|| {
        CliError::usage("it is not said where to restore to")
            .hint("merlon restore FILE --data-dir DIR, where DIR is empty or does not exist")
    })?;
    let dir = std::path::absolute(dir).map_err(|e| cannot(dir, &e))?;
    must_be_free(&dir)?;
    let staged = Staged::create(&dir)?;
    let restored = lay_out(&args.file, &staged)?;
    staged.put_in_place()?;

    let shown = quoted(&dir.display().to_string());
    let (flag, what) = match restored.opened_by_recovery {
        true => ("--recovery-file", "recovery key"),
        false => ("--passphrase-file", "passphrase"),
    };
    let next = [format!("merlond run --data-dir {shown}"), format!("merlon --data-dir {shown} unlock {flag} FILE")];
    if printer.is_json() {
        return printer.json(&json!({
            "data_dir": dir,
            "instance": restored.manifest.instance,
            "created_us": restored.manifest.created_us,
            "projects": restored.projects,
            "next": next,
        }));
    }
    let made = time(&merlon_api::Timestamp(restored.manifest.created_us).to_string());
    let many = if restored.projects == 1 { "project" } else { "projects" };
    printer.say(&format!(
        "restored into {shown}: {} {many}, as of {made} UTC. It opens with the {what}; now run:",
        restored.projects
    ));
    next.iter().try_for_each(|command| printer.line(command))
}

/// What was laid out.
struct Restored {
    manifest: Manifest,
    projects: usize,
    opened_by_recovery: bool,
}

fn lay_out(file: &Path, staged: &Staged) -> Result<Restored, CliError> {
    let unusable = |bad: Bad| {
        let error = CliError::failed(format!("{} cannot be restored", file.display())).because(&bad);
        match bad {
            Bad::Read(_) | Bad::Foreign | Bad::Newer => error,
            _ => error.hint("nothing was laid out; take another copy of the backup"),
        }
    };
    let from = File::open(file).map_err(|e| unusable(e.into()))?;
    let mut reader = Reader::new(BufReader::with_capacity(64 << 10, from)).map_err(unusable)?;
    while let Some((name, _)) = reader.part().map_err(unusable)? {
        let mut targets = Vec::new();
        for place in name.places(&staged.dir) {
            targets.push(staged.file(&place)?);
        }
        let read = reader.read(|piece| {
            for (target, path) in &mut targets {
                target.write_all(piece).map_err(|e| Failed::Write(cannot(path, &e)))?;
            }
            Ok(())
        });
        read.map_err(|failed| match failed {
            Failed::Read(bad) => unusable(bad),
            Failed::Write(error) => error,
        })?;
        for (target, path) in &targets {
            target.sync_all().map_err(|e| cannot(path, &e))?;
        }
    }
    let (manifest, bytes) = reader.finish().map_err(unusable)?;
    let (mut marker, path) = staged.file(&staged.dir.join(MARKER))?;
    marker.write_all(&bytes).and_then(|()| marker.sync_all()).map_err(|e| cannot(&path, &e))?;
    let is_database = |part: &&crate::backup::Listed| matches!(Name::parse(&part.name), Some(Name::Database(_)));
    let projects = manifest.parts.iter().filter(is_database).count();
    let opened_by_recovery = has_recovery(&staged.dir.join("keeper/keyslots.a"));
    Ok(Restored { manifest, projects, opened_by_recovery })
}

enum Failed {
    Read(Bad),
    Write(CliError),
}

impl From<Bad> for Failed {
    fn from(bad: Bad) -> Self {
        Self::Read(bad)
    }
}

/// For the advice only: does a recovery key that was typed back open the backup? The keeper judges.
fn has_recovery(keyslots: &Path) -> bool {
    let text = fs::read_to_string(keyslots).unwrap_or_default();
    let line: Value = text.lines().next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    line["slots"].as_array().is_some_and(|slots| slots.iter().any(|slot| slot["confirmed"] == true))
}

/// An instance is not restored over another one.
fn must_be_free(dir: &Path) -> Result<(), CliError> {
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(cannot(dir, &e)),
        Ok(true) => Ok(()),
        Ok(false) => Err(CliError::usage(format!("{} is not empty, and was left alone", dir.display()))
            .because("a backup is restored into a directory of its own")
            .hint("give a directory that is empty or does not exist")),
    }
}

/// The directory under another name, until all is there. Removed if it never is.
struct Staged {
    dir: PathBuf,
    target: PathBuf,
    done: bool,
}

impl Staged {
    fn create(target: &Path) -> Result<Self, CliError> {
        let name = target.file_name().ok_or_else(|| cannot(target, &io::ErrorKind::InvalidFilename.into()))?;
        let mut staged = name.to_owned();
        staged.push(".restoring");
        let dir = target.with_file_name(staged);
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(CliError::failed(format!("{} exists", dir.display()))
                    .because("another restore is under way, or one was killed")
                    .hint(format!("if none is under way: rm -r {}", quoted(&dir.display().to_string()))));
            }
            other => other.map_err(|e| cannot(&dir, &e))?,
        }
        let staged = Self { dir, target: target.to_owned(), done: false };
        for below in ["keeper", "store", "store/projects"] {
            staged.directory(&staged.dir.join(below))?;
        }
        Ok(staged)
    }

    fn directory(&self, path: &Path) -> Result<(), CliError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| cannot(path, &e))
    }

    /// A new file below it.
    fn file(&self, path: &Path) -> Result<(File, PathBuf), CliError> {
        if let Some(parent) = path.parent() {
            self.directory(parent)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        Ok((file.map_err(|e| cannot(path, &e))?, path.to_owned()))
    }

    /// All is there.
    fn put_in_place(mut self) -> Result<(), CliError> {
        sync_directories(&self.dir).map_err(|e| cannot(&self.dir, &e))?;
        // An empty directory is replaced, anything else is not.
        fs::rename(&self.dir, &self.target).map_err(|e| cannot(&self.target, &e))?;
        self.done = true;
        let parent = self.target.parent().unwrap_or(&self.target);
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(|e| cannot(parent, &e))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

fn sync_directories(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_directories(&entry.path())?;
        }
    }
    File::open(dir)?.sync_all()
}

fn cannot(path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("{} cannot be written", path.display())).because(error)
}
