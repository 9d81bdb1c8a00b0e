//! Between the proxy's tasks and the writer's thread: a bounded queue that a task enters without a system call. The
//! writer is woken when the queue stops being empty, and when a batch is full, not for every flow; between the two it
//! sleeps until the first item has waited its time.
//!
//! What counts against the bound are the bytes of bodies and heads, from the moment they are kept for recording until
//! the commit that holds them (or until they are given up).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use merlon_cipherdb::DbError;
use merlon_config::Recording;
use merlon_sandbox::journal::{self, events};
use merlon_sandbox::secret::Secret;
use tokio::sync::Semaphore;

use super::counters::Counters;
use super::packed::Packed;
use super::pulse::{Pulse, Steps};
use crate::flow::{FlowId, Side};

/// Flows of one commit; more bring little, and on one core a long commit stands in the way of traffic.
pub(super) const BATCH_ITEMS: usize = 96;
/// Bytes of one commit, at most; a small queue has smaller ones.
const BATCH_BYTES: usize = 4 << 20;

/// Something for the writer.
pub(super) struct Item {
    pub(super) id: FlowId,
    /// What is given back once it is done.
    pub(super) charge: usize,
    pub(super) what: What,
}

pub(super) enum What {
    /// A flow that ended before anything of it was written.
    Whole(Packed),
    /// A flow of which something must be written while it is under way.
    Start(Packed),
    /// A piece of a body, and its place there.
    Chunk { side: Side, sequence: u32, at: u64, bytes: Bytes },
    /// The end of a started flow.
    End(Packed),
}

/// What the writer is asked to do between two batches: give the project another key.
pub(super) struct Rekey {
    /// The key that the project has.
    pub(super) key: Secret<32>,
    /// The key that it is to have.
    pub(super) next: Secret<32>,
    /// Told once. Dropped untold if the writer cannot do it now.
    pub(super) done: mpsc::Sender<Result<(), DbError>>,
}

/// The queue of one open project.
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    room: Semaphore,
    limit: usize,
    batch_bytes: usize,
    /// Bytes in buffers of flows under way, part of what is charged.
    buffered: AtomicUsize,
    /// In milliseconds, as the two settings are; these and the next may change while the queue is in use.
    interval: AtomicU32,
    max_wait: AtomicU32,
    pub(super) max_body: AtomicU64,
    next_id: AtomicI64,
    /// Commits fail at present: nobody waits for room.
    failing: AtomicBool,
    /// The project is given another key at present: whoever waits for room waits for its end.
    rekeying: AtomicBool,
    /// Nothing is taken any more.
    closed: AtomicBool,
    steps: Steps,
    pub(super) counters: Arc<Counters>,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    /// When the oldest item came.
    since: Option<Instant>,
    writer: Writer,
    rekey: Option<Rekey>,
    stopping: bool,
}

/// What the writer's thread does.
#[derive(Default, PartialEq, Eq)]
enum Writer {
    /// It works, and will look at the queue itself.
    #[default]
    Busy,
    /// It sleeps until something comes.
    Idle,
    /// It sleeps until the batch is full or its time is up.
    Collecting,
}

impl Queue {
    pub(super) fn new(recording: &Recording, next_id: i64, counters: Arc<Counters>) -> Self {
        let limit = usize::try_from(recording.queue_bytes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            room: Semaphore::new(limit),
            limit,
            batch_bytes: BATCH_BYTES.min(limit / 4),
            buffered: AtomicUsize::new(0),
            interval: AtomicU32::new(recording.batch_milliseconds),
            max_wait: AtomicU32::new(recording.max_wait_milliseconds),
            max_body: AtomicU64::new(recording.max_body_bytes),
            next_id: AtomicI64::new(next_id),
            failing: AtomicBool::new(false),
            rekeying: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            steps: Steps::default(),
            counters,
        }
    }

    /// Takes over what can change while the queue is in use.
    pub(super) fn retune(&self, recording: &Recording) {
        self.interval.store(recording.batch_milliseconds, Ordering::Relaxed);
        self.max_wait.store(recording.max_wait_milliseconds, Ordering::Relaxed);
        self.max_body.store(recording.max_body_bytes, Ordering::Relaxed);
    }

