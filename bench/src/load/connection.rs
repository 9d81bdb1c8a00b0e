//! One connection of the load client: TCP, CONNECT through the proxy, TLS, and one request at a time. A response that is
//! not exactly what the origin serves is an error.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Reuse, SPREAD, Shared};
use crate::content::Content;
use crate::identity::DOMAIN;
use crate::origin::{MANY, RARE, head_end};

/// Both plain and TLS streams.
trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// An open connection with what its requests need.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    request: Vec<u8>,
    buffer: Vec<u8>,
    /// The first body of each connection is compared byte by byte, later ones by length.
    compared: bool,
    /// Requests that it may still carry.
    left: u32,
}

/// Sends one request on `kept`, or on a new connection; gives the connection back if the plan uses it again.
pub(super) async fn request(shared: &Shared, kept: Option<Connection>) -> Result<Option<Connection>> {
    let mut connection = match kept {
        Some(connection) => connection,
        None => Connection::open(shared).await?,
    };
    connection.exchange(shared.plan.content).await?;
    connection.left -= 1;
    if connection.left > 0 {
        return Ok(Some(connection));
    }
    connection.stream.shutdown().await.context("cannot close the connection in order")?;
    Ok(None)
}

impl Connection {
    async fn open(shared: &Shared) -> Result<Self> {
        let plan = &shared.plan;
        let (origin, left) = match (plan.spread, plan.reuse) {
            (true, _) => spread(plan.origin, shared.next()),
            (false, Reuse::Connection) => (plan.origin, u32::MAX),
            (false, Reuse::Host | Reuse::Nothing) => (plan.origin, 1),
        };
        let mut stream = TcpStream::connect(plan.proxy.unwrap_or(origin)).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let host = host(plan.reuse);
        let (stream, target): (Box<dyn Stream>, _) = match (&plan.tls, plan.proxy) {
            (None, None) => (Box::new(stream), String::new()),
            (None, Some(_)) => (Box::new(stream), format!("http://{origin}")),
            (Some(tls), proxy) => {
                if proxy.is_some() {
                    connect(&mut stream, origin).await?;
                }
                let name = ServerName::try_from(host.clone())?;
                let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.context("TLS handshake")?;
                (Box::new(stream), String::new())
            }
        };
        let authority = if plan.tls.is_some() { host } else { origin.to_string() };
        let request = format!(
            "GET {target}{} HTTP/1.1\r\n\
             Host: {authority}\r\n\
             User-Agent: merlon-bench/1.0 (closed loop)\r\n\
             Accept: */*\r\n\
             Accept-Encoding: identity\r\n\
             Cookie: session=4f1c0b6e2a9d47c58e3b7d10; theme=dark\r\n\
             \r\n",
            plan.content.path()
        );
        let room = match plan.content {
            Content::Kilobyte => 8 << 10,
            Content::Megabyte => 256 << 10,
        };
        Ok(Self { stream, request: request.into_bytes(), buffer: vec![0; room], compared: false, left })
    }

    async fn exchange(&mut self, content: Content) -> Result<()> {
        self.stream.write_all(&self.request).await.context("cannot send the request")?;
        self.stream.flush().await.context("cannot send the request")?;
        let mut filled = 0;
        let head = loop {
            ensure!(filled < self.buffer.len(), "the response's head does not end");
            let read = self.stream.read(&mut self.buffer[filled..]).await.context("cannot read the response")?;
            ensure!(read > 0, "the connection ended before the response");
            filled += read;
            if let Some(end) = head_end(&self.buffer[..filled]) {
                break end;
            }
        };
        let body = content.body();
        check_head(&self.buffer[..head], body.len())?;
        let mut received = filled - head;
        self.compare(body, 0, head..filled)?;
        while received < body.len() {
            let read = self.stream.read(&mut self.buffer).await.context("cannot read the body")?;
            ensure!(read > 0, "the connection ended after {received} of {} bytes of the body", body.len());
            self.compare(body, received, 0..read)?;
            received += read;
        }
        self.compared = true;
        Ok(())
    }

    fn compare(&self, body: &[u8], at: usize, part: std::ops::Range<usize>) -> Result<()> {
        ensure!(at + part.len() <= body.len(), "more bytes than the body has");
        if !self.compared {
            let part_of_body = &body[at..at + part.len()];
            ensure!(self.buffer[part] == *part_of_body, "the body differs from what the origin serves");
        }
        Ok(())
    }
}

/// Where the connection of this number goes, and how many requests it carries: the first to the rare address and half as
/// many, the others to the hundred in turn.
fn spread(origin: SocketAddr, number: u64) -> (SocketAddr, u32) {
    let hosts = u64::from(*MANY.end());
    let (address, requests) = match number.checked_sub(1).map(|number| u8::try_from(number % hosts)) {
        None => (RARE, SPREAD / 2),
        // Below one hundred, so it never fails.
        Some(turn) => (Ipv4Addr::new(127, 0, 0, 1 + turn.unwrap_or(0)), SPREAD),
    };
    (SocketAddr::from((address, origin.port())), requests)
}

/// The name for SNI and Host.
fn host(reuse: Reuse) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    match reuse {
        Reuse::Connection | Reuse::Host => format!("www.{DOMAIN}"),
        Reuse::Nothing => format!("h{}-{}.{DOMAIN}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)),
    }
}

async fn connect(stream: &mut TcpStream, origin: SocketAddr) -> Result<()> {
    let request = format!("CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = [0; 4096];
    let mut filled = 0;
    while head_end(&answer[..filled]).is_none() {
        let read = stream.read(&mut answer[filled..]).await.context("cannot read the answer to CONNECT")?;
        ensure!(read > 0, "the proxy closed instead of answering CONNECT");
        filled += read;
    }
    let status = answer.get(9..12).unwrap_or_default();
    ensure!(status == b"200", "CONNECT was answered with {}", String::from_utf8_lossy(status));
    Ok(())
}

/// Status 200 and the length expected.
fn check_head(head: &[u8], length: usize) -> Result<()> {
    let head = std::str::from_utf8(head).context("the response's head is no text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    ensure!(status == "200", "status {status}");
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            ensure!(value.trim().parse() == Ok(length), "Content-Length is {}, not {length}", value.trim());
            return Ok(());
        }
    }
    bail!("the response has no Content-Length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_must_have_the_status_and_the_length() {
        assert!(check_head(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", 4).is_ok());
        assert!(check_head(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 4).is_err());
        assert!(check_head(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\n", 4).is_err());
        assert!(check_head(b"HTTP/1.1 200 OK\r\n\r\n", 4).is_err());
    }

    #[test]
    fn connections_are_spread_over_a_hundred_addresses_and_a_rare_one() {
        let to = |number| spread("127.0.0.1:80".parse().unwrap(), number).0.to_string();
        assert_eq!(
            (to(0), to(1), to(100), to(101)),
            ("127.0.1.1:80".into(), "127.0.0.1:80".into(), "127.0.0.100:80".into(), "127.0.0.1:80".into())
        );
    }

    #[test]
    fn new_hosts_never_repeat() {
        assert_ne!(host(Reuse::Nothing), host(Reuse::Nothing));
        assert_eq!(host(Reuse::Host), host(Reuse::Connection));
    }
}
