//! What an output is told, and what it tells.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::sinks::outbox::Notice;
use crate::sinks::outbox::spool::{self, Counters, Tally};

/// Bounds and times of an output. At worst it takes `max_queue_bytes` of memory, one segment three
/// times (as read, as sent, compressed), and what the spool takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of lines that wait for the spool; more are lost, and counted.
    pub max_queue_bytes: usize,
    /// Of the spool.
    pub spool: spool::Limits,
    /// Longest pause after the first failed try; it doubles with each, and its length is random.
    pub first_pause: Duration,
    /// Longest pause between tries.
    pub max_pause: Duration,
    /// Pause between tries while somebody has to do something.
    pub stopped_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_queue_bytes: 32 << 20,
            spool: spool::Limits::default(),
            first_pause: Duration::from_millis(200),
            max_pause: Duration::from_secs(60),
            stopped_pause: Duration::from_secs(60),
        }
    }
}

/// What happens to lines when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Lines are lost, and segments dropped: capture must not wait.
    Lose,
    /// [`offer`](super::Outbox::offer) waits. A spool that stays full for a minute drops its oldest segments
    /// all the same.
    Wait,
}

/// Who is told what somebody should know; called from the threads of the output.
pub type Told = Arc<dyn Fn(&Notice) + Send + Sync>;

/// An output.
#[derive(Clone)]
pub struct Options {
    /// Its name, for notices and metrics.
    pub name: String,
    /// Its spool. No other output or process may use it.
    pub directory: PathBuf,
    /// Version of the tables that its records are written for.
    pub schema: u32,
    /// When there is no room.
    pub full: Full,
    /// Bounds.
    pub limits: Limits,
    /// Who is told.
    pub told: Told,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, directory, schema, full, limits, told: _ } = self;
        let mut shown = f.debug_struct("Options");
        shown.field("name", name).field("directory", directory).field("schema", schema);
        shown.field("full", full).field("limits", limits).finish_non_exhaustive()
    }
}

/// What an output did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Its name.
    pub name: String,
    /// Lines that wait for the spool.
    pub queued_lines: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Lines that found no room.
    pub lost_lines: u64,
    /// Lines that gave no records although they should have.
    pub unreadable_lines: u64,
    /// Segments taken by the other side.
    pub batches: u64,
    /// Time that it took for them.
    pub batch_time: Duration,
    /// Tries that failed.
    pub retries: u64,
    /// The spool.
    pub spool: Counters,
    /// Why the last try failed, as long as none succeeded since.
    pub last_error: Option<String>,
    /// Nothing will be taken until somebody does something.
    pub is_stopped: bool,
}

impl Stats {
    /// All records by what became of them.
    #[must_use]
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for tally in self.spool.streams.values() {
            total.given += tally.given;
            total.sealed += tally.sealed;
            total.taken += tally.taken;
            total.refused += tally.refused;
            total.dropped += tally.dropped;
            total.lost += tally.lost;
        }
        total
    }
}

/// How long the end may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// So long without anything being taken.
    pub idle: Duration,
    /// In all.
    pub total: Duration,
}

/// What was not delivered when an output ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsent {
    /// The output.
    pub name: String,
    /// Where it stays for the next run.
    pub directory: PathBuf,
    /// Records that stay.
    pub records: u64,
    /// Lines and records that are lost or were refused.
    pub lost: u64,
    /// Why.
    pub last_error: Option<String>,
}

impl Unsent {
    /// Whether everything was delivered.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.records == 0 && self.lost == 0
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, directory, records, lost, last_error } = self;
        write!(f, "{name}: ")?;
        if *records > 0 {
            let shown = directory.display();
            write!(
                f,
                "{records} records were not delivered; they stay in {shown} for the next run"
            )?;
        }
        if *lost > 0 {
            let and = if *records > 0 { "; " } else { "" };
            write!(f, "{and}{lost} records were lost or refused")?;
        }
        if self.is_nothing() {
            write!(f, "everything was delivered")?;
        }
        match last_error {
            Some(error) => write!(f, " ({error})"),
            None => Ok(()),
        }
    }
}