    /// Ids rise in the order of these calls.
    pub(super) fn next_id(&self) -> FlowId {
        FlowId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes room for `bytes`; waits for it, if `patient`, for the configured time. Returns what to give back.
    pub(super) async fn reserve(&self, bytes: usize, patient: bool) -> Option<usize> {
        if let Some(charge) = self.try_reserve(bytes) {
            return Some(charge);
        }
        if !patient || self.failing.load(Ordering::Relaxed) {
            return None;
        }
        let charge = bytes.min(self.limit);
        let permits = u32::try_from(charge).ok()?;
        loop {
            match tokio::time::timeout(milliseconds(&self.max_wait), self.room.acquire_many(permits)).await {
                Ok(permit) => {
                    permit.ok()?.forget();
                    return Some(charge);
                }
                Err(_) if self.rekeying.load(Ordering::Relaxed) => {}
                Err(_) => return None,
            }
        }
    }

    /// Takes room for `bytes`, if there is.
    pub(super) fn try_reserve(&self, bytes: usize) -> Option<usize> {
        let charge = bytes.min(self.limit);
        self.room.try_acquire_many(u32::try_from(charge).ok()?).ok()?.forget();
        Some(charge)
    }

    /// Gives room back.
    pub(super) fn release(&self, charge: usize) {
        if charge > 0 {
            self.room.add_permits(charge);
        }
    }

    /// Bytes that wait for their commit.
    pub(super) fn waiting(&self) -> usize {
        self.limit.saturating_sub(self.room.available_permits())
    }

    /// Counts bytes that a flow under way keeps to itself. False: flows that stand still hold so much of the queue that
    /// this one must pass on what it has.
    pub(super) fn buffer(&self, bytes: usize) -> bool {
        self.buffered.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.limit / 2
    }

    /// The flow passed on, or dropped, what it kept.
    pub(super) fn unbuffer(&self, bytes: usize) {
        self.buffered.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Hands an item to the writer. False: the project is closed; the item's room has been given back.
    pub(super) fn push(&self, item: Item) -> bool {
        let mut state = self.lock();
        if state.stopping {
            drop(state);
            self.release(item.charge);
            return false;
        }
        if state.items.is_empty() {
            state.since = Some(Instant::now());
        }
        state.bytes += item.charge;
        state.items.push_back(item);
        let wake = match state.writer {
            Writer::Busy => false,
            Writer::Idle => true,
            Writer::Collecting => self.is_full(&state),
        };
        if wake {
            state.writer = Writer::Busy;
            drop(state);
            self.wake.notify_one();
        }
        true
    }

    /// Has the writer give the project another key between two batches. Blocks until that is done. None: it was not
    /// tried, because commits fail at present or the project is being closed.
    pub(super) fn rekey(&self, key: Secret<32>, next: Secret<32>) -> Option<Result<(), DbError>> {
        let (done, result) = mpsc::channel();
        let mut state = self.lock();
        if state.stopping || self.failing.load(Ordering::Relaxed) {
            return None;
        }
        self.rekeying.store(true, Ordering::Relaxed);
        state.rekey = Some(Rekey { key, next, done });
        state.writer = Writer::Busy;
        drop(state);
        self.wake.notify_one();
        let result = result.recv().ok();
        self.rekeying.store(false, Ordering::Relaxed);
        result
    }

    /// For the writer: what [`Self::rekey`] asks for, once its batch is written.
    pub(super) fn take_rekey(&self) -> Option<Rekey> {
        self.lock().rekey.take()
    }

    fn is_full(&self, state: &State) -> bool {
        state.items.len() >= BATCH_ITEMS || state.bytes >= self.batch_bytes
    }

    /// For the writer: waits for a batch (or to be asked for a new key) and moves all that waits into `batch`, which is
    /// empty. False: stopped, and nothing is left.
    pub(super) fn collect(&self, batch: &mut VecDeque<Item>) -> bool {
        let _rest = self.steps.rest();
        let mut state = self.lock();
        while state.items.is_empty() && state.rekey.is_none() && !state.stopping {
            state.writer = Writer::Idle;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let deadline = state.since.map(|since| since + milliseconds(&self.interval));
        while let Some(deadline) = deadline
            && !state.stopping
            && state.rekey.is_none()
            && !self.is_full(&state)
        {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.writer = Writer::Collecting;
            (state, _) = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Writer::Busy;
        state.bytes = 0;
        state.since = None;
        std::mem::swap(&mut state.items, batch);
        !batch.is_empty() || state.rekey.is_some()
    }

    /// Whether the writer lives. A new key takes as long as writing the database does.
    pub(super) fn pulse(&self) -> Pulse {
        if self.is_closed() {
            Pulse::Dead
        } else if self.rekeying.load(Ordering::Relaxed) {
            Pulse::Resting
        } else {
            self.steps.look()
        }
    }

    /// For the writer, before each commit: how many items from the front of `batch` go into it.
    pub(super) fn slice_of(&self, batch: &VecDeque<Item>) -> usize {
        self.steps.step();
        let mut bytes = 0;
        let fits = |item: &&Item| {
            bytes += item.charge;
            bytes <= self.batch_bytes
        };
        batch.iter().take(BATCH_ITEMS).take_while(fits).count().max(1)
    }

    /// For the writer, between two tries: sleeps unless stopped. True: stopped.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let _rest = self.steps.rest();
        let state = self.lock();
        let (state, _) =
            self.wake.wait_timeout_while(state, time, |state| !state.stopping).unwrap_or_else(PoisonError::into_inner);
        state.stopping
    }

    /// A commit failed. Until one succeeds, full means gone: traffic does not wait for a disk. Told once.
    pub(super) fn fails(&self, why: String) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            journal::event(&events::RECORDING_FAILED, format_args!("recording fails: {why}"));
        }
        self.counters.failed(why);
    }

    /// A commit succeeded.
    pub(super) fn works(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            let missed = self.counters.snapshot(0).unrecorded;
            let message = format_args!("recording works again; {missed} flows since the start were not recorded");
            journal::event(&events::RECORDING_RESUMED, message);
            self.counters.recovered();
        }
    }

