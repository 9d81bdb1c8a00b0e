//! CONNECT: answer, look at the first bytes, then intercept TLS, serve plain HTTP, or relay unread where the
//! configuration says so.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::server::Acceptor;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::Proxy;
use super::conn::Conn;
use super::exchange::{now_us, record_failed, relay_tunnel};
use super::failure::Failure;
use super::requests::{self, Client, Route};
use super::stream::{Socket, Stream};
use super::upstream::{Destination, dial};
use super::{own, reply, tls};
use crate::flow::{Facts, Opening, Outcome, Scheme};

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// The first byte of a TLS handshake record (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// A CONNECT that was permitted.
pub(crate) struct Tunnel {
    /// Host to dial.
    pub(crate) host: Box<str>,
    /// Port to dial.
    pub(crate) port: u16,
    /// The CONNECT head, credentials removed.
    pub(crate) head: Bytes,
    /// Who asked.
    pub(crate) client: Client,
}

impl Tunnel {
    /// Serves the tunnel to its end.
    pub(crate) async fn serve(self, proxy: &Proxy, mut conn: Conn) {
        if proxy.passes_through(&self.host) {
            return self.pass_through(proxy, conn).await;
        }
        // The leaf is asked for before the tunnel stands: only now can its failure be told in plain words.
        if let Err(e) = proxy.leaves.leaf(&self.host).await
            && &*self.host != own::HOST
        {
            return self.refuse(proxy, conn, &e.into()).await;
        }
        if conn.writer.send(ESTABLISHED).await.is_err() {
            return;
        }
        if conn.reader.buffered().is_empty() && !matches!(conn.reader.fill().await, Ok(1..)) {
            return conn.writer.finish().await;
        }
        if conn.reader.buffered().first() == Some(&TLS_HANDSHAKE) {
            return self.intercept(proxy, conn).await;
        }
        let destination =
            Destination { scheme: Scheme::Http, server_name: self.host.clone(), host: self.host, port: self.port };
        requests::serve(proxy, conn, Route::Tunnel(destination), self.client).await;
    }

    async fn intercept(self, proxy: &Proxy, conn: Conn) {
        let (stream, ahead) = conn.into_parts();
        let Stream::Plain(socket) = stream else { return };
        let limit = Duration::from_secs(proxy.limits.handshake_seconds.into());
        let failed = match timeout(limit, self.handshake(proxy, socket.put_back(ahead))).await {
            Ok(Ok((stream, name))) => {
                let facts = tls::facts(stream.get_ref().1, name.as_deref());
                let destination = Destination {
                    scheme: Scheme::Https,
                    server_name: name.unwrap_or_else(|| self.host.clone()),
                    host: self.host,
                    port: self.port,
                };
                let client = Client { tls: Some(facts), ..self.client };
                let conn = Conn::new(Stream::FromClient(Box::new(stream)), proxy.stall());
                requests::serve(proxy, conn, Route::Tunnel(destination), client).await;
                return;
            }
            Ok(Err(why)) => why,
            Err(_) => format!("the client did not finish the TLS handshake within {} s", limit.as_secs()),
        };
        self.record_failed(proxy, failed).await;
    }

    /// Reads the ClientHello, gets the leaf that it asks for, and answers with it.
    async fn handshake(&self, proxy: &Proxy, socket: Socket) -> Result<(TlsStream<Socket>, Option<Box<str>>), String> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), socket)
            .await
            .map_err(|e| format!("the client's TLS handshake is malformed: {e}"))?;
        let name = start.client_hello().server_name().map(|n| n.to_ascii_lowercase().into_boxed_str());
        let leaf = match proxy.leaves.leaf(name.as_deref().unwrap_or(&self.host)).await {
            Ok(leaf) => leaf,
            Err(e) => return Err(format!("there is no certificate for the name that the client asked for: {e}")),
        };
        let stream = start.into_stream(proxy.client_tls.with_leaf(leaf)).await.map_err(|e| explain_client(&e))?;
        Ok((stream, name))
    }

    /// Relays unread. The origin first, so that a failure can still be told.
    async fn pass_through(self, proxy: &Proxy, mut conn: Conn) {
        let (socket, address) = match dial(proxy, &self.host, self.port).await {
            Ok(connected) => connected,
            Err(failure) => return self.refuse(proxy, conn, &failure).await,
        };
        if conn.writer.send(ESTABLISHED).await.is_err() {
            return;
        }
        let started = Instant::now();
        let record = Mutex::new(proxy.recorder.begin(self.opening()));
        let mut origin = Conn::new(Stream::Plain(socket), proxy.stall());
        relay_tunnel(&mut conn, &mut origin, &record).await;
        let duration_us = i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX);
        let facts = Facts { server: Some(address), ..Facts::default() };
        record.into_inner().finish(Outcome { duration_us, facts, error: None }).await;
    }

    async fn refuse(self, proxy: &Proxy, mut conn: Conn, failure: &Failure) {
        reply::tell(&mut conn, failure, true, false).await;
        self.record_failed(proxy, failure.to_string()).await;
    }

    async fn record_failed(&self, proxy: &Proxy, error: String) {
        record_failed(proxy, self.opening(), Facts::default(), error).await;
    }

    fn opening(&self) -> Opening {
        Opening {
            time_us: now_us(),
            scheme: Scheme::Tunnel,
            method: "CONNECT".into(),
            host: self.host.clone(),
            port: self.port,
            path: "".into(),
            head: self.head.clone(),
            client: self.client.address,
        }
    }
}

/// Why the client broke off the handshake; most often it does not trust the CA.
fn explain_client(error: &std::io::Error) -> String {
    use rustls::AlertDescription as A;
    match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(A::UnknownCA | A::BadCertificate | A::CertificateUnknown)) => {
            "the client does not trust the instance's CA, or pins another certificate".into()
        }
        Some(rustls::Error::AlertReceived(alert)) => format!("the client refused the TLS handshake ({alert:?})"),
        Some(other) => format!("the TLS handshake with the client failed: {other}"),
        None => format!("the client broke off the TLS handshake: {error}"),
    }
}
