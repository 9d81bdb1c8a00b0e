//! The sockets that the engine was handed: who can reach each of them, whether that is permitted, and whether they are
//! the configured ones. They are judged as they really are, whoever bound them; the configuration is judged besides
//! where somebody else binds by it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use merlon_api::status::{Authentication, Exposure, Listener as Facts, Service};
use merlon_config::{Config, ListenAddress, ProxyAuth, PublicBind, judge_proxy_bind};
use merlon_sandbox::bound::{Bound, local_address};
use tokio::net::{TcpListener, UnixListener};

use crate::api::ApiListener;
use crate::api_tls::ApiTls;
use crate::proxy::listener::{ListenSocket, Listener};

/// A listening socket with what the policy says of it.
pub(crate) struct Judged {
    socket: OwnedFd,
    bound: Bound,
    /// As the status shows it.
    pub(crate) facts: Facts,
}

/// Why a socket is not listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// The bind policy. Exit code 78.
    #[error(transparent)]
    Public(#[from] PublicBind),
    /// Tokens would cross a network in the clear. Exit code 78.
    #[error(
        "the API refuses to listen on {0} without TLS, because that is not loopback; leave `api.tls` on, or listen on loopback only"
    )]
    PlainApi(SocketAddr),
    /// It has no address. Exit code 74.
    #[error("a listening socket has no address: {0}")]
    Io(#[from] io::Error),
}

/// May the proxy listen where the configuration says? Asked where others bind by it: a refusal must be heard even if no
/// socket was made for that address.
pub(crate) fn judge_configured(config: &Config) -> Result<(), PublicBind> {
    for address in &config.proxy.listen {
        if let ListenAddress::Tcp(address) = address {
            judge_proxy_bind(*address, config.proxy.allow_public_bind)?;
        }
    }
    Ok(())
}

/// Judges the proxy's sockets.
pub(crate) fn judge_proxy(config: &Config, sockets: Vec<OwnedFd>) -> Result<Vec<Judged>, Unfit> {
    let judge = |socket: OwnedFd| {
        let bound = local_address(&socket)?;
        let exposure = match &bound {
            Bound::Tcp(address) => exposure_of(judge_proxy_bind(*address, config.proxy.allow_public_bind)?),
            Bound::Unix(_) => Exposure::Unix,
        };
        let authentication = match (config.proxy.auth, exposure) {
            (ProxyAuth::Basic, _) | (ProxyAuth::Auto, Exposure::Public) => Authentication::Basic,
            (ProxyAuth::None, _) | (ProxyAuth::Auto, _) => Authentication::None,
        };
        let facts = Facts { service: Service::Proxy, address: name(&bound), exposure, tls: false, authentication };
        Ok(Judged { socket, bound, facts })
    };
    sockets.into_iter().map(judge).collect()
}

/// Judges the API's sockets.
pub(crate) fn judge_api(config: &Config, sockets: Vec<OwnedFd>) -> Result<Vec<Judged>, Unfit> {
    let judge = |socket: OwnedFd| {
        let bound = local_address(&socket)?;
        let (exposure, tls, authentication) = match &bound {
            Bound::Tcp(address) => {
                let exposure = exposure_of(merlon_config::exposure(address.ip()));
                if exposure == Exposure::Public && !config.api.tls {
                    return Err(Unfit::PlainApi(*address));
                }
                (exposure, config.api.tls, Authentication::Bearer)
            }
            Bound::Unix(_) => (Exposure::Unix, false, Authentication::Socket),
        };
        let facts = Facts { service: Service::Api, address: name(&bound), exposure, tls, authentication };
        Ok(Judged { socket, bound, facts })
    };
    sockets.into_iter().map(judge).collect()
}

/// Where the configuration and the sockets differ, in words for the operator; `unit` names the instance in the remedy.
pub(crate) fn differences(config: &Config, proxy: &[Judged], api: &[Judged], unit: &str) -> Option<String> {
    let mut found = Vec::new();
    let mut compare = |key: &str, configured: &[ListenAddress], judged: &[Judged], owners: bool| {
        for address in configured.iter().filter(|address| !judged.iter().any(|judged| is_at(&judged.bound, address))) {
            found.push(format!("{key} names {address}, where no socket was made"));
        }
        let unnamed = |judged: &&Judged| !configured.iter().any(|address| is_at(&judged.bound, address));
        // One Unix socket of the API is always there, wherever the unit puts it.
        let expected = |judged: &&Judged| !(owners && matches!(judged.bound, Bound::Unix(_)));
        for judged in judged.iter().filter(unnamed).filter(expected) {
            found.push(format!("{} is listened on and not in {key}", judged.facts.address));
        }
    };
    compare("proxy.listen", &config.proxy.listen, proxy, false);
    compare("api.listen", &config.api.listen, api, true);
    (!found.is_empty()).then(|| {
        format!(
            "the listening sockets are not those of the configuration: {}. Run `systemctl daemon-reload`, then `systemctl stop merlond@{unit}` and `systemctl start merlond@{unit}`.",
            found.join("; ")
        )
    })
}

