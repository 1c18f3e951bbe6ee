//! What a correlation sees of a match, whether it comes of traffic or of an example.

use std::fmt;
use std::hash::{Hash, Hasher as _};
use std::net::IpAddr;
use std::time::Duration;

use super::window::Mark;
use crate::fnv::Fnv;
use crate::rules::field::{Field, Value};
use crate::rules::subject::Subject;
use crate::rules::syntax::Measure;

/// Something that has values of fields.
pub(super) trait Values {
    /// Gives each value of a field to `each` until it answers true, and returns whether it did.
    fn visit(&self, field: &Field, each: &mut dyn FnMut(Value<'_>) -> bool) -> bool;
}

impl Values for Subject<'_> {
    fn visit(&self, field: &Field, each: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
        field.visit(self, &mut |value| each(value))
    }
}

/// A match of a rule.
#[derive(Clone, Copy)]
pub(super) struct Hit<'h> {
    /// Number of the rule's id.
    pub(super) rule: u16,
    pub(super) client: IpAddr,
    pub(super) server_key: &'h str,
    pub(super) mark: Mark,
    /// It is no further occurrence.
    pub(super) news: bool,
    pub(super) values: &'h dyn Values,
    pub(super) baselines: Option<&'h dyn Baselines>,
}

/// Whose history a baseline asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BaselineKey<'a> {
    /// The client.
    pub client: IpAddr,
    /// Key of the server.
    pub server_key: &'a str,
    /// The tool; empty when the match names none.
    pub tool: &'a str,
}

/// What is usual.
pub trait Baselines: fmt::Debug {
    /// The most that is usual within `within`: a correlation fires beyond it. It is `factor`
    /// times what the history says, and never below `floor`. `None` while there is not enough
    /// history: then nothing fires.
    fn limit(
        &self,
        key: &BaselineKey<'_>,
        measure: Measure,
        within: Duration,
        floor: u64,
        factor: f64,
    ) -> Option<u64>;
}

/// The hash of a text, the same in every run.
pub(super) fn fixed_hash(text: &str) -> u64 {
    let mut hash = Fnv::default();
    text.hash(&mut hash);
    hash.finish()
}
