//! Segments: append-only files beside a project's database that hold the pieces of large bodies and, while traffic is
//! dense, whole small flows; each encrypted and authenticated by itself. In SQLCipher pages a megabyte costs more than
//! relaying it; here it costs about a tenth.
//!
//! A segment belongs to one opening of the project: its key is random and stands in the database (`segments`), it is
//! never appended to after a restart, and every piece has its own place, so no nonce is used twice under a key. The row
//! that points to a piece is committed after the piece is on disk; a piece without a row is noise.
//!
//! A piece is AES-256-GCM over its bytes. Nonce: its place in the file, 96 bits big-endian. Associated data: the key of
//! the row that points to it. What is written at once is padded to whole [`BLOCK`]s, so that writing needs no page cache
//! (`O_DIRECT`).

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use nix::fcntl::OFlag;
use zeroize::Zeroizing;

/// Bytes of the tag.
const TAG: usize = 16;
/// What is written at once begins at, and is padded to, multiples of this.
const BLOCK: usize = 4096;
/// The most bytes of one piece.
pub(super) const PIECE: usize = 128 << 10;
/// What is written at once.
const BUFFER: usize = 1 << 20;
/// A segment this large is followed by a new one.
const LARGE: u64 = 1 << 30;
/// Pieces shorter than this stay in the row itself, unless traffic is dense: here they would mostly be padding, and a
/// commit would wait for them to reach the disk.
pub(super) const WORTH_IT: usize = 8 << 10;
/// Traffic is dense when a commit has this many bytes for segments.
pub(super) const DENSE: usize = 48 << 10;
/// Pieces shorter than this always stay in the row: a pointer and a tag are not much less.
pub(super) const SHORTEST: usize = 256;
/// Bytes of a pointer.
const POINTER: usize = 28;
/// Set in the place that begins a row: the row is a pointer. No body has so many bytes.
const MARK: u64 = 1 << 63;

/// Where a piece is, as the rows of `blobs` have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    /// Place of its first byte in the body.
    pub(super) at: u64,
    /// Which segment.
    pub(super) segment: i64,
    /// Its place there.
    pub(super) offset: u64,
    /// Its bytes, without tag and padding.
    pub(super) len: u32,
}

impl Pointer {
    /// As it stands in a row.
    pub(super) fn encode(self) -> [u8; POINTER] {
        let mut row = [0; POINTER];
        row[..8].copy_from_slice(&(self.at | MARK).to_le_bytes());
        row[8..16].copy_from_slice(&self.segment.to_le_bytes());
        row[16..24].copy_from_slice(&self.offset.to_le_bytes());
        row[24..].copy_from_slice(&self.len.to_le_bytes());
        row
    }

    /// Of a row; none if it is no pointer.
    pub(super) fn decode(row: &[u8]) -> Option<Self> {
        let (at, rest) = row.split_first_chunk::<8>()?;
        let at = u64::from_le_bytes(*at);
        if at & MARK == 0 {
            return None;
        }
        let (segment, rest) = rest.split_first_chunk::<8>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let len = u32::from_le_bytes(rest.try_into().ok()?);
        let (segment, offset) = (i64::from_le_bytes(*segment), u64::from_le_bytes(*offset));
        (len as usize <= PIECE).then_some(Self { at: at & !MARK, segment, offset, len })
    }
}

/// A key of a segment, in the form in which the database keeps it.
pub(super) type SegmentKey = Zeroizing<Vec<u8>>;

/// The directory of a project's segments, beside its database.
pub(super) fn directory(database: &Path) -> PathBuf {
    database.with_extension("bodies")
}

/// The place that a row begins with, whether or not it is a pointer.
pub(super) fn place(header: [u8; 8]) -> u64 {
    u64::from_le_bytes(header) & !MARK
}

/// The file of a segment.
pub(super) fn file_of(directory: &Path, segment: i64) -> PathBuf {
    directory.join(format!("{segment}.seg"))
}

/// The segment that the writer appends to.
pub(super) struct Segment {
    /// Its number.
    pub(super) id: i64,
    /// Its key, until it stands in the database.
    pub(super) new_key: Option<SegmentKey>,
    file: File,
    cipher: LessSafeKey,
    /// Where the buffer's first byte goes.
    offset: u64,
    buffer: Aligned,
    /// Something was written since the last sync.
    unsynced: bool,
}

