//! The dynamic table (RFC 7541 section 2.3.2), which may be known in part only.
//!
//! Entries count from the newest, so that what was inserted since an encoder's table was lost is
//! known by its right index, and what is older is not known at all.

use std::collections::VecDeque;

/// RFC 7541 section 4.1.
const OVERHEAD_BYTES: usize = 32;
/// Dead bytes at the front that are not worth moving the rest.
const SLACK_BYTES: usize = 1 << 10;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where its bytes begin, counted over the table's life.
    at: u64,
    name_len: usize,
    value_len: usize,
    known: bool,
}

impl Entry {
    const fn size(self) -> usize {
        self.name_len + self.value_len + OVERHEAD_BYTES
    }
}

/// What an index leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup<'a> {
    Field(&'a [u8], &'a [u8]),
    /// An entry that was not seen, or could not be read.
    Unknown,
    /// No such entry.
    Missing,
}

/// The table. At most twice its capacity in bytes, and 32 bytes an entry.
#[derive(Debug, Default)]
pub(super) struct Table {
    bytes: Vec<u8>,
    /// What `bytes[0]` counts as.
    base: u64,
    /// Newest last.
    entries: VecDeque<Entry>,
    size: usize,
    /// There may be older entries.
    lost: bool,
}

impl Table {
    pub(super) fn get(&self, index: u32) -> Lookup<'_> {
        let back = usize::try_from(index).unwrap_or(usize::MAX);
        let entry = self.entries.len().checked_sub(1).and_then(|last| last.checked_sub(back));
        let Some(entry) = entry.and_then(|at| self.entries.get(at)) else {
            return if self.lost { Lookup::Unknown } else { Lookup::Missing };
        };
        let start = usize::try_from(entry.at - self.base).unwrap_or(usize::MAX);
        let field = self.bytes.get(start..).and_then(|bytes| {
            let (name, rest) = bytes.split_at_checked(entry.name_len)?;
            Some((name, rest.get(..entry.value_len)?))
        });
        match field {
            Some((name, value)) if entry.known => Lookup::Field(name, value),
            _ => Lookup::Unknown,
        }
    }

    /// Adds the newest entry; `None` when its content is not known.
    pub(super) fn insert(&mut self, field: Option<(&[u8], &[u8])>, capacity: usize) {
        let (name, value) = field.unwrap_or_default();
        let at = self.base + self.bytes.len() as u64;
        let known = field.is_some();
        let entry = Entry { at, name_len: name.len(), value_len: value.len(), known };
        // Section 4.4: an entry larger than the table empties it.
        self.evict(capacity.saturating_sub(entry.size()));
        if entry.size() > capacity {
            return;
        }
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.size += entry.size();
        self.entries.push_back(entry);
    }

    /// Drops the oldest entries until the rest fits.
    pub(super) fn evict(&mut self, capacity: usize) {
        while self.size > capacity {
            let Some(entry) = self.entries.pop_front() else { break };
            self.size -= entry.size();
        }
        let Some(first) = self.entries.front() else {
            self.base += self.bytes.len() as u64;
            self.bytes.clear();
            return;
        };
        let dead = usize::try_from(first.at - self.base).unwrap_or(usize::MAX);
        if dead > SLACK_BYTES && dead >= self.bytes.len() / 2 {
            self.bytes.drain(..dead.min(self.bytes.len()));
            self.base = first.at;
        }
    }

    /// The encoder emptied its table.
    pub(super) fn empty(&mut self) {
        self.evict(0);
        self.lost = false;
    }

    /// The encoder's table is not known any more.
    pub(super) fn lose(&mut self) {
        self.evict(0);
        self.lost = true;
    }

    /// What is beyond the known entries was dropped for a bound that the encoder has not.
    pub(super) const fn forget_oldest(&mut self) {
        self.lost = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_indices_count_from_the_newest() {
        let mut table = Table::default();
        for round in 0..500_u32 {
            let value = round.to_string();
            table.insert(Some((b"name", value.as_bytes())), 120);
            assert!(table.size <= 120 && table.bytes.len() < SLACK_BYTES + 240);
            assert_eq!(table.get(0), Lookup::Field(b"name", value.as_bytes()));
            let before = round.saturating_sub(1).to_string();
            let older = if round == 0 {
                Lookup::Missing
            } else {
                Lookup::Field(b"name", before.as_bytes())
            };
            assert_eq!(table.get(1), older);
        }
        assert_eq!(table.get(3), Lookup::Missing);
        table.insert(Some((b"name", &[b'x'; 100])), 120);
        assert_eq!(table.get(0), Lookup::Missing);
    }

    #[test]
    fn what_was_inserted_after_a_loss_is_known() {
        let mut table = Table::default();
        table.insert(Some((b"a", b"1")), 4096);
        table.lose();
        assert_eq!(table.get(0), Lookup::Unknown);
        table.insert(Some((b"b", b"2")), 4096);
        table.insert(None, 4096);
        table.insert(Some((b"c", b"3")), 4096);
        let found: Vec<_> = (0..4).map(|index| table.get(index)).collect();
        let expected = [
            Lookup::Field(b"c", b"3"),
            Lookup::Unknown,
            Lookup::Field(b"b", b"2"),
            Lookup::Unknown,
        ];
        assert_eq!(found, expected);
        table.empty();
        assert_eq!(table.get(0), Lookup::Missing);
    }
}
