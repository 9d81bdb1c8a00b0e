//! Clients that were looked up, kept until one of them changes. Each request needs one, and few change.
//!
//! Whoever changes a client need not know of this: triggers of the writer's own connection tell which ones were touched,
//! and before anybody hears that a change is committed, they are forgotten here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use super::StoreError;
use crate::clients::Client;

/// The most that are kept; beyond it all are forgotten.
const MOST: usize = 4096;

/// Columns of which a [`Client`] is made, but for its id, which never changes.
const TRIGGERS: &str = "
    CREATE TEMP TRIGGER client_changed AFTER UPDATE ON main.clients
    WHEN (OLD.kind, OLD.metadata, OLD.auth, OLD.secret, OLD.thumbprint, OLD.owner, OLD.version)
        IS NOT (NEW.kind, NEW.metadata, NEW.auth, NEW.secret, NEW.thumbprint, NEW.owner, NEW.version)
    BEGIN SELECT client_touched(OLD.id); END;
    CREATE TEMP TRIGGER client_gone AFTER DELETE ON main.clients
    BEGIN SELECT client_touched(OLD.id); END;
";

/// Clones share it.
#[derive(Clone, Default)]
pub(super) struct Cached(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    clients: HashMap<String, Arc<Client>>,
    /// Touched by the transaction under way.
    touched: Vec<String>,
    /// Grows with each transaction that touched one: what was read before it is not kept after it.
    age: u64,
}

impl Cached {
    /// Has the connection that writes tell of each client that it touches.
    pub(super) fn watch(&self, writer: &Connection) -> Result<(), StoreError> {
        let cached = self.clone();
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
        writer.create_scalar_function("client_touched", 1, flags, move |context| {
            cached.lock().touched.push(context.get(0)?);
            Ok(rusqlite::types::Null)
        })?;
        Ok(writer.execute_batch(TRIGGERS)?)
    }

    /// The client, if it is kept; else the age to give to [`Self::keep`].
    pub(super) fn get(&self, id: &str) -> Result<Arc<Client>, u64> {
        let inner = self.lock();
        inner.clients.get(id).cloned().ok_or(inner.age)
    }

    /// Keeps what was read after [`Self::get`] gave this age, unless a client was touched meanwhile.
    pub(super) fn keep(&self, client: &Arc<Client>, age: u64) {
        let mut inner = self.lock();
        if inner.age == age {
            if inner.clients.len() >= MOST {
                inner.clients.clear();
            }
            inner.clients.insert(client.id.clone(), Arc::clone(client));
        }
    }

    /// A transaction ended, in whatever way: what it touched is forgotten. To be called before anybody hears of it.
    pub(super) fn settle(&self) {
        let mut inner = self.lock();
        if inner.touched.is_empty() {
            return;
        }
        inner.age += 1;
        let touched = std::mem::take(&mut inner.touched);
        for id in touched {
            inner.clients.remove(&id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under the lock; a poisoned table would still be whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
