//! The bytes of a row of `blobs`, part `OPENING` and `CLOSING`. Pure; never panics on what it reads.
//!
//! `opening` = format (1), flags (1: the closing stands in its own row), client address, request head, and, unless
//! flagged, the closing. `closing` = flags, server address, TLS with client, TLS with origin, certificate, first byte,
//! response head, request body, response body; what the flags deny is left out. Lengths and numbers are LEB128. An
//! address is 0, or 4 or 6 with its octets and a big-endian port. A word is 1 + its place in [`WORDS`], or 0 and text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use crate::flow::{Facts, Side, TlsFacts};

const FORMAT: u8 = 1;
const STREAMED: u8 = 1;

const REUSED: u8 = 1;
const CLIENT_TLS: u8 = 1 << 1;
const SERVER_TLS: u8 = 1 << 2;
const CERTIFICATE: u8 = 1 << 3;
const FIRST_BYTE: u8 = 1 << 4;

/// What TLS facts mostly say. Add at the end only: places are stored.
const WORDS: &[&str] = &[
    "TLSv1.3",
    "TLSv1.2",
    "http/1.1",
    "h2",
    "TLS13_AES_256_GCM_SHA384",
    "TLS13_AES_128_GCM_SHA256",
    "TLS13_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// The end of a flow, as it is written.
pub(super) struct Closing<'a> {
    pub(super) facts: &'a Facts,
    pub(super) response_head: &'a [u8],
    /// Both empty if the bodies have rows of their own.
    pub(super) bodies: [&'a [u8]; 2],
}

/// Writes an opening, with its closing if the flow is written at once.
pub(super) fn write_opening(out: &mut Vec<u8>, client: Option<SocketAddr>, head: &[u8], closing: Option<&Closing<'_>>) {
    out.extend_from_slice(&[FORMAT, if closing.is_none() { STREAMED } else { 0 }]);
    write_address(out, client);
    write_bytes(out, head);
    if let Some(closing) = closing {
        write_closing(out, closing);
    }
}

/// Writes a closing.
pub(super) fn write_closing(out: &mut Vec<u8>, closing: &Closing<'_>) {
    let facts = closing.facts;
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(
        flag(facts.connection_reused, REUSED)
            | flag(facts.client_tls.is_some(), CLIENT_TLS)
            | flag(facts.server_tls.is_some(), SERVER_TLS)
            | flag(facts.server_certificate_sha256.is_some(), CERTIFICATE)
            | flag(facts.first_byte_us.is_some(), FIRST_BYTE),
    );
    write_address(out, facts.server);
    for tls in [&facts.client_tls, &facts.server_tls].into_iter().flatten() {
        write_word(out, &tls.version);
        write_word(out, &tls.cipher);
        // An empty name is never sent, so that it can stand for none.
        write_bytes(out, tls.server_name.as_deref().unwrap_or("").as_bytes());
        write_word(out, tls.alpn.as_deref().unwrap_or(""));
    }
    if let Some(hash) = facts.server_certificate_sha256.as_deref() {
        write_hex(out, hash);
    }
    if let Some(time) = facts.first_byte_us {
        write_number(out, time.into());
    }
    write_bytes(out, closing.response_head);
    for body in closing.bodies {
        write_bytes(out, body);
    }
}

fn write_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7F) as u8);
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn write_word(out: &mut Vec<u8>, word: &str) {
    if let Some(place) = WORDS.iter().position(|known| *known == word) {
        write_number(out, place as u64 + 1);
    } else {
        out.push(0);
        write_bytes(out, word.as_bytes());
    }
}

/// Hex as bytes, if it is what it should be; else as text behind a zero.
fn write_hex(out: &mut Vec<u8>, text: &str) {
    match data_encoding::HEXLOWER.decode(text.as_bytes()) {
        Ok(bytes) if !bytes.is_empty() => write_bytes(out, &bytes),
        _ => {
            out.push(0);
            write_bytes(out, text.as_bytes());
        }
    }
}

fn write_address(out: &mut Vec<u8>, address: Option<SocketAddr>) {
    let Some(address) = address else { return out.push(0) };
    match address.ip() {
        IpAddr::V4(v4) => {
            out.push(4);
            out.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            out.push(6);
            out.extend_from_slice(&v6.octets());
        }
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

/// A row that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// An opening, as it is read: places in the row, so that heads and bodies are not copied before they are wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OpeningRow {
    pub(super) client: Option<SocketAddr>,
    pub(super) request_head: Range<usize>,
    /// None if the flow was written while under way.
    pub(super) closing: Option<ClosingRow>,
}

/// A closing, as it is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClosingRow {
    pub(super) facts: Facts,
    pub(super) response_head: Range<usize>,
    bodies: [Range<usize>; 2],
}

impl ClosingRow {
    /// Where a body stands in the row.
    pub(super) fn body(&self, side: Side) -> Range<usize> {
        self.bodies[side as usize].clone()
    }
}

/// Reads part `OPENING`.
pub(super) fn read_opening(row: &[u8]) -> Result<OpeningRow, Damaged> {
    let mut reader = Reader { row, at: 0 };
    if reader.byte()? != FORMAT {
        return Err(Damaged);
    }
    let flags = reader.byte()?;
    Ok(OpeningRow {
        client: reader.address()?,
        request_head: reader.bytes()?,
        closing: if flags & STREAMED == 0 { Some(reader.closing()?) } else { None },
    })
}