fn is_at(bound: &Bound, configured: &ListenAddress) -> bool {
    match (bound, configured) {
        (Bound::Tcp(bound), ListenAddress::Tcp(wanted)) => {
            bound.ip().to_canonical() == wanted.ip().to_canonical()
                && (wanted.port() == 0 || bound.port() == wanted.port())
        }
        (Bound::Unix(bound), ListenAddress::Unix(wanted)) => bound.as_deref() == Some(wanted),
        _ => false,
    }
}

fn exposure_of(exposure: merlon_config::Exposure) -> Exposure {
    match exposure {
        merlon_config::Exposure::Loopback => Exposure::Loopback,
        merlon_config::Exposure::Public(_) => Exposure::Public,
    }
}

fn name(bound: &Bound) -> String {
    match bound {
        Bound::Tcp(address) => address.to_string(),
        Bound::Unix(path) => format!("unix:{}", path.as_deref().unwrap_or(Path::new("")).display()),
    }
}

impl Judged {
    /// For the proxy.
    pub(crate) fn into_proxy(self) -> io::Result<Listener> {
        let authenticate = self.facts.authentication == Authentication::Basic;
        let socket = match self.bound {
            Bound::Tcp(_) => ListenSocket::Tcp(tcp(self.socket)?),
            Bound::Unix(_) => ListenSocket::Unix(unix(self.socket)?),
        };
        Ok(Listener { socket, authenticate })
    }

    /// For the API.
    pub(crate) fn into_api(self, api_tls: &ApiTls) -> io::Result<ApiListener> {
        Ok(match (self.bound, self.facts.tls) {
            (Bound::Unix(_), _) => ApiListener::Unix(unix(self.socket)?),
            (Bound::Tcp(_), true) => ApiListener::Tls(tcp(self.socket)?, api_tls.server_config()),
            (Bound::Tcp(_), false) => ApiListener::Plain(tcp(self.socket)?),
        })
    }
}

fn tcp(socket: OwnedFd) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn unix(socket: OwnedFd) -> io::Result<UnixListener> {
    let listener = std::os::unix::net::UnixListener::from(socket);
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(address: &str) -> OwnedFd {
        std::net::TcpListener::bind(address).unwrap().into()
    }

    fn config(proxy: &[&str], api: &[&str]) -> Config {
        let parse = |list: &[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        let mut config = Config::default();
        config.proxy.listen = parse(proxy);
        config.api.listen = parse(api);
        config
    }

    #[test]
    fn a_configured_public_address_is_refused_without_its_socket_too() {
        let mut config = config(&["127.0.0.1:1", "0.0.0.0:8080"], &[]);
        assert!(judge_configured(&config).unwrap_err().to_string().contains("0.0.0.0:8080"));
        config.proxy.allow_public_bind = true;
        judge_configured(&config).unwrap();
    }

    #[test]
    fn the_api_is_not_public_without_tls_whoever_bound_it() {
        let mut config = config(&[], &[]);
        assert_eq!(judge_api(&config, vec![bind("0.0.0.0:0")]).unwrap()[0].facts.exposure, Exposure::Public);
        config.api.tls = false;
        assert!(matches!(judge_api(&config, vec![bind("0.0.0.0:0")]), Err(Unfit::PlainApi(_))));
        assert!(judge_api(&config, vec![bind("127.0.0.1:0")]).is_ok());
    }

    #[test]
    fn other_sockets_than_configured_are_told_with_the_remedy() {
        let any = Config { api: merlon_config::Api { listen: Vec::new(), ..Default::default() }, ..Config::default() };
        let proxy = judge_proxy(&any, vec![bind("127.0.0.1:0")]).unwrap();
        let bound = proxy[0].facts.address.clone();
        assert_eq!(differences(&config(&[&bound], &[]), &proxy, &[], "lab"), None);
        assert_eq!(differences(&config(&["127.0.0.1:0"], &[]), &proxy, &[], "lab"), None);
        let text = differences(&config(&["127.0.0.1:1"], &["127.0.0.1:2"]), &proxy, &[], "lab").unwrap();
        for part in [
            "proxy.listen names 127.0.0.1:1",
            &format!("{bound} is listened on"),
            "api.listen names 127.0.0.1:2",
            "systemctl daemon-reload",
            "systemctl stop merlond@lab",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // The owner's socket is configured nowhere.
        let path = std::env::temp_dir().join(format!("merlon-judged-{}.sock", std::process::id()));
        let owner = std::os::unix::net::UnixListener::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let api = judge_api(&any, vec![owner.into()]).unwrap();
        assert_eq!(differences(&config(&[&bound], &[]), &proxy, &api, "lab"), None);
    }
}
