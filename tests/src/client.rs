//! A client that sends exactly the bytes it is told, through the proxy or straight to a socket.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::origin::Both;

/// Ends a test that would hang.
const HANG: Duration = Duration::from_secs(60);

/// A connection.
pub struct Client(BufReader<Box<dyn Both>>);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Head with the blank line.
    pub head: String,
    /// Body, by Content-Length, or up to the end of the connection.
    pub body: Vec<u8>,
}

impl Client {
    /// A plain connection.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(Box::new(tcp(address))))
    }

    /// A tunnel through the proxy, without TLS inside.
    #[must_use]
    pub fn tunnel(proxy: SocketAddr, authority: &str) -> Self {
        Self(BufReader::new(Box::new(connect_through(proxy, authority))))
    }

    /// TLS through the proxy, with this name and trusting this CA.
    #[must_use]
    pub fn tls(proxy: SocketAddr, authority: &str, name: &str, ca: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        Self(BufReader::new(Box::new(StreamOwned::new(connection, connect_through(proxy, authority)))))
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
        self.0.get_mut().flush().unwrap();
    }

    /// Reads one answer to a request that is not HEAD.
    #[must_use]
    pub fn answer(&mut self) -> Answer {
        let head = read_head(&mut self.0);
        let status =
            head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no answer: {head:?}"));
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
        });
        let mut body = Vec::new();
        match length {
            Some(length) => {
                body.resize(length, 0);
                self.0.read_exact(&mut body).unwrap();
            }
            None if matches!(status, 100..=199 | 204 | 304) => {}
            None => body = self.rest(),
        }
        Answer { status, head, body }
    }

    /// Exactly so many bytes.
    #[must_use]
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Everything up to the end of the connection; a reset counts as the end.
    #[must_use]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // What came before a reset is kept by `read_to_end`.
        drop(self.0.read_to_end(&mut bytes));
        bytes
    }
}

fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream
}

fn connect_through(proxy: SocketAddr, authority: &str) -> TcpStream {
    let mut stream = tcp(proxy);
    write!(stream, "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").unwrap();
    // Byte by byte, so that nothing of what follows is taken.
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 200"), "the tunnel was refused: {head}");
    stream
}

fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}
