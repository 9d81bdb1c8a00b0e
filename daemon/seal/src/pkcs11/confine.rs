//! The sandbox around a vendor's module.
//!
//! Owned here: what of the configuration becomes a right. The rest is in the profiles `SEAL_PKCS11` and
//! `SEAL_PKCS11_ATTACHED`.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use merlon_config::Pkcs11;
use merlon_sandbox::{Paths, enforce, environment, profiles};
use merlon_wire::seal::Failure;

/// Sets the module's environment and enforces the profile.
pub(crate) fn enter(config: &Pkcs11, module: &Path, landlock_required: bool) -> Result<(), Failure> {
    let variables = config.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    environment::set(variables).map_err(|error| Failure::Module(format!("pkcs11.environment: {error}")))?;
    let (paths, attached) = rights(config, module)?;
    let profile = if attached { &profiles::SEAL_PKCS11_ATTACHED } else { &profiles::SEAL_PKCS11 };
    enforce(profile, &paths.landlock_required(landlock_required))
        .map(drop)
        .map_err(|error| Failure::Module(error.to_string()))
}

/// The paths, and whether the module reaches its token by a socket or a device.
fn rights(config: &Pkcs11, module: &Path) -> Result<(Paths, bool), Failure> {
    let mut paths = Paths::new();
    // A link and what it leads to may lie in two directories, and a module may bring libraries along beside itself.
    let real = fs::canonicalize(module).map_err(|error| unusable("module", module, &error))?;
    for file in [module, &real] {
        // Below the root lies everything.
        let directory = file.parent().filter(|directory| directory.parent().is_some());
        paths = paths.read_only(directory.unwrap_or(file));
    }
    for path in &config.read {
        fs::metadata(path).map_err(|error| unusable("read", path, &error))?;
        paths = paths.read_only(path);
    }
    let mut attached = false;
    for path in &config.write {
        let kind = fs::metadata(path).map_err(|error| unusable("write", path, &error))?.file_type();
        let device = kind.is_char_device() || kind.is_block_device() || (kind.is_dir() && path.starts_with("/dev"));
        if device || kind.is_socket() {
            attached = true;
            paths = paths.attached(path);
        } else {
            paths = paths.read_write(path);
        }
    }
    Ok((paths, attached))
}

fn unusable(key: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::Module(format!("pkcs11.{key}: {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_a_socket_or_a_device_makes_the_wider_profile_needed() {
        let dir = std::env::temp_dir().join(format!("merlon-seal-confine-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let socket = dir.join("pcscd");
        let _daemon = UnixListener::bind(&socket).unwrap();
        let module = Path::new("/proc/self/exe");
        let attached = |path: &Path| {
            rights(&Pkcs11 { write: vec![path.into()], ..Pkcs11::default() }, module).map(|(_, attached)| attached)
        };
        assert_eq!(attached(&dir), Ok(false));
        assert_eq!(attached(&socket), Ok(true));
        assert_eq!(attached(Path::new("/dev/null")), Ok(true));
        assert_eq!(attached(Path::new("/dev")), Ok(true));
        let Err(missing) = attached(&dir.join("none")) else { panic!("it is not there") };
        assert!(missing.to_string().contains("pkcs11.write: "), "{missing}");
        fs::remove_dir_all(dir).unwrap();
    }
}
