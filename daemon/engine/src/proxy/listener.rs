//! The proxy's listeners: accept, bound the number of connections, drain at the end. Every connection's task is owned
//! here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Proxy;
use super::conn::Conn;
use super::requests::{self, Client, End, Route};
use super::stream::{Socket, Stream};
use super::tunnel::Tunnel;
use crate::liveness::Fallen;

/// A bound socket, judged already.
pub(crate) struct Listener {
    /// The socket.
    pub(crate) socket: ListenSocket,
    /// Clients of it must authenticate.
    pub(crate) authenticate: bool,
}

/// TCP or Unix.
pub(crate) enum ListenSocket {
    /// TCP.
    Tcp(TcpListener),
    /// Unix stream.
    Unix(UnixListener),
}

/// Pause after an accept that failed for want of descriptors or memory, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves all listeners until `stop` says so, then waits for connections under way as long as the configuration allows.
/// Each connection has the proxy that is there when it comes. `fallen` is set if a listener is served no more before that.
pub(crate) async fn serve(
    proxy: watch::Receiver<Arc<Proxy>>,
    listeners: Vec<Listener>,
    stop: watch::Receiver<bool>,
    fallen: Fallen,
) {
    let room = Arc::new(Semaphore::new(usize::try_from(proxy.borrow().limits.connections).unwrap_or(usize::MAX)));
    let mut loops = JoinSet::new();
    for listener in listeners {
        loops.spawn(accept(proxy.clone(), listener, Arc::clone(&room), stop.clone()));
    }
    while loops.join_next().await.is_some() {
        if !*stop.borrow() {
            fallen.set();
        }
    }
}

async fn accept(
    proxy: watch::Receiver<Arc<Proxy>>,
    listener: Listener,
    room: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        // The stop first: what waits in the kernel then is for the engine that comes next, if the socket outlives this one.
        let permit = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            permit = Arc::clone(&room).acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.next() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((socket, address)) => {
                let proxy = Arc::clone(&proxy.borrow());
                let must_authenticate = listener.authenticate;
                connections.spawn(async move {
                    connection(&proxy, socket, Client { address, must_authenticate, tls: None }).await;
                    drop(permit);
                });
            }
            Err(error) => {
                crate::log::warn(format_args!("the proxy could not accept a connection: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let drain = Duration::from_secs(proxy.borrow().limits.drain_seconds.into());
    if timeout(drain, async { while connections.join_next().await.is_some() {} }).await.is_err() {
        connections.shutdown().await;
    }
}

impl Listener {
    async fn next(&self) -> std::io::Result<(Socket, Option<SocketAddr>)> {
        match &self.socket {
            ListenSocket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Socket::tcp(stream)?, Some(address)))
            }
            ListenSocket::Unix(listener) => Ok((Socket::unix(listener.accept().await?.0), None)),
        }
    }
}

async fn connection(proxy: &Proxy, socket: Socket, client: Client) {
    let conn = Conn::new(Stream::Plain(socket), proxy.stall());
    if let End::Connect { conn, host, port, head, client } = requests::serve(proxy, conn, Route::Forward, client).await
    {
        // Apart from the connection's own future, so that one that is idle does not hold room for it.
        Box::pin(Tunnel { host, port, head, client }.serve(proxy, *conn)).await;
    }
}
