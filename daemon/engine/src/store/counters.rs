//! What the recorder has done since the start, over all projects.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use merlon_api::status::RECOVERED;

/// A snapshot for status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// Flows committed.
    pub(crate) recorded: u64,
    /// Flows that passed and were not recorded, or not to their end.
    pub(crate) unrecorded: u64,
    /// Bodies of which not every byte was kept.
    pub(crate) truncated_bodies: u64,
    /// Bytes that wait for their commit.
    pub(crate) waiting_bytes: u64,
    /// The last failure to record, with what to do.
    pub(crate) last_error: Option<String>,
}

/// Counted by the recorder and the writer.
#[derive(Debug, Default)]
pub(super) struct Counters {
    recorded: AtomicU64,
    unrecorded: AtomicU64,
    truncated: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Counters {
    pub(super) fn recorded(&self, flows: u64) {
        self.recorded.fetch_add(flows, Relaxed);
    }

    pub(super) fn unrecorded(&self, flows: u64) {
        self.unrecorded.fetch_add(flows, Relaxed);
    }

    pub(super) fn truncated(&self) {
        self.truncated.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self, error: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Why nothing can be recorded at all; `None` once that is over.
    pub(super) fn opening(&self, failure: Option<String>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Commits succeed again; what had failed stays readable.
    pub(super) fn recovered(&self) {
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &mut *last {
            *error = format!("{RECOVERED}; before: {error}");
        }
    }

    pub(super) fn snapshot(&self, waiting_bytes: u64) -> Stats {
        Stats {
            recorded: self.recorded.load(Relaxed),
            unrecorded: self.unrecorded.load(Relaxed),
            truncated_bodies: self.truncated.load(Relaxed),
            waiting_bytes,
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
