//! Files that must be whole after a crash, or must belong to us.
//!
//! Owned here: replacing a file atomically, and reading one only if its owner and mode are right. What is in a file is
//! the caller's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::unistd::geteuid;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is a directory, a link, a pipe, a device.
    #[error("{} is no regular file", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else owns it.
    #[error("{} belongs to user {owner}, not to user {expected} who runs this program: `chown {expected}` it, if it is yours", path.display())]
    WrongOwner {
        /// The file.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who should.
        expected: u32,
    },
    /// Its mode lets others in.
    #[error("{} has mode {mode:04o}, which lets others in: `chmod {:04o}` it, and count what was in it as seen", path.display(), mode & !forbidden)]
    WrongMode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The bits that must not be set.
        forbidden: u32,
    },
    /// It is larger than it can be.
    #[error("{} is larger than the {max} bytes such a file can have", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        max: usize,
    },
    /// The system refused.
    #[error("{} cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Replaces (or makes) the file `name` in `dir`, so that after a crash there is the old content or the new one: written
/// to a file beside it, synced, renamed, and the directory synced. The mode is exactly `mode`.
///
/// # Errors
/// That of the system; the old file is then as it was.
pub fn write_atomic(dir: &Path, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let beside = dir.join(format!(".{name}.{}.{serial}.new", std::process::id()));
    // Left by a process of the same id that was killed here.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let result = write_new(&beside, bytes, mode).and_then(|()| fs::rename(&beside, dir.join(name)));
    if result.is_err() {
        // What failed first is what counts.
        let _ = fs::remove_file(&beside);
    }
    result?;
    sync_dir(dir)
}

/// Makes the entries of `dir` durable.
///
/// # Errors
/// That of the system.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o700).open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Reads a file of at most `max_len` bytes, if it is a regular file of our own user and none of the mode bits
/// `forbidden_mode` (`0o077`: nothing for group and others) is set. A link is not followed.
///
/// # Errors
/// [`FileError`] says which of these it was.
pub fn read_owned(path: &Path, max_len: usize, forbidden_mode: u32) -> Result<Vec<u8>, FileError> {
    let (file, size) = open_owned(path, max_len, forbidden_mode)?;
    let mut bytes = Vec::with_capacity(size.min(max_len) + 1);
    let limit = u64::try_from(max_len).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|source| FileError::Io { path: path.to_owned(), source })?;
    if bytes.len() > max_len {
        return Err(FileError::TooLarge { path: path.to_owned(), max: max_len });
    }
    Ok(bytes)
}

/// As [`read_owned`], straight into `buffer` (secret memory, say), with no copy elsewhere. Answers how many bytes the
/// file has.
///
/// # Errors
/// [`FileError`]; a file larger than `buffer` is [`FileError::TooLarge`].
pub fn read_owned_into(path: &Path, buffer: &mut [u8], forbidden_mode: u32) -> Result<usize, FileError> {
    let (file, _) = open_owned(path, buffer.len(), forbidden_mode)?;
    read_whole(path, file, buffer)
}

/// As [`read_owned_into`], for a secret that root may have laid down for us: the file is ours with nothing for group and
/// others, or root's with nothing for others. The group may read root's, or we could not; systemd's credentials look
/// the same.
///
/// # Errors
/// As [`read_owned_into`].
pub fn read_entrusted_into(path: &Path, buffer: &mut [u8]) -> Result<usize, FileError> {
    let (file, _) = open_checked(path, buffer.len(), |found| {
        let ours = geteuid().as_raw();
        if found.uid() == 0 && ours != 0 { (0, 0o037) } else { (ours, 0o077) }
    })?;
    read_whole(path, file, buffer)
}

