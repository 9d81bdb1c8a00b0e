//! Where a socket really is bound, whoever bound it.
//!
//! Owned here: the question to the kernel. Whether the address is allowed is for the configuration's policy.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use nix::sys::socket::{SockaddrLike, SockaddrStorage, getsockname};

/// The local address of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// An internet address.
    Tcp(SocketAddr),
    /// A Unix socket; without a path if it is unnamed or abstract.
    Unix(Option<PathBuf>),
}

impl std::fmt::Display for Bound {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Unix(Some(path)) => write!(out, "unix:{}", path.display()),
            Self::Unix(None) => out.write_str("unix:(unnamed)"),
        }
    }
}

/// Asks the kernel where `socket` is bound.
///
/// # Errors
/// That of the kernel; [`io::ErrorKind::Unsupported`] for a family other than IPv4, IPv6 and Unix.
pub fn local_address(socket: impl AsFd) -> io::Result<Bound> {
    let address: SockaddrStorage = getsockname(socket.as_fd().as_raw_fd())?;
    if let Some(v4) = address.as_sockaddr_in() {
        return Ok(Bound::Tcp(SocketAddr::V4(SocketAddrV4::new(v4.ip(), v4.port()))));
    }
    if let Some(v6) = address.as_sockaddr_in6() {
        let v6 = SocketAddrV6::new(v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id());
        return Ok(Bound::Tcp(SocketAddr::V6(v6)));
    }
    if let Some(unix) = address.as_unix_addr() {
        return Ok(Bound::Unix(unix.path().map(PathBuf::from)));
    }
    let text = format!("a socket of family {:?} is neither IPv4, IPv6 nor Unix", address.family());
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn the_kernel_is_asked_and_not_the_configuration() {
        for host in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            let Ok(listener) = TcpListener::bind(host) else {
                continue;
            };
            assert_eq!(local_address(&listener).unwrap(), Bound::Tcp(listener.local_addr().unwrap()));
        }
        let dir = crate::files::tests::scratch("bound");
        let listener = UnixListener::bind(dir.join("x.sock")).unwrap();
        assert_eq!(local_address(&listener).unwrap(), Bound::Unix(Some(dir.join("x.sock"))));
        let (unnamed, _other) = UnixStream::pair().unwrap();
        assert_eq!(local_address(&unnamed).unwrap(), Bound::Unix(None));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
