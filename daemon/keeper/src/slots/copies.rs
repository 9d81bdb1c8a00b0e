//! The two copies of the keyslot file: reading whichever is good, writing both so that one is good at every moment.

use std::io::{self, Read as _};
use std::path::Path;

use data_encoding::HEXLOWER_PERMISSIVE;
use merlon_sandbox::files;
use merlon_sandbox::secret::Secret;
use serde::{Deserialize, Serialize};

use super::record::{Keyslots, RecordError};
use crate::crypto;
use crate::instance_id::InstanceId;

/// The names of the copies.
pub(super) const NAMES: [&str; 2] = ["keyslots.a", "keyslots.b"];
/// Far more than the most slots need.
const MAX_BYTES: u64 = 256 << 10;

/// Line 2 of the file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    check: String,
    mac: String,
}

/// What one copy holds.
#[derive(Debug)]
pub(super) enum Copy {
    /// There is none.
    Missing,
    /// Something else than keyslots; why.
    Damaged(String),
    /// Written by a later release; why.
    Newer(String),
    /// Whole. The MAC is not verified yet, for want of the key.
    Good(GoodCopy),
}

/// A copy whose checksum is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GoodCopy {
    pub(super) keyslots: Keyslots,
    line: String,
    mac: [u8; 32],
}

impl GoodCopy {
    /// Of an instance that is yet to be written: no slot, and of no master key.
    pub(super) fn unwritten(instance: InstanceId) -> Self {
        let keyslots =
            Keyslots { instance, sequence: 0, complete: false, next_id: 1, slots: Vec::new(), counter: None };
        Self { keyslots, line: String::new(), mac: [0; 32] }
    }

    /// Written by someone who had the master key?
    pub(super) fn is_authentic(&self, mac_key: &Secret<32>) -> bool {
        crypto::equal(&self.mac, &crypto::mac(mac_key, self.line.as_bytes()))
    }
}

/// Reads one copy.
pub(super) fn read(dir: &Path, name: &str) -> Copy {
    let mut text = String::new();
    let read = std::fs::File::open(dir.join(name)).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Copy::Missing,
        Err(e) => return Copy::Damaged(e.to_string()),
    }
    match parse(&text) {
        Ok(copy) => Copy::Good(copy),
        Err(RecordError::Damaged(why)) => Copy::Damaged(why),
        Err(newer @ RecordError::Newer(_)) => Copy::Newer(newer.to_string()),
    }
}

fn parse(text: &str) -> Result<GoodCopy, RecordError> {
    let damaged = |why: &str| RecordError::Damaged(why.to_owned());
    let (line, rest) = text.split_once('\n').ok_or_else(|| damaged("its first line has no end"))?;
    let (seal, rest) = rest.split_once('\n').ok_or_else(|| damaged("its second line has no end"))?;
    if !rest.is_empty() {
        return Err(damaged("it has more than two lines"));
    }
    let seal: Seal = serde_json::from_str(seal).map_err(|_| damaged("its second line is not readable"))?;
    let digest = |hex: &str| -> Option<[u8; 32]> { HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?.try_into().ok() };
    if digest(&seal.check) != Some(crypto::sha256(line.as_bytes())) {
        return Err(damaged("its checksum does not match"));
    }
    let mac = digest(&seal.mac).ok_or_else(|| damaged("its MAC is not readable"))?;
    Ok(GoodCopy { keyslots: Keyslots::from_line(line)?, line: line.to_owned(), mac })
}

/// Writes `keyslots` into both copies, one after the other, each by a rename. If the first cannot be written, nothing
/// has changed; if the second cannot, the change stands and the next start mends it (the error is in the answer).
pub(super) fn write(
    dir: &Path,
    keyslots: &Keyslots,
    mac_key: &Secret<32>,
) -> io::Result<(GoodCopy, Option<io::Error>)> {
    let (copy, text) = text(keyslots, mac_key);
    let second = put(dir, text.as_bytes())?;
    Ok((copy, second))
}

/// Writes the bytes of a file of keyslots into both copies, as [`write`] does.
pub(super) fn put(dir: &Path, text: &[u8]) -> io::Result<Option<io::Error>> {
    let put = |name| files::write_atomic(dir, name, text, 0o600);
    put(NAMES[0])?;
    Ok(put(NAMES[1]).err())
}

/// The file of keyslots as it is written.
pub(super) fn text(keyslots: &Keyslots, mac_key: &Secret<32>) -> (GoodCopy, String) {
    let line = keyslots.to_line();
    let mac = crypto::mac(mac_key, line.as_bytes());
    let hex = |bytes: &[u8]| HEXLOWER_PERMISSIVE.encode(bytes);
    let seal = Seal { check: hex(&crypto::sha256(line.as_bytes())), mac: hex(&mac) };
    let seal = serde_json::to_string(&seal).expect("text always has a JSON form");
    let text = format!("{line}\n{seal}\n");
    (GoodCopy { keyslots: keyslots.clone(), line, mac }, text)
}

/// The text of a copy, its line 1, and the MAC.
pub(super) fn render(keyslots: &Keyslots, mac_key: &Secret<32>) -> (String, String, [u8; 32]) {
    let line = keyslots.to_line();
    let mac = crypto::mac(mac_key, line.as_bytes());
    let hex = |bytes: &[u8]| HEXLOWER_PERMISSIVE.encode(bytes);
    let seal = Seal { check: hex(&crypto::sha256(line.as_bytes())), mac: hex(&mac) };
    let seal = serde_json::to_string(&seal).expect("text always has a JSON form");
    (format!("{line}\n{seal}\n"), line, mac)
}
