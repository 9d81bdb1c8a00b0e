//! The one thread that writes a project: takes batches from the queue, writes each in one transaction, and tells of
//! what is committed. Nothing is told before its commit, and nothing is dropped without being counted.
//!
//! When a commit fails, the thread goes on trying, at growing distances. What a full disk or the like refused is kept
//! for the next try; what can never be written is dropped and counted.

use std::collections::{HashSet, VecDeque};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use merlon_cipherdb::DbError;
use rusqlite::{CachedStatement, Connection, TransactionBehavior};
use tokio::sync::broadcast;

use super::counters::Counters;
use super::packed::{Packed, Text};
use super::queue::{Item, Queue, Rekey, What};
use super::schema::{self, CLOSING, OPENING, blob_key, body_part, interrupt_unfinished};
use super::segment::{self, Segment};
use super::summary::{Summary, scheme_number};
use crate::flow::FlowId;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Starts the thread.
pub(super) fn spawn(
    connection: Connection,
    path: PathBuf,
    queue: Arc<Queue>,
    events: broadcast::Sender<Arc<[Summary]>>,
) -> io::Result<JoinHandle<()>> {
    let segments = segment::directory(&path);
    let (batch, damaged) = (VecDeque::new(), HashSet::new());
    let writer = Writer { connection, path, segments, segment: None, events, batch, damaged };
    let watch = Watch { queue };
    std::thread::Builder::new().name("recorder".into()).spawn(move || {
        let queue = Arc::clone(&watch.queue);
        // The guard sees a panic as well as an end.
        let _watch = watch;
        writer.run(&queue);
    })
}

/// Sees the thread end, in whatever way.
struct Watch {
    queue: Arc<Queue>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let died = !self.queue.is_closed();
        let lost = self.queue.abandon();
        let counters = &self.queue.counters;
        count_lost(counters, &lost, &mut HashSet::new());
        if died {
            counters
                .failed("recording has stopped: its thread ended unexpectedly; restart merlond and report this".into());
        }
    }
}

struct Writer {
    connection: Connection,
    /// The project's file.
    path: PathBuf,
    /// Where segments are.
    segments: PathBuf,
    /// The one that large bodies go to; made when the first comes.
    segment: Option<Segment>,
    events: broadcast::Sender<Arc<[Summary]>>,
    batch: VecDeque<Item>,
    /// Started flows of which a part was dropped.
    damaged: HashSet<FlowId>,
}

impl Writer {
    fn run(mut self, queue: &Queue) {
        while queue.collect(&mut self.batch) {
            self.write_batch(queue);
            if let Some(asked) = queue.take_rekey()
                && !queue.is_closed()
            {
                self.rekey(queue, &asked);
            }
        }
        // Flows still under way belong to connections that outlive the project's opening; they cannot end in it.
        if let Err(error) = interrupt_unfinished(&self.connection) {
            queue
                .counters
                .failed(format!("flows under way could not be marked as interrupted: {}", DbError::from(error)));
        }
        // A reader may hold the log; the next opening writes it back then.
        let _ = merlon_cipherdb::checkpoint(&self.connection);
    }

