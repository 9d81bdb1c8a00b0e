//! One entry as one line: how it is written, read, and told from a line that somebody else wrote.
//!
//! A line is a JSON object. Its last member is the MAC over every byte before it; its member `previous` is the SHA-256
//! of the whole line before. So no byte can be changed, and no line moved, left out or put in.

use data_encoding::HEXLOWER;
use merlon_sandbox::secret::Secret;
use serde::Deserialize;

use super::event::Event;
use crate::instance_id::InstanceId;
use crate::{clock, crypto};

/// No line is longer, its end included: names are bounded where they come from.
pub(super) const MAX_LINE: usize = 4096;
/// Between the bytes that are authenticated and the MAC in hex.
const MAC_FIELD: &str = ",\"mac\":\"";
const MAC_END: &str = "\"}";
/// `,"mac":"<64 digits>"}`
const TAIL: usize = MAC_FIELD.len() + 64 + MAC_END.len();

/// The last entry of a log: what the next one builds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its number; the first entry is 1.
    pub(crate) sequence: u64,
    /// SHA-256 of its line, without the end of line.
    pub(crate) hash: [u8; 32],
}

impl Head {
    /// Before the first entry.
    pub(super) fn genesis(instance: &InstanceId) -> Self {
        let start = [b"merlon v1 audit log".as_slice(), instance.bytes()].concat();
        Self { sequence: 0, hash: crypto::sha256(&start) }
    }
}

/// A line of the log whose MAC was right.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) time: String,
    pub(super) event: String,
    pub(super) details: serde_json::Map<String, serde_json::Value>,
    /// Written together with the next line.
    #[serde(default)]
    pub(super) more: bool,
    previous: String,
    #[serde(rename = "mac")]
    _mac: String,
}

impl Entry {
    /// Was it written after this very entry?
    pub(super) fn follows(&self, head: &Head) -> bool {
        Some(self.sequence) == head.sequence.checked_add(1) && self.previous == HEXLOWER.encode(&head.hash)
    }
}

/// The next line, without its end, and the head that it makes. `more`: the next line is written in the same moment.
pub(super) fn write(key: &Secret<32>, head: &Head, time_us: i64, event: &Event, more: bool) -> (String, Head) {
    let sequence = head.sequence + 1;
    let (time, fields, previous) = (clock::rfc3339(time_us), event.fields(), HEXLOWER.encode(&head.hash));
    let more = if more { ",\"more\":true" } else { "" };
    let mut line = format!(r#"{{"sequence":{sequence},"time":"{time}",{fields}{more},"previous":"{previous}""#);
    let mac = HEXLOWER.encode(&crypto::mac(key, line.as_bytes()));
    line.push_str(MAC_FIELD);
    line.push_str(&mac);
    line.push_str(MAC_END);
    let hash = crypto::sha256(line.as_bytes());
    (line, Head { sequence, hash })
}

/// Reads a line, without its end. `None` if this instance did not write it, to the last byte.
pub(super) fn read(key: &Secret<32>, line: &[u8]) -> Option<(Entry, Head)> {
    let (body, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
    let mac = tail.strip_prefix(MAC_FIELD.as_bytes())?.strip_suffix(MAC_END.as_bytes())?;
    let mac = HEXLOWER.decode(mac).ok()?;
    if line.len() >= MAX_LINE || !crypto::equal(&mac, &crypto::mac(key, body)) {
        return None;
    }
    let entry: Entry = serde_json::from_slice(line).ok()?;
    let head = Head { sequence: entry.sequence, hash: crypto::sha256(line) };
    Some((entry, head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back_and_no_byte_of_it_can_be_changed() {
        let key = Secret::init(|bytes: &mut [u8; 32]| bytes.fill(7)).unwrap();
        let before = Head { sequence: 41, hash: [9; 32] };
        let event = Event::ProjectCreated { id: 3, name: "\"quoted\" \\ ünï".to_owned() };
        let (line, head) = write(&key, &before, 1_767_225_599_000_001, &event, true);
        let (entry, read_head) = read(&key, line.as_bytes()).unwrap();
        assert!(entry.follows(&before) && entry.more && read_head == head);
        assert_eq!((entry.sequence, entry.time.as_str()), (42, "2025-12-31T23:59:59.000001Z"));
        assert_eq!(entry.details["name"], "\"quoted\" \\ ünï");
        assert!(!entry.follows(&Head { sequence: 41, hash: [8; 32] }));
        for at in 0..line.len() {
            for bit in [1, 0x20, 0x80] {
                let mut altered = line.clone().into_bytes();
                altered[at] ^= bit;
                assert!(read(&key, &altered).is_none(), "byte {at}, bit {bit}");
            }
            assert!(read(&key, &line.as_bytes()[..at]).is_none(), "cut at {at}");
        }
        assert!(read(&key, format!("{line} ").as_bytes()).is_none());
    }
}
