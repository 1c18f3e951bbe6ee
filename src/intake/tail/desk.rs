//! Where lines of all files become parcels.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::dialect::Dialects;
use super::ledger::{Change, Ledger};
use super::{AddSource, Told};
use crate::intake::{Counts, Mark, NotTaken, Outlet, Parcel};
use crate::logs::{self, Place, Scratch, Stance};
use crate::mcp::Tap;
use crate::time::Timestamp;

/// A run that has no room is asked again after this time.
const PAUSE: Duration = Duration::from_millis(5);
/// Read at once, in bytes; what it gives is one parcel.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

/// The run is over, or the tail was told to stop.
#[derive(Debug)]
pub(super) struct Stopped;

/// Why a file is not read on now.
#[derive(Debug)]
pub(super) enum Halt {
    /// See [`Stopped`].
    Stopped,
    /// It cannot be read; the next poll may do better.
    Io(std::io::Error),
}

impl From<Stopped> for Halt {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<std::io::Error> for Halt {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// What all followed files share.
pub(super) struct Desk {
    pub(super) dialects: Arc<dyn Dialects>,
    pub(super) buffer: Vec<u8>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) add_source: AddSource,
    outlet: Arc<dyn Outlet>,
    tap: Tap,
    scratch: Scratch,
    told: Told,
    /// What was told last: a trouble that stays is told once.
    said: VecDeque<String>,
    next_number: u64,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("outlet", &self.outlet).finish_non_exhaustive()
    }
}

/// Sayings that are remembered.
const MAX_SAID: usize = 64;

/// Where the records of a file go.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub(super) source: u16,
    pub(super) name: &'a Arc<str>,
    pub(super) stance: Stance,
    /// Time of the last line that had one.
    pub(super) time: &'a mut Timestamp,
}

impl Desk {
    pub(super) fn new(parts: super::Parts) -> Self {
        Self {
            dialects: parts.dialects,
            buffer: vec![0; CHUNK_BYTES],
            ledger: Arc::default(),
            stop: Arc::default(),
            add_source: parts.add_source,
            outlet: parts.outlet,
            tap: parts.tap,
            scratch: Scratch::default(),
            told: parts.told,
            said: VecDeque::new(),
            next_number: 0,
        }
    }

    /// A number for one more file.
    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Says something, unless it was said lately.
    pub(super) fn say(&mut self, text: String) {
        if self.said.contains(&text) {
            return;
        }
        (self.told)(&text);
        self.said.push_back(text);
        if self.said.len() > MAX_SAID {
            self.said.pop_front();
        }
    }

    /// Takes a record of a file.
    pub(super) fn record(&mut self, origin: &mut Origin<'_>, line: u64, record: &logs::Record<'_>) {
        *origin.time = record.time.unwrap_or(*origin.time);
        let place = Place {
            flow: self.outlet.flow(),
            at: self.outlet.at(origin.source, line, *origin.time),
            stance: origin.stance,
            source: Arc::clone(origin.name),
        };
        logs::feed(record, &place, &mut self.scratch, &mut self.tap);
    }

    /// Hands over what the records gave. Waits while the run has no room.
    ///
    /// # Errors
    /// When nobody will take it any more.
    pub(super) fn give(&mut self, counts: Counts, changes: Vec<Change>) -> Result<(), Stopped> {
        while self.ledger.is_full() {
            self.pause()?;
        }
        let observations = std::mem::take(self.tap.observations());
        let mark = Mark { source: counts.source, sequence: self.ledger.give(changes) };
        let mut parcel = Parcel { observations, mark: Some(mark), counts };
        loop {
            match self.outlet.offer(parcel) {
                Ok(()) => return Ok(()),
                Err(NotTaken::Closed) => return Err(Stopped),
                Err(NotTaken::Full(again)) => parcel = again,
            }
            self.pause()?;
        }
    }

    fn pause(&self) -> Result<(), Stopped> {
        if self.stop.load(Relaxed) {
            return Err(Stopped);
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }
}