    /// Writes all of `batch`, or counts what cannot be written.
    fn write_batch(&mut self, queue: &Queue) {
        let mut pause = FIRST_PAUSE;
        while !self.batch.is_empty() {
            let size = queue.slice_of(&self.batch);
            // Flows end in another order than they begin, but nearly so: in order, rows are appended.
            self.batch.make_contiguous()[..size].sort_by_key(|item| item.id);
            let error = match self.commit(size) {
                Ok(()) => {
                    queue.works();
                    pause = FIRST_PAUSE;
                    self.committed(queue, size);
                    continue;
                }
                Err(error) => error,
            };
            let of_segment = matches!(error, CommitError::Segment(_));
            let error = DbError::from(error);
            let passing = is_passing(&error);
            queue.fails(explain(&error, passing));
            if !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            if of_segment && let Some(segment) = self.segment.take() {
                // What was written of it is of no use, and the next try has a file of its own.
                segment.give_up(&self.segments);
            }
            // Not in this state: whoever asked is told, and may ask again.
            drop(queue.take_rekey());
            if !passing {
                self.drop_front(queue, size);
            }
            if queue.pause(pause) {
                // Stopped: one last try, then what is left is given up.
                let size = self.batch.len();
                if size > 0 && self.commit(size).is_ok() {
                    self.committed(queue, size);
                } else {
                    self.drop_front(queue, size);
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Gives the project another key. What is recorded from now on is in segments with new keys, too.
    fn rekey(&mut self, queue: &Queue, asked: &Rekey) {
        self.segment = None;
        let mut done = merlon_cipherdb::rekey(&self.connection, &asked.next);
        if done.is_err() && self.reconnect(queue, asked) {
            done = Ok(());
        }
        // Whoever asked may be gone.
        let _ = asked.done.send(done);
    }

    /// A new connection, after an attempt to give the project another key failed. True: it has that key.
    fn reconnect(&mut self, queue: &Queue, asked: &Rekey) -> bool {
        // The one that failed may hold locks.
        if let Ok(none) = Connection::open_in_memory() {
            self.connection = none;
        }
        let mut pause = FIRST_PAUSE;
        loop {
            let mut failure = DbError::WrongKeyOrCorrupt;
            for (key, is_next) in [(&asked.next, true), (&asked.key, false)] {
                match schema::connect(&self.path, key) {
                    Ok(connection) => {
                        self.connection = connection;
                        queue.works();
                        return is_next;
                    }
                    Err(DbError::WrongKeyOrCorrupt) => {}
                    Err(error) => failure = error,
                }
            }
            queue.fails(explain(&failure, true));
            if queue.pause(pause) {
                return false;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Writes the first `size` items in one transaction, durably: the pieces of large bodies first.
    fn commit(&mut self, size: usize) -> Result<(), CommitError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut statements = Statements::prepare(&transaction)?;
            let items = || self.batch.iter().take(size);
            let bytes: usize = items().filter_map(piece_of).map(|piece| piece.bytes.len()).sum();
            let shortest = if bytes >= segment::DENSE { segment::SHORTEST } else { segment::WORTH_IT };
            for item in items() {
                let is_apart = |piece: &Piece<'_>| piece.bytes.len() >= shortest && !self.damaged.contains(&item.id);
                let Some(piece) = piece_of(item).filter(is_apart) else {
                    statements.write(item, &self.damaged)?;
                    continue;
                };
                if let What::Whole(flow) = &item.what {
                    statements.flow_row(item.id, flow)?;
                }
                let segment = current(&mut self.segment, &self.segments, &transaction)?;
                let pointer = segment.append(blob_key(item.id, piece.part), piece.at, piece.bytes);
                statements.blob_row(item.id, piece.part, &pointer.map_err(CommitError::Segment)?.encode())?;
            }
        }
        if let Some(segment) = &mut self.segment {
            segment.sync().map_err(CommitError::Segment)?;
            if let Some(key) = &segment.new_key {
                transaction.execute("INSERT INTO segments VALUES (?1, ?2)", (segment.id, key.as_slice()))?;
            }
        }
        transaction.commit()?;
        if let Some(segment) = &mut self.segment {
            segment.new_key = None;
            if segment.is_large() {
                self.segment = None;
            }
        }
        Ok(())
    }

    /// Gives room back, counts, and tells of what was committed.
    fn committed(&mut self, queue: &Queue, size: usize) {
        let told = self.events.receiver_count() > 0;
        let mut summaries = Vec::with_capacity(if told { size } else { 0 });
        let (mut charge, mut flows) = (0, 0);
        for item in self.batch.drain(..size) {
            charge += item.charge;
            let whole = !self.damaged.contains(&item.id);
            let flow = match &item.what {
                What::Chunk { .. } => continue,
                What::Start(flow) => flow,
                What::Whole(flow) | What::End(flow) => {
                    flows += u64::from(whole);
                    flow
                }
            };
            if told && (whole || flow.duration_us.is_some()) {
                summaries.push(flow.summary(item.id));
            }
            if !whole && flow.duration_us.is_some() {
                self.damaged.remove(&item.id);
            }
        }
        queue.counters.recorded(flows);
        queue.release(charge);
        if !summaries.is_empty() {
            // No receiver is no failure.
            let _ = self.events.send(summaries.into());
        }
    }

    fn drop_front(&mut self, queue: &Queue, size: usize) {
        let lost: VecDeque<Item> = self.batch.drain(..size).collect();
        count_lost(&queue.counters, &lost, &mut self.damaged);
        queue.release(lost.iter().map(|item| item.charge).sum());
    }
}

/// What of an item may go to a segment.
struct Piece<'a> {
    part: u32,
    /// Its place in the body.
    at: u64,
    bytes: &'a [u8],
}

fn piece_of(item: &Item) -> Option<Piece<'_>> {
    let piece = match &item.what {
        What::Whole(flow) => Piece { part: OPENING, at: 0, bytes: flow.row() },
        What::Chunk { side, sequence, at, bytes } => Piece { part: body_part(*side, *sequence), at: *at, bytes },
        What::Start(_) | What::End(_) => return None,
    };
    (piece.bytes.len() <= segment::PIECE).then_some(piece)
}

/// Why a batch was not committed.
enum CommitError {
    /// The database.
    Sql(rusqlite::Error),
    /// A segment.
    Segment(io::Error),
}

impl From<rusqlite::Error> for CommitError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<CommitError> for DbError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Sql(error) => error.into(),
            CommitError::Segment(error) => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Full,
                ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Self::ReadOnly,
                _ => Self::Io(error.to_string()),
            },
        }
    }
}

