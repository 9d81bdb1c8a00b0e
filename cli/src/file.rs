//! Writes what a command found into a file: whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::error::CliError;

/// A file that is being written. Without [`Output::finish`] nothing of it stays.
pub(crate) struct Output {
    file: File,
    path: PathBuf,
    /// Where the bytes are until they are all there; none where `path` is a device or pipe.
    part: Option<PathBuf>,
}

impl Output {
    /// `mode` as in chmod: 0600 for what was recorded.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn create(path: &Path, mode: u32) -> Result<Self, CliError> {
        let special = fs::metadata(path).is_ok_and(|m| !m.is_file());
        if special {
            let file = OpenOptions::new().write(true).open(path).map_err(|e| failed(path, &e))?;
            return Ok(Self { file, path: path.to_owned(), part: None });
        }
        let name = path.file_name().ok_or_else(|| failed(path, &io::ErrorKind::IsADirectory.into()))?;
        let mut part_name = name.to_owned();
        part_name.push(format!(".part{}", std::process::id()));
        let part = path.with_file_name(part_name);
        let file =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&part).map_err(|e| failed(&part, &e))?;
        Ok(Self { file, path: path.to_owned(), part: Some(part) })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.file.write_all(bytes).map_err(|e| failed(&self.path, &e))
    }

    /// All is there, and stays there if the power goes.
    pub(crate) fn finish_durably(self) -> Result<(), CliError> {
        if self.part.is_none() {
            return self.finish();
        }
        let path = self.path.clone();
        self.file.sync_all().map_err(|e| failed(&path, &e))?;
        self.finish()?;
        let absolute = std::path::absolute(&path).map_err(|e| failed(&path, &e))?;
        let directory = absolute.parent().unwrap_or(&absolute);
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(|e| failed(directory, &e))
    }

    /// All is there.
    pub(crate) fn finish(mut self) -> Result<(), CliError> {
        if let Some(part) = &self.part {
            fs::rename(part, &self.path).map_err(|e| failed(&self.path, &e))?;
        }
        self.part = None;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            let _ = fs::remove_file(part);
        }
    }
}

/// Makes a file that was not there: with exactly this mode, whole, and safe from a loss of power.
///
/// # Errors
/// There is something with this name already, or the directory cannot be written.
pub(crate) fn place_new(path: &Path, content: &[u8], mode: u32) -> Result<(), CliError> {
    let mut output = Output::create(path, mode)?;
    let failed = |e: io::Error| failed(path, &e);
    let Some(part) = output.part.clone() else {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    };
    output.write(content)?;
    output.file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)?;
    output.file.sync_all().map_err(failed)?;
    renameat2(AT_FDCWD, &part, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE).map_err(|e| failed(e.into()))?;
    output.part = None;
    let directory = path.parent().unwrap_or(path);
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("{} cannot be written", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_and_private_or_not_at_all() {
        let dir = std::env::temp_dir().join(format!("merlon-cli-file-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("body");
        let mut half = Output::create(&path, 0o600).unwrap();
        half.write(b"half").unwrap();
        drop(half);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        let mut whole = Output::create(&path, 0o600).unwrap();
        whole.write(b"whole").unwrap();
        whole.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_new_file_replaces_nothing() {
        let dir = std::env::temp_dir().join(format!("merlon-cli-new-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("x.toml");
        place_new(&path, b"first", 0o644).unwrap();
        assert!(place_new(&path, b"second", 0o644).unwrap_err().why.unwrap().contains("exists"));
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing half made stays");
        std::os::unix::fs::symlink("elsewhere", dir.join("link")).unwrap();
        assert!(place_new(&dir.join("link"), b"x", 0o644).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
