//! The generic cell rate algorithm (ITU-T I.371 annex A): a rate with bursts, of which nothing but
//! one time has to be kept for each who is limited.

use std::time::Duration;

/// A rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Nanoseconds between calls that come evenly.
    interval: u64,
    /// Nanoseconds that calls may be early: the others of a burst.
    tolerance: u64,
}

/// Where somebody stands: when their next call would be due if calls came evenly, in nanoseconds.
pub(super) type Due = u64;

impl Rate {
    /// So many calls in a time, which are at least one and not nothing, and so many at once.
    pub(super) fn new(calls: u32, per: Duration, burst: u32) -> Self {
        let interval = nanos(per) / u64::from(calls.max(1));
        let interval = interval.max(1);
        Self { interval, tolerance: interval.saturating_mul(u64::from(burst.max(1) - 1)) }
    }

    /// Where somebody stands after a call now.
    ///
    /// # Errors
    /// How long to wait for it.
    pub(super) fn take(self, due: Due, now: Duration) -> Result<Due, Duration> {
        let now = nanos(now);
        let early = due.saturating_sub(now);
        if early > self.tolerance {
            return Err(Duration::from_nanos(early - self.tolerance));
        }
        Ok(due.max(now).saturating_add(self.interval))
    }
}

/// Whether somebody stands as if they had never called.
pub(super) fn is_rested(due: Due, now: Duration) -> bool {
    due <= nanos(now)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_even_calls_and_never_more_than_the_rate() {
        let rate = Rate::new(10, Duration::from_secs(1), 3);
        let at = Duration::from_millis;
        let mut due = 0;
        let mut passed = Vec::new();
        for now in 0..2_000 {
            if let Ok(next) = rate.take(due, at(now)) {
                due = next;
                passed.push(now);
            }
        }
        assert_eq!(passed[..6], [0, 1, 2, 100, 200, 300]);
        assert_eq!(passed.len(), 3 + 19);
        assert_eq!(rate.take(due, at(1_999)), Err(Duration::from_millis(1)));
        assert!(!is_rested(due, at(2_000)) && is_rested(due, at(2_300)));
    }

    proptest::proptest! {
        /// In any window no more pass than the rate and the burst allow.
        #[test]
        fn no_window_has_more(gaps in proptest::collection::vec(0_u64..400, 1..200)) {
            let (calls, burst) = (10_u64, 4_u64);
            let rate = Rate::new(10, Duration::from_secs(1), 4);
            let (mut due, mut now, mut passed) = (0, 0, Vec::new());
            for gap in gaps {
                now += gap;
                if let Ok(next) = rate.take(due, Duration::from_millis(now)) {
                    due = next;
                    passed.push(now);
                }
            }
            for (from, first) in passed.iter().enumerate() {
                for (to, last) in passed.iter().enumerate().skip(from) {
                    let allowed = (last - first) * calls / 1_000 + burst;
                    proptest::prop_assert!((to - from + 1) as u64 <= allowed + 1);
                }
            }
        }
    }
}
