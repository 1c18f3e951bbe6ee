//! What tuning remembers while it runs, and what it has counted.

use std::collections::HashMap;
use std::hash::RandomState;

use super::correlation::{Correlation, Progress};
use super::exception::{Ceiling, Exception};
use super::groups::Groups;
use super::threshold::{Threshold, Window};
use super::{Limits, Tuning};
use crate::time::Timestamp;

/// What tuning remembers while it runs. Of use with any [`Tuning`]: when the files are read
/// again, groups of what has not changed go on.
#[derive(Debug)]
pub struct TuningState {
    /// Keys of groups are hashes that nobody outside can foresee.
    pub(super) keys: RandomState,
    pub(super) exceptions: HashMap<u64, Excepted>,
    pub(super) held_back: HashMap<u64, u64>,
    pub(super) correlations: HashMap<u64, Fired>,
    pub(super) windows: Groups<Window>,
    pub(super) groups: Groups<Progress>,
}

/// What became of an exception.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Excepted {
    pub(super) excepted: u64,
    pub(super) beyond_ceiling: u64,
    pub(super) after_expiry: u64,
    /// Start of the window of the ceiling, and how many were in it.
    pub(super) window: Option<(Timestamp, u64)>,
}

impl Excepted {
    /// Counts a match that an exception takes; true for the first beyond its ceiling in a window.
    pub(super) fn take(&mut self, ceiling: Option<&Ceiling>, now: Timestamp) -> bool {
        self.excepted = self.excepted.saturating_add(1);
        let Some(Ceiling { most, period, .. }) = ceiling else { return false };
        let (start, seen) = self
            .window
            .filter(|(start, _)| now.since(*start) < *period && start.since(now) < *period)
            .unwrap_or((now, 0));
        let seen = seen.saturating_add(1);
        self.window = Some((start, seen));
        if seen > *most {
            self.beyond_ceiling = self.beyond_ceiling.saturating_add(1);
        }
        seen.checked_sub(1) == Some(*most)
    }
}

/// What became of a correlation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fired {
    pub(super) fired: u64,
    pub(super) rolled_up: u64,
}

impl Default for TuningState {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl TuningState {
    /// Nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            keys: RandomState::new(),
            exceptions: HashMap::new(),
            held_back: HashMap::new(),
            correlations: HashMap::new(),
            windows: Groups::new(limits.max_windows, limits.max_windows),
            groups: Groups::new(limits.max_groups, limits.max_entries),
        }
    }

    /// Forgets what was counted of items that the files no longer have. For after they were read
    /// again.
    pub fn keep_only(&mut self, tuning: &Tuning) {
        let known: std::collections::HashSet<u64> = tuning.identities().collect();
        self.exceptions.retain(|identity, _| known.contains(identity));
        self.held_back.retain(|identity, _| known.contains(identity));
        self.correlations.retain(|identity, _| known.contains(identity));
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts<'t>(&self, tuning: &'t Tuning) -> Counts<'t> {
        let exceptions = tuning.exceptions().iter().map(|exception| {
            let Excepted { excepted, beyond_ceiling, after_expiry, .. } =
                self.exceptions.get(&exception.identity).copied().unwrap_or_default();
            ExceptionCount { exception, excepted, beyond_ceiling, after_expiry }
        });
        let thresholds = tuning.thresholds().iter().map(|threshold| {
            let held_back = self.held_back.get(&threshold.identity).copied().unwrap_or(0);
            ThresholdCount { threshold, held_back }
        });
        let correlations = tuning.correlations().iter().map(|correlation| {
            let Fired { fired, rolled_up } =
                self.correlations.get(&correlation.identity).copied().unwrap_or_default();
            CorrelationCount { correlation, fired, rolled_up }
        });
        Counts {
            exceptions: exceptions.collect(),
            thresholds: thresholds.collect(),
            correlations: correlations.collect(),
            groups: self.groups.len(),
            groups_dropped: self.groups.dropped(),
            windows_dropped: self.windows.dropped(),
        }
    }
}

/// What was counted of one exception.
#[derive(Clone, Copy, Debug)]
pub struct ExceptionCount<'t> {
    /// The exception.
    pub exception: &'t Exception,
    /// Matches that it took.
    pub excepted: u64,
    /// Those of them that came beyond its ceiling.
    pub beyond_ceiling: u64,
    /// Matches that it would have taken, had it not expired.
    pub after_expiry: u64,
}

/// What was counted of one threshold.
#[derive(Clone, Copy, Debug)]
pub struct ThresholdCount<'t> {
    /// The threshold.
    pub threshold: &'t Threshold,
    /// Matches that did not pass.
    pub held_back: u64,
}

/// What was counted of one correlation.
#[derive(Clone, Copy, Debug)]
pub struct CorrelationCount<'t> {
    /// The correlation.
    pub correlation: &'t Correlation,
    /// How often it fired.
    pub fired: u64,
    /// Matches for which it would have fired, had it not done so in the window before them.
    pub rolled_up: u64,
}

/// What was counted so far, in the order of the files.
#[derive(Clone, Debug)]
pub struct Counts<'t> {
    /// By exception.
    pub exceptions: Vec<ExceptionCount<'t>>,
    /// By threshold.
    pub thresholds: Vec<ThresholdCount<'t>>,
    /// By correlation.
    pub correlations: Vec<CorrelationCount<'t>>,
    /// Groups of correlations that are remembered now.
    pub groups: usize,
    /// Groups of correlations dropped because there were too many: they begin anew.
    pub groups_dropped: u64,
    /// Windows of thresholds dropped because there were too many: they begin anew.
    pub windows_dropped: u64,
}

/// Matches that made no finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Taken {
    /// Exceptions took them.
    pub excepted: u64,
    /// Thresholds held them back.
    pub held_back: u64,
}

impl Counts<'_> {
    /// Matches that made no finding.
    #[must_use]
    pub fn taken(&self) -> Taken {
        Taken { excepted: self.excepted(), held_back: self.held_back() }
    }

    /// Matches that exceptions took.
    #[must_use]
    pub fn excepted(&self) -> u64 {
        self.exceptions.iter().map(|count| count.excepted).fold(0, u64::saturating_add)
    }

    /// Matches that thresholds held back.
    #[must_use]
    pub fn held_back(&self) -> u64 {
        self.thresholds.iter().map(|count| count.held_back).fold(0, u64::saturating_add)
    }

    /// A sentence for each exception that has expired and was missed.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let missed = self.exceptions.iter().filter(|count| count.after_expiry > 0);
        let remark = |count: &ExceptionCount<'_>| {
            let Exception { name, expires, .. } = count.exception;
            let matches = match count.after_expiry {
                1 => "1 match".to_owned(),
                more => format!("{more} matches"),
            };
            format!("exception {name} expired on {expires} and would have taken {matches}")
        };
        missed.map(remark).collect()
    }
}
