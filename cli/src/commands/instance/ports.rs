//! Which ports a new instance gets: free ones, that neither another instance nor the hub is configured to use.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use merlon_config::{Config, ListenAddress, Paths, judge_proxy_bind};

use super::configured;
use crate::args::InstanceCreateArgs;
use crate::commands::config;
use crate::error::{CliError, Exit};
use crate::output::Printer;

/// Ports of the instance `default`; the others count on from there.
const FIRST: (u16, u16) = (8080, 8443);
/// So many instances can be made without naming ports.
const MOST: u16 = 300;

/// Listeners of a new instance.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listeners {
    pub(super) proxy: ListenAddress,
    pub(super) api: ListenAddress,
}

/// What was typed, if it can be used, and free ports on loopback for the rest.
pub(super) fn choose(args: &InstanceCreateArgs, printer: &Printer) -> Result<Listeners, CliError> {
    let taken = taken(printer)?;
    let is_free = |port: u16| !taken.contains(&port) && can_bind(port);
    let mut pairs = (0..MOST).map(|step| (FIRST.0 + step, FIRST.1 + step));
    let free = pairs.find(|(proxy, api)| is_free(*proxy) && is_free(*api));
    let or_free = |typed: &Option<ListenAddress>, port: Option<u16>, option: &str| match (typed, port) {
        (Some(address), _) => usable(address, &taken, option).map(|()| address.clone()),
        (None, Some(port)) => Ok(ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))),
        (None, None) => Err(CliError::failed("no free port was found")
            .because(format!("{} and the {MOST} ports after it are in use", FIRST.0))
            .hint(format!("name one: {option} 127.0.0.1:PORT"))),
    };
    let proxy = or_free(&args.proxy_listen, free.map(|pair| pair.0), "--proxy-listen")?;
    if let ListenAddress::Tcp(address) = &proxy {
        judge_proxy_bind(*address, false).map_err(|_| {
            CliError::usage(format!("a new instance does not listen on {address}"))
                .because("whoever reaches an open proxy can use it")
                .hint("create it on 127.0.0.1, then set `proxy.listen` and `proxy.allow_public_bind` in its file")
        })?;
    }
    let api = or_free(&args.api_listen, free.map(|pair| pair.1), "--api-listen")?;
    if proxy == api {
        return Err(CliError::usage(format!("proxy and API cannot both listen on {proxy}")));
    }
    Ok(Listeners { proxy, api })
}

fn usable(address: &ListenAddress, taken: &BTreeSet<u16>, option: &str) -> Result<(), CliError> {
    let wrong = |why: String| {
        CliError::usage(format!("{option} {address} cannot be used"))
            .because(why)
            .hint(format!("{option} 127.0.0.1:PORT"))
    };
    match address {
        ListenAddress::Tcp(tcp) if tcp.port() == 0 => {
            Err(wrong("systemd opens the socket, and needs to know the port".to_owned()))
        }
        ListenAddress::Tcp(tcp) if taken.contains(&tcp.port()) => {
            Err(CliError::new(Exit::Usage, format!("{option} {address} cannot be used"))
                .because("another instance, or the hub, is configured to use this port")
                .hint("merlon instance list"))
        }
        ListenAddress::Tcp(tcp) => TcpListener::bind(tcp).map(drop).map_err(|e| wrong(e.to_string())),
        ListenAddress::Unix(_) => Err(wrong("an instance of the system is created with TCP addresses".to_owned())),
    }
}

/// Ports in the files of the other instances and of the hub, whether they run or not.
fn taken(printer: &Printer) -> Result<BTreeSet<u16>, CliError> {
    let mut taken = BTreeSet::new();
    for name in configured()? {
        match config::of_file(&Paths::system(&name).config) {
            Ok(config) => taken.extend(ports(&config)),
            Err(error) => printer.warn(&format!("the ports of instance `{name}` are not known: {error}")),
        }
    }
    let hub = Paths::hub().config;
    if hub.exists() {
        match config::of_file(&hub) {
            Ok(config) => taken.extend(of(&config.hub.listen)),
            Err(error) => printer.warn(&format!("the ports of the hub are not known: {error}")),
        }
    }
    Ok(taken)
}

fn ports(config: &Config) -> impl Iterator<Item = u16> + '_ {
    of(&config.proxy.listen).chain(of(&config.api.listen))
}

fn of(addresses: &[ListenAddress]) -> impl Iterator<Item = u16> + '_ {
    addresses.iter().filter_map(|address| match address {
        ListenAddress::Tcp(address) => Some(address.port()),
        ListenAddress::Unix(_) => None,
    })
}

fn can_bind(port: u16) -> bool {
    TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), port)).is_ok()
}