    /// Takes nothing more; the writer ends once it has written what waits.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.closed.store(true, Ordering::Relaxed);
        self.room.close();
        self.wake.notify_all();
    }

    /// The writer is gone. Returns the flows that nobody will write.
    pub(super) fn abandon(&self) -> VecDeque<Item> {
        self.stop();
        let mut state = self.lock();
        // Whoever waits for it is told by the drop.
        state.rekey = None;
        std::mem::take(&mut state.items)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn milliseconds(setting: &AtomicU32) -> Duration {
    Duration::from_millis(setting.load(Ordering::Relaxed).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An interval that no test lives to see.
    fn queue() -> Queue {
        Queue::new(&Recording { batch_milliseconds: u32::MAX, ..Recording::default() }, 1, Arc::default())
    }

    fn item(queue: &Queue, bytes: usize) -> Item {
        let charge = queue.try_reserve(bytes).unwrap();
        Item {
            id: queue.next_id(),
            charge,
            what: What::Chunk { side: Side::Request, sequence: 1, at: 0, bytes: Bytes::new() },
        }
    }

    #[test]
    fn a_full_batch_does_not_wait_for_its_time() {
        for (items, bytes) in [(BATCH_ITEMS, 1), (4, BATCH_BYTES / 4)] {
            let queue = queue();
            let mut batch = VecDeque::new();
            std::thread::scope(|scope| {
                let collected = scope.spawn(|| queue.collect(&mut batch));
                for _ in 0..items {
                    assert!(queue.push(item(&queue, bytes)));
                }
                assert!(collected.join().unwrap());
            });
            assert_eq!((batch.len(), queue.slice_of(&batch)), (items, items));
        }
    }

    #[test]
    fn a_stop_hands_over_what_waits_and_takes_no_more() {
        let queue = queue();
        let mut batch = VecDeque::new();
        std::thread::scope(|scope| {
            let collected = scope.spawn(|| queue.collect(&mut batch));
            assert!(queue.push(item(&queue, 10)));
            let late = item(&queue, 10);
            queue.stop();
            assert!(!queue.push(late));
            assert!(collected.join().unwrap());
        });
        assert_eq!((batch.len(), queue.waiting()), (1, 10));
        assert!(queue.try_reserve(1).is_none());
        batch.clear();
        assert!(!queue.collect(&mut batch));
    }

    #[test]
    fn a_commit_takes_no_more_than_a_batch() {
        let queue = queue();
        let batch: VecDeque<Item> = (0..3).map(|_| item(&queue, BATCH_BYTES / 2 + 1)).collect();
        assert_eq!(queue.slice_of(&batch), 1);
    }
}
