//! A connection to an origin: dialled by the dialer, verified by TLS, kept for the requests that follow on the same
//! client connection. Never shared between clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Proxy;
use super::conn::Conn;
use super::failure::Failure;
use super::stream::{Socket, Stream};
use super::tls;
use crate::flow::{Scheme, TlsFacts};

/// Where requests go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Plain or TLS.
    pub(crate) scheme: Scheme,
    /// Name or address that is dialled.
    pub(crate) host: Box<str>,
    /// Port that is dialled.
    pub(crate) port: u16,
    /// Name that the origin's certificate must be for: the client's SNI, or `host`.
    pub(crate) server_name: Box<str>,
}

/// An open connection to an origin.
pub(crate) struct Upstream {
    /// To whom.
    pub(crate) destination: Destination,
    /// The connection.
    pub(crate) conn: Conn,
    /// The address that was connected.
    pub(crate) address: SocketAddr,
    /// TLS, if any.
    pub(crate) tls: Option<TlsFacts>,
    /// SHA-256 of the certificate, in hex.
    pub(crate) certificate_sha256: Option<Box<str>>,
    /// It has served a request before.
    pub(crate) used: bool,
}

/// A plain socket to an origin, as passthrough needs it.
pub(crate) async fn dial(proxy: &Proxy, host: &str, port: u16) -> Result<(Socket, SocketAddr), Failure> {
    let connected = proxy.links.connect(host, port).await?;
    let stream = std::net::TcpStream::from(connected.fd);
    let socket = stream
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpStream::from_std(stream))
        .and_then(Socket::tcp)
        .map_err(Failure::Origin)?;
    Ok((socket, connected.address))
}

impl Upstream {
    /// Dials, and shakes hands where the scheme says so.
    ///
    /// # Errors
    /// [`Failure::Dial`], [`Failure::DialerLink`], [`Failure::OriginTls`].
    pub(crate) async fn open(proxy: &Proxy, destination: Destination) -> Result<Self, Failure> {
        let (socket, address) = dial(proxy, &destination.host, destination.port).await?;
        let stall = proxy.stall();
        if destination.scheme != Scheme::Https {
            let conn = Conn::new(Stream::Plain(socket), stall);
            return Ok(Self { destination, conn, address, tls: None, certificate_sha256: None, used: false });
        }
        let Some(name) = tls::server_name(&destination.server_name) else {
            return Err(Failure::OriginTls(format!("`{}` can be in no certificate", destination.server_name)));
        };
        let connector = TlsConnector::from(Arc::clone(&proxy.origin_tls));
        let limit = Duration::from_secs(proxy.limits.handshake_seconds.into());
        let stream = match timeout(limit, connector.connect(name, socket)).await {
            Ok(done) => done.map_err(|e| Failure::OriginTls(tls::explain(&e)))?,
            Err(_) => return Err(Failure::OriginTls(format!("no TLS handshake within {} s", limit.as_secs()))),
        };
        let session = stream.get_ref().1;
        let facts = tls::facts(session, Some(&destination.server_name));
        let certificate_sha256 = session.peer_certificates().and_then(|chain| chain.first()).map(|leaf| {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, leaf);
            data_encoding::HEXLOWER.encode(digest.as_ref()).into_boxed_str()
        });
        let conn = Conn::new(Stream::ToOrigin(Box::new(stream)), stall);
        Ok(Self { destination, conn, address, tls: Some(facts), certificate_sha256, used: false })
    }
}
