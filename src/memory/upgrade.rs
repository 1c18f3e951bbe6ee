//! Many definitions that change their form in the same way: another version of the SDK.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, ChangeKind, Upgrade};
use super::delta::FormDelta;

/// So many definitions that share a difference make it one of the SDK, whatever else changed.
const ENOUGH: usize = 3;
/// With fewer, all that changed have to share it, and there have to be so many.
const AT_LEAST: usize = 2;
/// Keys that are told.
const MAX_KEYS: usize = 16;

/// Turns changes of form into [`ChangeKind::Upgrade`] when every difference of the definition is
/// shared by enough others. `forms` holds the differences of each change, none where texts or the
/// interface changed too.
pub(super) fn classify(changes: &mut [Change], forms: &[Vec<FormDelta>]) -> Option<Upgrade> {
    let is_change = |change: &&Change| change.kind >= ChangeKind::Wording;
    let changed = changes.iter().filter(is_change).count();
    let mut counts: BTreeMap<&FormDelta, usize> = BTreeMap::new();
    for delta in forms.iter().flatten() {
        *counts.entry(delta).or_default() += 1;
    }
    let is_shared = |delta: &FormDelta| {
        let count = counts.get(delta).copied().unwrap_or(0);
        count >= ENOUGH || (count >= AT_LEAST && count == changed)
    };
    let upgraded: Vec<usize> = changes
        .iter()
        .zip(forms)
        .enumerate()
        .filter(|(_, (change, form))| {
            change.kind == ChangeKind::Shape && !form.is_empty() && form.iter().all(is_shared)
        })
        .map(|(index, _)| index)
        .collect();
    if upgraded.is_empty() {
        return None;
    }
    let mut keys = BTreeSet::new();
    for index in &upgraded {
        if let Some(change) = changes.get_mut(*index) {
            change.kind = ChangeKind::Upgrade;
        }
        keys.extend(forms.get(*index).into_iter().flatten().map(|delta| delta.key.clone()));
    }
    let keys = keys.into_iter().take(MAX_KEYS).collect();
    Some(Upgrade { definitions: upgraded.len(), keys, software: None })
}