impl Segment {
    /// A new segment; its file must not exist.
    pub(super) fn create(directory: &Path, id: i64) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let path = file_of(directory, id);
        let open = |flags: OFlag| {
            OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(flags.bits()).open(&path)
        };
        let file = match open(OFlag::O_DIRECT) {
            // A file system without O_DIRECT (tmpfs) says so after it made the name.
            Err(e) if e.raw_os_error() == Some(nix::errno::Errno::EINVAL as i32) => {
                if let Err(e) = fs::remove_file(&path)
                    && e.kind() != ErrorKind::NotFound
                {
                    return Err(e);
                }
                open(OFlag::empty())?
            }
            other => other?,
        };
        File::open(directory)?.sync_all()?;
        if let Some(parent) = directory.parent() {
            File::open(parent)?.sync_all()?;
        }
        let mut key = Zeroizing::new(vec![0; AES_256_GCM.key_len()]);
        aws_lc_rs::rand::fill(&mut key).map_err(io::Error::other)?;
        let cipher = cipher(&key)?;
        Ok(Self { id, new_key: Some(key), file, cipher, offset: 0, buffer: Aligned::new(BUFFER), unsynced: false })
    }

    /// It is large, and a new one should follow.
    pub(super) fn is_large(&self) -> bool {
        self.offset >= LARGE
    }

    /// Appends a piece for the row `key`; it is on disk after [`Self::sync`].
    pub(super) fn append(&mut self, key: i64, at: u64, piece: &[u8]) -> io::Result<Pointer> {
        let len = u32::try_from(piece.len()).ok().filter(|len| *len as usize <= PIECE);
        let Some(len) = len else { return Err(io::Error::new(ErrorKind::InvalidInput, "a piece is too large")) };
        if self.buffer.room() < piece.len() + TAG {
            self.flush()?;
        }
        let offset = self.offset + self.buffer.filled as u64;
        // From where it is to where it goes: a large piece that is copied first costs almost as much again.
        let (body, tag) = self.buffer.extend(piece.len() + TAG).split_at_mut(piece.len());
        self.cipher
            .seal_out_of_place_scatter(nonce(offset), Aad::from(key.to_le_bytes()), piece, body, &[], tag)
            .map_err(io::Error::other)?;
        Ok(Pointer { at, segment: self.id, offset, len })
    }

    /// Everything appended is on disk when this returns.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        if std::mem::take(&mut self.unsynced) {
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Gives up a segment that could not be written. Its file goes with it, unless something in it is committed.
    pub(super) fn give_up(self, directory: &Path) {
        if self.new_key.is_some() {
            // What stays is removed at the next opening.
            let _ = fs::remove_file(file_of(directory, self.id));
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.buffer.pad();
        let bytes = self.buffer.bytes();
        if bytes.is_empty() {
            return Ok(());
        }
        let end = self.offset + bytes.len() as u64;
        let written = self.file.write_all_at(bytes, self.offset);
        // Whether or not it was written, the place is used: a nonce is never used for other bytes.
        self.offset = end;
        self.buffer.clear();
        self.unsynced = true;
        written
    }
}

/// Reads a piece.
///
/// # Errors
/// [`ErrorKind::InvalidData`] if it does not authenticate.
pub(super) fn read(directory: &Path, pointer: Pointer, segment_key: &[u8], row_key: i64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; pointer.len as usize + TAG];
    File::open(file_of(directory, pointer.segment))?.read_exact_at(&mut bytes, pointer.offset)?;
    let opened = cipher(segment_key)?
        .open_in_place(nonce(pointer.offset), Aad::from(row_key.to_le_bytes()), &mut bytes)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "a piece of a body does not authenticate"))?
        .len();
    bytes.truncate(opened);
    Ok(bytes)
}

/// Removes the files of segments that the database does not know: a kill, or a disk that refused, left them before
/// anything in them was committed.
pub(super) fn remove_unknown(directory: &Path, known: &HashSet<i64>) -> io::Result<()> {
    for number in all(directory)?.into_iter().filter(|number| !known.contains(number)) {
        fs::remove_file(file_of(directory, number))?;
    }
    Ok(())
}

