//! The log's files: what a start makes of them, and how entries are added.
//!
//! An entry counts once it is on disk; then its number and hash are stored in `secrets.db`. So a start finds the log
//! as `secrets.db` knows it, or longer by what was written in one moment. Anything else was done by somebody else, or
//! to one of the two files, and is told. Nothing that looks like an entry is ever removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use merlon_sandbox::files;
use merlon_sandbox::secret::Secret;

use super::AuditError;
use super::event::Event;
use super::line::{self, Head};
use crate::log;
use crate::secrets_db::SecretsError;

/// The file that is written.
pub(super) const FILE: &str = "audit.log";
/// A file that reaches this size is closed, and the chain goes on in the next.
pub(super) const FILE_LIMIT: u64 = 16 << 20;
/// Read first of a long file: its last entry is almost always in here.
const TAIL: u64 = 64 << 10;

/// The log, ready to be added to.
pub(super) struct Log {
    dir: PathBuf,
    file: File,
    /// Bytes of `file` that count.
    len: u64,
    /// `file` may be longer than `len`.
    ragged: bool,
    limit: u64,
    pub(super) key: Secret<32>,
    /// The last entry.
    pub(super) head: Head,
}

/// What a start found amiss.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All as it was written.
    Whole,
    /// What a write cut short left behind was removed.
    Torn { bytes: u64 },
    /// `secrets.db` is older than the log.
    SecretsOlder { known: u64, last: u64 },
    /// Entries are missing, or others stand in their place.
    Cut { last: u64, written: u64 },
}

