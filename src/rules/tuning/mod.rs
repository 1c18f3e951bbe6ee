//! What stands outside of rules and decides which of their matches become findings: exceptions,
//! thresholds, and correlations, which are rules made of matches. Sans-IO.
//!
//! ```text
//!   Match ─▶ exceptions ─▶ correlations ─▶ building block? ─▶ thresholds ─▶ finding
//!               │              └▶ Raised        │                 │
//!               └▶ Excepted, Raised             └▶ BuildingBlock  └▶ HeldBack
//! ```
//!
//! A match that an exception takes is seen by nothing after it. Correlations see everything else,
//! also what thresholds then hold back. Time is that of packets. A [`Tuning`] is immutable and
//! can be shared; what it remembers while it runs is in a [`TuningState`].

mod compile;
mod correlation;
mod exception;
mod explain;
mod groups;
mod hit;
mod state;
mod testing;
#[cfg(test)]
mod tests;
mod threshold;
mod window;

use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) use compile::{Files, compile};
pub use correlation::Correlation;
use correlation::Outcome;
pub use exception::{CEILING_ID, Ceiling, Exception, Warning, WarningKind};
use hit::Hit;
pub use hit::{BaselineKey, Baselines};
pub use state::{CorrelationCount, Counts, ExceptionCount, Taken, ThresholdCount, TuningState};
pub(super) use testing::run;
pub use threshold::Threshold;
use threshold::Window;
use window::Mark;

pub use super::syntax::{CorrelationKind, Measure, Per, ThresholdKind};
use super::{Compiled, Match, RuleInfo, Severity};
use crate::time::Timestamp;

/// Bounds on what is remembered. Where there is no room, the group that has been idle longest is
/// dropped, counted, and begins anew when it comes again.
///
/// Worst-case memory: `max_windows` × 96 bytes + `max_groups` × 256 bytes + `max_entries` ×
/// 64 bytes, some 90 MB at the defaults.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most windows of all thresholds.
    pub max_windows: usize,
    /// Most groups of all correlations.
    pub max_groups: usize,
    /// Most times and values remembered in all groups of correlations.
    pub max_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_windows: 65_536, max_groups: 65_536, max_entries: 1_000_000 }
    }
}

/// Exceptions, thresholds and correlations, compiled against a set of rules.
#[derive(Debug, Default)]
pub struct Tuning {
    /// By the number of a rule's id: one more than the index of its plan; 0 is none. Empty when
    /// there are no plans.
    numbers: Vec<u16>,
    plans: Vec<Plan>,
    exceptions: Vec<Exception>,
    thresholds: Vec<Threshold>,
    correlations: Vec<Correlation>,
}

/// What concerns the matches of one rule, as indices.
#[derive(Clone, Debug, Default)]
struct Plan {
    rule: u16,
    exceptions: Vec<usize>,
    thresholds: Vec<usize>,
    correlations: Vec<usize>,
    building_block: bool,
}

/// Where and when a match was seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Time of the packet.
    pub time: Timestamp,
    /// Key of the server.
    pub server_key: &'a str,
    /// The client.
    pub client: IpAddr,
    /// Index of the packet over the whole run.
    pub packet: u64,
    /// More is known of something that was seen before: no further occurrence. Nothing is
    /// counted: exceptions hold as ever, correlations of kind `distinct_count` and `sequence`
    /// take it in, thresholds say what they said of the last match, or count it when they have
    /// seen none.
    pub news: bool,
    /// What is usual, for correlations of kind `baseline`; without it they never fire.
    pub baselines: Option<&'a dyn Baselines>,
}

/// What becomes of a match.
#[derive(Clone, Copy, Debug)]
pub enum Admission<'r> {
    /// It is a hit of a finding.
    Report,
    /// An exception takes it.
    Excepted(&'r Exception),
    /// A threshold holds it back.
    HeldBack,
    /// Its rule only feeds correlations.
    BuildingBlock,
}

