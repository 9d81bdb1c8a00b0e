//! The audit log: what happened to the keys, one line an event, chained and authenticated.
//!
//! Owns the files `audit.log` and `audit.log.N`, and what waits to be written to them. Events from before the instance
//! is open wait in memory, for the key is in `secrets.db`. The format is in `docs/audit.md`.
//!
//! Nothing is refused because the log cannot be written: an owner whose disk is full must still be able to revoke a
//! token. Such events wait, those beyond a bound are counted, and status says so.

mod event;
mod file;
mod line;
mod list;
#[cfg(test)]
mod tests;
mod verify;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use merlon_sandbox::journal;
use merlon_sandbox::secret::Secret;
use merlon_wire::admin::{AuditEntry, AuditVerdict};

use crate::clock::{self, Uptime};
use crate::crypto::CryptoError;
use crate::instance_id::InstanceId;
use crate::keeper::{Open, unpoisoned};
use crate::log;
use crate::secrets_db::{SecretName, SecretsDb, SecretsError};
use file::{FILE, FILE_LIMIT, Found, Log};

pub(crate) use event::Event;
pub(crate) use line::Head;

/// Events that wait at most.
const WAITING: usize = 256;
/// The engine may cause so many entries an hour; what it causes beyond is counted. It is assumed hostile.
const ENGINE_ENTRIES: u32 = 256;
const HOUR: Duration = Duration::from_secs(3600);
/// Certificates are counted: after so many an entry is written,
const LEAVES: u64 = 256;
/// or with whatever comes after so long.
const LEAVES_WAIT: Duration = Duration::from_secs(900);

/// Why the log could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    /// Its files.
    #[error("{FILE}: {0}")]
    Io(#[from] io::Error),
    /// Its key or its head.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Memory.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// The audit log of an instance.
pub(crate) struct Audit {
    dir: PathBuf,
    uptime: Uptime,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Once the instance is open.
    log: Option<Log>,
    /// With the time when they happened.
    waiting: Vec<(i64, Event)>,
    /// Those that no longer found room to wait.
    dropped: u64,
    /// What the engine caused beyond its bound.
    unwritten: u64,
    /// The hour, since the start, that `by_engine` counts.
    hour: u64,
    by_engine: u32,
    leaves: u64,
    /// When the first of `leaves` was issued.
    leaves_since: Duration,
    /// What a start found, for status.
    found: Option<String>,
    /// Why the last write failed, for status.
    failing: Option<String>,
}

impl Audit {
    /// The log in `dir`; no file is touched before the instance is open.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), uptime: Uptime::start(), state: Mutex::default() }
    }

    /// Writes events in one write, or keeps them until they can be written. They are on disk when this returns, unless
    /// status says otherwise.
    pub(crate) fn record(&self, open: Option<&Open>, events: impl IntoIterator<Item = Event>) {
        let mut state = unpoisoned(self.state.lock());
        events.into_iter().for_each(|event| state.add(event));
        self.flush(&mut state, open);
    }

    /// As [`Self::record`], for what the engine can cause as often as it likes.
    pub(crate) fn record_of_engine(&self, open: Option<&Open>, event: Event) {
        let mut state = unpoisoned(self.state.lock());
        let hour = self.uptime.now().as_secs() / HOUR.as_secs();
        if state.hour != hour {
            (state.hour, state.by_engine) = (hour, 0);
        }
        state.by_engine = state.by_engine.saturating_add(1);
        if state.by_engine > ENGINE_ENTRIES {
            journal::event(event.in_journal(), format_args!("audit (counted only): {}", event.fields()));
            state.unwritten += 1;
            return;
        }
        state.add(event);
        self.flush(&mut state, open);
    }

    /// Counts a certificate that was issued.
    pub(crate) fn leaf(&self, open: &Open) {
        let mut state = unpoisoned(self.state.lock());
        if state.leaves == 0 {
            state.leaves_since = self.uptime.now();
        }
        state.leaves += 1;
        if state.leaves >= LEAVES {
            self.flush(&mut state, Some(open));
        }
    }

    /// Writes what was only counted so far, and the end. The last call.
    pub(crate) fn stop(&self, open: Option<&Open>) {
        let mut state = unpoisoned(self.state.lock());
        state.take_counts();
        state.add(Event::Stop {});
        self.flush(&mut state, open);
    }

    /// What an operator should know; whole sentences.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let state = unpoisoned(self.state.lock());
        let failing = state.failing.as_ref().map(|why| {
            let events = state.waiting.len() as u64 + state.dropped;
            format!("The audit log cannot be written ({why}); {events} events are not in it yet. Nothing is refused because of it: make room, or mend the disk.")
        });
        state.found.clone().into_iter().chain(failing).collect()
    }

    /// Entries, newest first; see [`list::entries`].
    pub(crate) fn list(&self, open: &Open, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, AuditError> {
        let mut state = unpoisoned(self.state.lock());
        let log = self.log(&mut state, open)?;
        Ok(list::entries(&self.dir, &log.key, before, limit)?)
    }

    /// Reads the whole log against its key and the head in `secrets.db`. Events go on meanwhile.
    pub(crate) fn verify(&self, open: &Open) -> Result<AuditVerdict, AuditError> {
        let (files, key, head) = {
            let mut state = unpoisoned(self.state.lock());
            let log = self.log(&mut state, open)?;
            let key = Secret::init(|bytes| bytes.copy_from_slice(log.key.expose())).map_err(CryptoError::from)?;
            (verify::Files::open(&self.dir)?, key, log.head)
        };
        Ok(files.verify(&key, Head::genesis(open.master.instance()), head)?)
    }

    /// Writes all that waits, if the instance is open.
    fn flush(&self, state: &mut State, open: Option<&Open>) {
        let Some(open) = open else { return };
        let wait_is_over = self.uptime.now().saturating_sub(state.leaves_since) >= LEAVES_WAIT;
        if state.leaves >= LEAVES || wait_is_over {
            state.take_counts();
        }
        let written = self.log(state, open).map(|_| ()).and_then(|()| state.write(&open.db()));
        state.failing = match written {
            Ok(()) => None,
            Err(error) => {
                if state.failing.is_none() {
                    log::error(format_args!("the audit log cannot be written: {error}"));
                }
                Some(error.to_string())
            }
        };
    }

    /// The log, opened with the first use after the instance was.
    fn log<'a>(&self, state: &'a mut State, open: &Open) -> Result<&'a mut Log, AuditError> {
        let opened = match state.log.take() {
            Some(log) => log,
            None => {
                let (log, found) = open_log(&self.dir, &open.db(), open.master.instance(), FILE_LIMIT)?;
                state.tell(&found);
                log
            }
        };
        Ok(state.log.insert(opened))
    }
}

