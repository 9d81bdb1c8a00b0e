//! The setup code: whoever can read it on the hub's machine may make the first account. It lies in a file of mode 0600 in
//! the store's directory, the database has its hash, and both go with the first account.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::code;
use crate::clock;
use crate::random::{self, NoRandomness};
use crate::store::{Store, StoreError, accounts};

/// The file below the store's directory.
pub(crate) const FILE: &str = "setup-code";
/// The longest file that is read.
const MAX: u64 = 256;

/// Why there is no setup code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// The file could not be written or removed.
    #[error("{}: the setup code could not be kept there: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Sees to it that there is a setup code if there is no account, and none otherwise. Returns its file, if there is one.
/// Blocks for a moment on the file.
///
/// # Errors
/// [`SetupError`].
pub(crate) async fn prepare(store: &Store, dir: &Path) -> Result<Option<PathBuf>, SetupError> {
    let path = dir.join(FILE);
    if accounts::count(store).await? > 0 {
        discard(dir)?;
        return Ok(None);
    }
    let code = match read(&path) {
        Some(code) => code,
        None => {
            let code = code::random()?;
            write(&path, &code).map_err(|source| SetupError::File { path: path.clone(), source })?;
            code
        }
    };
    // The file first: a code that nobody can read would be of no use, one that the database does not know is set here.
    accounts::set_setup_code(store, random::id("inv_")?, code::hash(&code), clock::now_us()).await?;
    Ok(Some(path))
}

/// Removes the file: there is an account.
///
/// # Errors
/// [`SetupError::File`]. The code in it is worth nothing any more.
pub(crate) fn discard(dir: &Path) -> Result<(), SetupError> {
    let path = dir.join(FILE);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(SetupError::File { path, source }),
        _ => Ok(()),
    }
}

/// The code that is there from an earlier start; none if it is not whole.
fn read(path: &Path) -> Option<String> {
    let length = fs::symlink_metadata(path).ok().filter(|about| about.is_file() && about.len() <= MAX)?.len();
    let text = fs::read_to_string(path).ok()?;
    let code = text.strip_suffix('\n')?;
    (code.len() == 34 && length == 35).then(|| code.to_owned())
}

fn write(path: &Path, code: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    writeln!(file, "{code}")?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}
