//! Correlations: rules made of matches of other rules.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::groups::{Groups, Weigh};
use super::hit::{BaselineKey, Hit};
use super::testing::Example;
use super::window::{Distinct, MAX_PACKETS, Mark, Steps, Sum, forward};
use crate::fnv::Fnv;
use crate::rules::RuleInfo;
use crate::rules::field::{Field, Value};
use crate::rules::subject::Subject;
use crate::rules::syntax::{CorrelationKind, Measure, Order, Taxonomy};
use crate::rules::template::{self, Template};
use crate::time::Timestamp;

/// Most values of a field that one match adds to a group; the rest is passed over.
const MAX_VALUES: usize = 256;

/// A rule made of matches of other rules.
#[derive(Debug)]
pub struct Correlation {
    /// What findings repeat of it.
    pub info: Arc<RuleInfo>,
    /// Where it stands in public taxonomies.
    pub map: Taxonomy,
    /// What else can look like this.
    pub noise: Vec<String>,
    /// Ids of its rules; for a sequence in its order.
    pub rules: Vec<String>,
    /// What it looks at.
    pub kind: CorrelationKind,
    /// Matches that are so far apart or farther do not belong together.
    pub within: Duration,
    /// How long further firing of a group is counted instead of reported.
    pub window: Duration,
    /// Name of its file.
    pub file: String,
    /// The numbers of its rules, and of each which step of a sequence it makes, ascending.
    pub(super) steps: Vec<(u16, usize)>,
    pub(super) by: Vec<By>,
    pub(super) what: What,
    pub(super) text: Text,
    pub(super) keep: Vec<Field>,
    pub(super) tests: Vec<Example>,
    /// The same in every run, while id and revision are.
    pub(super) identity: u64,
}

/// A part of what makes a group, or what is counted.
#[derive(Clone, Debug)]
pub(super) enum By {
    Client,
    Server,
    Field(Field),
}

/// What is looked at.
#[derive(Clone, Debug)]
pub(super) enum What {
    Count {
        at_least: u64,
    },
    Distinct {
        of: By,
        at_least: u64,
    },
    Sum {
        of: Field,
        at_least: u64,
    },
    Sequence {
        order: Order,
        /// None, one for all rules, or one for each.
        join: Vec<Field>,
    },
    Baseline {
        measure: Measure,
        floor: u64,
        factor: f64,
        /// What names the tool: the first that has a value.
        tool: Vec<Field>,
        size: Option<Field>,
    },
}

/// A sentence whose parts stand around `{count}`.
#[derive(Clone, Debug, Default)]
pub(super) struct Text(pub(super) Vec<Template>);

impl Text {
    fn render(&self, subject: &Subject<'_>, count: u64) -> String {
        let parts: Vec<_> = self.0.iter().map(|part| part.render(subject)).collect();
        parts.join(&count.to_string())
    }
}

/// What is remembered of a group.
#[derive(Debug)]
pub(super) struct Progress {
    latest: Timestamp,
    fired: Option<Timestamp>,
    anchor: Option<Anchor>,
    state: State,
}

/// The client and server under which the findings of a group are kept, and since when.
#[derive(Clone, Debug)]
struct Anchor {
    client: IpAddr,
    server_key: Arc<str>,
    since: Timestamp,
}

#[derive(Debug)]
enum State {
    Sum(Sum),
    Distinct(Distinct),
    Steps(Steps),
}

impl Weigh for Progress {
    fn weight(&self) -> usize {
        match &self.state {
            State::Sum(sum) => sum.weight(),
            State::Distinct(distinct) => distinct.weight(),
            State::Steps(steps) => steps.weight(),
        }
    }
}

/// What a match did.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing yet.
    Quiet,
    /// It would fire, but has done so for the group within the window.
    RolledUp,
    Fires(Fire),
}

/// A correlation that fires.
#[derive(Debug)]
pub(super) struct Fire {
    pub(super) count: u64,
    pub(super) client: IpAddr,
    pub(super) server_key: Arc<str>,
    pub(super) packets: Vec<u64>,
    pub(super) group: u64,
}

