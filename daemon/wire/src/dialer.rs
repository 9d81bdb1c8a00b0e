//! What the engine may ask of the dialer: a connection, nothing else. The answer carries the connected descriptor.
//!
//! The dialer resolves, judges the address, and connects to that very address. It never reads or writes a byte of the
//! connection, and the engine never sees a name server.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// A request on the dialer's link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// A TCP connection to `host` and `port`.
    Connect {
        /// DNS name, or IPv4 or IPv6 address without brackets; at most 253 bytes.
        host: &'a str,
        /// 1 to 65535.
        port: u16,
    },
}

/// An answer on the dialer's link. [`Response::Connected`] comes with one descriptor (`SCM_RIGHTS`), others with none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The descriptor is a connected TCP socket, non-blocking, close-on-exec, `TCP_NODELAY` set.
    Connected {
        /// The address that was judged and connected.
        address: SocketAddr,
        /// Time to resolve the name, in microseconds.
        resolve_us: u32,
        /// Time to connect, in microseconds.
        connect_us: u32,
    },
    /// No connection.
    Failed(DialError),
}

/// Why there is no connection. The text is fit for an error page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DialError {
    /// The host is no name and no address.
    #[error("`{0}` is neither a host name nor an IP address")]
    BadHost(String),
    /// The name does not resolve.
    #[error("the name does not resolve: {0}")]
    Resolve(String),
    /// The egress policy forbids the address, or all addresses of the name.
    #[error("the egress policy refuses {address}: {rule}")]
    Refused {
        /// The (last) address judged.
        address: SocketAddr,
        /// Which rule, and the line of the configuration that changes it, if one can.
        rule: String,
    },
    /// The origin answered with a reset.
    #[error("{0} refused the connection")]
    ConnectionRefused(SocketAddr),
    /// No answer in time.
    #[error("no connection to {address} within {seconds} s")]
    TimedOut {
        /// The last address tried.
        address: String,
        /// The limit.
        seconds: u32,
    },
    /// The network says no.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable {
        /// The last address tried.
        address: SocketAddr,
        /// The system's words.
        reason: String,
    },
    /// Too many dials under way.
    #[error("too many connections are being opened at once; try again")]
    Busy,
}
