//! Modes and owners of an instance's files, judged. Reads metadata only.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::Check;
use crate::target::{Local, Owner, quoted};

const SUDO: &str = "sudo merlon doctor";

/// A file or directory and the widest mode that it may have.
struct Expected {
    path: PathBuf,
    most: u32,
}

pub(super) fn all(local: &Local) -> Vec<Check> {
    let mut checks: Vec<Check> = expected(local).iter().filter_map(judge).collect();
    if checks.is_empty() {
        checks.push(Check::ok("files", "owners and modes are as they should be"));
    }
    checks
}

fn expected(local: &Local) -> Vec<Expected> {
    let paths = &local.paths;
    let (directory, api) = match local.owner {
        // The group `merlon` may use the API; systemd keeps the directory that holds the sockets.
        Owner::System(_) => (0o755, 0o660),
        Owner::Directory(_) | Owner::Hub => (0o700, 0o600),
    };
    let mut expected = vec![
        Expected { path: paths.keeper.clone(), most: 0o700 },
        Expected { path: paths.store.clone(), most: 0o700 },
        Expected { path: paths.run.clone(), most: directory },
        Expected { path: paths.config.clone(), most: 0o644 },
        Expected { path: paths.admin_socket(), most: 0o600 },
        Expected { path: paths.api_socket(), most: api },
        Expected { path: paths.keeper_link_socket(), most: 0o600 },
        Expected { path: paths.dialer_link_socket(), most: 0o600 },
        Expected { path: paths.seal_socket(), most: 0o600 },
        Expected { path: paths.keeper.join("file.key"), most: 0o400 },
    ];
    for name in ["secrets.db", "keyslots.a", "keyslots.b"] {
        expected.push(Expected { path: paths.keeper.join(name), most: 0o600 });
    }
    let projects = fs::read_dir(paths.store.join("projects")).into_iter().flatten().flatten();
    expected.extend(projects.map(|entry| Expected { path: entry.path(), most: 0o600 }));
    expected
}

/// What is wrong with it; none if nothing is, or if it is not there.
fn judge(expected: &Expected) -> Option<Check> {
    let Expected { path, most } = expected;
    let name = path.display().to_string();
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == ErrorKind::NotFound => return None,
        Err(e) => {
            return Some(Check::warning(name, format!("could not be looked at: {e}"), SUDO));
        }
    };
    if metadata.is_symlink() {
        return Some(Check::wrong(&name, "is a symbolic link", "put the file itself there"));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & !most != 0 {
        let detail = format!("mode {mode:04o} lets in more than {most:04o}");
        return Some(Check::wrong(&name, detail, format!("chmod {most:04o} {}", quoted(&name))));
    }
    let directory = owner_of(path.parent()?)?;
    let kept_by_others = metadata.file_type().is_socket() || metadata.is_dir() || *most == 0o644;
    if !kept_by_others && metadata.uid() != directory {
        let detail = format!("belongs to user {}, its directory to user {directory}", metadata.uid());
        return Some(Check::wrong(&name, detail, format!("chown {directory} {}", quoted(&name))));
    }
    None
}

fn owner_of(directory: &Path) -> Option<u32> {
    fs::metadata(directory).ok().map(|metadata| metadata.uid())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_mode_that_is_too_wide_is_found_with_its_remedy() {
        let path = std::env::temp_dir().join(format!("merlon-cli-mode-{}", std::process::id()));
        fs::write(&path, "x").unwrap();
        let judged = |mode, most| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            judge(&Expected { path: path.clone(), most })
        };
        assert_eq!(judged(0o644, 0o644), None);
        let wide = judged(0o640, 0o600).unwrap();
        assert_eq!(wide.remedy.unwrap(), format!("chmod 0600 {}", path.display()));
        fs::remove_file(&path).unwrap();
        assert_eq!(judge(&Expected { path, most: 0 }), None);
    }
}