/// Numbers that are tried for a new segment: those that a kill left without a row are passed over.
const NUMBERS: i64 = 1 << 16;

/// The segment to append to, made if there is none.
fn current<'a>(
    segment: &'a mut Option<Segment>,
    directory: &Path,
    connection: &Connection,
) -> Result<&'a mut Segment, CommitError> {
    if let Some(segment) = segment {
        return Ok(segment);
    }
    let last: Option<i64> = connection.query_row("SELECT max(id) FROM segments", (), |row| row.get(0))?;
    let first = last.unwrap_or(0) + 1;
    for id in first..first + NUMBERS {
        match Segment::create(directory, id) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            made => return Ok(segment.insert(made.map_err(CommitError::Segment)?)),
        }
    }
    Err(CommitError::Segment(io::Error::other("no number is free for a segment")))
}

/// Counts each flow once, whichever part of it is lost first.
fn count_lost(counters: &Counters, lost: &VecDeque<Item>, damaged: &mut HashSet<FlowId>) {
    for item in lost {
        match item.what {
            What::Whole(_) => counters.unrecorded(1),
            What::Start(_) | What::Chunk { .. } => {
                if damaged.insert(item.id) {
                    counters.unrecorded(1);
                }
            }
            What::End(_) => {
                if !damaged.remove(&item.id) {
                    counters.unrecorded(1);
                }
            }
        }
    }
}

/// Failures of the surroundings, after which the same commit can succeed.
fn is_passing(error: &DbError) -> bool {
    use DbError::{CannotOpen, Full, Io, Locked, ReadOnly};
    matches!(error, Full | ReadOnly | Io(_) | Locked | CannotOpen { .. })
}

fn explain(error: &DbError, passing: bool) -> String {
    let then = if passing {
        "recording goes on by itself once this is mended; until then flows wait, and are counted as unrecorded when the queue is full"
    } else {
        "the flows concerned are counted as unrecorded"
    };
    format!("flows could not be recorded: {error}; {then}")
}

/// The statements of one transaction.
struct Statements<'a> {
    flow: CachedStatement<'a>,
    blob: CachedStatement<'a>,
    connection: &'a Connection,
}

