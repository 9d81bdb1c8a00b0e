//! A flow: one request with its response, as it passed. Pure types shared by the proxy (which makes flows), the store
//! (which keeps them) and the API (which shows them). No IO, no SQL, no JSON.

use std::net::SocketAddr;

use bytes::Bytes;

/// Names a flow within its project. Ids rise in the order in which requests began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FlowId(pub(crate) i64);

/// The scheme of a request as the client meant it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS, intercepted.
    Https,
    /// A tunnel that was relayed unread (passthrough).
    Tunnel,
}

impl Scheme {
    /// As shown to users and stored.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tunnel => "tunnel",
        }
    }
}

/// The two sides of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// Client to origin.
    Request,
    /// Origin to client.
    Response,
}

/// What is known when a request's head has been read.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    /// Microseconds since 1970-01-01 UTC at which the head was complete.
    pub(crate) time_us: i64,
    /// Scheme.
    pub(crate) scheme: Scheme,
    /// Method, as sent.
    pub(crate) method: Box<str>,
    /// Host that the connection goes to: lower case, no brackets, no trailing dot.
    pub(crate) host: Box<str>,
    /// Port.
    pub(crate) port: u16,
    /// Path and query, as sent (lossy where it is not UTF-8).
    pub(crate) path: Box<str>,
    /// The head as it came, credentials for the proxy itself removed.
    pub(crate) head: Bytes,
    /// Peer of the client connection; none on Unix sockets.
    pub(crate) client: Option<SocketAddr>,
}

/// Facts of a TLS connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsFacts {
    /// `TLSv1.3` and so on.
    pub(crate) version: Box<str>,
    /// Cipher suite.
    pub(crate) cipher: Box<str>,
    /// Server name (SNI) sent, if any.
    pub(crate) server_name: Option<Box<str>>,
    /// Protocol agreed (ALPN), if any.
    pub(crate) alpn: Option<Box<str>>,
}

/// What is learned while a flow passes; each part may stay empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Address of the origin that was connected.
    pub(crate) server: Option<SocketAddr>,
    /// TLS with the client.
    pub(crate) client_tls: Option<TlsFacts>,
    /// TLS with the origin.
    pub(crate) server_tls: Option<TlsFacts>,
    /// Subject of the origin's certificate and who issued it, as its DER SHA-256 in hex.
    pub(crate) server_certificate_sha256: Option<Box<str>>,
    /// Time from the complete request head to the first byte of the response, in microseconds.
    pub(crate) first_byte_us: Option<u32>,
    /// The request went out on a connection that had served one before.
    pub(crate) connection_reused: bool,
}

/// How a flow ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Microseconds from the complete request head to the end.
    pub(crate) duration_us: i64,
    /// Facts.
    pub(crate) facts: Facts,
    /// What went wrong, in words fit for the user; none if nothing did.
    pub(crate) error: Option<Box<str>>,
}
