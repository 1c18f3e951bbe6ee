//! Writes checkpoints in the background: the disk must not hold up the run.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::{Checkpoint, CheckpointStore, Problem};

/// A checkpoint to be written, and the file of events that has to be on the disk before.
#[derive(Debug)]
struct Work {
    checkpoint: Checkpoint,
    events: Option<File>,
}

#[derive(Debug, Default)]
struct Slot {
    next: Option<Work>,
    is_busy: bool,
    is_closed: bool,
    /// The last try failed.
    failed: Option<Problem>,
}

#[derive(Debug, Default)]
struct Shared {
    slot: Mutex<Slot>,
    changed: Condvar,
}

fn lock(shared: &Shared) -> MutexGuard<'_, Slot> {
    shared.slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a>(shared: &Shared, slot: MutexGuard<'a, Slot>) -> MutexGuard<'a, Slot> {
    shared.changed.wait(slot).unwrap_or_else(PoisonError::into_inner)
}

/// Writes checkpoints, the latest only. Holds two at most.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts its thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(store: CheckpointStore) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("checkpoint".to_owned());
        let thread = thread.spawn(move || run(&own, &store))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Writes this one, in place of one that waits. `events` is synced before. Does not wait.
    pub fn save(&self, checkpoint: Checkpoint, events: Option<File>) {
        lock(&self.shared).next = Some(Work { checkpoint, events });
        self.shared.changed.notify_all();
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// When the last one could not be.
    pub fn settle(&self) -> Result<(), Problem> {
        let mut slot = lock(&self.shared);
        while slot.next.is_some() || slot.is_busy {
            slot = wait(&self.shared, slot);
        }
        slot.failed.take().map_or(Ok(()), Err)
    }

    /// Why the last one could not be written; said once.
    #[must_use]
    pub fn trouble(&self) -> Option<Problem> {
        lock(&self.shared).failed.take()
    }
}

impl Drop for Keeper {
    /// Writes what waits.
    fn drop(&mut self) {
        lock(&self.shared).is_closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there has been told.
            let _told = thread.join();
        }
    }
}

fn run(shared: &Shared, store: &CheckpointStore) {
    let mut slot = lock(shared);
    loop {
        let Some(Work { checkpoint, events }) = slot.next.take() else {
            if slot.is_closed {
                return;
            }
            slot = wait(shared, slot);
            continue;
        };
        slot.is_busy = true;
        drop(slot);
        let synced = events.map_or(Ok(()), |events| events.sync_data());
        let synced = synced.map_err(|source| Problem::Io {
            action: "sync",
            path: checkpoint.events.as_ref().map_or_else(Default::default, |e| (&*e.path).into()),
            source,
        });
        let saved = synced.and_then(|()| store.save(&checkpoint));
        slot = lock(shared);
        slot.is_busy = false;
        slot.failed = saved.err();
        shared.changed.notify_all();
    }
}
