//! The time, as it is told to identity and credentials.

use std::fmt;
use std::sync::Arc;

use crate::time::Timestamp;

/// Tells the time; another one in tests.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|| {
            #[expect(clippy::disallowed_methods, reason = "an edge: tokens end by the wall clock")]
            let now = std::time::SystemTime::now();
            let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Timestamp::EPOCH.plus(since)
        })
    }

    /// Any other.
    #[must_use]
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// Now, in whole seconds since the Unix epoch.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.now().as_nanos().div_euclid(1_000_000_000)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
