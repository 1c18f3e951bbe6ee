//! Thresholds: which matches pass.
//!
//! A window begins with a match and is half-open: a match that comes exactly `within` after its
//! start begins the next one. So does a match that comes so long before its start, when the clock
//! of the capture steps back; one that is less early counts in the window.
//!
//! | Type | Passes | Window |
//! |---|---|---|
//! | `limit` | the first N | ends after `within` |
//! | `rate` | the N-th | the next one begins with the match that passed, which it does not count |
//! | `both` | the N-th, no other | ends after `within` |

use std::time::Duration;

use super::groups::Weigh;
use crate::rules::syntax::{Per, ThresholdKind};
use crate::time::Timestamp;

/// How many matches become findings.
#[derive(Clone, Debug)]
pub struct Threshold {
    /// The ids and patterns of its rules, as written.
    pub rules: Vec<String>,
    /// Which matches pass.
    pub kind: ThresholdKind,
    /// N.
    pub count: u64,
    /// Length of the window.
    pub within: Duration,
    /// What has a counter of its own.
    pub per: Per,
    /// Name of its file.
    pub file: String,
    /// Line of its entry in the file.
    pub line: u32,
    /// The same in every run, while what it says is.
    pub(super) identity: u64,
}

/// A window in the making.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    start: Timestamp,
    seen: u64,
    /// What was said of the last match.
    passed: bool,
}

impl Weigh for Window {
    fn weight(&self) -> usize {
        1
    }
}

impl Window {
    pub(super) const fn begin(start: Timestamp) -> Self {
        Self { start, seen: 0, passed: true }
    }

    /// Whether a match at a time is no longer (or not yet) in it.
    fn is_over(&self, now: Timestamp, within: Duration) -> bool {
        now.since(self.start) >= within || self.start.since(now) >= within
    }
}

impl Threshold {
    /// Whether a match passes, which counts it.
    pub(super) fn passes(&self, window: &mut Window, now: Timestamp) -> bool {
        if window.is_over(now, self.within) {
            *window = Window::begin(now);
        }
        window.seen = window.seen.saturating_add(1);
        window.passed = match self.kind {
            ThresholdKind::Limit => window.seen <= self.count,
            ThresholdKind::Rate => window.seen >= self.count,
            ThresholdKind::Both => window.seen == self.count,
        };
        if window.passed && self.kind == ThresholdKind::Rate {
            *window = Window::begin(now);
        }
        window.passed
    }

    /// Whether the last match of the window passed, when it is still open.
    pub(super) fn last_passed(&self, window: &Window, now: Timestamp) -> Option<bool> {
        (!window.is_over(now, self.within)).then_some(window.passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(kind: ThresholdKind, count: u64, times: &[i64]) -> String {
        let within = Duration::from_secs(60);
        let rules = vec!["SMCP-9001".to_owned()];
        let (file, per) = (String::new(), Per::Rule);
        let threshold = Threshold { rules, kind, count, within, per, file, line: 1, identity: 1 };
        let mut window = Window::begin(Timestamp::from_parts(times[0], 0));
        let mut pass = |seconds: &i64| {
            let now = Timestamp::from_parts(*seconds, 0);
            let passes = threshold.passes(&mut window, now);
            assert_eq!(threshold.last_passed(&window, now), Some(passes));
            if passes { 'P' } else { '-' }
        };
        times.iter().map(&mut pass).collect()
    }

    #[test]
    fn what_passes_by_type_and_time() {
        use ThresholdKind::{Both, Limit, Rate};
        for (kind, count, times, want) in [
            // The end of the window is not in it.
            (Limit, 1, &[0, 1, 59, 60, 119, 120][..], "P--P-P"),
            (Limit, 2, &[0, 1, 59, 60, 60, 60], "PP-PP-"),
            (Rate, 1, &[0, 0, 1, 60], "PPPP"),
            (Rate, 2, &[0, 1, 2, 3, 4], "-P-P-"),
            // The window that began with the match that passed, at 50, lasts until 110.
            (Rate, 3, &[0, 10, 50, 100, 109, 109, 110], "--P--P-"),
            (Rate, 3, &[0, 10, 50, 100, 110, 111, 112], "--P---P"),
            (Rate, 2, &[0, 60, 120, 179], "---P"),
            (Both, 2, &[0, 1, 2, 59, 60, 61, 62], "-P---P-"),
            (Both, 1, &[0, 1, 60], "P-P"),
            // The clock steps back: a little, and by a window.
            (Limit, 1, &[100, 41, 101], "P--"),
            (Limit, 1, &[100, 40, 99, 100], "PP-P"),
            (Both, 3, &[100, 99, 98, 97], "--P-"),
        ] {
            assert_eq!(passed(kind, count, times), want, "{kind:?} {count} {times:?}");
        }
    }
}
