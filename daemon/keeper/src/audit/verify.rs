//! Verifying the whole log, from its first entry to the head that `secrets.db` knows.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use merlon_sandbox::secret::Secret;
use merlon_wire::admin::AuditVerdict;

use super::file::{self, FILE};
use super::line::{self, Head, MAX_LINE};

/// The files of a log as they are at one moment, opened, so that they can be read while the log goes on.
pub(super) struct Files {
    /// Names, in the order in which they were written.
    files: Vec<(String, File)>,
    /// A file that is not there and should be.
    missing: Option<String>,
}

impl Files {
    /// Opens all files of the log in `dir`.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let closed = file::closed(dir)?;
        let gap = (1..).zip(&closed).find(|(number, found)| number != *found).map(|(number, _)| file::name(number));
        let mut found = Self { files: Vec::new(), missing: gap };
        for name in closed.into_iter().map(file::name).chain([FILE.to_owned()]) {
            match File::open(dir.join(&name)) {
                Ok(file) => found.files.push((name, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    found.missing.get_or_insert(name);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Reads everything, and says what is wrong first.
    pub(super) fn verify(mut self, key: &Secret<32>, genesis: Head, head: Head) -> io::Result<AuditVerdict> {
        let mut verdict = AuditVerdict { entries: 0, first: None, last: None, problem: None };
        let mut before = genesis;
        let problem = match self.missing.take() {
            Some(name) => Some(format!("the file {name} is missing")),
            None => self.walk(key, &mut before, &mut verdict)?,
        };
        verdict.problem = match problem {
            None if before.sequence < head.sequence => {
                Some(format!("cut at its end: {} missing, the last that were written", entries(before, head.sequence)))
            }
            None if before.hash != head.hash => Some(format!(
                "entry {} at its end is not the one that secrets.db knows: the log or secrets.db is an old copy",
                before.sequence
            )),
            problem => problem,
        };
        Ok(verdict)
    }

    /// Follows the chain from `before` until it ends, or to the first place where it is broken.
    fn walk(&mut self, key: &Secret<32>, before: &mut Head, verdict: &mut AuditVerdict) -> io::Result<Option<String>> {
        for at in 0..self.files.len() {
            let mut lines = Lines::new(&self.files[at].1);
            let mut number = 0;
            while let Some(line) = lines.next()? {
                number += 1;
                let expected = before.sequence + 1;
                let place = format!("{}, line {number}", self.files[at].0);
                let read = line.whole.then(|| line::read(key, line.bytes)).flatten();
                let Some((entry, head)) = read else {
                    return Ok(Some(format!(
                        "edited: entry {expected} ({place}) is not as it was written, or something was put in there"
                    )));
                };
                if entry.follows(before) {
                    verdict.entries += 1;
                    verdict.first.get_or_insert(entry.sequence);
                    verdict.last = Some(entry.sequence);
                    *before = head;
                    continue;
                }
                let found = entry.sequence;
                return Ok(Some(match self.find(key, expected)? {
                    _ if found < expected => {
                        format!("reordered: entry {found} stands once more after entry {} ({place})", before.sequence)
                    }
                    None => format!("cut: {} missing before entry {found} ({place})", entries(*before, found - 1)),
                    Some(_) if found == expected => format!(
                        "entry {found} ({place}) does not follow the one before: it is from another copy of the log"
                    ),
                    Some(there) => format!(
                        "reordered: entry {found} stands where entry {expected} should ({place}); that one is in {there}"
                    ),
                }));
            }
        }
        Ok(None)
    }

    /// Where an authentic entry with this number stands.
    fn find(&self, key: &Secret<32>, sequence: u64) -> io::Result<Option<String>> {
        for (name, file) in &self.files {
            let mut lines = Lines::new(file);
            let mut number = 0;
            while let Some(line) = lines.next()? {
                number += 1;
                if line::read(key, line.bytes).is_some_and(|(entry, _)| entry.sequence == sequence) {
                    return Ok(Some(format!("{name}, line {number}")));
                }
            }
        }
        Ok(None)
    }
}

/// `entries 4 to 7 are`, or `entry 4 is`.
fn entries(before: Head, last: u64) -> String {
    match before.sequence + 1 {
        first if first == last => format!("entry {first} is"),
        first => format!("entries {first} to {last} are"),
    }
}

/// A line without its end.
struct Line<'a> {
    bytes: &'a [u8],
    /// It has an end, and no more bytes than a line can have.
    whole: bool,
}

/// The lines of a file from its beginning, in bounded memory.
struct Lines<'a> {
    reader: BufReader<PositionedFile<'a>>,
    line: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn new(file: &'a File) -> Self {
        Self { reader: BufReader::with_capacity(64 << 10, PositionedFile { file, at: 0 }), line: Vec::new() }
    }

    fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        (&mut self.reader).take(MAX_LINE as u64).read_until(b'\n', &mut self.line)?;
        Ok(match self.line.split_last() {
            None => None,
            Some((b'\n', bytes)) => Some(Line { bytes, whole: true }),
            Some(_) => Some(Line { bytes: &self.line, whole: false }),
        })
    }
}

/// A file that is read from a place of its own, so that two readers do not move each other.
struct PositionedFile<'a> {
    file: &'a File,
    at: u64,
}

impl io::Read for PositionedFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt as _;
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
