//! Where sessions are kept: `merlon/sessions` in the user's state directory, a file for each instance. It holds the
//! session itself, or says that the keyring has it.
//!
//! The directory is 0700 and the files 0600, or nothing is read: whoever could read them could be the user. A file is
//! written beside the old one, synced, and renamed, so that a kill at any moment leaves the old or the new one whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::HEXLOWER;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::document::{MAX, Stored};
use super::keyring;
use crate::env::Env;
use crate::error::CliError;
use crate::output::Printer;
use crate::quoting::quoted;

/// How long another `merlon` may take for a refresh.
const PATIENCE: Duration = Duration::from_secs(90);
const STEP: Duration = Duration::from_millis(25);
/// Sessions that are listed at most.
const MOST: usize = 1000;

/// The sessions of one user.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    keyring: bool,
}

/// Where a session went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kept {
    File,
    Keyring,
}

/// What became of a session to keep.
pub(crate) struct Saved {
    pub(crate) kept: Kept,
    /// What the user should know of it.
    pub(crate) note: Option<String>,
}

/// Whoever holds it may change the session of one instance.
pub(crate) struct Lock {
    url: String,
    file: PathBuf,
    _held: Flock<File>,
}

/// In place of a session that the keyring has.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    url: String,
    kept: String,
}

const IN_KEYRING: &str = "keyring";

impl Store {
    /// None where the user has no home directory.
    pub(crate) fn of(env: &Env) -> Option<Self> {
        let directory = env.state_home.as_ref()?.join("merlon/sessions");
        Some(Self { directory, keyring: env.session_bus })
    }

    /// As [`Self::of`], for a command that cannot do without.
    ///
    /// # Errors
    /// The user has no home directory.
    pub(crate) fn needed(env: &Env) -> Result<Self, CliError> {
        Self::of(env).ok_or_else(|| {
            CliError::failed("there is no place for a session")
                .because("neither XDG_STATE_HOME nor HOME is set")
                .hint("set HOME, or use a token: --token-file FILE")
        })
    }

    /// The session at this instance, if there is one.
    ///
    /// # Errors
    /// It is there and cannot be read, or others could have read it.
    pub(crate) async fn load(&self, url: &str) -> Result<Option<Stored>, CliError> {
        self.load_file(&self.file_of(url)).await
    }

    async fn load_file(&self, path: &Path) -> Result<Option<Stored>, CliError> {
        let Some(bytes) = self.read(path)? else { return Ok(None) };
        if let Some(stored) = Stored::from_json(&bytes) {
            return Ok(Some(stored));
        }
        let elsewhere: Elsewhere = serde_json::from_slice(&bytes).map_err(|_| {
            CliError::failed(format!("{} cannot be used", path.display()))
                .because("it holds no session that this version knows")
                .hint(format!("rm {}, then merlon login", quoted(&path.display().to_string())))
        })?;
        let failed = |why: String| {
            CliError::failed("the session cannot be read from the keyring")
                .because(why)
                .hint("unlock the keyring, or sign in again: merlon login")
        };
        match keyring::lookup(&elsewhere.url).await.map_err(failed)? {
            Some(bytes) => Stored::from_json(&bytes).map(Some).ok_or_else(|| failed("it holds something else".into())),
            None => Ok(None),
        }
    }

