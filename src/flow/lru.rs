//! Intrusive doubly linked lists: O(1) insertion at the back, removal anywhere, no allocation.
//!
//! The table keeps one list per class of flows, ordered by last activity: expiry and eviction
//! look at fronts only and never search.

/// No element.
pub(super) const NONE: u32 = u32::MAX;

/// An element's place in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    prev: u32,
    next: u32,
}

impl Link {
    pub(super) const UNLINKED: Self = Self { prev: NONE, next: NONE };
}

/// Where the elements of a list live.
pub(super) trait Links {
    fn link_mut(&mut self, index: u32) -> Option<&mut Link>;
}

/// A list of elements of some [`Links`]. An element is in at most one list at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    front: u32,
    back: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self { front: NONE, back: NONE };

    /// The element that was inserted first.
    pub(super) const fn front(&self) -> Option<u32> {
        if self.front == NONE { None } else { Some(self.front) }
    }

    pub(super) fn push_back(&mut self, index: u32, store: &mut impl Links) {
        let Some(link) = store.link_mut(index) else { return };
        *link = Link { prev: self.back, next: NONE };
        match store.link_mut(self.back) {
            Some(last) => last.next = index,
            None => self.front = index,
        }
        self.back = index;
    }

    pub(super) fn unlink(&mut self, index: u32, store: &mut impl Links) {
        let Some(link) = store.link_mut(index) else { return };
        let Link { prev, next } = std::mem::replace(link, Link::UNLINKED);
        match store.link_mut(prev) {
            Some(before) => before.next = next,
            None if self.front == index => self.front = next,
            None => {}
        }
        match store.link_mut(next) {
            Some(after) => after.prev = prev,
            None if self.back == index => self.back = prev,
            None => {}
        }
    }
}

/// Several lists over the same store, by number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lists<const N: usize>([List; N]);

impl<const N: usize> Lists<N> {
    pub(super) const EMPTY: Self = Self([List::EMPTY; N]);

    pub(super) fn front(&self, list: usize) -> Option<u32> {
        self.0.get(list)?.front()
    }

    pub(super) fn push_back(&mut self, list: usize, index: u32, store: &mut impl Links) {
        if let Some(list) = self.0.get_mut(list) {
            list.push_back(index, store);
        }
    }

    pub(super) fn unlink(&mut self, list: usize, index: u32, store: &mut impl Links) {
        if let Some(list) = self.0.get_mut(list) {
            list.unlink(index, store);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Links for Vec<Link> {
        fn link_mut(&mut self, index: u32) -> Option<&mut Link> {
            self.get_mut(index as usize)
        }
    }

    fn order(list: &List, store: &[Link]) -> Vec<u32> {
        let mut seen = Vec::new();
        let mut at = list.front;
        while at != NONE {
            seen.push(at);
            at = store[at as usize].next;
        }
        seen
    }

    #[test]
    fn keeps_insertion_order_through_removals() {
        let mut store = vec![Link::UNLINKED; 5];
        let mut list = List::EMPTY;
        for index in 0..5 {
            list.push_back(index, &mut store);
        }
        for (gone, left) in [(2, vec![0, 1, 3, 4]), (0, vec![1, 3, 4]), (4, vec![1, 3])] {
            list.unlink(gone, &mut store);
            assert_eq!(order(&list, &store), left);
        }
        list.unlink(1, &mut store);
        list.push_back(1, &mut store);
        assert_eq!(order(&list, &store), [3, 1]);
        list.unlink(3, &mut store);
        list.unlink(1, &mut store);
        assert_eq!(list.front(), None);
    }

    #[test]
    fn unlinking_twice_changes_nothing() {
        let mut store = vec![Link::UNLINKED; 3];
        let mut list = List::EMPTY;
        list.push_back(0, &mut store);
        list.push_back(1, &mut store);
        list.unlink(2, &mut store);
        list.unlink(0, &mut store);
        list.unlink(0, &mut store);
        assert_eq!(order(&list, &store), [1]);
    }
}
