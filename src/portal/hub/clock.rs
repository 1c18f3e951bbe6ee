//! The clocks of the portal.

use std::time::{SystemTime, UNIX_EPOCH};

pub(in crate::portal) use tokio::time::Instant;

/// Seconds since 1970, by the wall clock.
#[expect(clippy::disallowed_methods, reason = "an edge: clients are served in real time")]
pub(in crate::portal) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
