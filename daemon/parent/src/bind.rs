//! Sockets, bound before any process starts.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use merlon_config::PublicBind;
use merlon_sandbox::seqpacket;

/// Why a socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The bind policy. Exit code 78.
    #[error(transparent)]
    Public(#[from] PublicBind),
    /// The system says no. Exit code 74.
    #[error("cannot listen on {address}: {source}{}", hint(source))]
    Refused {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The path is in use by something that is no socket. Exit code 78.
    #[error("{}: there is a file that is no socket; move it away, or listen elsewhere", .0.display())]
    NotASocket(PathBuf),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another program listens there, choose another address or port 0",
        io::ErrorKind::AddrNotAvailable => "; the address is not one of this host's",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE, choose a higher one",
        _ => "",
    }
}

/// A listener, and where it listens.
///
/// # Errors
/// [`BindError::Refused`].
pub fn tcp(address: SocketAddr) -> Result<(OwnedFd, SocketAddr), BindError> {
    let refused = |source| BindError::Refused { address: address.to_string(), source };
    let listener = TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener.into(), bound))
}

/// For the owner alone: the directory is 0700, and so says the socket itself.
///
/// # Errors
/// [`BindError`].
pub fn unix(path: &Path) -> Result<OwnedFd, BindError> {
    clear(path)?;
    let refused = |source| BindError::Refused { address: format!("unix:{}", path.display()), source };
    let listener = UnixListener::bind(path).map_err(refused)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener.into())
}

/// The keeper's admin socket, for its owner alone.
///
/// # Errors
/// [`BindError`].
pub fn admin(path: &Path) -> Result<OwnedFd, BindError> {
    clear(path)?;
    seqpacket::listen(path, 0o600).map_err(|source| BindError::Refused { address: path.display().to_string(), source })
}

/// Removes a socket that an earlier run left behind; the directory's lock says that nobody uses it.
fn clear(path: &Path) -> Result<(), BindError> {
    let refused = |source| BindError::Refused { address: path.display().to_string(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path).map_err(refused),
        Ok(_) => Err(BindError::NotASocket(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(refused(e)),
    }
}
