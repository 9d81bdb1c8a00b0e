//! One directory serves one process at a time.
//!
//! Owned here: the file `lock` in a directory, held by `flock`, with the holder's process id in it. The kernel drops the
//! lock when the process ends, however it ends; the file stays.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const FILE: &str = "lock";
const ASK_EVERY: Duration = Duration::from_millis(5);

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is in use by process {}; one directory serves one process at a time, stop that one first", dir.display(), holder(*pid))]
    Held {
        /// The directory.
        dir: PathBuf,
        /// The holder, if it has written its id already.
        pid: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("the lock file of {} cannot be used: {source}", dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "(unknown)".to_owned(), |pid| pid.to_string())
}

/// A locked directory, until it is dropped.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Locks `dir`; if another process holds it, waits as long as `wait` for that one to end.
    ///
    /// # Errors
    /// [`LockError::Held`] with the holder's id, or the file cannot be used.
    pub fn acquire(dir: &Path, wait: Duration) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { dir: dir.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(dir.join(FILE))
            .map_err(failed)?;
        let end = Instant::now() + wait;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(ASK_EVERY),
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { dir: dir.to_owned(), pid: read_pid(&mut file) });
                }
            }
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_with_the_holders_id() {
        let dir = crate::files::tests::scratch("lock");
        let first = DirLock::acquire(&dir, Duration::ZERO).unwrap();
        let refused = DirLock::acquire(&dir, Duration::ZERO).unwrap_err();
        assert!(matches!(refused, LockError::Held { pid: Some(pid), .. } if pid == std::process::id()));
        assert!(refused.to_string().contains(&std::process::id().to_string()));
        drop(first);
        drop(DirLock::acquire(&dir, Duration::ZERO).unwrap());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_waiting_lock_is_had_once_the_holder_ends() {
        let dir = crate::files::tests::scratch("lock-wait");
        let first = DirLock::acquire(&dir, Duration::ZERO).unwrap();
        let waiting = thread::spawn({
            let dir = dir.clone();
            move || DirLock::acquire(&dir, Duration::from_secs(60))
        });
        drop(first);
        waiting.join().unwrap().unwrap();
        std::fs::remove_dir_all(dir).unwrap();
    }
}