    /// All sessions; one that cannot be read is told of and left out.
    pub(crate) async fn all(&self, printer: &Printer) -> Vec<Stored> {
        let files = fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).take(MOST).collect();
        files.sort();
        let mut all = Vec::new();
        for file in files {
            match self.load_file(&file).await {
                Ok(stored) => all.extend(stored),
                Err(error) => {
                    let why = error.why.map(|why| format!(": {why}")).unwrap_or_default();
                    printer.warn(&format!("{}{why}", error.what));
                }
            }
        }
        all.sort_by(|a, b| a.reach.url.cmp(&b.reach.url));
        all
    }

    /// Waits until no other `merlon` changes this session.
    ///
    /// # Errors
    /// There is no place for sessions, or another one does not come to its end.
    pub(crate) async fn lock(&self, url: &str) -> Result<Lock, CliError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).map_err(|e| self.failed(&e))?;
        self.judge_directory()?;
        let file = self.file_of(url);
        let path = file.with_extension("lock");
        let mut open = OpenOptions::new();
        open.write(true).create(true).truncate(false).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
        let mut held = open.open(&path).map_err(|e| self.failed(&e))?;
        let taken = async {
            loop {
                match Flock::lock(held, FlockArg::LockExclusiveNonblock) {
                    Ok(held) => return Ok(held),
                    Err((again, Errno::EWOULDBLOCK)) => held = again,
                    Err((_, e)) => return Err(self.failed(&e.into())),
                }
                tokio::time::sleep(STEP).await;
            }
        };
        let held = tokio::time::timeout(PATIENCE, taken).await.map_err(|_| {
            CliError::failed("the session cannot be changed").because(format!(
                "another `merlon` has held {} for {} s",
                path.display(),
                PATIENCE.as_secs()
            ))
        })??;
        Ok(Lock { url: url.to_owned(), file, _held: held })
    }

    /// Keeps a session, durably, in place of the one before. In the keyring if there is one, or else in the file.
    ///
    /// # Errors
    /// It could not be written. What was there before is still there.
    pub(crate) async fn save(&self, lock: &Lock, stored: &Stored) -> Result<Saved, CliError> {
        let document = stored.to_json()?;
        let mut note = None;
        if self.keyring {
            match keyring::store(&lock.url, &document).await {
                Ok(true) => {
                    let elsewhere = Elsewhere { url: lock.url.clone(), kept: IN_KEYRING.to_owned() };
                    let text = serde_json::to_vec(&elsewhere)
                        .map_err(|e| CliError::failed("the session cannot be written").because(e))?;
                    self.write(lock, &text)?;
                    return Ok(Saved { kept: Kept::Keyring, note: None });
                }
                Ok(false) => {}
                Err(why) => {
                    note = Some(format!("the keyring did not take the session ({why}); it is kept in a private file"));
                }
            }
        }
        self.write(lock, &document)?;
        Ok(Saved { kept: Kept::File, note })
    }

    /// Forgets the session.
    ///
    /// # Errors
    /// It is still there.
    pub(crate) async fn forget(&self, lock: &Lock) -> Result<(), CliError> {
        let in_keyring = self.read(&lock.file)?.is_some_and(|bytes| Stored::from_json(&bytes).is_none());
        if in_keyring {
            keyring::clear(&lock.url)
                .await
                .map_err(|why| CliError::failed("the keyring did not forget the session").because(why))?;
        }
        match fs::remove_file(&lock.file) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(self.failed(&e)),
            _ => self.sync(),
        }
    }

    fn write(&self, lock: &Lock, bytes: &[u8]) -> Result<(), CliError> {
        // One name: what a killed `merlon` has left there is of no use to anybody, and the lock is ours.
        let part = lock.file.with_extension("new");
        let written = || {
            match fs::remove_file(&part) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&part, &lock.file)
        };
        written().map_err(|e| self.failed(&e))?;
        self.sync()
    }

    fn sync(&self) -> Result<(), CliError> {
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(|e| self.failed(&e))
    }

    /// The bytes of a file, if it is there and nobody else could read it.
    fn read(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, CliError> {
        let failed = |e: std::io::Error| CliError::failed(format!("{} cannot be read", path.display())).because(e);
        let mut open = OpenOptions::new();
        let file = match open.read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path) {
            Ok(file) => file,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        self.judge_directory()?;
        judge(path, &file.metadata().map_err(failed)?, 0o600)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX + 1));
        let most = u64::try_from(MAX).unwrap_or(u64::MAX);
        file.take(most).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }

    fn judge_directory(&self) -> Result<(), CliError> {
        let metadata = fs::symlink_metadata(&self.directory).map_err(|e| self.failed(&e))?;
        judge(&self.directory, &metadata, 0o700)
    }

    fn file_of(&self, url: &str) -> PathBuf {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, url.as_bytes());
        self.directory.join(format!("{}.json", HEXLOWER.encode(&digest.as_ref()[..16])))
    }

    fn failed(&self, error: &std::io::Error) -> CliError {
        CliError::failed(format!("the session cannot be kept in {}", self.directory.display())).because(error)
    }
}

/// Is it the user's, and the user's alone?
fn judge(path: &Path, metadata: &fs::Metadata, mode: u32) -> Result<(), CliError> {
    let refused = |why: String| CliError::failed(format!("{} is not used", path.display())).because(why);
    let name = quoted(&path.display().to_string());
    if metadata.is_symlink() {
        return Err(refused("it is a symbolic link".to_owned()).hint(format!("rm {name}, then merlon login")));
    }
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err(refused(format!("it belongs to user {}", metadata.uid())).hint("run merlon as that user"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(refused(format!("others may look into it (mode {:04o})", metadata.mode() & 0o7777))
            .hint(format!("chmod {mode:o} {name}; if others could really read it: merlon logout, then merlon login")));
    }
    Ok(())
}
