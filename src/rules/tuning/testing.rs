//! The examples that correlations bring along: made-up matches of their rules.

use std::hash::RandomState;
use std::net::IpAddr;
use std::time::Duration;

use super::Limits;
use super::correlation::{Correlation, Outcome};
use super::groups::Groups;
use super::hit::{BaselineKey, Baselines, Hit, Values};
use super::window::Mark;
use crate::rules::field::{Field, Value};
use crate::rules::problem::{Located, Problem, Report, Source};
use crate::rules::syntax::{Measure, Want};
use crate::time::Timestamp;

/// An example.
#[derive(Clone, Debug)]
pub(super) struct Example {
    pub(super) name: String,
    pub(super) given: Vec<Given>,
    /// What the history gives for a baseline.
    pub(super) limit: Option<u64>,
    pub(super) want: Located<Want>,
}

/// A made-up match, or several at the same time.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) rule: u16,
    pub(super) client: IpAddr,
    pub(super) server: String,
    pub(super) time: Timestamp,
    pub(super) times: u32,
    pub(super) fields: Vec<(Field, Vec<Owned>)>,
}

/// A value, owned.
#[derive(Clone, Debug)]
pub(super) enum Owned {
    Text(String),
    Number(i64),
    Bool(bool),
    Ip(IpAddr),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Number(number) => Value::Number(*number),
            Self::Bool(value) => Value::Bool(*value),
            Self::Ip(ip) => Value::Ip(*ip),
        }
    }
}

impl Values for Given {
    fn visit(&self, field: &Field, each: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
        if let Some((_, values)) = self.fields.iter().find(|(known, _)| known == field) {
            return values.iter().any(|value| each(value.value()));
        }
        // What the example says otherwise than by a field.
        match field.spec().name {
            "client.ip" => each(Value::Ip(self.client)),
            "server.key" => each(Value::Text(&self.server)),
            _ => false,
        }
    }
}

/// The history of an example.
#[derive(Debug)]
struct Fixed(u64);

impl Baselines for Fixed {
    fn limit(
        &self,
        _: &BaselineKey<'_>,
        _: Measure,
        _: Duration,
        floor: u64,
        _: f64,
    ) -> Option<u64> {
        Some(self.0.max(floor))
    }
}

/// Runs all examples of a correlation.
pub(in crate::rules) fn run(source: &Source, correlation: &Correlation, report: &mut Report) {
    for example in &correlation.tests {
        let fires = fires(correlation, example);
        let name = &example.name;
        let message = match (example.want.value, fires) {
            (Want::Hit, false) => format!("`{name}` should fire, but does not"),
            (Want::None, true) => format!("`{name}` should be spared, but it fires"),
            (Want::KnownMiss, true) => format!("`{name}` is no longer missed"),
            _ => continue,
        };
        report.push(Problem::error(source, example.want.place, "test-failed", message));
    }
}

/// Whether the matches of an example make a correlation fire.
fn fires(correlation: &Correlation, example: &Example) -> bool {
    let limits = Limits::default();
    let mut groups = Groups::new(limits.max_groups, limits.max_entries);
    let keys = RandomState::new();
    let history = example.limit.map(Fixed);
    let baselines = history.as_ref().map(|fixed| -> &dyn Baselines { fixed });
    let mut packet = 0;
    for given in &example.given {
        for _ in 0..given.times {
            let hit = Hit {
                rule: given.rule,
                client: given.client,
                server_key: &given.server,
                mark: Mark { time: given.time, packet },
                news: false,
                values: given,
                baselines,
            };
            packet += 1;
            if matches!(correlation.feed(&hit, &mut groups, &keys), Outcome::Fires(_)) {
                return true;
            }
        }
    }
    false
}
