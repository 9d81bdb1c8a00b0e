//! Whether the writer's thread moves, seen from outside: a number that it changes at each step of its work.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is seen of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// There is nothing to do, or what is under way may take any time.
    Resting,
    /// It works; the same number at two looks means that it has not moved in between.
    Working(u64),
    /// It has ended while a project is open.
    Dead,
}

/// Counted by the writer: even while it rests, odd while it works.
pub(super) struct Steps(AtomicU64);

impl Default for Steps {
    fn default() -> Self {
        Self(AtomicU64::new(1))
    }
}

impl Steps {
    /// For the writer, between two pieces of work.
    pub(super) fn step(&self) {
        self.0.fetch_add(2, Ordering::Relaxed);
    }

    /// For the writer: goes to rest until what is returned is dropped.
    pub(super) fn rest(&self) -> impl Drop {
        self.0.fetch_add(1, Ordering::Relaxed);
        Rest(&self.0)
    }

    pub(super) fn look(&self) -> Pulse {
        match self.0.load(Ordering::Relaxed) {
            steps if steps % 2 == 0 => Pulse::Resting,
            steps => Pulse::Working(steps),
        }
    }
}

struct Rest<'a>(&'a AtomicU64);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_moves_and_rest_is_told_from_it() {
        let steps = Steps::default();
        let first = steps.look();
        assert!(matches!(first, Pulse::Working(_)));
        steps.step();
        let second = steps.look();
        assert!(matches!(second, Pulse::Working(_)) && second != first);
        let rest = steps.rest();
        assert_eq!(steps.look(), Pulse::Resting);
        drop(rest);
        assert!(matches!(steps.look(), Pulse::Working(_)) && steps.look() != second);
    }
}
