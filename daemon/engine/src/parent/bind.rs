//! The sockets of an instance: bound before any process starts, judged as they really are.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use merlon_config::{Config, ListenAddress, PublicBind, judge_proxy_bind};
use merlon_parent::bind::{BindError, admin, tcp, unix};

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
    Ok(Sockets { proxy, api, admin: admin(admin_socket)?, proxy_addresses, api_addresses })
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
