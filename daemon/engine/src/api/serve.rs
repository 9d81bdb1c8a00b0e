//! Listeners and connections: bounded in number, in the size and time of what they send, and ended in order at a stop.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use merlon_sandbox::wipe::Wiped;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::{ApiState, router};
use crate::liveness::Fallen;

/// Connections of one listener at once. Each has its own count, so that no stranger on TCP can keep the owner off the
/// Unix socket.
const CONNECTIONS: usize = 256;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a head may take, and how long a connection may stand idle between requests.
const HEAD: Duration = Duration::from_secs(30);
/// The most header fields of a request, and the most bytes of its head.
const HEAD_FIELDS: usize = 64;
const HEAD_BYTES: usize = 16 * 1024;
/// How long a connection still waits for a request when the instance stops.
const LAST_CALL: Duration = Duration::from_millis(500);
/// How long a stop waits for requests under way.
const DRAIN: Duration = Duration::from_secs(5);
/// The pause after a failure to accept, which is a want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener of the API, bound by whoever started the engine.
pub(crate) enum ApiListener {
    /// Whoever may open it is owner.
    Unix(UnixListener),
    /// TCP with TLS.
    Tls(TcpListener, Arc<rustls::ServerConfig>),
    /// TCP without TLS; on loopback only, which the caller has judged.
    Plain(TcpListener),
}

/// How a request came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Over the Unix socket.
    Unix,
    /// Over TCP.
    Tcp {
        /// With TLS.
        tls: bool,
        /// The address that the client connected to.
        local: SocketAddr,
        /// The address that the client has.
        peer: IpAddr,
    },
}

impl Arrival {
    /// Where the client is; none: on this host, at the owner's socket.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        match self {
            Self::Unix => None,
            Self::Tcp { peer, .. } => Some(*peer),
        }
    }
}

/// Serves the API until `shutdown` turns true, then lets what is under way come to its end for a few seconds. Every
/// connection lives inside the future: dropping it ends them all. `fallen` is set if a listener is served no more before
/// that.
pub(crate) async fn serve(
    state: ApiState,
    listeners: Vec<ApiListener>,
    shutdown: watch::Receiver<bool>,
    fallen: Fallen,
) {
    let routes = router::router(state);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(listen(listener, routes.clone(), shutdown.clone()));
    }
    while accepting.join_next().await.is_some() {
        if !*shutdown.borrow() {
            fallen.set();
        }
    }
}

async fn listen(listener: ApiListener, routes: Router, mut shutdown: watch::Receiver<bool>) {
    let turns = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            // The semaphore is never closed.
            let turn = turns.clone().acquire_owned().await.ok()?;
            Some((turn, listener.accept().await))
        };
        tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            Some((turn, accepted)) = accept => match accepted {
                Ok(accepted) => {
                    let connection = connection(accepted, routes.clone(), shutdown.clone());
                    connections.spawn(async move {
                        // Tokens pass through the buffers of TLS and HTTP, which the libraries do not wipe.
                        Wiped::new(connection).await;
                        drop(turn);
                    });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    // What has not ended by then is aborted when the set is dropped.
    let _ = tokio::time::timeout(DRAIN, drained).await;
}

enum Accepted {
    Unix(tokio::net::UnixStream),
    Tls(tokio::net::TcpStream, Arc<rustls::ServerConfig>),
    Plain(tokio::net::TcpStream),
}

impl ApiListener {
    async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Unix(listener) => Accepted::Unix(listener.accept().await?.0),
            Self::Tls(listener, config) => Accepted::Tls(listener.accept().await?.0, config.clone()),
            Self::Plain(listener) => Accepted::Plain(listener.accept().await?.0),
        })
    }
}

/// One connection to its end. How it failed is of no interest: the client knows, and nothing of it is kept.
async fn connection(accepted: Accepted, routes: Router, shutdown: watch::Receiver<bool>) {
    match accepted {
        Accepted::Unix(stream) => http(stream, Arrival::Unix, routes, shutdown).await,
        Accepted::Plain(stream) => {
            let Ok((local, peer)) = prepare(&stream) else { return };
            http(stream, Arrival::Tcp { tls: false, local, peer }, routes, shutdown).await;
        }
        Accepted::Tls(stream, config) => {
            let Ok((local, peer)) = prepare(&stream) else { return };
            let handshake = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream));
            let Ok(Ok(stream)) = handshake.await else {
                return;
            };
            http(stream, Arrival::Tcp { tls: true, local, peer }, routes, shutdown).await;
        }
    }
}

fn prepare(stream: &tokio::net::TcpStream) -> io::Result<(SocketAddr, IpAddr)> {
    stream.set_nodelay(true)?;
    Ok((stream.local_addr()?, stream.peer_addr()?.ip()))
}

async fn http<S>(stream: S, arrival: Arrival, routes: Router, mut shutdown: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = routes.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(arrival.clone());
        request.map(axum::body::Body::new)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_headers(HEAD_FIELDS)
            .max_buf_size(HEAD_BYTES)
            .half_close(false)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
    );
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stopped(&mut shutdown) => {
            // A connection that was accepted a moment ago has not been read from yet, and would be closed unanswered.
            if tokio::time::timeout(LAST_CALL, connection.as_mut()).await.is_err() {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}

/// Completes once the instance stops, also if nobody is left to say so.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}
