//! The only clock of the pipeline: a live run has to know how late it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// Now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// By the wall clock, which may be set.
    pub(super) time: Timestamp,
    /// Since the run began, which only grows.
    pub(super) elapsed: Duration,
}

/// The clocks of the system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "an edge: interfaces are read in real time")]
    pub(super) fn start() -> Self {
        Self { started: Instant::now() }
    }

    #[expect(clippy::disallowed_methods, reason = "an edge: interfaces are read in real time")]
    pub(super) fn now(&self) -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
        Moment { time: Timestamp::from_nanos(nanos), elapsed: self.started.elapsed() }
    }
}