impl<'a> Statements<'a> {
    fn prepare(connection: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            flow: connection
                .prepare_cached("INSERT INTO flows VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?,
            blob: connection.prepare_cached("INSERT INTO blobs VALUES (?1, ?2)")?,
            connection,
        })
    }

    fn write(&mut self, item: &Item, damaged: &HashSet<FlowId>) -> rusqlite::Result<()> {
        let id = item.id;
        match &item.what {
            What::Whole(flow) => {
                self.flow_row(id, flow)?;
                self.blob_row(id, OPENING, flow.row())
            }
            What::Start(flow) => {
                self.flow_row(id, flow)?;
                self.connection.prepare_cached("INSERT INTO unfinished VALUES (?1)")?.execute([id.0])?;
                self.blob_row(id, OPENING, flow.row())
            }
            What::Chunk { .. } if damaged.contains(&id) => Ok(()),
            What::Chunk { side, sequence, at, bytes } => {
                let row = [&at.to_le_bytes(), &**bytes].concat();
                self.blob_row(id, body_part(*side, *sequence), &row)
            }
            What::End(flow) => self.end(id, flow, damaged.contains(&id)),
        }
    }

    fn flow_row(&mut self, id: FlowId, flow: &Packed) -> rusqlite::Result<()> {
        let row = &mut self.flow;
        row.raw_bind_parameter(1, id.0)?;
        row.raw_bind_parameter(2, flow.time_us)?;
        row.raw_bind_parameter(3, flow.host())?;
        row.raw_bind_parameter(4, flow.port)?;
        row.raw_bind_parameter(5, scheme_number(flow.scheme))?;
        row.raw_bind_parameter(6, flow.method())?;
        row.raw_bind_parameter(7, flow.status)?;
        row.raw_bind_parameter(8, size(flow.seen[0]))?;
        row.raw_bind_parameter(9, size(flow.seen[1]))?;
        row.raw_bind_parameter(10, flow.duration_us)?;
        row.raw_bind_parameter(11, flow.error())?;
        row.raw_bind_parameter(12, flow.path())?;
        row.raw_execute().map(drop)
    }

    fn blob_row(&mut self, id: FlowId, part: u32, row: &[u8]) -> rusqlite::Result<()> {
        self.blob.raw_bind_parameter(1, blob_key(id, part))?;
        self.blob.raw_bind_parameter(2, row)?;
        self.blob.raw_execute().map(drop)
    }

    fn end(&mut self, id: FlowId, flow: &Packed, damaged: bool) -> rusqlite::Result<()> {
        const DAMAGED: &str = "recorded in part: writing failed while the flow was under way";
        let error = flow.error().or(damaged.then_some(Text(DAMAGED.as_bytes())));
        let updated = self
            .connection
            .prepare_cached(
                "UPDATE flows SET status = ?2, request_bytes = ?3, response_bytes = ?4, duration_us = ?5, error = ?6
                 WHERE id = ?1",
            )?
            .execute((id.0, flow.status, size(flow.seen[0]), size(flow.seen[1]), flow.duration_us, error))?;
        if updated == 0 {
            // Its beginning was lost, and counted.
            return Ok(());
        }
        self.connection.prepare_cached("DELETE FROM unfinished WHERE id = ?1")?.execute([id.0])?;
        self.blob_row(id, CLOSING, flow.row())
    }
}

fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_death_of_the_thread_is_told() {
        let queue = Arc::new(Queue::new(&merlon_config::Recording::default(), 1, Arc::default()));
        let watch = Watch { queue: Arc::clone(&queue) };
        let thread = std::thread::spawn(move || {
            let _watch = watch;
            panic!("as a test");
        });
        assert!(thread.join().is_err());
        let stats = queue.counters.snapshot(0);
        assert!(stats.last_error.unwrap().contains("restart merlond"));
        assert!(queue.is_closed());
        assert_eq!(queue.pulse(), crate::store::Pulse::Dead);
        assert!(queue.try_reserve(1).is_none());
    }
}