/// The names of the closed files that exist, in the order in which they were written.
pub(super) fn closed(dir: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(FILE)?.strip_prefix('.'));
        numbers.extend(number.and_then(|number| number.parse::<u32>().ok().filter(|n| n.to_string() == number)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The name of a closed file.
pub(super) fn name(number: u32) -> String {
    format!("{FILE}.{number}")
}

impl Log {
    /// Opens the log in `dir`, whose last entry should be `known`, and goes on with it whatever was found.
    pub(super) fn open(dir: &Path, key: Secret<32>, known: Head, limit: u64) -> io::Result<(Self, Found)> {
        let file = open_file(dir)?;
        let len = file.metadata()?.len();
        let mut log = Self { dir: dir.to_owned(), file, len, ragged: false, limit, key, head: known };
        let found = match log.after(&known)? {
            Some(rest) => log.adopt(&rest)?,
            None => Found::Cut { last: log.last()?, written: known.sequence },
        };
        if matches!(found, Found::Cut { .. }) && log.len > 0 {
            log.close()?;
        }
        Ok((log, found))
    }

    /// Adds entries in one write; `store` keeps the new head once they are on disk. On an error none of them is there.
    pub(super) fn append(
        &mut self,
        events: &[(i64, Event)],
        store: impl FnOnce(&Head) -> Result<(), SecretsError>,
    ) -> Result<(), AuditError> {
        if self.ragged {
            self.cut()?;
        }
        if self.len >= self.limit {
            self.close()?;
        }
        let mut head = self.head;
        let mut text = String::new();
        for (at, (time_us, event)) in events.iter().enumerate() {
            let (line, next) = line::write(&self.key, &head, *time_us, event, at + 1 < events.len());
            text.push_str(&line);
            text.push('\n');
            head = next;
        }
        self.ragged = true;
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written.map_err(AuditError::from).and_then(|()| Ok(store(&head)?)) {
            // If this fails too, it is done before the next entry; a start finds an unknown moment more, and keeps it.
            if let Err(error) = self.cut() {
                log::warn(format_args!("the end of {FILE} was not cut off: {error}"));
            }
            return Err(error);
        }
        self.ragged = false;
        self.len += text.len() as u64;
        self.head = head;
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.len)?;
        self.file.sync_data()?;
        self.ragged = false;
        Ok(())
    }

    /// Closes the file under the next number, and begins another.
    fn close(&mut self) -> io::Result<()> {
        let number = closed(&self.dir)?.last().map_or(Some(1), |last| last.checked_add(1));
        let number = number.ok_or_else(|| io::Error::other("there is no number for another file"))?;
        match fs::rename(self.dir.join(FILE), self.dir.join(name(number))) {
            // Somebody removed it, or the next file could not be made the last time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        self.file = open_file(&self.dir)?;
        self.len = 0;
        Ok(())
    }

    /// All bytes that come after the entry `known`; `None` if it is nowhere.
    fn after(&mut self, known: &Head) -> io::Result<Option<Vec<u8>>> {
        let last_closed = closed(&self.dir)?.last().copied();
        if known.sequence == 0 {
            return Ok(if last_closed.is_none() { Some(read_from(&mut self.file, 0)?) } else { None });
        }
        for from in [self.len.saturating_sub(TAIL), 0] {
            let bytes = read_from(&mut self.file, from)?;
            if let Some(at) = end_of(&bytes, known) {
                return Ok(Some(bytes[at..].to_vec()));
            }
        }
        // Killed between closing one file and the first entry of the next.
        let Some(number) = last_closed else { return Ok(None) };
        let bytes = read_from(&mut File::open(self.dir.join(name(number)))?, 0)?;
        let Some(at) = end_of(&bytes, known) else { return Ok(None) };
        Ok(Some([&bytes[at..], &read_from(&mut self.file, 0)?].concat()))
    }

    /// Takes the entries in `rest`, which come after the head, as they are.
    fn adopt(&mut self, rest: &[u8]) -> io::Result<Found> {
        let known = self.head;
        let (mut at, mut moments) = (0, 0);
        while let Some(end) = rest[at..].iter().position(|byte| *byte == b'\n') {
            let Some((entry, head)) = line::read(&self.key, &rest[at..at + end]) else { break };
            if !entry.follows(&self.head) {
                break;
            }
            moments += u64::from(!entry.more);
            self.head = head;
            at += end + 1;
        }
        let left = &rest[at..];
        // Some file systems leave zeros where a write did not get to.
        let torn = !left.contains(&b'\n') || left.iter().all(|byte| *byte == 0);
        let bytes = left.len() as u64;
        if !torn || bytes > self.len {
            return Ok(Found::Cut { last: self.head.sequence, written: self.head.sequence });
        }
        self.len -= bytes;
        if bytes > 0 {
            self.cut()?;
        }
        Ok(match (moments, bytes) {
            (2.., _) => Found::SecretsOlder { known: known.sequence, last: self.head.sequence },
            (_, 0) => Found::Whole,
            _ => Found::Torn { bytes },
        })
    }

    /// The number of the last entry that is there, for people.
    fn last(&mut self) -> io::Result<u64> {
        let mut files = vec![read_from(&mut self.file, 0)?];
        if let Some(number) = closed(&self.dir)?.last() {
            files.push(read_from(&mut File::open(self.dir.join(name(*number)))?, 0)?);
        }
        let sequence = |bytes: &Vec<u8>| {
            let mut lines = bytes.split(|byte| *byte == b'\n').rev();
            lines.find_map(|bytes| line::read(&self.key, bytes)).map(|(entry, _)| entry.sequence)
        };
        Ok(files.iter().find_map(sequence).unwrap_or(0))
    }
}

/// Where the line of this entry ends in `bytes`, its end included.
fn end_of(bytes: &[u8], entry: &Head) -> Option<usize> {
    let mut end = bytes.iter().rposition(|byte| *byte == b'\n')?;
    loop {
        let start = bytes[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |before| before + 1);
        if end - start < line::MAX_LINE && crate::crypto::sha256(&bytes[start..end]) == entry.hash {
            return Some(end + 1);
        }
        end = start.checked_sub(1)?;
    }
}

fn open_file(dir: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW);
    let file = options.open(dir.join(FILE))?;
    files::sync_dir(dir)?;
    Ok(file)
}

fn read_from(file: &mut File, from: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
