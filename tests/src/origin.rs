//! Origins: servers on loopback that do with each connection what a test says.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::pki::Leaf;

/// What an origin does with a connection, once it stands (and TLS is done, if there is any).
pub trait Behaviour: Fn(Stream) + Send + Sync + 'static {}
impl<T: Fn(Stream) + Send + Sync + 'static> Behaviour for T {}

/// A connection as the origin sees it, buffered for reading.
pub struct Stream(BufReader<Box<dyn Both>>);

/// A byte stream both ways.
pub trait Both: Read + Write + Send {}
impl<T: Read + Write + Send> Both for T {}

/// A running origin; it takes no more connections once dropped.
pub struct Origin {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
}

/// A port that nobody has.
const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A request as the origin got it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The head's bytes, blank line included.
    pub head: Vec<u8>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Request {
    /// The first line.
    #[must_use]
    pub fn line(&self) -> String {
        String::from_utf8_lossy(&self.head).lines().next().unwrap_or_default().to_owned()
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> String {
        self.line().split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// The value of a field, by its name in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.head);
        let mut fields = text.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    }
}

impl Origin {
    /// Plain HTTP on a free port.
    #[must_use]
    pub fn http(behaviour: impl Behaviour) -> Self {
        Self::start(FREE, None, behaviour)
    }

    /// Plain HTTP on this port, which must be free.
    #[must_use]
    pub fn http_at(address: SocketAddr, behaviour: impl Behaviour) -> Self {
        Self::start(address, None, behaviour)
    }

    /// HTTPS with this leaf on a free port.
    #[must_use]
    pub fn https(leaf: Leaf, behaviour: impl Behaviour) -> Self {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.certificate], leaf.key)
            .unwrap();
        Self::start(FREE, Some(Arc::new(config)), behaviour)
    }

    fn start(address: SocketAddr, tls: Option<Arc<ServerConfig>>, behaviour: impl Behaviour) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let (stop, behaviour) = (Arc::clone(&stopping), Arc::new(behaviour));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), tls, behaviour) = (stream, tls.clone(), Arc::clone(&behaviour)) else { return };
                thread::spawn(move || serve(stream, tls, &*behaviour));
            }
        });
        Self { address, stopping }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the accept; the thread then ends.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, behaviour: &dyn Fn(Stream)) {
    stream.set_nodelay(true).unwrap();
    let both: Box<dyn Both> = match tls {
        None => Box::new(stream),
        Some(config) => Box::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream)),
    };
    behaviour(Stream(BufReader::new(both)));
}

impl Stream {
    /// The next request with its body; none at the end of the connection.
    pub fn request(&mut self) -> Option<Request> {
        let mut request = self.head()?;
        if let Some(length) = request.field("content-length") {
            request.body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut request.body).ok()?;
        } else if request.field("transfer-encoding").is_some() {
            loop {
                let mut line = String::new();
                self.0.read_line(&mut line).ok()?;
                let size = usize::from_str_radix(line.trim().split(';').next().unwrap(), 16).unwrap();
                let mut chunk = vec![0; size + 2];
                self.0.read_exact(&mut chunk).ok()?;
                request.body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    break;
                }
            }
        }
        Some(request)
    }

    /// The next request's head; its body stays unread.
    pub fn head(&mut self) -> Option<Request> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if self.0.read_until(b'\n', &mut head).ok()? == 0 {
                return None;
            }
        }
        Some(Request { head, body: Vec::new() })
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        // The other side may have gone, which is for the test to judge by what it sees.
        drop(self.0.get_mut().write_all(bytes).and_then(|()| self.0.get_mut().flush()));
    }

    /// Sends a 200 with this body.
    pub fn ok(&mut self, body: &[u8]) {
        let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        self.send(&bytes);
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Answers every request with 200 and a body that says what was asked.
pub fn echo(mut stream: Stream) {
    while let Some(request) = stream.request() {
        let body = format!("{} {} bytes", request.line(), request.body.len());
        stream.ok(body.as_bytes());
    }
}
