//! What is counted for each server.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Failure;
use crate::time::Timestamp;

/// Kinds of failures, as metrics name them.
pub const KINDS: [&str; 9] = [
    "unreachable",
    "broken",
    "timed-out",
    "garbled",
    "status",
    "refused",
    "needs-consent",
    "session-lost",
    "busy",
];

/// Counts of one server since the start.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) calls: AtomicU64,
    failures: [AtomicU64; KINDS.len()],
    /// Calls that failed in a row.
    in_a_row: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) sessions: AtomicU64,
    pub(super) open_streams: AtomicI64,
    last_success: AtomicI64,
}

/// [`Counters`] at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Requests.
    pub calls: u64,
    /// Failed ones, in the order of [`KINDS`].
    pub failures: [u64; KINDS.len()],
    /// Sessions begun anew, streams resumed and children started again.
    pub reconnects: u64,
    /// Sessions and children begun.
    pub sessions: u64,
    /// Streams open now.
    pub open_streams: i64,
    /// When a request was last answered.
    pub last_success: Option<Timestamp>,
}

/// How a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not called yet.
    Unknown,
    /// The last call was answered.
    Good,
    /// So many calls in a row failed.
    Failing(u64),
}

impl Counters {
    pub(super) fn answered(&self) {
        self.in_a_row.store(0, Relaxed);
        self.last_success.store(now().as_nanos(), Relaxed);
    }

    pub(super) fn failed(&self, failure: &Failure) {
        let kind = match failure {
            Failure::Unreachable(_) => 0,
            Failure::Broken(_) => 1,
            Failure::TimedOut(_) => 2,
            Failure::Garbled(_) => 3,
            Failure::Status(..) => 4,
            Failure::Refused(..) => 5,
            Failure::NeedsConsent(_) => 6,
            Failure::SessionLost(_) => 7,
            Failure::Busy => 8,
        };
        if let Some(count) = self.failures.get::<usize>(kind) {
            count.fetch_add(1, Relaxed);
        }
        // What a person's credential lacks says nothing of the server.
        if !matches!(failure, Failure::Refused(..) | Failure::NeedsConsent(_) | Failure::Busy) {
            self.in_a_row.fetch_add(1, Relaxed);
        }
    }

    /// All of them now.
    #[must_use]
    pub fn read(&self) -> Counts {
        let last = self.last_success.load(Relaxed);
        Counts {
            calls: self.calls.load(Relaxed),
            failures: std::array::from_fn(|kind| {
                self.failures.get(kind).map_or(0, |count| count.load(Relaxed))
            }),
            reconnects: self.reconnects.load(Relaxed),
            sessions: self.sessions.load(Relaxed),
            open_streams: self.open_streams.load(Relaxed),
            last_success: (last != 0).then(|| Timestamp::from_nanos(last)),
        }
    }

    /// How the server is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.in_a_row.load(Relaxed) {
            0 if self.last_success.load(Relaxed) == 0 => Health::Unknown,
            0 => Health::Good,
            count => Health::Failing(count),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "an edge: calls happen in real time")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
