//! Entries for people, newest first.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use merlon_sandbox::secret::Secret;
use merlon_wire::admin::AuditEntry;

use super::file::{self, FILE};
use super::line;

/// Bytes of entries in one answer: well within a frame.
const ANSWER: usize = 24 << 10;
/// Read at once, from the end of a file to its beginning.
const CHUNK: u64 = 64 << 10;

/// At most `limit` entries before the one numbered `before` (none: from the end), newest first, as many as fit an
/// answer. Lines that this instance did not write are passed over: [`super::Audit::verify`] tells of them.
pub(super) fn entries(dir: &Path, key: &Secret<32>, before: Option<u64>, limit: u32) -> io::Result<Vec<AuditEntry>> {
    let names = [FILE.to_owned()].into_iter().chain(file::closed(dir)?.into_iter().rev().map(file::name));
    let mut list = Vec::new();
    let mut room = ANSWER;
    for name in names {
        let file = match File::open(dir.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let mut lines = Backwards::new(file)?;
        while let Some(bytes) = lines.next()? {
            let Some((entry, _)) = line::read(key, &bytes) else { continue };
            if before.is_some_and(|before| entry.sequence >= before) {
                continue;
            }
            let shown = AuditEntry {
                sequence: entry.sequence,
                time: entry.time,
                event: entry.event,
                details: serde_json::Value::Object(entry.details).to_string(),
            };
            let size = shown.time.len() + shown.event.len() + shown.details.len() + 16;
            if list.len() >= limit as usize || size > room {
                return Ok(list);
            }
            room -= size;
            list.push(shown);
        }
    }
    Ok(list)
}

/// The lines of a file, last first. Whatever has no end counts as a line too.
struct Backwards {
    file: File,
    /// Bytes that were not read yet.
    rest: u64,
    /// What was read and not given out.
    tail: Vec<u8>,
}

impl Backwards {
    fn new(file: File) -> io::Result<Self> {
        let mut lines = Self { rest: file.metadata()?.len(), file, tail: Vec::new() };
        lines.read()?;
        Ok(lines)
    }

    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        // The end of the line that comes now.
        if self.tail.last() == Some(&b'\n') {
            self.tail.pop();
        }
        loop {
            if let Some(at) = self.tail.iter().rposition(|byte| *byte == b'\n') {
                return Ok(Some(self.tail.split_off(at + 1)));
            }
            if self.tail.len() > line::MAX_LINE {
                // No entry is so long.
                self.tail.clear();
            }
            if !self.read()? {
                let line = std::mem::take(&mut self.tail);
                return Ok((!line.is_empty()).then_some(line));
            }
        }
    }

    /// Reads what stands before. False at the beginning of the file.
    fn read(&mut self) -> io::Result<bool> {
        let size = self.rest.min(CHUNK);
        let mut chunk = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        self.rest -= size;
        self.file.read_exact_at(&mut chunk, self.rest)?;
        chunk.append(&mut self.tail);
        self.tail = chunk;
        Ok(size > 0)
    }
}
