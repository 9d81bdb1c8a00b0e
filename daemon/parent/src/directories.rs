//! The directories of what lives below one directory.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use merlon_config::Paths;

/// Why a directory cannot be created or used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The system says no.
    #[error("{}: {source}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else owns it.
    #[error("{}: it belongs to user {owner}, not to user {us} who runs this; run as its owner, or give it away with chown", path.display())]
    Foreign {
        /// What.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Our user.
        us: u32,
    },
    /// Others can read it.
    #[error("{}: its mode is {mode:04o}, so others can look in; run: chmod 700 {}", path.display(), path.display())]
    Open {
        /// What.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

/// Makes what is missing; what is there must be ours alone. A new configuration is made of `template`, if there is one.
///
/// # Errors
/// [`DirectoryError`].
pub fn create(data_dir: &Path, paths: &Paths, template: Option<&str>) -> Result<(), DirectoryError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| DirectoryError::Io { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(io(data_dir))?;
    if fs::read_dir(data_dir).map_err(io(data_dir))?.next().is_none() {
        fs::set_permissions(data_dir, fs::Permissions::from_mode(0o700)).map_err(io(data_dir))?;
    }
    private(data_dir)?;
    for dir in [&paths.keeper, &paths.store, &paths.run] {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io(dir))?;
        private(dir)?;
    }
    if let Some(template) = template {
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&paths.config);
        match file {
            Ok(mut file) => {
                file.write_all(template.as_bytes()).and_then(|()| file.sync_all()).map_err(io(&paths.config))?
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(io(&paths.config)(e)),
        }
    }
    Ok(())
}

fn private(dir: &Path) -> Result<(), DirectoryError> {
    let found = fs::metadata(dir).map_err(|source| DirectoryError::Io { path: dir.to_owned(), source })?;
    let us = nix::unistd::geteuid().as_raw();
    if found.uid() != us {
        return Err(DirectoryError::Foreign { path: dir.to_owned(), owner: found.uid(), us });
    }
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(DirectoryError::Open { path: dir.to_owned(), mode });
    }
    Ok(())
}
