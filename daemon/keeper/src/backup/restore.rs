//! The first unlocking of an instance that `merlon restore` laid out: is it what was backed up? Then this machine gets
//! its own slot.
//!
//! `restore.json` is the backup's manifest with its MAC. `merlon` has compared all parts with it, without a key; here it
//! is shown that the manifest is the one that the instance's keeper has authenticated. Until then nothing is opened.
//! Each step can be done twice, so a kill in between does no harm: the marker goes last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use merlon_sandbox::files;
use serde::Deserialize;

use super::{AUDIT, AUDIT_LOG, BackupError, SECRETS, manifest_mac, sealed_log};
use crate::crypto::{self, CryptoError};
use crate::keys::MasterKey;
use crate::log;
use crate::secrets_db;
use crate::slots::{Means, Refused, SlotSet};

/// The marker.
const MARKER: &str = "restore.json";
/// The sealed audit log, until it is opened.
const SEALED_LOG: &str = "audit.log.sealed";
/// The audit log while it is opened; removed by the next start after a kill.
const HALF_OPEN: &str = ".audit.log.new";
/// More than the manifest of the most parts that `merlon` accepts.
const MAX_MARKER: u64 = 64 << 20;

/// Why a restored instance stays locked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    /// The manifest is not this instance's.
    #[error(
        "the backup that was restored here was altered: {0}. The instance stays locked; restore it again, from another copy"
    )]
    Altered(String),
    /// The disk.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The slot of this machine.
    #[error("the keyslot of this machine could not be made: {0}")]
    Slot(String),
    /// Memory or the library.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// Line 1 of the marker, as far as the keeper needs it.
#[derive(Deserialize)]
struct Manifest {
    instance: String,
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    name: String,
    sha256: String,
}

/// Line 2 of the marker.
#[derive(Deserialize)]
struct Seal {
    mac: String,
}

/// Judges what was restored into the keeper's directory, and makes it an instance of this machine. False, and nothing
/// is done, if it was not restored, or settled before.
pub(crate) fn settle(means: &Means, slots: &mut SlotSet, master: &MasterKey) -> Result<bool, RestoreError> {
    let dir = means.dir();
    let Some(text) = read_marker(dir)? else { return Ok(false) };
    let manifest = verified(&text, master)?;
    if manifest.instance != master.instance().hex() {
        return Err(altered("its manifest names another instance"));
    }
    let expected = |name: &str| manifest.parts.iter().find(|part| part.name == name).map(|part| part.sha256.as_str());
    let secrets = digest_of(&dir.join(secrets_db::FILE))?;
    if expected(SECRETS) != Some(HEXLOWER.encode(&secrets).as_str()) {
        return Err(altered("secrets.db is not the one that its manifest names"));
    }
    if expected(AUDIT).is_some() {
        open_log(dir, master)?;
    }
    let made =
        slots.ensure_machine_slot(means, master).map_err(|error: Refused| RestoreError::Slot(error.to_string()))?;
    let io = |path: PathBuf| move |source| RestoreError::Io { path, source };
    fs::remove_file(dir.join(MARKER)).map_err(io(dir.join(MARKER)))?;
    files::sync_dir(dir).map_err(io(dir.to_owned()))?;
    match made {
        Some(id) => log::info(format_args!("restored from a backup; keyslot {id} is the one of this machine")),
        None => log::info(format_args!("restored from a backup")),
    }
    Ok(true)
}

fn read_marker(dir: &Path) -> Result<Option<String>, RestoreError> {
    let path = dir.join(MARKER);
    let file = match File::open(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RestoreError::Io { path, source }),
        Ok(file) => file,
    };
    let mut text = String::new();
    match file.take(MAX_MARKER).read_to_string(&mut text) {
        Ok(_) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(altered("its manifest is not readable")),
        Err(source) => Err(RestoreError::Io { path, source }),
    }
}

fn verified(text: &str, master: &MasterKey) -> Result<Manifest, RestoreError> {
    let unreadable = || altered("its manifest is not readable");
    let (line, rest) = text.split_once('\n').ok_or_else(unreadable)?;
    let seal: Seal = serde_json::from_str(rest).map_err(|_| unreadable())?;
    let mac = HEXLOWER.decode(seal.mac.as_bytes()).map_err(|_| unreadable())?;
    if !crypto::equal(&mac, &manifest_mac(master, &crypto::sha256(line.as_bytes()))?) {
        return Err(altered("its manifest is not the one that this instance's keeper has authenticated"));
    }
    // Only what is authentic is looked at.
    serde_json::from_str(line).map_err(|_| unreadable())
}

fn digest_of(path: &Path) -> Result<[u8; 32], RestoreError> {
    let io = |source| RestoreError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut digest = crypto::Sha256::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece).map_err(io)? {
            0 => return Ok(digest.finish()),
            read => digest.update(&piece[..read]),
        }
    }
}

/// Opens the sealed audit log, if that was not done before a kill.
fn open_log(dir: &Path, master: &MasterKey) -> Result<(), RestoreError> {
    let sealed = dir.join(SEALED_LOG);
    let io = |path: PathBuf| move |source| RestoreError::Io { path, source };
    let mut from = match File::open(&sealed) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && dir.join(AUDIT_LOG).exists() => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(altered("its audit log is missing")),
        opened => opened.map_err(io(sealed.clone()))?,
    };
    let half = dir.join(HALF_OPEN);
    let mut to =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half).map_err(io(half.clone()))?;
    if let Err(error) = sealed_log::open(master, &mut from, &mut to) {
        // What failed first is what counts; the next start removes what stays.
        let _ = fs::remove_file(&half);
        return Err(match error {
            BackupError::Crypto(CryptoError::Unauthentic) => altered("its audit log does not decrypt"),
            BackupError::Crypto(error) => error.into(),
            BackupError::Io { source, .. } => RestoreError::Io { path: half, source },
            BackupError::Secrets(error) => RestoreError::Slot(error.to_string()),
        });
    }
    to.sync_all().map_err(io(half.clone()))?;
    fs::rename(&half, dir.join(AUDIT_LOG)).map_err(io(half))?;
    fs::remove_file(&sealed).map_err(io(sealed))
}

fn altered(what: &str) -> RestoreError {
    RestoreError::Altered(what.to_owned())
}
