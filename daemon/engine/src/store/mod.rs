//! The store: the open project as an encrypted database, one thread that writes it, and connections that read it.
//!
//! It owns the files below `projects/`, the order in which a flow becomes visible (never before its commit), and what
//! gives way under load. It knows no HTTP and no user: rights are judged by the API, bytes are made by the proxy.

mod backup;
#[cfg(feature = "bench")]
pub(crate) mod bench;
mod body;
mod codec;
mod counters;
mod detail;
mod error;
mod list;
mod packed;
mod pulse;
mod queue;
mod readers;
mod record;
mod recorder;
mod schema;
mod segment;
mod summary;
mod writer;

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;

use merlon_config::Recording;
use merlon_sandbox::secret::Secret;
use tokio::sync::broadcast;

pub(crate) use backup::{Backup, Copied};
pub(crate) use counters::Stats;
pub(crate) use detail::Detail;
pub(crate) use error::StoreError;
pub(crate) use list::{ListAsk, Page};
pub(crate) use pulse::Pulse;
pub(crate) use recorder::{FlowRecord, Recorder};
pub(crate) use summary::Summary;

use crate::flow::{FlowId, Side};
use crate::query::Ast;
use counters::Counters;
use queue::Queue;
use readers::Readers;

/// Batches of events that a slow receiver may be behind before it is told that it lagged.
const EVENT_BATCHES: usize = 64;

/// Which project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProjectMeta {
    /// The keeper's number for it.
    pub(crate) id: u64,
    /// As the user named it.
    pub(crate) name: String,
}

/// The store of an instance. Cheap to clone; the last clone closes the project.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    directory: PathBuf,
    recording: Mutex<Recording>,
    shared: Arc<Shared>,
    /// Held while a project is opened or closed.
    switching: Mutex<()>,
    /// The project that is being copied for a backup.
    copying: Mutex<Option<u64>>,
}

/// What recorders need of a store.
struct Shared {
    current: RwLock<Option<Arc<Session>>>,
    counters: Arc<Counters>,
    events: broadcast::Sender<Arc<[Summary]>>,
}

impl Shared {
    fn session(&self) -> Option<Arc<Session>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn queue(&self) -> Option<Arc<Queue>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|session| Arc::clone(&session.queue))
    }
}

/// An open project.
struct Session {
    project: ProjectMeta,
    queue: Arc<Queue>,
    readers: Readers,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// The database, for backups.
    file: OnceLock<File>,
}

impl Session {
    /// Commits what waits, then ends the writer and the readers.
    fn close(&self) {
        self.queue.stop();
        self.readers.close();
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic has been told by the thread's own guard.
            let _ = writer.join();
        }
    }
}

impl Session {
    /// Gives the project another key, between two commits; reads wait meanwhile, and traffic once the queue is full.
    fn rekey(&self, key: Secret<32>, next: Secret<32>) -> Result<(), StoreError> {
        if self.readers.has(&next)? {
            return Ok(());
        }
        let for_readers = Secret::init(|place| place.copy_from_slice(next.expose()))?;
        self.readers.pause()?;
        let done = self.queue.rekey(key, next);
        self.readers.resume(matches!(done, Some(Ok(()))).then_some(for_readers));
        done.ok_or(StoreError::NotRekeyed)?.map_err(StoreError::Read)
    }
}

impl Store {
    /// A store below `directory`, with no project open.
    pub(crate) fn new(directory: &Path, recording: &Recording) -> Self {
        let shared = Shared {
            current: RwLock::new(None),
            counters: Arc::default(),
            events: broadcast::Sender::new(EVENT_BATCHES),
        };
        Self(Arc::new(Inner {
            directory: directory.to_owned(),
            recording: Mutex::new(recording.clone()),
            shared: Arc::new(shared),
            switching: Mutex::new(()),
            copying: Mutex::new(None),
        }))
    }

    /// Opens a project, or creates its file; the one open before is drained and closed once the new one is ready.
    /// Blocks.
    pub(crate) fn open(&self, project: ProjectMeta, key: Secret<32>) -> Result<(), StoreError> {
        let _switching = self.0.switching.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &self.0.shared;
        // The same project again: only to bring back a recorder whose thread died.
        if shared.session().is_some_and(|open| open.project.id == project.id && !open.queue.is_closed()) {
            return Ok(());
        }
        self.0.may_open(project.id)?;
        let path = schema::project_path(&self.0.directory, project.id);
        let opened = schema::open(&path, &project, &key)?;
        let recording = self.0.recording.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let queue = Arc::new(Queue::new(&recording, opened.next_id, Arc::clone(&shared.counters)));
        let writer = writer::spawn(opened.connection, path.clone(), Arc::clone(&queue), shared.events.clone())
            .map_err(StoreError::Thread)?;
        let readers = Readers::new(path, key);
        let session = Session { project, queue, readers, writer: Mutex::new(Some(writer)), file: OnceLock::new() };
        let before = shared.current.write().unwrap_or_else(PoisonError::into_inner).replace(Arc::new(session));
        if let Some(before) = before {
            before.close();
        }
        Ok(())
    }