impl Correlation {
    /// Whether its status lets it run.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(
            self.info.status,
            crate::rules::Status::Experimental | crate::rules::Status::Stable
        )
    }

    /// Takes in a match of one of its rules.
    pub(super) fn feed(
        &self,
        hit: &Hit<'_>,
        groups: &mut Groups<Progress>,
        keys: &RandomState,
    ) -> Outcome {
        let counts =
            matches!(self.what, What::Count { .. } | What::Sum { .. } | What::Baseline { .. });
        if hit.news && counts {
            return Outcome::Quiet;
        }
        match &self.what {
            What::Count { at_least } => self.add(hit, 1, *at_least, groups, keys),
            What::Sum { of, at_least } => self.add(hit, amount(of, hit), *at_least, groups, keys),
            What::Distinct { of, at_least } => self.values(hit, of, *at_least, groups, keys),
            What::Sequence { order, join } => self.steps(hit, *order, join, groups, keys),
            What::Baseline { measure, floor, factor, tool, size } => {
                let tool = first_text(tool, hit);
                let amount = match (measure, size) {
                    (Measure::Bytes, Some(size)) => amount(size, hit),
                    _ => 1,
                };
                let key =
                    BaselineKey { client: hit.client, server_key: hit.server_key, tool: &tool };
                let limit = hit
                    .baselines
                    .and_then(|all| all.limit(&key, *measure, self.within, *floor, *factor));
                // Beyond the limit, not at it; without one nothing fires.
                let at_least = limit.map_or(u64::MAX, |limit| limit.saturating_add(1));
                let key = self.key(hit, keys.hash_one(&*tool), keys);
                self.add_to(hit, key, amount, at_least, groups)
            }
        }
    }

    fn add(
        &self,
        hit: &Hit<'_>,
        amount: u64,
        at_least: u64,
        groups: &mut Groups<Progress>,
        keys: &RandomState,
    ) -> Outcome {
        self.add_to(hit, self.key(hit, 0, keys), amount, at_least, groups)
    }

    fn add_to(
        &self,
        hit: &Hit<'_>,
        key: u64,
        amount: u64,
        at_least: u64,
        groups: &mut Groups<Progress>,
    ) -> Outcome {
        self.using(hit, key, groups, |state, mark| match state {
            State::Sum(sum) if amount > 0 => {
                let total = sum.add(mark, amount, self.within);
                (total >= at_least).then_some(total)
            }
            _ => None,
        })
    }

    fn values(
        &self,
        hit: &Hit<'_>,
        of: &By,
        at_least: u64,
        groups: &mut Groups<Progress>,
        keys: &RandomState,
    ) -> Outcome {
        let values = match of {
            By::Client => vec![keys.hash_one(hit.client)],
            By::Server => vec![keys.hash_one(hit.server_key)],
            By::Field(field) => hashes(field, hit, keys),
        };
        self.using(hit, self.key(hit, 0, keys), groups, |state, mark| match state {
            State::Distinct(distinct) => {
                let add = |value| distinct.add(mark, value, self.within);
                let count = u64::try_from(values.into_iter().map(add).last()?).ok()?;
                (count >= at_least).then_some(count)
            }
            _ => None,
        })
    }

    fn steps(
        &self,
        hit: &Hit<'_>,
        order: Order,
        join: &[Field],
        groups: &mut Groups<Progress>,
        keys: &RandomState,
    ) -> Outcome {
        let positions = self.steps.iter().filter(|(rule, _)| *rule == hit.rule);
        let positions = positions.map(|(_, step)| *step);
        // By the value that joins: which steps the match is.
        let mut steps: Vec<(u64, usize)> = Vec::new();
        for position in positions {
            match join.get(position).or_else(|| join.first()) {
                None => steps.push((0, position)),
                Some(field) => {
                    steps.extend(hashes(field, hit, keys).into_iter().map(|hash| (hash, position)));
                }
            }
        }
        steps.sort_unstable();
        steps.dedup();
        let count = self.steps.last().map_or(0, |(_, last)| last + 1);
        let mut outcome = Outcome::Quiet;
        for same in steps.chunk_by(|a, b| a.0 == b.0) {
            let value = same.first().map_or(0, |(value, _)| *value);
            let key = self.key(hit, value, keys);
            let this = self.using(hit, key, groups, |state, mark| match state {
                State::Steps(reached) => {
                    let steps = same.iter().map(|(_, step)| *step);
                    let complete = match order {
                        Order::Strict => reached.in_order(mark, steps, count, self.within),
                        Order::Any => reached.in_any_order(mark, steps, count, self.within),
                    };
                    complete.then_some(count as u64)
                }
                _ => None,
            });
            // However many values join, it is one match that completes.
            outcome = match (outcome, this) {
                (Outcome::Fires(fire), _) => Outcome::Fires(fire),
                (_, Outcome::Fires(fire)) => Outcome::Fires(fire),
                (Outcome::RolledUp, _) | (_, Outcome::RolledUp) => Outcome::RolledUp,
                (Outcome::Quiet, Outcome::Quiet) => Outcome::Quiet,
            };
        }
        outcome
    }

    /// Uses the state of a group; `step` answers how many there are when they are enough.
    fn using(
        &self,
        hit: &Hit<'_>,
        key: u64,
        groups: &mut Groups<Progress>,
        step: impl FnOnce(&mut State, Mark) -> Option<u64>,
    ) -> Outcome {
        let begin = || self.begin(hit.mark.time);
        let outcome = groups.using(key, begin, |progress| {
            let now = forward(progress.latest, hit.mark.time, self.within).unwrap_or_else(|| {
                *progress = self.begin(hit.mark.time);
                hit.mark.time
            });
            progress.latest = now;
            let mark = Mark { time: now, ..hit.mark };
            match step(&mut progress.state, mark) {
                None => Outcome::Quiet,
                Some(count) => self.fire(hit, count, progress),
            }
        });
        outcome.unwrap_or(Outcome::Quiet)
    }

    fn begin(&self, latest: Timestamp) -> Progress {
        let state = match &self.what {
            What::Count { .. } | What::Sum { .. } | What::Baseline { .. } => {
                State::Sum(Sum::default())
            }
            What::Distinct { .. } => State::Distinct(Distinct::default()),
            What::Sequence { .. } => State::Steps(Steps::default()),
        };
        Progress { latest, fired: None, anchor: None, state }
    }

    fn fire(&self, hit: &Hit<'_>, count: u64, progress: &mut Progress) -> Outcome {
        let now = progress.latest;
        if progress.fired.is_some_and(|fired| now.since(fired) < self.within) {
            return Outcome::RolledUp;
        }
        progress.fired = Some(now);
        let kept = progress.anchor.take().filter(|anchor| now.since(anchor.since) < self.window);
        let anchor = kept.unwrap_or_else(|| Anchor {
            client: hit.client,
            server_key: hit.server_key.into(),
            since: now,
        });
        let mut packets: Vec<u64> = match &progress.state {
            State::Sum(sum) => sum.packets().collect(),
            State::Distinct(distinct) => distinct.packets().collect(),
            State::Steps(steps) => steps.packets().collect(),
        };
        packets.sort_unstable();
        packets.dedup();
        // The latest ones: those that made it fire.
        packets.drain(..packets.len().saturating_sub(MAX_PACKETS));
        let Anchor { client, server_key, .. } = anchor.clone();
        progress.anchor = Some(anchor);
        let mut group = Fnv::default();
        self.hash_by(hit, &mut group);
        Outcome::Fires(Fire { count, client, server_key, packets, group: group.finish().max(1) })
    }

    fn key(&self, hit: &Hit<'_>, more: u64, keys: &RandomState) -> u64 {
        let mut hash = keys.build_hasher();
        self.identity.hash(&mut hash);
        more.hash(&mut hash);
        self.hash_by(hit, &mut hash);
        hash.finish()
    }

    fn hash_by(&self, hit: &Hit<'_>, hash: &mut impl Hasher) {
        for by in &self.by {
            match by {
                By::Client => hit.client.hash(hash),
                By::Server => hit.server_key.hash(hash),
                By::Field(field) => {
                    hit.values.visit(field, &mut |value| {
                        value.hash(hash);
                        false
                    });
                }
            }
            // Ends the values of the field: two lists never run into each other.
            hash.write_u8(0xff);
        }
    }

    /// What a finding says.
    pub(super) fn say(&self, subject: &Subject<'_>, count: u64) -> String {
        self.text.render(subject, count)
    }

    /// What a finding keeps.
    pub(super) fn excerpt(&self, subject: &Subject<'_>, count: u64) -> Vec<(String, String)> {
        let kept = self
            .keep
            .iter()
            .filter_map(|field| Some((field.to_string(), template::values(field, subject)?)));
        let own = [
            ("correlation.count".to_owned(), count.to_string()),
            ("correlation.rules".to_owned(), self.rules.join(", ")),
        ];
        kept.chain(own).collect()
    }
}

/// The hashes of a field's values.
fn hashes(field: &Field, hit: &Hit<'_>, keys: &RandomState) -> Vec<u64> {
    let mut hashes = Vec::new();
    hit.values.visit(field, &mut |value| {
        hashes.push(keys.hash_one(value));
        hashes.len() >= MAX_VALUES
    });
    hashes
}

/// The sum of a field's values; those below zero count nothing.
fn amount(field: &Field, hit: &Hit<'_>) -> u64 {
    let mut sum = 0_u64;
    hit.values.visit(field, &mut |value| {
        if let Value::Number(number) = value {
            sum = sum.saturating_add(u64::try_from(number).unwrap_or(0));
        }
        false
    });
    sum
}

/// The first text that one of the fields has.
fn first_text(fields: &[Field], hit: &Hit<'_>) -> String {
    let mut found = String::new();
    for field in fields {
        let has = hit.values.visit(field, &mut |value| {
            found = value.to_string();
            true
        });
        if has {
            break;
        }
    }
    found
}
