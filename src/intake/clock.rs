//! The clock of the servers: what comes over a connection happens when it comes.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// Now, by the wall clock.
#[expect(clippy::disallowed_methods, reason = "an edge: proxies are heard in real time")]
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
