//! The command line of `merlon-dialer`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Resolves, judges, connects, and hands connections to the engine
///
/// merlond starts this program, or its systemd unit does; there is no reason to start it by hand.
#[derive(Parser, Debug)]
#[command(name = "merlon-dialer", version)]
pub(crate) struct Arguments {
    /// The instance's configuration; its section [egress] says where connections may go
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Connect to the engine's link socket, and again after each hang-up
    #[arg(long, value_name = "PATH")]
    pub(crate) link: Option<PathBuf>,
    /// An inherited descriptor, by name: `parent`
    #[arg(long = "fd", value_name = "NAME=N")]
    pub(crate) fds: Vec<String>,
    /// A listener of this instance, which no connection may reach; without any, those of the configuration
    #[arg(long = "own-listener", value_name = "ADDR")]
    pub(crate) own_listeners: Vec<SocketAddr>,
    /// Names that need no name server
    #[arg(long, value_name = "FILE", default_value = "/etc/hosts")]
    pub(crate) hosts: PathBuf,
    /// The name servers
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    pub(crate) resolv_conf: PathBuf,
}
