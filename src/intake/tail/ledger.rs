//! What was given to the run, and what the run has taken.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::intake::Mark;
use crate::intake::checkpoint::{Checkpoint, Events, MAX_FILES, Position};

/// Parcels that may wait to be taken; the tail reads no further then.
const MAX_WAITING: usize = 1_024;

/// What a parcel changes: of the file with this number, its position; `None`: it is forgotten.
pub(super) type Change = (u64, Option<Position>);

#[derive(Debug, Default)]
struct Books {
    sequence: u64,
    waiting: VecDeque<(u64, Vec<Change>)>,
    taken: BTreeMap<u64, Position>,
    /// Something was taken since the checkpoint was asked for.
    is_fresh: bool,
}

/// Positions that were given, and those that were taken. Shared by the tail's thread and the run's.
/// Holds 1,024 changes, and a position for each file.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Books>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a parcel changes; answers with the number of its mark.
    pub(super) fn give(&self, changes: Vec<Change>) -> u64 {
        let mut books = self.lock();
        books.sequence += 1;
        let sequence = books.sequence;
        books.waiting.push_back((sequence, changes));
        sequence
    }

    /// What an earlier run had taken.
    pub(super) fn restore(&self, number: u64, position: Position) {
        let mut books = self.lock();
        books.taken.insert(number, position);
        books.is_fresh = true;
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().waiting.len() >= MAX_WAITING
    }

    /// Everything up to a mark is with the outputs.
    pub fn taken(&self, mark: Mark) {
        let mut books = self.lock();
        while books.waiting.front().is_some_and(|(sequence, _)| *sequence <= mark.sequence) {
            let Some((_, changes)) = books.waiting.pop_front() else { break };
            for (number, position) in changes {
                match position {
                    Some(position) => books.taken.insert(number, position),
                    None => books.taken.remove(&number),
                };
            }
            books.is_fresh = true;
        }
        while books.taken.len() > MAX_FILES {
            let done = books.taken.iter().find(|(_, position)| position.is_done);
            let Some(number) = done.or_else(|| books.taken.first_key_value()).map(|of| *of.0)
            else {
                break;
            };
            books.taken.remove(&number);
        }
    }

    /// Whether something was taken since [`checkpoint`](Self::checkpoint) was asked for.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.lock().is_fresh
    }

    /// What was taken so far, together with the file of events that has all of it and no more.
    #[must_use]
    pub fn checkpoint(&self, events: Option<Events>) -> Checkpoint {
        let mut books = self.lock();
        books.is_fresh = false;
        Checkpoint::new(books.taken.values().cloned().collect(), events)
    }
}
