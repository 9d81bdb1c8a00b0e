//! The backup file: what it is made of, and how it is read without trusting a byte of it. The format is in
//! `docs/backup-format.md`.
//!
//! Owns names, headers and the manifest. It decrypts nothing and has no key: what a part holds is the keeper's and the
//! engine's.

mod name;
mod reader;

use aws_lc_rs::digest::{self, SHA256};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

pub(crate) use name::Name;
pub(crate) use reader::{Bad, Reader};

/// The first line of the file.
pub(crate) const MAGIC: &[u8] = b"merlon backup 1\n";
/// The name of the last part.
pub(crate) const MANIFEST: &str = "manifest";
/// The longest header of a part.
pub(crate) const MAX_HEADER: usize = 256;
/// The most parts, the manifest not counted. An instance has 200 projects at most, and a segment for each GiB or start.
pub(crate) const MAX_PARTS: usize = 250_000;
/// The longest manifest: that many parts with the longest names.
pub(crate) const MAX_MANIFEST: u64 = 64 << 20;
/// The version of the manifest.
const VERSION: u32 = 1;

/// The line before a part.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) part: String,
    pub(crate) length: u64,
}

impl Header {
    /// As it stands in the file.
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// What the backup holds: line 1 of the last part.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) version: u32,
    /// The instance's id.
    pub(crate) instance: String,
    /// Microseconds since 1970-01-01 UTC.
    pub(crate) created_us: i64,
    /// The release of `merlon` that wrote it.
    pub(crate) program: String,
    /// In the order in which they stand.
    pub(crate) parts: Vec<Listed>,
}

/// A part in the manifest.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) length: u64,
    /// Of its bytes, in hex.
    pub(crate) sha256: String,
}

/// Line 2 of the last part.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seal {
    /// SHA-256 of line 1, without its end.
    pub(crate) check: String,
    /// The keeper's MAC over that.
    pub(crate) mac: String,
}

impl Manifest {
    /// Of a backup that is made now.
    pub(crate) fn new(instance: String, created_us: i64, parts: Vec<Listed>) -> Self {
        Self { version: VERSION, instance, created_us, program: env!("CARGO_PKG_VERSION").to_owned(), parts }
    }

    /// Line 1, without its end.
    pub(crate) fn line(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// From the last part.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Bad> {
        let unreadable = || Bad::Altered(MANIFEST.to_owned());
        let end = bytes.iter().position(|b| *b == b'\n').ok_or_else(unreadable)?;
        let (line, rest) = bytes.split_at(end);
        let seal: Seal = serde_json::from_slice(rest).map_err(|_| unreadable())?;
        if seal.check != hex(&sha256(line)) {
            return Err(unreadable());
        }
        #[derive(Deserialize)]
        struct AnyVersion {
            version: u32,
        }
        let AnyVersion { version } = serde_json::from_slice(line).map_err(|_| unreadable())?;
        if version != VERSION {
            return Err(Bad::Newer);
        }
        serde_json::from_slice(line).map_err(|_| unreadable())
    }
}

impl Seal {
    /// For line 1 with this digest.
    pub(crate) fn new(check: &[u8; 32], mac: &[u8; 32]) -> Self {
        Self { check: hex(check), mac: hex(mac) }
    }
}

/// SHA-256, piece by piece.
pub(crate) struct Sha256(digest::Context);

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self(digest::Context::new(&SHA256))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn hex(self) -> String {
        HEXLOWER.encode(self.0.finish().as_ref())
    }
}

/// SHA-256 of bytes that are all there.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&SHA256, bytes).as_ref());
    out
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}
