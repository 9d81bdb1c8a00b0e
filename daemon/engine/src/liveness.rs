//! Does the engine live? Asked before each feeding of the watchdog, of what could stand still while the process is there:
//! the runtime, the tasks that accept, the thread that writes. A peer that is away is no reason: it is started again by
//! itself, and killing the engine would end connections for nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::store::{Pulse, Store};

/// How long one step of the writer may take at least: a disk that is slow is no reason to end connections, which go on
/// without it.
const SLOW_DISK: Duration = Duration::from_secs(60);

/// Set once a task has ended that must not end before the stop. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Fallen(Arc<AtomicBool>);

impl Fallen {
    /// A task that accepts connections has ended.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is looked at.
pub(crate) struct Liveness {
    store: Store,
    accepting: Fallen,
    writer: Movement,
}

impl Liveness {
    /// Looks at this store and these tasks.
    pub(crate) fn new(store: Store, accepting: Fallen) -> Self {
        Self { store, accepting, writer: Movement::default() }
    }

    /// # Errors
    /// What stands still, and has for `patience` where work may take a while.
    pub(crate) async fn check(&mut self, patience: Duration) -> Result<(), &'static str> {
        if self.accepting.is_set() {
            return Err("a task that accepts connections has ended");
        }
        self.writer.look(self.store.pulse(), Instant::now(), patience.max(SLOW_DISK))?;
        // This future is polled by the main thread; connections are served by others.
        match timeout(patience, tokio::spawn(async {})).await {
            Ok(Ok(())) => Ok(()),
            _ => Err("the runtime takes no tasks"),
        }
    }
}

/// What was last seen of the writer, and since when.
#[derive(Default)]
struct Movement(Option<(Pulse, Instant)>);

impl Movement {
    fn look(&mut self, pulse: Pulse, now: Instant, patience: Duration) -> Result<(), &'static str> {
        match (pulse, &self.0) {
            (Pulse::Dead, _) => return Err("the thread that records has ended"),
            (Pulse::Working(_), Some((before, since))) if *before == pulse => {
                return if now.saturating_duration_since(*since) < patience {
                    Ok(())
                } else {
                    Err("the thread that records stands still")
                };
            }
            _ => self.0 = Some((pulse, now)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use merlon_config::Recording;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(15);

    #[test]
    fn a_writer_that_stands_still_is_found_and_one_that_rests_is_not() {
        let mut seen = Movement::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(seen.look(Pulse::Working(1), at(0), PATIENCE).is_ok());
        assert!(seen.look(Pulse::Working(1), at(14), PATIENCE).is_ok());
        assert!(seen.look(Pulse::Working(1), at(15), PATIENCE).is_err());
        assert!(seen.look(Pulse::Working(2), at(16), PATIENCE).is_ok());
        for later in [30, 60, 90] {
            assert!(seen.look(Pulse::Resting, at(later), PATIENCE).is_ok());
        }
        assert!(seen.look(Pulse::Working(2), at(100), PATIENCE).is_ok());
        assert!(seen.look(Pulse::Dead, at(101), PATIENCE).is_err());
    }

    #[tokio::test]
    async fn an_accepting_task_that_has_ended_is_found() {
        let store = Store::new(&std::env::temp_dir(), &Recording::default());
        let accepting = Fallen::default();
        let mut liveness = Liveness::new(store, accepting.clone());
        assert_eq!(liveness.check(PATIENCE).await, Ok(()));
        accepting.set();
        assert!(liveness.check(PATIENCE).await.is_err());
    }
}
