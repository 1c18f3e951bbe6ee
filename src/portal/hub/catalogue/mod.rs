//! What servers offer: their whole lists, kept for each [`Scope`], and merged into those that
//! clients get.

mod fetch;
mod merge;
mod mirror;
mod schema;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use fetch::{aside, offers};
pub(super) use mirror::{Mirror, mirrored, mismatch};

use super::clock::Instant;
use super::parts::{Kind, Mark};
use crate::portal::principal::Scope;
use crate::portal::wire::Raw;

/// One thing of a list.
#[derive(Debug)]
pub(super) struct Row {
    /// The server's own name, or URI, or URI template.
    pub(super) name: Box<str>,
    /// As it came.
    pub(super) raw: Raw,
    /// Where its name is in that, with the quotes.
    pub(super) name_at: Range<usize>,
    /// Arguments that headers mirror.
    pub(super) mirrors: Vec<Mirror>,
    /// What policy and pins made of it.
    pub(super) mark: Mark,
}

/// The whole list of a server.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// By the names that clients know at routes with several servers.
    pub(super) by_public: HashMap<Box<str>, usize>,
    /// By own name.
    pub(super) by_name: HashMap<Box<str>, usize>,
    /// Good until then.
    pub(super) until: Instant,
    /// Whether some of it was left out: too long, or tools that are not valid.
    pub(super) left_out: usize,
}

/// Keeps lists. No key leaves out whose they are.
#[derive(Debug)]
pub(super) struct Catalogue {
    kept: Mutex<HashMap<(Scope, Kind), Arc<Rows>>>,
    max: usize,
}

impl Catalogue {
    pub(super) fn new(max: usize) -> Self {
        Self { kept: Mutex::default(), max }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<(Scope, Kind), Arc<Rows>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A list, if it is kept; it may be too old.
    fn get(&self, key: &(Scope, Kind)) -> Option<Arc<Rows>> {
        self.kept().get(key).cloned()
    }

    fn put(&self, key: (Scope, Kind), rows: &Arc<Rows>) {
        let mut kept = self.kept();
        if kept.len() >= self.max {
            let any = kept.keys().next().cloned();
            any.and_then(|key| kept.remove(&key));
        }
        kept.insert(key, Arc::clone(rows));
    }

    /// A server said that something changed: its lists are fetched again when they are asked for.
    pub(super) fn forget(&self, scope: &Scope) {
        let mut kept = self.kept();
        for kind in [Kind::Tool, Kind::Prompt, Kind::Resource, Kind::Template] {
            kept.remove(&(scope.clone(), kind));
        }
    }

    pub(super) fn clear(&self) {
        self.kept().clear();
    }

    /// Lets go of lists that were good long ago.
    pub(super) fn tend(&self) {
        let now = Instant::now();
        self.kept().retain(|_, rows| rows.until + fetch::STALE > now);
    }
}

/// The method that lists a kind, and the member of its result.
pub(super) const fn listing(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::Tool => ("tools/list", "tools", "tools"),
        Kind::Prompt => ("prompts/list", "prompts", "prompts"),
        Kind::Resource | Kind::Method => ("resources/list", "resources", "resources"),
        Kind::Template => ("resources/templates/list", "resourceTemplates", "resources"),
    }
}

/// The kind that a method lists.
pub(super) fn listed(method: &str) -> Option<Kind> {
    let kinds = [Kind::Tool, Kind::Prompt, Kind::Resource, Kind::Template];
    kinds.into_iter().find(|kind| listing(*kind).0 == method)
}