fn read_whole(path: &Path, mut file: File, buffer: &mut [u8]) -> Result<usize, FileError> {
    let failed = |source| FileError::Io { path: path.to_owned(), source };
    let mut used = 0;
    while used < buffer.len() {
        match file.read(&mut buffer[used..]) {
            Ok(0) => return Ok(used),
            Ok(count) => used += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    match file.read(&mut [0]) {
        Ok(0) => Ok(used),
        Ok(_) => Err(FileError::TooLarge { path: path.to_owned(), max: buffer.len() }),
        Err(error) => Err(failed(error)),
    }
}

fn open_owned(path: &Path, max_len: usize, forbidden: u32) -> Result<(File, usize), FileError> {
    open_checked(path, max_len, |_| (geteuid().as_raw(), forbidden))
}

/// `wanted` says of the opened file who has to own it, and which bits of its mode must not be set.
fn open_checked(
    path: &Path,
    max_len: usize,
    wanted: impl FnOnce(&fs::Metadata) -> (u32, u32),
) -> Result<(File, usize), FileError> {
    let io = |source| FileError::Io { path: path.to_owned(), source };
    // Without O_NONBLOCK a pipe at this path would hold us up for ever.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(FileError::NotRegular { path: path.to_owned() });
        }
        other => other.map_err(io)?,
    };
    let found = file.metadata().map_err(io)?;
    if !found.is_file() {
        return Err(FileError::NotRegular { path: path.to_owned() });
    }
    let (expected, forbidden) = wanted(&found);
    if found.uid() != expected {
        return Err(FileError::WrongOwner { path: path.to_owned(), owner: found.uid(), expected });
    }
    let mode = found.mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(FileError::WrongMode { path: path.to_owned(), mode, forbidden });
    }
    match usize::try_from(found.len()) {
        Ok(size) if size <= max_len => Ok((file, size)),
        _ => Err(FileError::TooLarge { path: path.to_owned(), max: max_len }),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A fresh directory for one test, to be removed by it.
    pub(crate) fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("merlon-sandbox-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        dir
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_mode_and_nothing_beside_it() {
        let dir = scratch("atomic");
        write_atomic(&dir, "key", b"old", 0o400).unwrap();
        write_atomic(&dir, "key", b"new", 0o400).unwrap();
        assert_eq!(fs::read(dir.join("key")).unwrap(), b"new");
        assert_eq!(fs::metadata(dir.join("key")).unwrap().mode() & 0o777, 0o400);
        fs::create_dir(dir.join("taken")).unwrap();
        write_atomic(&dir, "taken", b"x", 0o600).unwrap_err();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "the failed write left something");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn an_entrusted_file_is_ours_or_roots_and_not_for_others() {
        let dir = scratch("entrusted");
        let path = dir.join("pin");
        write_atomic(&dir, "pin", b"1234", 0o600).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(read_entrusted_into(&path, &mut buffer).unwrap(), 4);
        for mode in [0o640, 0o604, 0o622] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = read_entrusted_into(&path, &mut buffer).unwrap_err();
            assert!(matches!(refused, FileError::WrongMode { .. }), "{mode:o}: {refused}");
        }
        if geteuid().is_root() {
            nix::unistd::chown(&path, Some(65_534.into()), None).unwrap();
            let refused = read_entrusted_into(&path, &mut buffer).unwrap_err();
            assert!(matches!(refused, FileError::WrongOwner { owner: 65_534, .. }), "{refused}");
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn only_an_own_private_regular_file_is_read() {
        let dir = scratch("owned");
        let path = dir.join("key");
        write_atomic(&dir, "key", b"0123456789", 0o400).unwrap();
        assert_eq!(read_owned(&path, 10, 0o077).unwrap(), b"0123456789");
        assert!(matches!(read_owned(&path, 9, 0o077), Err(FileError::TooLarge { max: 9, .. })));
        let mut buffer = [0; 12];
        assert_eq!(read_owned_into(&path, &mut buffer, 0o077).unwrap(), 10);
        assert_eq!(read_owned_into(&path, &mut buffer[..10], 0o077).unwrap(), 10);
        assert!(matches!(read_owned_into(&path, &mut [0; 9], 0o077), Err(FileError::TooLarge { .. })));

        std::os::unix::fs::symlink(&path, dir.join("link")).unwrap();
        assert!(matches!(read_owned(&dir.join("link"), 10, 0o077), Err(FileError::NotRegular { .. })));
        nix::unistd::mkfifo(&dir.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(read_owned(&dir.join("pipe"), 10, 0o077), Err(FileError::NotRegular { .. })));
        assert!(matches!(read_owned(&dir.join("none"), 10, 0o077), Err(FileError::Io { .. })));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        let refused = read_owned(&path, 10, 0o077).unwrap_err();
        assert!(matches!(refused, FileError::WrongMode { mode: 0o440, .. }));
        assert!(refused.to_string().contains("chmod 0400"), "{refused}");
        if geteuid().is_root() {
            nix::unistd::chown(&path, Some(65_534.into()), None).unwrap();
            assert!(matches!(read_owned(&path, 10, 0), Err(FileError::WrongOwner { owner: 65_534, .. })));
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
