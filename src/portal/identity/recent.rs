//! A bounded map that forgets what was not asked for lately.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Two generations: what is looked up moves to the young one; when that is full, the old one is
/// dropped and the young one is old.
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

/// A map of at most `max_entries` entries, where the least wanted go first.
pub(in crate::portal) struct Recent<K, V> {
    both: Mutex<Generations<K, V>>,
    half: usize,
}

impl<K, V> fmt::Debug for Recent<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("half", &self.half).finish_non_exhaustive()
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Recent<K, V> {
    /// Nothing in it yet.
    pub(in crate::portal) fn new(max_entries: usize) -> Self {
        let both = Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() });
        Self { both, half: (max_entries / 2).max(1) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations<K, V>> {
        self.both.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept under a key.
    pub(in crate::portal) fn get(&self, key: &K) -> Option<V> {
        let mut both = self.lock();
        if let Some(value) = both.young.get(key) {
            return Some(value.clone());
        }
        let value = both.old.remove(key)?;
        both.add(key.clone(), value.clone(), self.half);
        Some(value)
    }

    /// Keeps something, in place of what was there.
    pub(in crate::portal) fn put(&self, key: K, value: V) {
        let mut both = self.lock();
        both.old.remove(&key);
        both.add(key, value, self.half);
    }

    /// Keeps something where nothing is kept; false if something is.
    pub(in crate::portal) fn claim(&self, key: K, value: V) -> bool {
        let mut both = self.lock();
        let is_new = !both.young.contains_key(&key) && !both.old.contains_key(&key);
        if is_new {
            both.add(key, value, self.half);
        }
        is_new
    }

    /// Forgets it, and says what it was.
    pub(in crate::portal) fn take(&self, key: &K) -> Option<V> {
        let mut both = self.lock();
        let old = both.old.remove(key);
        both.young.remove(key).or(old)
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn add(&mut self, key: K, value: V, half: usize) {
        if self.young.len() >= half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_stays_and_the_rest_goes() {
        let recent = Recent::new(8);
        for key in 0..100 {
            recent.put(key, key);
            assert_eq!(recent.get(&0), Some(0), "wanted all the time");
        }
        let kept = (0..100).filter(|key| recent.get(key).is_some()).count();
        assert!((4..=8).contains(&kept), "{kept}");
        assert!(recent.claim(1_000, 7) && !recent.claim(1_000, 8));
        recent.put(0, 0);
        assert_eq!(recent.take(&0), Some(0));
        assert_eq!(recent.get(&0), None);
    }
}
