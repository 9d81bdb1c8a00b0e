//! The parent's sockets: bound before any process starts, judged as they really are.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use merlon_config::{Config, ListenAddress, PublicBind, judge_proxy_bind};
use merlon_sandbox::seqpacket;

/// All sockets of an instance.
pub(super) struct Sockets {
    /// The proxy's.
    pub(super) proxy: Vec<OwnedFd>,
    /// The API's: Unix first, then TCP.
    pub(super) api: Vec<OwnedFd>,
    /// The keeper's admin socket.
    pub(super) admin: OwnedFd,
    /// Addresses of the proxy's TCP listeners, as bound.
    pub(super) proxy_addresses: Vec<ListenAddress>,
    /// Addresses of the API's TCP listeners, as bound.
    pub(super) api_addresses: Vec<SocketAddr>,
}

/// Why a socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum BindError {
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

/// The proxy's listeners must be permitted as written before anything is bound.
pub(super) fn judge(config: &Config) -> Result<(), PublicBind> {
    for address in &config.proxy.listen {
        if let ListenAddress::Tcp(address) = address {
            judge_proxy_bind(*address, config.proxy.allow_public_bind)?;
        }
    }
    Ok(())
}

/// Binds everything.
pub(super) fn bind(config: &Config, api_socket: &Path, admin_socket: &Path) -> Result<Sockets, BindError> {
    judge(config)?;
    let mut proxy = Vec::new();
    let mut proxy_addresses = Vec::new();
    for address in &config.proxy.listen {
        match address {
            ListenAddress::Tcp(address) => {
                let (socket, bound) = tcp(*address)?;
                judge_proxy_bind(bound, config.proxy.allow_public_bind)?;
                proxy.push(socket);
                proxy_addresses.push(ListenAddress::Tcp(bound));
            }
            ListenAddress::Unix(path) => {
                proxy.push(unix(path)?);
                proxy_addresses.push(ListenAddress::Unix(path.clone()));
            }
        }
    }
    let mut api = vec![unix(api_socket)?];
    let mut api_addresses = Vec::new();
    for address in &config.api.listen {
        match address {
            ListenAddress::Tcp(address) => {
                let (socket, bound) = tcp(*address)?;
                api.push(socket);
                api_addresses.push(bound);
            }
            ListenAddress::Unix(path) => api.push(unix(path)?),
        }
    }
    clear(admin_socket)?;
    let admin = seqpacket::listen(admin_socket, 0o600)
        .map_err(|source| BindError::Refused { address: admin_socket.display().to_string(), source })?;
    Ok(Sockets { proxy, api, admin, proxy_addresses, api_addresses })
}

fn tcp(address: SocketAddr) -> Result<(OwnedFd, SocketAddr), BindError> {
    let refused = |source| BindError::Refused { address: address.to_string(), source };
    let listener = TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener.into(), bound))
}

/// For the owner alone: the directory is 0700, and so says the socket itself.
fn unix(path: &Path) -> Result<OwnedFd, BindError> {
    clear(path)?;
    let refused = |source| BindError::Refused { address: format!("unix:{}", path.display()), source };
    let listener = UnixListener::bind(path).map_err(refused)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener.into())
}

/// Removes a socket that an instance left behind; the directory's lock says that nobody uses it.
fn clear(path: &Path) -> Result<(), BindError> {
    let refused = |source| BindError::Refused { address: path.display().to_string(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path).map_err(refused),
        Ok(_) => Err(BindError::NotASocket(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(refused(e)),
    }
}

impl Sockets {
    /// The TCP addresses that the dialer must never connect to.
    pub(super) fn own_listeners(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let proxy = self.proxy_addresses.iter().filter_map(|address| match address {
            ListenAddress::Tcp(address) => Some(*address),
            ListenAddress::Unix(_) => None,
        });
        proxy.chain(self.api_addresses.iter().copied())
    }
}
