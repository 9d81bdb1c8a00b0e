//! The configurations: which there are, and reading one.
//!
//! The directory and the files in it are root's, and this checks that they are: root's sockets follow from them. A
//! symbolic link is not followed: what it leads to may be somebody else's, and may not be there yet this early. Sizes and
//! numbers are bounded, as this runs on the way to every boot.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use merlon_config::InstanceName;
use nix::libc;

/// The largest configuration, in bytes. One of every setting has about 2,000.
const MOST_BYTES: u64 = 1 << 20;
/// The most instances.
const MOST_INSTANCES: usize = 256;

/// What is in the directory.
#[derive(Default)]
pub(crate) struct Found {
    /// In the order of their names.
    pub(crate) instances: Vec<(InstanceName, PathBuf)>,
    /// What is not used, and why.
    pub(crate) ignored: Vec<String>,
}

/// Looks for `NAME.toml`. Other files (a package manager's, an editor's) are nobody's business.
pub(crate) fn find(directory: &Path) -> Found {
    let mut found = Found::default();
    let entries = match fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return found,
        Err(error) => {
            found.ignored.push(format!("{}: {error}; no instance gets an address", directory.display()));
            return found;
        }
    };
    for entry in entries {
        let file = entry.file_name();
        let file = file.to_string_lossy();
        let Some(stem) = file.strip_suffix(".toml") else { continue };
        match stem.parse::<InstanceName>() {
            Ok(name) => found.instances.push((name, entry.path())),
            Err(why) => found.ignored.push(format!("{}: ignored, {why}", entry.path().display())),
        }
    }
    found.instances.sort();
    if found.instances.len() > MOST_INSTANCES {
        found.instances.truncate(MOST_INSTANCES);
        found.ignored.push(format!("{}: only the first {MOST_INSTANCES} instances are looked at", directory.display()));
    }
    found
}

/// Why a configuration is not read. Its path is in the message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{path}: a symbolic link, which is not followed; put the file itself there", path = .0.display())]
    Link(PathBuf),
    #[error("{path}: no regular file", path = .0.display())]
    Kind(PathBuf),
    #[error("{path}: others than its owner, who must be root, may write it; run `chown root:root` and `chmod 644` on it", path = .0.display())]
    Writable(PathBuf),
    #[error("{path}: larger than {MOST_BYTES} bytes", path = .0.display())]
    Size(PathBuf),
    #[error("{path}: {source}", path = .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Reads one configuration.
pub(crate) fn read(path: &Path) -> Result<String, Refused> {
    let of = |source: io::Error| match source.raw_os_error() {
        Some(libc::ELOOP) => Refused::Link(path.to_owned()),
        _ => Refused::Io { path: path.to_owned(), source },
    };
    // Non-blocking: a pipe of that name must not hold up the boot.
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).map_err(of)?;
    let facts = file.metadata().map_err(of)?;
    if !facts.is_file() {
        return Err(Refused::Kind(path.to_owned()));
    }
    // systemd runs generators as root.
    if facts.uid() != nix::unistd::geteuid().as_raw() || facts.mode() & 0o022 != 0 {
        return Err(Refused::Writable(path.to_owned()));
    }
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(of)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(Refused::Size(path.to_owned()));
    }
    Ok(text)
}
