//! The keeper's part of a backup, and what it makes of a restored instance. The format is in `docs/backup-format.md`.
//!
//! Nothing here decrypts for a backup: keyslots and `secrets.db` are ciphertext as they are, and the audit log, which is
//! plain text on disk, is sealed. Recorded traffic never comes here; the engine hands it to `merlon` as ciphertext.

pub(crate) mod restore;
mod sealed_log;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use merlon_wire::admin::BackupPart;

use crate::crypto::CryptoError;
use crate::keeper::Open;
use crate::keys::Purpose;
use crate::secrets_db::{self, SecretsError};

pub(crate) use restore::RestoreError;

/// The parts of the keeper, as they are named in a backup.
const KEYSLOTS: &str = "keeper/keyslots";
const SECRETS: &str = "keeper/secrets.db";
const AUDIT: &str = "keeper/audit.log.sealed";
/// The audit log in the keeper's directory.
const AUDIT_LOG: &str = "audit.log";
/// Said before everything that is authenticated for a backup.
const MANIFEST_LABEL: &[u8] = b"merlon v1 backup manifest";
const STATE_LABEL: &[u8] = b"merlon v1 backup state";

/// Why the keeper's part was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    /// The disk.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// `secrets.db`.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Memory or the library.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// The keeper's part.
pub(crate) struct Made {
    /// All parts, one after the other; open for reading, and without a name.
    pub(crate) file: File,
    pub(crate) parts: Vec<BackupPart>,
    /// The projects whose keys are in the copy.
    pub(crate) projects: Vec<u64>,
    /// Names the keys that were copied; see [`state`].
    pub(crate) state: [u8; 32],
}

/// Makes the keeper's part in a file of its directory that has no name any more when this returns.
pub(crate) fn make(dir: &Path, open: &Open, keyslots: &str) -> Result<Made, BackupError> {
    let scratch = Scratch::create(dir)?;
    let io = |source| BackupError::Io { path: scratch.path.clone(), source };
    let mut writer = &scratch.writer;
    let mut parts = Vec::new();
    let mut part = |name: &str, length: u64| parts.push(BackupPart { name: name.to_owned(), length });

    writer.write_all(keyslots.as_bytes()).map_err(io)?;
    part(KEYSLOTS, keyslots.len() as u64);
    let (projects, state) = {
        // Held for the whole copy: it is the only connection, so nothing changes the file meanwhile, and the log of
        // audited events is at least as long as the head of it that the database names.
        let db = open.db();
        db.checkpoint()?;
        let path = dir.join(secrets_db::FILE);
        // Closing this file takes SQLite's locks on it away (fcntl(2)). They guard against other processes, and while
        // the keeper runs none opens it.
        let copied = File::open(&path).and_then(|mut file| io::copy(&mut file, &mut writer));
        part(SECRETS, copied.map_err(|source| BackupError::Io { path, source })?);
        let projects = db.projects()?.into_iter().map(|project| project.id).collect();
        let length = match File::open(dir.join(AUDIT_LOG)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(BackupError::Io { path: dir.join(AUDIT_LOG), source }),
            Ok(log) => {
                let length = log.metadata().map_err(io)?.len();
                Some(sealed_log::seal(&open.master, &mut log.take(length), &mut writer)?)
            }
        };
        if let Some(length) = length {
            part(AUDIT, length);
        }
        (projects, state(open, &db)?)
    };
    let file = scratch.into_reader()?;
    Ok(Made { file, parts, projects, state })
}

/// Names master key and project keys as they are now. If it is another at the end of a backup, a key was rotated, or a
/// project made or deleted, after `secrets.db` was copied, and the files may not fit its copy.
pub(crate) fn state(open: &Open, db: &secrets_db::SecretsDb) -> Result<[u8; 32], BackupError> {
    let rows = db.sealed_project_keys()?;
    let key = open.master.derive(Purpose::BackupMac)?;
    let ids: Vec<[u8; 8]> = rows.iter().map(|(id, _)| id.to_be_bytes()).collect();
    let rows = rows.iter().zip(&ids).flat_map(|((_, sealed), id)| [id.as_slice(), sealed]);
    let parts: Vec<&[u8]> = std::iter::once(STATE_LABEL).chain(rows).collect();
    Ok(crate::crypto::mac_of_parts(&key, &parts))
}

/// The MAC of a manifest, by the SHA-256 of its first line.
pub(crate) fn manifest_mac(master: &crate::keys::MasterKey, digest: &[u8; 32]) -> Result<[u8; 32], CryptoError> {
    let key = master.derive(Purpose::BackupMac)?;
    Ok(crate::crypto::mac_of_parts(&key, &[MANIFEST_LABEL, digest]))
}

/// A file under a name that a start after a kill removes.
struct Scratch {
    path: PathBuf,
    writer: File,
}

impl Scratch {
    fn create(dir: &Path) -> Result<Self, BackupError> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!(".backup.{}.{serial}.new", std::process::id()));
        let writer = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match writer {
            Ok(writer) => Ok(Self { path, writer }),
            Err(source) => Err(BackupError::Io { path, source }),
        }
    }

    /// For reading only, from the start. The name goes with `self`.
    fn into_reader(self) -> Result<File, BackupError> {
        File::open(&self.path).map_err(|source| BackupError::Io { path: self.path.clone(), source })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            crate::log::warn(format_args!("{} could not be removed: {error}", self.path.display()));
        }
    }
}