/// Reads part `CLOSING`.
pub(super) fn read_closing(row: &[u8]) -> Result<ClosingRow, Damaged> {
    Reader { row, at: 0 }.closing()
}

struct Reader<'a> {
    row: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn closing(&mut self) -> Result<ClosingRow, Damaged> {
        let flags = self.byte()?;
        let has = |flag: u8| flags & flag != 0;
        let facts = Facts {
            connection_reused: has(REUSED),
            server: self.address()?,
            client_tls: if has(CLIENT_TLS) { Some(self.tls()?) } else { None },
            server_tls: if has(SERVER_TLS) { Some(self.tls()?) } else { None },
            server_certificate_sha256: if has(CERTIFICATE) { Some(self.hex()?) } else { None },
            first_byte_us: if has(FIRST_BYTE) {
                Some(u32::try_from(self.number()?).map_err(|_| Damaged)?)
            } else {
                None
            },
        };
        Ok(ClosingRow { facts, response_head: self.bytes()?, bodies: [self.bytes()?, self.bytes()?] })
    }

    fn tls(&mut self) -> Result<TlsFacts, Damaged> {
        let some = |text: Box<str>| if text.is_empty() { None } else { Some(text) };
        Ok(TlsFacts {
            version: self.word()?,
            cipher: self.word()?,
            server_name: some(self.text()?),
            alpn: some(self.word()?),
        })
    }

    fn byte(&mut self) -> Result<u8, Damaged> {
        let byte = *self.row.get(self.at).ok_or(Damaged)?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, Damaged> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Damaged)
    }

    fn bytes(&mut self) -> Result<Range<usize>, Damaged> {
        let length = usize::try_from(self.number()?).map_err(|_| Damaged)?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.row.len()).ok_or(Damaged)?;
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn text(&mut self) -> Result<Box<str>, Damaged> {
        let range = self.bytes()?;
        Ok(str::from_utf8(&self.row[range]).map_err(|_| Damaged)?.into())
    }

    fn word(&mut self) -> Result<Box<str>, Damaged> {
        let number = self.number()?;
        if number == 0 {
            return self.text();
        }
        let place = usize::try_from(number - 1).map_err(|_| Damaged)?;
        Ok((*WORDS.get(place).ok_or(Damaged)?).into())
    }

    fn hex(&mut self) -> Result<Box<str>, Damaged> {
        let range = self.bytes()?;
        if range.is_empty() {
            return self.text();
        }
        Ok(data_encoding::HEXLOWER.encode(&self.row[range]).into())
    }

    fn address(&mut self) -> Result<Option<SocketAddr>, Damaged> {
        let ip = match self.byte()? {
            0 => return Ok(None),
            4 => IpAddr::V4(Ipv4Addr::from(self.array::<4>()?)),
            6 => IpAddr::V6(Ipv6Addr::from(self.array::<16>()?)),
            _ => return Err(Damaged),
        };
        Ok(Some(SocketAddr::new(ip, u16::from_be_bytes(self.array::<2>()?))))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (array, _) = self.row[self.at..].split_first_chunk::<N>().ok_or(Damaged)?;
        self.at += N;
        Ok(*array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            server: Some("[2001:db8::1]:443".parse().unwrap()),
            client_tls: Some(TlsFacts {
                version: "TLSv1.3".into(),
                cipher: "of the future".into(),
                server_name: None,
                alpn: None,
            }),
            server_tls: Some(TlsFacts {
                version: "TLSv1.2".into(),
                cipher: "TLS13_AES_128_GCM_SHA256".into(),
                server_name: Some("a.example".into()),
                alpn: Some("h2".into()),
            }),
            server_certificate_sha256: Some("ab".repeat(32).into()),
            first_byte_us: Some(70_000),
            connection_reused: true,
        }
    }

    fn row(facts: &Facts) -> Vec<u8> {
        let mut row = Vec::new();
        let closing = Closing { facts, response_head: b"HTTP/1.1 200 OK", bodies: [b"in", b"out"] };
        write_opening(&mut row, Some("127.0.0.1:5000".parse().unwrap()), b"GET / HTTP/1.1", Some(&closing));
        row
    }

    #[test]
    fn what_is_written_is_read() {
        for facts in [facts(), Facts::default(), Facts { server_certificate_sha256: Some("no hex".into()), ..facts() }]
        {
            let row = row(&facts);
            let opening = read_opening(&row).unwrap();
            let closing = opening.closing.unwrap();
            assert_eq!(opening.client.unwrap().to_string(), "127.0.0.1:5000");
            assert_eq!(&row[opening.request_head], b"GET / HTTP/1.1");
            assert_eq!(&row[closing.response_head.clone()], b"HTTP/1.1 200 OK");
            assert_eq!(&row[closing.body(Side::Request)], b"in");
            assert_eq!(&row[closing.body(Side::Response)], b"out");
            assert_eq!(closing.facts, facts);
        }
    }

    #[test]
    fn common_facts_take_little_room() {
        assert!(row(&facts()).len() < 150);
    }

    #[test]
    fn damaged_rows_are_told_and_never_panic() {
        let row = row(&facts());
        for length in 0..row.len() {
            assert_eq!(read_opening(&row[..length]), Err(Damaged), "cut at {length}");
        }
        for place in 0..row.len() {
            for bit in 0..8 {
                let mut row = row.clone();
                row[place] ^= 1 << bit;
                let _ = read_opening(&row);
                let _ = read_closing(&row);
            }
        }
    }
}