/// A hit of a finding that no rule alone makes: a correlation fires, or an exception is beyond
/// its ceiling.
#[derive(Clone, Debug)]
pub struct Raised<'r> {
    /// What the finding repeats.
    pub info: &'r Arc<RuleInfo>,
    /// Severity.
    pub severity: Severity,
    /// What happened, one line. Not masked yet.
    pub text: String,
    /// What the finding keeps, by name. Not masked yet.
    pub excerpt: Vec<(String, String)>,
    /// Tells findings of the rule apart beyond server and client; the same in every run.
    pub group: u64,
    /// How long repeats are counted instead of reported.
    pub window: Duration,
    /// The client and the server under which the finding is kept: those of the match that made
    /// the group fire first in `window`.
    pub client: IpAddr,
    /// Key of that server.
    pub server_key: Arc<str>,
    /// Packets of the matches that it rests on, the latest 16, ascending.
    pub packets: Vec<u64>,
}

/// The number of a rule's id.
fn number(id: &str) -> Option<u16> {
    id.strip_prefix("SMCP-").filter(|digits| digits.len() == 4)?.parse().ok()
}

impl Tuning {
    /// All exceptions, in the order of the files.
    #[must_use]
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// All thresholds, in the order of the files.
    #[must_use]
    pub fn thresholds(&self) -> &[Threshold] {
        &self.thresholds
    }

    /// All correlations, by id; drafts and deprecated ones too.
    #[must_use]
    pub fn correlations(&self) -> &[Correlation] {
        &self.correlations
    }

    /// The correlation of an id.
    #[must_use]
    pub fn correlation(&self, id: &str) -> Option<&Correlation> {
        self.correlations.iter().find(|correlation| correlation.info.id == id)
    }

    /// Exceptions that expire within thirty days after `at`, that have expired, or that nobody
    /// owns; in the order of the files.
    #[must_use]
    pub fn warnings(&self, at: Timestamp) -> Vec<Warning> {
        self.exceptions.iter().flat_map(|exception| exception.warnings(at)).collect()
    }

    fn identities(&self) -> impl Iterator<Item = u64> {
        let exceptions = self.exceptions.iter().map(|exception| exception.identity);
        let thresholds = self.thresholds.iter().map(|threshold| threshold.identity);
        let correlations = self.correlations.iter().map(|correlation| correlation.identity);
        exceptions.chain(thresholds).chain(correlations)
    }

    fn plan(&self, rule: &Compiled) -> Option<&Plan> {
        if self.numbers.is_empty() {
            return None;
        }
        let slot = *self.numbers.get(usize::from(number(&rule.info.id)?))?;
        self.plans.get(usize::from(slot).checked_sub(1)?)
    }

    /// Whether matches of a rule make no finding of their own.
    #[must_use]
    pub fn is_building_block(&self, rule: &Compiled) -> bool {
        self.plan(rule).is_some_and(|plan| plan.building_block)
    }

