//! One request to the authorization server: over a connection that the dialer made, through a proxy if one is configured,
//! with TLS verified by the system's roots and the operator's. Everything is bounded; no redirect is followed (it would
//! carry credentials elsewhere), and no connection is kept. Must not know what a request means.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, DATE, HOST, HeaderName, RETRY_AFTER, USER_AGENT,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::error::IdentityError;
use super::url::Endpoint;
use crate::links::Links;
use crate::proxy::tls;

/// A connection with its TLS, or through a proxy, must stand within this time.
const CONNECT: Duration = Duration::from_secs(10);
/// An answer must have come within this time.
const ANSWER: Duration = Duration::from_secs(15);
/// The largest body that is read.
const MAX_BODY: usize = 256 << 10;
/// The largest head of a proxy's answer to CONNECT.
const MAX_CONNECT_HEAD: usize = 4 << 10;
/// No difference of the clocks is known.
const UNKNOWN: i64 = i64::MIN;
/// Where a nonce for proofs stands (RFC 9449, 8).
pub(super) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// How the server is reached.
pub(super) struct Http {
    links: Links,
    tls: Arc<ClientConfig>,
    proxy: Option<(String, u16)>,
    /// This host's clock minus the server's, in seconds, by its last answer.
    clock: AtomicI64,
}

/// A request.
pub(super) struct Call<'a> {
    /// Method.
    pub(super) method: Method,
    /// Where.
    pub(super) endpoint: &'a Endpoint,
    /// `Authorization`, whole.
    pub(super) authorization: Option<Zeroizing<String>>,
    /// `DPoP`: a proof (RFC 9449).
    pub(super) proof: Option<&'a str>,
    /// Body with its media type.
    pub(super) body: Option<(&'static str, Zeroizing<Vec<u8>>)>,
}

/// An answer.
pub(super) struct Answer {
    /// Status.
    pub(super) status: u16,
    /// Body, which may hold tokens.
    pub(super) body: Zeroizing<Vec<u8>>,
    /// `DPoP-Nonce`.
    pub(super) nonce: Option<String>,
    /// `Retry-After`, in seconds.
    pub(super) retry_after: Option<u32>,
}

impl<'a> Call<'a> {
    /// A GET without credentials.
    pub(super) fn get(endpoint: &'a Endpoint) -> Self {
        Self { method: Method::GET, endpoint, authorization: None, proof: None, body: None }
    }
}

impl Answer {
    /// 2xx.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Http {
    pub(super) fn new(links: Links, tls: Arc<ClientConfig>, proxy: Option<(String, u16)>) -> Self {
        Self { links, tls, proxy, clock: AtomicI64::new(UNKNOWN) }
    }

    /// This host's clock minus the server's, in seconds, by its last answer.
    pub(super) fn clock(&self) -> Option<i64> {
        Some(self.clock.load(Ordering::Relaxed)).filter(|seconds| *seconds != UNKNOWN)
    }

    /// Sends one request and reads the answer.
    ///
    /// # Errors
    /// [`IdentityError::Unreachable`]; [`IdentityError::Misbehaved`] for an answer that is too large.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<Answer, IdentityError> {
        let host = call.endpoint.authority.clone();
        let request = request(call.method, call.endpoint, call.authorization, call.proof, call.body)?;
        let stream = match timeout(CONNECT, self.connect(call.endpoint)).await {
            Ok(stream) => stream?,
            Err(_) => return Err(unreachable(&host, format!("no connection within {} s", CONNECT.as_secs()))),
        };
        match timeout(ANSWER, exchange(stream, request)).await {
            Ok(Ok((head, body))) => {
                let clock = difference(&head, SystemTime::now());
                self.clock.store(clock.unwrap_or(UNKNOWN), Ordering::Relaxed);
                let text = |name: &HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
                Ok(Answer {
                    status: head.status.as_u16(),
                    body,
                    nonce: text(&DPOP_NONCE).filter(|nonce| nonce.len() <= 512).map(str::to_owned),
                    retry_after: text(&RETRY_AFTER).and_then(|value| value.parse().ok()),
                })
            }
            Ok(Err(what)) => Err(unreachable(&host, what)),
            Err(_) => Err(unreachable(&host, format!("no answer within {} s", ANSWER.as_secs()))),
        }
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Box<dyn Both>, IdentityError> {
        let (host, port) = match &self.proxy {
            Some((host, port)) => (host.as_str(), *port),
            None => (endpoint.host.as_str(), endpoint.port),
        };
        let failed = |what: String| unreachable(&endpoint.authority, what);
        let connected = self.links.connect(host, port).await.map_err(|error| failed(error.to_string()))?;
        let stream = std::net::TcpStream::from(connected.fd);
        let mut stream = stream
            .set_nonblocking(true)
            .and_then(|()| TcpStream::from_std(stream))
            .map_err(|error| failed(error.to_string()))?;
        if self.proxy.is_some() {
            tunnel(&mut stream, endpoint).await.map_err(|what| failed(format!("the proxy {host}:{port}: {what}")))?;
        }
        if !endpoint.https {
            return Ok(Box::new(stream));
        }
        let name = tls::server_name(&endpoint.host).ok_or_else(|| failed("no certificate can have its name".into()))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, stream).await.map_err(|error| failed(tls::explain(&error)))?;
        Ok(Box::new(stream))
    }
}

trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

fn unreachable(host: &str, what: impl std::fmt::Display) -> IdentityError {
    IdentityError::Unreachable { what: format!("{host}: {what}"), retry_after: None }
}

fn request(
    method: Method,
    endpoint: &Endpoint,
    authorization: Option<Zeroizing<String>>,
    proof: Option<&str>,
    body: Option<(&'static str, Zeroizing<Vec<u8>>)>,
) -> Result<Request<Full<Bytes>>, IdentityError> {
    // What cannot stand in a header came from the server (a token) or from a client (a proof).
    let wrong = |_| IdentityError::Misbehaved("a credential holds what no header can".into());
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_str(&endpoint.authority).map_err(wrong)?);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("merlon/", env!("CARGO_PKG_VERSION"))));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::from_str(&authorization).map_err(wrong)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(proof) = proof {
        headers.insert("dpop", HeaderValue::from_str(proof).map_err(wrong)?);
    }
    let mut bytes = Bytes::new();
    if let Some((media_type, body)) = body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        // Wiped with its last use.
        bytes = Bytes::from_owner(body);
    }
    let mut request = Request::new(Full::new(bytes));
    *request.method_mut() = method;
    *request.uri_mut() =
        endpoint.target.parse().map_err(|_| IdentityError::Misbehaved("an endpoint has no path".into()))?;
    *request.headers_mut() = headers;
    Ok(request)
}

type Head = axum::http::response::Parts;

/// One request and its answer; the connection ends with it.
async fn exchange(stream: Box<dyn Both>, request: Request<Full<Bytes>>) -> Result<(Head, Zeroizing<Vec<u8>>), String> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let answer = async {
        let response: Response<Incoming> = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                format!("its answer has more than {MAX_BODY} bytes")
            } else {
                error.to_string()
            }
        })?;
        Ok((head, Zeroizing::new(body.to_bytes().to_vec())))
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        biased;
        done = &mut answer => done,
        // The answer may be whole already, and still be in the hands of the other half.
        _ = connection => answer.await,
    }
}

/// CONNECT (RFC 9110, 9.3.6).
async fn tunnel(stream: &mut TcpStream, endpoint: &Endpoint) -> Result<(), String> {
    let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
    let to = format!("{host}:{}", endpoint.port);
    let head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.map_err(|error| error.to_string())?;
    // Byte by byte: what follows the head is not ours to take.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_CONNECT_HEAD {
            return Err("its answer to CONNECT does not end".into());
        }
        head.push(stream.read_u8().await.map_err(|_| "it hung up".to_owned())?);
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let status = std::str::from_utf8(line).ok().and_then(|line| line.split(' ').nth(1));
    match status {
        Some("200") => Ok(()),
        Some(status) => Err(format!("it refused the tunnel with {}", super::answers::printable(status))),
        None => Err("it does not speak HTTP".into()),
    }
}

/// Now minus the `Date` of an answer (RFC 9110, 6.6.1), in seconds.
fn difference(head: &Head, now: SystemTime) -> Option<i64> {
    let date = httpdate::parse_http_date(head.headers.get(DATE)?.to_str().ok()?).ok()?;
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_secs()).ok());
    Some(seconds(now)? - seconds(date)?)
}
