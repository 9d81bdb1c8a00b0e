//! A project's files for a backup, as they are: ciphertext. Nothing is decrypted for it, and traffic goes on meanwhile.
//!
//! The open project. For a moment no commit is let in; in it the log is written back into the database, and a reader is
//! begun that needs nothing of the log any more. While such a reader lives, SQLite writes commits into the log only and
//! leaves the database file alone, so the file can be copied as it stands. Segments are copied after it, whole: they are
//! only appended to, and what a row points to was on disk before the row was committed. What else a copy catches of a
//! segment's end is noise that no row points to.
//!
//! A project that is not open has nobody who writes it. It must not be opened while it is copied.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use merlon_cipherdb::Options;
use rusqlite::Connection;

use super::{Inner, Session, Store, StoreError, schema, segment};

/// Bytes read at a time.
const PIECE: usize = 256 << 10;
/// Until the moment without readers that hold old pages of the log. They have a second or so each.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries, in which commits go on.
const PAUSE: Duration = Duration::from_millis(20);

/// What a copy yields, in order.
#[derive(Debug)]
pub(crate) enum Copied {
    /// A file begins; so many bytes of it follow.
    File {
        /// Its path below the store.
        name: String,
        /// Bytes.
        length: u64,
    },
    /// The next bytes of the file.
    Bytes(Bytes),
}

/// A project that is ready to be copied. It holds the state of this moment until it is dropped.
pub(crate) struct Backup {
    /// Files by name; opened one after the other.
    files: VecDeque<(String, PathBuf)>,
    /// The open project: its database file, and the reader that keeps it as it is.
    open: Option<(Arc<Session>, Connection)>,
    _turn: Turn,
}

impl Store {
    /// Makes a project ready to be copied. Blocks, mostly for milliseconds. One at a time.
    pub(crate) fn backup(&self, id: u64) -> Result<Backup, StoreError> {
        let (turn, session) = {
            let _switching = self.0.switching.lock().unwrap_or_else(PoisonError::into_inner);
            // At a start, before its project is open, this one may be about to be opened.
            (Turn::take(&self.0, id)?, self.session()?)
        };
        let path = schema::project_path(&self.0.directory, id);
        let segments = segment::directory(&path);
        let named = |path: &Path| {
            let name = path.strip_prefix(&self.0.directory).unwrap_or(path);
            (name.display().to_string(), path.to_owned())
        };
        if session.project.id == id {
            let reader = snapshot(&session)?;
            let mut files = VecDeque::from([named(&path)]);
            let mut known: Vec<i64> = schema::segments(&reader)?.into_iter().collect();
            known.sort_unstable();
            files.extend(known.into_iter().map(|number| named(&segment::file_of(&segments, number))));
            return Ok(Backup { files, open: Some((session, reader)), _turn: turn });
        }
        // After a kill a log may stand beside the database, and belongs to it.
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let beside = [path, PathBuf::from(log)].into_iter().filter(|path| path.exists());
        let mut files: VecDeque<_> = beside.map(|path| named(&path)).collect();
        let found = segment::all(&segments).map_err(|source| StoreError::Files { path: segments.clone(), source })?;
        files.extend(found.into_iter().map(|number| named(&segment::file_of(&segments, number))));
        Ok(Backup { files, open: None, _turn: turn })
    }
}

impl Backup {
    /// Hands every file to `emit`, until that returns false. Blocks.
    pub(crate) fn copy(mut self, mut emit: impl FnMut(Copied) -> bool) -> Result<(), StoreError> {
        let open = self.open.take();
        for (at, (name, path)) in std::mem::take(&mut self.files).into_iter().enumerate() {
            let failed = |source| StoreError::Files { path: path.clone(), source };
            let own;
            let file = match &open {
                Some((session, _)) if at == 0 => session.database(&path).map_err(failed)?,
                _ => {
                    own = File::open(&path).map_err(failed)?;
                    &own
                }
            };
            let length = file.metadata().map_err(failed)?.len();
            if !emit(Copied::File { name, length }) {
                return Ok(());
            }
            let mut place = 0;
            while place < length {
                if open.as_ref().is_some_and(|(session, _)| session.readers.is_closing()) {
                    return Err(StoreError::Closing);
                }
                let mut piece = vec![0; PIECE.min(usize::try_from(length - place).unwrap_or(PIECE))];
                file.read_exact_at(&mut piece, place).map_err(failed)?;
                place += piece.len() as u64;
                if !emit(Copied::Bytes(piece.into())) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// A reader before which the database file stands still.
fn snapshot(session: &Session) -> Result<Connection, StoreError> {
    let options = Options { create: false, cache_kib: 256, ..schema::form() };
    let connect = || session.readers.apart(|path, key| merlon_cipherdb::open(path, key, options));
    let (reader, writer) = (connect()?, connect()?);
    // Most of it here, while commits go on.
    write_back(&reader)?;
    let begun = Instant::now();
    loop {
        // From here on the recorder waits; its queue takes what comes.
        writer.execute_batch("BEGIN IMMEDIATE")?;
        let whole = write_back(&reader)?;
        if whole {
            reader.execute_batch("BEGIN")?;
            // A transaction begins with its first read.
            reader.query_row("SELECT count(*) FROM meta", (), |_| Ok(()))?;
        }
        writer.execute_batch("ROLLBACK")?;
        if whole {
            return Ok(reader);
        }
        if begun.elapsed() > PATIENCE {
            return Err(StoreError::BackupBusy("readers of the open project did not come to an end"));
        }
        sleep(PAUSE);
    }
}

/// Writes the log back into the database as far as readers let it; is all of it there now?
fn write_back(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| {
        let (busy, log, written): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy == 0 && log == written)
    })
}

impl Session {
    /// The database file for reading. It stays open as long as the project: closing it would take away the locks that
    /// SQLite holds on the file in this process (fcntl(2)).
    fn database(&self, path: &Path) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = File::open(path)?;
        Ok(self.file.get_or_init(|| file))
    }
}

/// The one turn to copy; while it is held, its project is not opened.
struct Turn(Arc<Inner>);

impl Turn {
    fn take(inner: &Arc<Inner>, id: u64) -> Result<Self, StoreError> {
        let mut copying = inner.copying.lock().unwrap_or_else(PoisonError::into_inner);
        if copying.is_some() {
            return Err(StoreError::BackupBusy("another project is being copied"));
        }
        *copying = Some(id);
        Ok(Self(Arc::clone(inner)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.copying.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Inner {
    /// May this project be opened?
    pub(super) fn may_open(&self, id: u64) -> Result<(), StoreError> {
        match *self.copying.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(copied) if copied == id => Err(StoreError::BackupBusy("this project is being copied")),
            _ => Ok(()),
        }
    }
}
