//! Listeners and connections: bounded in number, in the size and time of what they send, and ended in order at a stop.
//! A hub that is not open yet answers here, in place of its routes.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use merlon_config::Cidr;
use merlon_sandbox::wipe::Wiped;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::arrival::Arrival;
use crate::front::Front;
use crate::routes::with_headers;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a head may take, and how long a connection may stand idle between requests.
const HEAD: Duration = Duration::from_secs(30);
/// The most header fields of a request, and the most bytes of its head.
const HEAD_FIELDS: usize = 64;
const HEAD_BYTES: usize = 16 * 1024;
/// How long a connection still waits for a request when the hub stops.
const LAST_CALL: Duration = Duration::from_millis(500);
/// The pause after a failure to accept, which is a want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
pub(crate) struct Service {
    /// The routes, or what stands in for them.
    pub(crate) front: Front,
    /// Proxies that are believed.
    pub(crate) trusted: Vec<Cidr>,
    /// None: plain.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    /// Connections at once.
    pub(crate) turns: Arc<Semaphore>,
    /// How long a stop waits for requests under way.
    pub(crate) drain: Duration,
}

/// A listening socket and where it is bound.
///
/// # Errors
/// The system's, if it is no TCP socket.
pub(crate) fn listener(socket: OwnedFd) -> io::Result<(std::net::TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Serves one listener until `shutdown` turns true, then lets what is under way come to its end for a few seconds.
pub(crate) async fn listen(listener: TcpListener, service: Arc<Service>, mut shutdown: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            // The semaphore is never closed.
            let turn = service.turns.clone().acquire_owned().await.ok()?;
            Some((turn, listener.accept().await))
        };
        tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            Some((turn, accepted)) = accept => match accepted {
                Ok((stream, peer)) => {
                    let connection = connection(stream, peer, Arc::clone(&service), shutdown.clone());
                    connections.spawn(async move {
                        // Secrets pass through the buffers of TLS and HTTP, which the libraries do not wipe.
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
    let _ = tokio::time::timeout(service.drain, drained).await;
}

/// One connection to its end. How it failed is of no interest: the client knows, and nothing of it is kept.
async fn connection(stream: TcpStream, peer: SocketAddr, service: Arc<Service>, shutdown: watch::Receiver<bool>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    match service.tls.clone() {
        None => http(stream, peer, false, service, shutdown).await,
        Some(config) => {
            let handshake = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream));
            if let Ok(Ok(stream)) = handshake.await {
                http(stream, peer, true, service, shutdown).await;
            }
        }
    }
}

async fn http<S>(stream: S, peer: SocketAddr, tls: bool, service: Arc<Service>, mut shutdown: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request| answer(request, peer, tls, Arc::clone(&service)));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_headers(HEAD_FIELDS)
            .max_buf_size(HEAD_BYTES)
            .half_close(false)
            .serve_connection(TokioIo::new(stream), answer)
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

async fn answer(
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    tls: bool,
    service: Arc<Service>,
) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    let arrival = Arrival::of(peer.ip(), tls, request.headers_mut(), &service.trusted);
    let response = match (service.front.instead(&request, arrival), service.front.routes()) {
        (Some(response), _) => response,
        (None, None) => service.front.not_open(),
        (None, Some(routes)) => {
            request.extensions_mut().insert(arrival);
            let Ok(response) = routes.clone().oneshot(request).await;
            response
        }
    };
    Ok(with_headers(response))
}

/// Completes once the hub stops, also if nobody is left to say so.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}
