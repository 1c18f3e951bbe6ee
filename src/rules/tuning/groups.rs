//! What is remembered per group, with bounds: at the bound the group that has been idle longest
//! is dropped and counted.

use std::collections::HashMap;

/// Something whose size changes.
pub(super) trait Weigh {
    /// How many entries it holds.
    fn weight(&self) -> usize;
}

/// No slot.
const NONE: usize = usize::MAX;

/// A value per group, in the order of last use.
#[derive(Debug)]
pub(super) struct Groups<V> {
    max_groups: usize,
    max_entries: usize,
    index: HashMap<u64, usize>,
    slots: Vec<Slot<V>>,
    newest: usize,
    oldest: usize,
    entries: usize,
    dropped: u64,
}

#[derive(Debug)]
struct Slot<V> {
    key: u64,
    older: usize,
    newer: usize,
    weight: usize,
    value: V,
}

impl<V: Weigh> Groups<V> {
    /// Room for so many groups (one at least), with so many entries in all.
    pub(super) fn new(max_groups: usize, max_entries: usize) -> Self {
        Self {
            max_groups: max_groups.max(1),
            max_entries,
            index: HashMap::new(),
            slots: Vec::new(),
            newest: NONE,
            oldest: NONE,
            entries: 0,
            dropped: 0,
        }
    }

    /// Groups dropped at a bound.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The value of a group, which does not count as use.
    pub(super) fn peek(&self, key: u64) -> Option<&V> {
        let slot = self.slots.get(*self.index.get(&key)?)?;
        Some(&slot.value)
    }

    /// Uses a group, which is made if it is not there.
    pub(super) fn using<R>(
        &mut self,
        key: u64,
        make: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> Option<R> {
        let at = match self.index.get(&key) {
            Some(at) => {
                let at = *at;
                self.unlink(at);
                at
            }
            None => self.add(key, make()),
        };
        self.link_newest(at);
        let slot = self.slots.get_mut(at)?;
        let outcome = change(&mut slot.value);
        let weight = slot.value.weight();
        self.entries = self.entries.saturating_sub(slot.weight).saturating_add(weight);
        slot.weight = weight;
        while self.entries > self.max_entries && self.index.len() > 1 {
            self.drop_oldest();
        }
        Some(outcome)
    }

    /// A slot that is not linked yet.
    fn add(&mut self, key: u64, value: V) -> usize {
        while self.index.len() >= self.max_groups {
            self.drop_oldest();
        }
        let at = self.slots.len();
        self.slots.push(Slot { key, older: NONE, newer: NONE, weight: 0, value });
        self.index.insert(key, at);
        at
    }

    fn drop_oldest(&mut self) {
        let at = self.oldest;
        self.unlink(at);
        if at >= self.slots.len() {
            return;
        }
        let last = self.slots.len() - 1;
        let gone = self.slots.swap_remove(at);
        self.index.remove(&gone.key);
        self.entries = self.entries.saturating_sub(gone.weight);
        self.dropped = self.dropped.saturating_add(1);
        // The last slot now stands where the one that is gone stood.
        if let Some(Slot { key, older, newer, .. }) = self.slots.get(at) {
            let (key, older, newer) = (*key, *older, *newer);
            self.index.insert(key, at);
            match self.slots.get_mut(older) {
                Some(slot) => slot.newer = at,
                None => self.oldest = if self.oldest == last { at } else { self.oldest },
            }
            match self.slots.get_mut(newer) {
                Some(slot) => slot.older = at,
                None => self.newest = if self.newest == last { at } else { self.newest },
            }
        }
    }

    fn unlink(&mut self, at: usize) {
        let Some(Slot { older, newer, .. }) = self.slots.get(at) else { return };
        let (older, newer) = (*older, *newer);
        match self.slots.get_mut(older) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
    }

    fn link_newest(&mut self, at: usize) {
        let before = self.newest;
        if let Some(slot) = self.slots.get_mut(at) {
            (slot.older, slot.newer) = (before, NONE);
            self.newest = at;
        }
        match self.slots.get_mut(before) {
            Some(slot) => slot.newer = at,
            None => self.oldest = at,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Weigh for usize {
        fn weight(&self) -> usize {
            *self
        }
    }

    fn keys(groups: &Groups<usize>) -> Vec<u64> {
        let mut keys = Vec::new();
        let mut at = groups.oldest;
        while let Some(slot) = groups.slots.get(at) {
            keys.push(slot.key);
            at = slot.newer;
        }
        keys
    }

    #[test]
    fn the_group_idle_longest_is_dropped_and_counted() {
        let mut groups: Groups<usize> = Groups::new(3, 100);
        for key in [1, 2, 3, 1, 4] {
            groups.using(key, || 0, |value| *value += 1);
        }
        assert_eq!(keys(&groups), [3, 1, 4]);
        assert_eq!((groups.dropped(), groups.peek(2), groups.peek(1)), (1, None, Some(&2)));
    }

    #[test]
    fn too_many_entries_drop_groups_but_never_the_one_in_use() {
        let mut groups: Groups<usize> = Groups::new(10, 10);
        for key in 1..=3 {
            groups.using(key, || 0, |value| *value = 3);
        }
        groups.using(2, || 0, |value| *value = 6);
        assert_eq!((keys(&groups), groups.entries), (vec![3, 2], 9));
        groups.using(9, || 0, |value| *value = 50);
        assert_eq!((keys(&groups), groups.entries, groups.dropped()), (vec![9], 50, 3));
    }

    proptest! {
        #[test]
        fn it_is_a_list_by_last_use(
            uses in prop::collection::vec((0_u64..8, 0_usize..4), 0..60),
            max in 0_usize..6,
        ) {
            let mut groups: Groups<usize> = Groups::new(max, 8);
            let mut model: Vec<(u64, usize)> = Vec::new();
            for (key, weight) in uses {
                groups.using(key, || 0, |value| *value = weight);
                if model.iter().all(|(known, _)| *known != key) && model.len() >= max.max(1) {
                    model.remove(0);
                }
                model.retain(|(known, _)| *known != key);
                model.push((key, weight));
                while model.iter().map(|(_, weight)| weight).sum::<usize>() > 8 && model.len() > 1 {
                    model.remove(0);
                }
                let wanted: Vec<u64> = model.iter().map(|(key, _)| *key).collect();
                prop_assert_eq!(keys(&groups), wanted);
                prop_assert_eq!(groups.len(), model.len());
            }
        }
    }
}