    /// Decides what becomes of a match, and counts it. What that brings about is given to
    /// `raise`.
    pub fn admit<'r>(
        &'r self,
        state: &mut TuningState,
        found: &Match<'r, '_>,
        at: Seen<'_>,
        raise: &mut dyn FnMut(Raised<'r>),
    ) -> Admission<'r> {
        let Some(plan) = self.plan(found.rule) else {
            return Admission::Report;
        };
        if let Some(exception) = self.except(plan, state, found, &at, raise) {
            return Admission::Excepted(exception);
        }
        self.correlate(plan, state, found, &at, raise);
        if plan.building_block {
            Admission::BuildingBlock
        } else if self.holds_back(plan, state, &at) {
            Admission::HeldBack
        } else {
            Admission::Report
        }
    }

    /// Whether an exception that holds at that time takes a match. Nothing is counted.
    #[must_use]
    pub fn excepts(&self, found: &Match<'_, '_>, at: Timestamp) -> bool {
        let of_rule = self.plan(found.rule).map(|plan| plan.exceptions.iter());
        of_rule
            .into_iter()
            .flatten()
            .filter_map(|index| self.exceptions.get(*index))
            .any(|exception| at < exception.ends() && exception.holds(&found.subject))
    }

    /// The first exception that takes a match.
    fn except<'r>(
        &'r self,
        plan: &Plan,
        state: &mut TuningState,
        found: &Match<'r, '_>,
        at: &Seen<'_>,
        raise: &mut dyn FnMut(Raised<'r>),
    ) -> Option<&'r Exception> {
        for index in &plan.exceptions {
            let Some(exception) = self.exceptions.get(*index) else { continue };
            if !exception.holds(&found.subject) {
                continue;
            }
            let expired = at.time >= exception.ends();
            if !at.news {
                let counts = state.exceptions.entry(exception.identity).or_default();
                if expired {
                    counts.after_expiry = counts.after_expiry.saturating_add(1);
                } else if counts.take(exception.ceiling.as_ref(), at.time)
                    && let Some(ceiling) = &exception.ceiling
                {
                    raise(exception.raised(ceiling, &found.rule.info.id, at));
                }
            }
            if !expired {
                return Some(exception);
            }
        }
        None
    }

    fn correlate<'r>(
        &'r self,
        plan: &Plan,
        state: &mut TuningState,
        found: &Match<'r, '_>,
        at: &Seen<'_>,
        raise: &mut dyn FnMut(Raised<'r>),
    ) {
        if plan.correlations.is_empty() {
            return;
        }
        let hit = Hit {
            rule: plan.rule,
            client: at.client,
            server_key: at.server_key,
            mark: Mark { time: at.time, packet: at.packet },
            news: at.news,
            values: &found.subject,
            baselines: at.baselines,
        };
        let TuningState { keys, groups, correlations, .. } = state;
        for correlation in plan.correlations.iter().filter_map(|i| self.correlations.get(*i)) {
            let outcome = correlation.feed(&hit, groups, keys);
            if matches!(outcome, Outcome::Quiet) {
                continue;
            }
            let counts = correlations.entry(correlation.identity).or_default();
            let Outcome::Fires(fire) = outcome else {
                counts.rolled_up = counts.rolled_up.saturating_add(1);
                continue;
            };
            counts.fired = counts.fired.saturating_add(1);
            raise(Raised {
                info: &correlation.info,
                severity: correlation.info.severity,
                text: correlation.say(&found.subject, fire.count),
                excerpt: correlation.excerpt(&found.subject, fire.count),
                group: fire.group,
                window: correlation.window,
                client: fire.client,
                server_key: fire.server_key,
                packets: fire.packets,
            });
        }
    }

    fn holds_back(&self, plan: &Plan, state: &mut TuningState, at: &Seen<'_>) -> bool {
        for threshold in plan.thresholds.iter().filter_map(|index| self.thresholds.get(*index)) {
            let mut key = state.keys.build_hasher();
            (threshold.identity, plan.rule).hash(&mut key);
            match threshold.per {
                Per::Source => at.client.hash(&mut key),
                Per::Server => at.server_key.hash(&mut key),
                Per::Pair => (at.client, at.server_key).hash(&mut key),
                Per::Rule => {}
            }
            let key = key.finish();
            if at.news {
                let window = state.windows.peek(key);
                match window.and_then(|window| threshold.last_passed(window, at.time)) {
                    Some(true) => continue,
                    Some(false) => return true,
                    None => {}
                }
            }
            let begin = || Window::begin(at.time);
            let passes =
                state.windows.using(key, begin, |window| threshold.passes(window, at.time));
            if passes == Some(false) {
                let held_back = state.held_back.entry(threshold.identity).or_default();
                *held_back = held_back.saturating_add(1);
                return true;
            }
        }
        false
    }
}
