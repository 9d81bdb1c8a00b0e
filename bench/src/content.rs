//! What the origin serves: two fixed bodies of bytes that do not compress, and the heads around them. The load client
//! holds what it received against the same bytes.

use std::sync::LazyLock;

/// The bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Content {
    /// 1,024 bytes.
    #[value(name = "1k")]
    Kilobyte,
    /// 1,048,576 bytes.
    #[value(name = "1m")]
    Megabyte,
}

impl Content {
    /// Where it is served.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Kilobyte => "/1k",
            Self::Megabyte => "/1m",
        }
    }

    /// Its bytes.
    pub(crate) fn body(self) -> &'static [u8] {
        static KILOBYTE: LazyLock<Vec<u8>> = LazyLock::new(|| noise(1 << 10));
        static MEGABYTE: LazyLock<Vec<u8>> = LazyLock::new(|| noise(1 << 20));
        match self {
            Self::Kilobyte => &KILOBYTE,
            Self::Megabyte => &MEGABYTE,
        }
    }

    /// The whole response, head and body.
    pub(crate) fn response(self) -> &'static [u8] {
        static KILOBYTE: LazyLock<Vec<u8>> = LazyLock::new(|| response(Content::Kilobyte.body()));
        static MEGABYTE: LazyLock<Vec<u8>> = LazyLock::new(|| response(Content::Megabyte.body()));
        match self {
            Self::Kilobyte => &KILOBYTE,
            Self::Megabyte => &MEGABYTE,
        }
    }
}

/// A head such as static file servers send, about 250 bytes.
fn response(body: &[u8]) -> Vec<u8> {
    let mut response = format!(
        "HTTP/1.1 200 OK\r\n\
         Server: merlon-bench\r\n\
         Date: Fri, 20 Nov 2026 12:00:00 GMT\r\n\
         Content-Type: application/octet-stream\r\n\
         Content-Length: {}\r\n\
         Last-Modified: Thu, 19 Nov 2026 09:30:00 GMT\r\n\
         ETag: \"673c5b48-{:x}\"\r\n\
         Accept-Ranges: bytes\r\n\
         \r\n",
        body.len(),
        body.len(),
    )
    .into_bytes();
    response.extend_from_slice(body);
    response
}

/// Bytes of xorshift64*, the same in every process.
fn noise(length: usize) -> Vec<u8> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