    /// Gives a project another key, open or not: nothing opens its database with the old one afterwards. Done already is
    /// no error. Blocks, for as long as writing the database twice takes.
    pub(crate) fn rekey(&self, id: u64, key: Secret<32>, next: Secret<32>) -> Result<(), StoreError> {
        let switching = self.0.switching.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.may_open(id)?;
        match self.0.shared.session().filter(|open| open.project.id == id) {
            Some(open) => {
                // A stop must not wait for what may wait itself, for room on the disk.
                drop(switching);
                open.rekey(key, next)
            }
            None => schema::rekey(&schema::project_path(&self.0.directory, id), id, &key, &next),
        }
    }

    /// The open project.
    pub(crate) fn current(&self) -> Option<ProjectMeta> {
        self.0.shared.session().map(|session| session.project.clone())
    }

    /// For the proxy; follows the open project.
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder(Arc::clone(&self.0.shared))
    }

    /// A page of committed flows. Blocks, for about a second at most.
    pub(crate) fn list(&self, ask: &ListAsk) -> Result<Page, StoreError> {
        self.session()?.readers.with(|connection| list::page(connection, ask))
    }

    /// How many committed flows match. Blocks; a query about bodies may take long, and ends with an error then.
    pub(crate) fn count(&self, query: Option<&Ast>) -> Result<u64, StoreError> {
        self.session()?.readers.with(|connection| list::count(connection, query))
    }

    /// All of one flow but its bodies. Blocks.
    pub(crate) fn flow(&self, id: FlowId) -> Result<Option<Detail>, StoreError> {
        self.session()?.readers.with(|connection| detail::read(connection, id))
    }

    /// Bytes of a body, at most 1 MiB and as many as are kept; none if there is no such flow. Blocks.
    pub(crate) fn body(&self, id: FlowId, side: Side, range: Range<u64>) -> Result<Option<Vec<u8>>, StoreError> {
        self.session()?.readers.with(|connection| body::read(connection, id, side, range))
    }

    fn session(&self) -> Result<Arc<Session>, StoreError> {
        self.0.shared.session().ok_or(StoreError::NoProject)
    }

    /// Flows as they are committed, in batches: each when it is first shown, and again when it ends.
    pub(crate) fn events(&self) -> broadcast::Receiver<Arc<[Summary]>> {
        self.0.shared.events.subscribe()
    }

    /// Why there is no project to record into, for the status; `None` once there is.
    pub(crate) fn tell(&self, failure: Option<String>) {
        self.0.shared.counters.opening(failure);
    }

    /// What was recorded and what was not, since the start.
    pub(crate) fn stats(&self) -> Stats {
        let waiting = self.0.shared.queue().map_or(0, |queue| queue.waiting());
        self.0.shared.counters.snapshot(waiting as u64)
    }

    /// Takes over other settings: at once, but for `queue_bytes`, which counts from the next opening of a project.
    pub(crate) fn retune(&self, recording: &Recording) {
        *self.0.recording.lock().unwrap_or_else(PoisonError::into_inner) = recording.clone();
        if let Some(queue) = self.0.shared.queue() {
            queue.retune(recording);
        }
    }

    /// Whether the thread that writes moves; without a project there is none, and nothing to do.
    pub(crate) fn pulse(&self) -> Pulse {
        self.0.shared.queue().map_or(Pulse::Resting, |queue| queue.pulse())
    }

    /// Removes a project's files. Its key must be forgotten by the keeper first: what the disk keeps is noise then.
    pub(crate) fn delete_project_files(&self, id: u64) -> Result<(), StoreError> {
        let _switching = self.0.switching.lock().unwrap_or_else(PoisonError::into_inner);
        if self.current().is_some_and(|project| project.id == id) {
            return Err(StoreError::StillOpen(id));
        }
        let path = schema::project_path(&self.0.directory, id);
        let directory = path.parent().unwrap_or(&self.0.directory);
        let gone = schema::remove(&path).and_then(|()| segment::remove_all(&segment::directory(&path)));
        let gone = gone.and_then(|()| match File::open(directory) {
            Ok(directory) => directory.sync_all(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        });
        gone.map_err(|source| StoreError::Files { path, source })
    }

    /// Drains, commits and closes the open project, if any. Blocks.
    pub(crate) fn close(&self) {
        let _switching = self.0.switching.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        let session = self.shared.current.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(session) = session {
            session.close();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