/// The numbers of all segments that have a file, in order.
pub(super) fn all(directory: &Path) -> io::Result<Vec<i64>> {
    let entries = match fs::read_dir(directory) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        numbers.extend(number.filter(|number| file_of(directory, *number) == path));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes all segments of a project.
pub(super) fn remove_all(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn cipher(key: &[u8]) -> io::Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(io::Error::other)
}

fn nonce(offset: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&offset.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// A buffer whose first byte is at a multiple of [`BLOCK`] in memory, as `O_DIRECT` wants it.
struct Aligned {
    memory: Vec<u8>,
    start: usize,
    filled: usize,
    capacity: usize,
}

impl Aligned {
    fn new(capacity: usize) -> Self {
        let memory = vec![0; capacity + BLOCK];
        let start = memory.as_ptr().align_offset(BLOCK).min(BLOCK);
        Self { memory, start, filled: 0, capacity }
    }

    fn room(&self) -> usize {
        self.capacity - self.filled
    }

    fn extend(&mut self, len: usize) -> &mut [u8] {
        let begin = self.start + self.filled;
        self.filled += len;
        &mut self.memory[begin..begin + len]
    }

    /// To a whole number of blocks, by zeros; the capacity is one.
    fn pad(&mut self) {
        let padding = self.filled.next_multiple_of(BLOCK) - self.filled;
        self.extend(padding).fill(0);
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.filled]
    }

    fn clear(&mut self) {
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("merlon-segment-{name}-{}", std::process::id()));
        remove_all(&path).unwrap();
        path
    }

    #[test]
    fn what_was_appended_is_read_back_and_nothing_else_opens_it() {
        let directory = directory("read");
        let mut segment = Segment::create(&directory, 7).unwrap();
        let key = segment.new_key.clone().unwrap();
        let pieces: Vec<Vec<u8>> =
            [1, 100, PIECE, BLOCK - TAG, BLOCK, 0].map(|len| vec![u8::try_from(len % 251).unwrap(); len]).to_vec();
        let mut pointers = Vec::new();
        for _ in 0..5 {
            for (row, piece) in pieces.iter().enumerate() {
                pointers.push((
                    i64::try_from(row).unwrap(),
                    segment.append(i64::try_from(row).unwrap(), 3, piece).unwrap(),
                ));
            }
        }
        segment.sync().unwrap();
        for (row, pointer) in &pointers {
            assert_eq!(Pointer::decode(&pointer.encode()), Some(*pointer));
            assert_eq!(read(&directory, *pointer, &key, *row).unwrap(), pieces[usize::try_from(*row).unwrap()]);
            assert_eq!(read(&directory, *pointer, &key, row + 1).unwrap_err().kind(), ErrorKind::InvalidData);
        }
        let (row, pointer) = pointers[2];
        assert!(read(&directory, pointer, &[0; 32], row).is_err());
        assert!(read(&directory, Pointer { offset: pointer.offset + 1, ..pointer }, &key, row).is_err());
        let file = file_of(&directory, 7);
        let text = fs::read(&file).unwrap();
        assert_eq!(text.len() % BLOCK, 0);
        assert!(memchr::memmem::find(&text, &[100; 64]).is_none(), "encrypted");
        let mut cut = text.clone();
        cut.truncate(usize::try_from(pointer.offset).unwrap() + 10);
        fs::write(&file, cut).unwrap();
        assert_eq!(read(&directory, pointer, &key, row).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        remove_all(&directory).unwrap();
    }

    #[test]
    fn a_segment_is_never_appended_to_again() {
        let directory = directory("again");
        drop(Segment::create(&directory, 1).unwrap());
        assert!(Segment::create(&directory, 1).is_err());
        remove_all(&directory).unwrap();
    }

    #[test]
    fn files_of_which_nothing_was_committed_are_removed() {
        let directory = directory("unknown");
        remove_unknown(&directory, &HashSet::new()).unwrap();
        for id in 1..=3 {
            Segment::create(&directory, id).unwrap();
        }
        fs::write(directory.join("note.txt"), "somebody's").unwrap();
        remove_unknown(&directory, &HashSet::from([2])).unwrap();
        assert!(file_of(&directory, 2).exists() && directory.join("note.txt").exists());
        assert!(!file_of(&directory, 1).exists() && !file_of(&directory, 3).exists());
        let mut written = Segment::create(&directory, 4).unwrap();
        written.new_key = None;
        written.give_up(&directory);
        Segment::create(&directory, 5).unwrap().give_up(&directory);
        assert!(file_of(&directory, 4).exists() && !file_of(&directory, 5).exists());
        remove_all(&directory).unwrap();
    }

    #[test]
    fn a_row_that_is_no_pointer_is_told() {
        assert_eq!(Pointer::decode(&[0; POINTER - 1]), None);
        assert_eq!(Pointer::decode(&[0xff; POINTER]), None);
        assert_eq!(Pointer::decode(&[0; POINTER]), None, "a row of its own");
    }
}
