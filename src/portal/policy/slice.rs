//! The few policies that can hold for something, for people in certain groups.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use cedar_policy::{Policy, PolicyId, PolicySet};
use hashbrown::{Equivalent, HashMap};

use super::arguments::FAMILIES;
use super::compile::{Asked, Entry};
use super::config::MAX_PATH_BYTES;
use super::tier::Tier;
use super::{Kind, Phase, Ruling};

/// Most slices that are kept, some 400 bytes each and their policies shared; then all are made
/// anew as they are wanted.
const MAX_KEPT: usize = 16_384;

/// The policies that can hold, and what can be said of them beforehand. Nothing in it belongs to
/// anybody: the key names groups, and what differs from person to person is decided each time.
#[derive(Debug, Default)]
pub(super) struct Slice {
    /// All of them.
    pub(super) whole: PolicySet,
    /// Those that do not look at arguments.
    pub(super) plain: PolicySet,
    /// Indices of all of them.
    pub(super) entries: Vec<usize>,
    /// Ids of those that hold.
    pub(super) holds: Vec<PolicyId>,
    /// Some look at arguments.
    pub(super) needs_arguments: bool,
    /// Types of arguments that are looked at, of [`FAMILIES`]: others need not be shown.
    pub(super) families: [bool; FAMILIES.len()],
    /// Some that look at arguments do not deny: the call may be allowed.
    pub(super) may_allow: bool,
    /// Some are from Cedar files, and may look at anything. Else the policies are bare: that their
    /// scope holds is known, and they look at arguments only.
    pub(super) is_raw: bool,
    /// Arguments that are looked at, if none is from a Cedar file.
    pub(super) paths: BTreeSet<String>,
    /// The ruling and its policy, where all people in these groups have the same.
    pub(super) fixed: Option<super::decide::Answer>,
}

impl Slice {
    pub(super) fn of(entries: &[Entry], asked: &Asked<'_>, groups: &[Arc<str>]) -> Self {
        let mut this = Self::default();
        let all = entries.iter().enumerate();
        let holding: Vec<_> = all.filter(|(_, entry)| entry.scope.holds(asked, groups)).collect();
        let bare: Option<Vec<Policy>> = holding.iter().map(|(_, entry)| entry.bare()).collect();
        this.is_raw = bare.is_none();
        let mut bare = bare.into_iter().flatten();
        for (index, entry) in holding {
            let policy = bare.next().unwrap_or_else(|| entry.policy.clone());
            this.entries.push(index);
            if entry.ruling == Ruling::Hold {
                this.holds.push(entry.policy.id().clone());
            }
            // Ids are unique: nothing is added twice.
            drop(this.whole.add(policy.clone()));
            if entry.needs_arguments {
                this.needs_arguments = true;
                this.may_allow |= entry.ruling != Ruling::Deny;
                this.paths.extend(entry.paths.iter().cloned());
            } else {
                drop(this.plain.add(policy));
            }
            for (is_used, (member, _)) in this.families.iter_mut().zip(FAMILIES) {
                *is_used |= entry.is_raw || entry.text.contains(&format!("context.{member}."));
            }
        }
        this
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    groups: Vec<Arc<str>>,
    phase: Phase,
    server: Box<str>,
    kind: Kind,
    name: Box<str>,
    tier: Tier,
}

/// [`Key`] without owning anything; hashes alike.
#[derive(Debug, Hash)]
struct Borrowed<'a> {
    groups: &'a [Arc<str>],
    phase: Phase,
    server: &'a str,
    kind: Kind,
    name: &'a str,
    tier: Tier,
}

impl Equivalent<Key> for Borrowed<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.name == *key.name
            && *self.server == *key.server
            && (self.phase, self.kind, self.tier) == (key.phase, key.kind, key.tier)
            && *self.groups == *key.groups
    }
}

/// Slices that were made.
#[derive(Debug)]
pub(super) struct Slices {
    kept: RwLock<HashMap<Key, Arc<Slice>, std::hash::RandomState>>,
}

impl Default for Slices {
    fn default() -> Self {
        Self { kept: RwLock::new(HashMap::with_hasher(std::hash::RandomState::new())) }
    }
}

impl Slices {
    /// The slice for something, made if it is not there. URIs of resources come from clients:
    /// long ones are not kept.
    pub(super) fn get(
        &self,
        asked: &Asked<'_>,
        groups: &[Arc<str>],
        make: impl FnOnce() -> Slice,
    ) -> Arc<Slice> {
        let Asked { phase, server, kind, name, tier } = *asked;
        let borrowed = Borrowed { groups, phase, server, kind, name, tier };
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(slice) = kept.get(&borrowed) {
            return Arc::clone(slice);
        }
        drop(kept);
        let slice = Arc::new(make());
        if name.len() > MAX_PATH_BYTES {
            return slice;
        }
        let key = Key {
            groups: groups.to_vec(),
            phase,
            server: server.into(),
            kind,
            name: name.into(),
            tier,
        };
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&slice));
        slice
    }
}
