//! Where everybody stands: bounded, and whoever is at a limit is not forgotten.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use super::gcra::{Due, Rate, is_rested};

/// A full table is gone through for those who are rested at most so often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Keys and where they stand.
#[derive(Debug)]
pub(super) struct Table<K> {
    due: HashMap<K, Due>,
    max: usize,
    swept: Option<Duration>,
    /// Of all who find no room.
    others: Due,
}

/// A call that may pass: taken into account once all limits let it.
#[derive(Debug)]
pub(super) struct Taken<K> {
    key: Option<K>,
    due: Due,
}

impl<K: Hash + Eq> Table<K> {
    pub(super) fn new(max: usize) -> Self {
        Self { due: HashMap::new(), max, swept: None, others: 0 }
    }

    /// Whether a call of somebody may pass now.
    pub(super) fn ask(&mut self, key: K, rate: Rate, now: Duration) -> Result<Taken<K>, Duration> {
        if let Some(due) = self.due.get(&key) {
            return Ok(Taken { due: rate.take(*due, now)?, key: Some(key) });
        }
        if self.due.len() >= self.max {
            self.sweep(now);
        }
        if self.due.len() >= self.max {
            return Ok(Taken { due: rate.take(self.others, now)?, key: None });
        }
        Ok(Taken { due: rate.take(0, now)?, key: Some(key) })
    }

    /// It passes.
    pub(super) fn keep(&mut self, taken: Taken<K>) {
        match taken.key {
            Some(key) => drop(self.due.insert(key, taken.due)),
            None => self.others = taken.due,
        }
    }

    /// Forgets those who stand as if they had never called.
    fn sweep(&mut self, now: Duration) {
        let is_due = self.swept.is_none_or(|last| now.saturating_sub(last) >= SWEEP_EVERY);
        if is_due {
            self.swept = Some(now);
            self.due.retain(|_, due| !is_rested(*due, now));
        }
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}