/// Opens the files with the key from `secrets.db`, which is made if this instance never had one.
fn open_log(dir: &Path, db: &SecretsDb, instance: &InstanceId, limit: u64) -> Result<(Log, Found), AuditError> {
    let key = match db.secret(SecretName::AuditKey)? {
        Some(key) => key,
        None => {
            let key = Secret::random().map_err(CryptoError::from)?;
            db.put_secret(SecretName::AuditKey, &key)?;
            key
        }
    };
    let known = db.audit_head()?;
    let (log, found) = Log::open(dir, key, known.unwrap_or_else(|| Head::genesis(instance)), limit)?;
    // Before anything is added: a second moment unknown to `secrets.db` would look like an old copy of it.
    if known.is_some_and(|known| known != log.head) || (known.is_none() && log.head.sequence > 0) {
        db.set_audit_head(&log.head)?;
    }
    Ok((log, found))
}

impl State {
    /// Lets an event wait, and tells the journal.
    fn add(&mut self, event: Event) {
        journal::event(event.in_journal(), format_args!("audit: {}", event.fields()));
        if self.waiting.len() < WAITING {
            self.waiting.push((clock::now_us(), event));
        } else {
            self.dropped += 1;
        }
    }

    /// Makes events of what was counted.
    fn take_counts(&mut self) {
        let (leaves, unwritten) = (std::mem::take(&mut self.leaves), std::mem::take(&mut self.unwritten));
        if leaves > 0 {
            self.add(Event::Leaves { count: leaves });
        }
        if unwritten > 0 {
            self.add(Event::Unwritten { count: unwritten, why: "more than 256 in an hour by the engine" });
        }
    }

    /// Puts what a start found into words, and among the events.
    fn tell(&mut self, found: &Found) {
        let verify = "`merlon audit verify` names the place";
        let (event, sentence) = match *found {
            Found::Whole => return,
            Found::Torn { bytes } => {
                let sentence = format!(
                    "The last line of {FILE} was cut short by a crash; {bytes} bytes were removed that never counted."
                );
                (Event::AuditRepaired { bytes }, sentence)
            }
            Found::SecretsOlder { known, last } => {
                let sentence = format!(
                    "secrets.db is older than the audit log: it knows entry {known}, and the log goes on to {last}. If you did not put an old copy back, somebody did."
                );
                (Event::SecretsOlder { known, last }, sentence)
            }
            Found::Cut { last, written } if last < written => {
                let sentence = format!(
                    "The audit log was cut at its tail: its last entry is {last}, and {written} were written; {verify}."
                );
                (Event::AuditCut { last, written }, sentence)
            }
            Found::Cut { last, written } => {
                let sentence = format!("The audit log was altered at its end, after entry {written}; {verify}.");
                (Event::AuditCut { last, written }, sentence)
            }
        };
        journal::event(event.in_journal(), format_args!("{sentence}"));
        self.found = Some(sentence);
        // First, so that it stands right after the place.
        self.waiting.insert(0, (clock::now_us(), event));
    }

    fn write(&mut self, db: &SecretsDb) -> Result<(), AuditError> {
        let Some(log) = &mut self.log else { return Ok(()) };
        if self.dropped > 0 {
            let event = Event::Unwritten { count: self.dropped, why: "too many while they could not be written" };
            self.waiting.push((clock::now_us(), event));
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        let written = log.append(&self.waiting, |head| db.set_audit_head(head));
        if written.is_ok() {
            self.waiting.clear();
            self.dropped = 0;
        } else if self.dropped > 0 {
            self.waiting.pop();
        }
        written
    }
}
