//! A map that forgets its oldest entries.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// At most `MAX` entries; the oldest makes room for a new one.
#[derive(Debug)]
pub(super) struct Recent<K, V, const MAX: usize> {
    pub(super) entries: HashMap<K, V>,
    turns: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V, const MAX: usize> Default for Recent<K, V, MAX> {
    fn default() -> Self {
        Self { entries: HashMap::new(), turns: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, V, const MAX: usize> Recent<K, V, MAX> {
    /// Adds an entry, or replaces its value; that makes it no younger.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_none() {
            self.turns.push_back(key);
        }
        while self.turns.len() > MAX
            && let Some(oldest) = self.turns.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room_and_a_new_value_makes_no_younger() {
        let mut recent: Recent<&str, u8, 2> = Recent::default();
        for (key, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            recent.insert(key, value);
        }
        assert_eq!(recent.entries.get("a"), None);
        assert_eq!(recent.entries.get("b").zip(recent.entries.get("c")), Some((&2, &4)));
    }
}
